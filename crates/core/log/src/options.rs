//! Limits of the log and the settings of a partition.
//!
//! Owns: their names, units and defaults. Does not own: reading a configuration file (`node`) or
//! topic configurations (`broker`, which hands the outcome down with [`Partition::configure`]).
//!
//! [`Partition::configure`]: crate::Partition::configure

use std::time::Duration;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Limits of one log directory. All sizes in bytes.
#[derive(Debug, Clone)]
pub struct Options {
    /// The first file of the write-ahead log, small so that an empty directory is ready at once;
    /// each next one is 4 times larger up to `wal_file_bytes`.
    pub wal_first_file_bytes: u64,
    /// The size of a file of the write-ahead log.
    pub wal_file_bytes: u64,
    /// Freed files kept for reuse; more are removed.
    pub wal_spare_files_max: usize,
    /// After so many bytes in the write-ahead log a checkpoint moves its beginning.
    pub checkpoint_bytes: u64,
    /// With so many bytes in the write-ahead log, [`Log::room`](crate::Log::room) waits. Bounds the
    /// time of a recovery.
    pub wal_bytes_max: u64,
    /// One commit group takes at most this much, or a single larger batch.
    pub group_bytes_max: usize,
    /// The largest batch that is accepted.
    pub batch_bytes_max: usize,
    /// Batches held in memory until they are in a segment. [`Log::room`](crate::Log::room) waits
    /// beyond it; beyond five quarters of it appends are refused.
    pub tail_bytes_max: u64,
    /// A partition with so many bytes in memory is written to its segment.
    pub fill_partition_bytes: u64,
    /// With so many bytes in memory, all partitions are written to their segments,
    pub fill_total_bytes: u64,
    /// but not before each of them has so many on average: a write of less costs more for its call
    /// than for its bytes. Half of `tail_bytes_max` is always enough.
    pub fill_share_bytes: u64,
    /// A segment with so many bytes not yet durable is synced ahead of the checkpoint, so that the
    /// checkpoint has little left to do.
    pub sync_ahead_bytes: u64,
    /// A checkpoint over more written partitions than this syncs the file system once instead of
    /// each of their files: measured with 1,000 partitions, 5 times as fast.
    pub sync_each_max: usize,
    /// A segment with more bytes than this has an index beside it. A search in a smaller one walks
    /// from batch to batch, and a partition with little in it has one file.
    pub index_from_bytes: u64,
    /// Open segment and index files.
    pub open_files_max: usize,
    /// Memory for the keys of one compaction (`log.cleaner.dedupe.buffer.size`); 24 bytes for each
    /// distinct key, of which a quarter stays empty. With more keys a partition takes several
    /// passes.
    pub compaction_table_bytes: u64,
    /// Idempotent producers are forgotten this long after their last append
    /// (`producer.id.expiration.ms`).
    pub producer_expiry: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            wal_first_file_bytes: MIB,
            wal_file_bytes: 64 * MIB,
            wal_spare_files_max: 4,
            checkpoint_bytes: 256 * MIB,
            wal_bytes_max: 640 * MIB,
            group_bytes_max: 4 * 1024 * 1024,
            batch_bytes_max: 64 * 1024 * 1024,
            tail_bytes_max: 256 * MIB,
            fill_partition_bytes: MIB,
            fill_total_bytes: 32 * MIB,
            fill_share_bytes: 128 * KIB,
            sync_ahead_bytes: 16 * MIB,
            sync_each_max: 32,
            index_from_bytes: MIB,
            open_files_max: 128,
            compaction_table_bytes: 128 * MIB,
            producer_expiry: Duration::from_hours(24),
        }
    }
}

/// Settings of one partition, named as Kafka's topic configurations are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionConfig {
    /// `segment.bytes`
    pub segment_bytes: u64,
    /// `segment.ms`, by record time: a segment does not span more.
    pub segment_age: Duration,
    /// `retention.ms`; `None` keeps for ever.
    pub retention_age: Option<Duration>,
    /// `retention.bytes`; `None` is without limit.
    pub retention_bytes: Option<u64>,
    /// `flush.messages`: an append is answered after its fsync at least every so many records. 1,
    /// our default, makes every append durable before its answer.
    pub flush_messages: u64,
    /// `flush.ms`: what was answered without fsync gets one within this time, checked by
    /// [`Log::maintain`](crate::Log::maintain).
    pub flush_age: Option<Duration>,
    /// `message.timestamp.type=LogAppendTime`: records get the time of the append.
    pub log_append_time: bool,
    /// `cleanup.policy` with `compact`; `None` keeps all records of a key.
    pub compaction: Option<Compaction>,
}

/// How a partition is compacted, named as Kafka's topic configurations are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compaction {
    /// `delete.retention.ms`: how long tombstones and markers stay after the first compaction that
    /// saw them.
    pub delete_retention: Duration,
    /// `min.compaction.lag.ms`, by record time and for whole segments.
    pub lag_min: Duration,
    /// `max.compaction.lag.ms`: with an older record that was never compacted, the partition is due
    /// whatever its dirty ratio, and a segment does not span more.
    pub lag_max: Duration,
    /// `min.cleanable.dirty.ratio` in millionths.
    pub dirty_ppm_min: u32,
}

impl Default for Compaction {
    fn default() -> Self {
        Self {
            delete_retention: Duration::from_hours(24),
            lag_min: Duration::ZERO,
            lag_max: Duration::MAX,
            dirty_ppm_min: 500_000,
        }
    }
}

impl Default for PartitionConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1024 * MIB,
            segment_age: Duration::from_hours(7 * 24),
            retention_age: Some(Duration::from_hours(7 * 24)),
            retention_bytes: None,
            flush_messages: 1,
            flush_age: None,
            log_append_time: false,
            compaction: None,
        }
    }
}
