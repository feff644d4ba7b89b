//! How far behind groups are: in records, and in seconds.
//!
//! Owns: the round that measures, and the series that it shows. Does not own: offsets
//! (`coordinator`), records (`log`), the text (`telemetry`).
//!
//! Names and labels are those of the Kafka Lag Exporter, without the labels that name members:
//! client ids may name people. The lag in records is the distance from the committed offset to the
//! end of the log. The lag in seconds is the age of the first record that was not committed, zero
//! if there is none; the exporter estimates what is measured here.
//!
//! Cost of a round: one look at each committed offset, and for those behind one batch each, unless
//! the last round read the same. At most [`PARTITIONS_MAX`] offsets are shown, and a round that has
//! read [`READ_BYTES_MAX`] shows what the last one knew.

use crate::ctx::Ctx;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use systole_kit::Timestamp;
use systole_log::{Isolation, Offset, Partition};
use systole_telemetry::board::{Row, Table};
use systole_wire::record::{BatchHeader, Batches, RecordSet, TimestampType};
use systole_world::ClockExt as _;
use tokio::task::spawn_blocking;

/// Committed offsets that are shown. A metric says how many are not.
const PARTITIONS_MAX: usize = 10_000;
/// Bytes of batches that one round reads.
const READ_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Batches that are read at once, to look past those without records: markers of transactions, and
/// what compaction left.
const READ_BYTES: usize = 16 * 1024;
const UNCOMMITTED: Isolation = Isolation::Uncommitted;
/// A batch whose records decompress to more is as old as its first record.
const DECOMPRESSED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Measures now and then until the node stops.
pub(crate) async fn watch(ctx: Arc<Ctx>) {
    let mut known = Known::default();
    loop {
        tokio::select! {
            () = ctx.stopping.cancelled() => return,
            () = ctx.world.clock.sleep(ctx.config.maintenance_interval) => {}
        }
        let at = Arc::clone(&ctx);
        known = match spawn_blocking(move || round(&at, &known)).await {
            Ok(known) => known,
            Err(_) => return tracing::error!("the lag of groups is no longer measured"),
        };
    }
}

/// Group, topic, partition.
type Key = (Arc<str>, Arc<str>, i32);

/// Committed offsets with the first record that was not.
#[derive(Debug, Default)]
struct Known(HashMap<Key, (i64, First)>);

#[derive(Debug, Clone, Copy)]
enum First {
    /// There is none: what lies behind the offset are markers of transactions.
    Nothing,
    At(Timestamp),
    /// It has no time, or is damaged, or far away.
    Unknown,
}

struct Behind {
    key: Key,
    records: i64,
    /// `None`: not known.
    seconds: Option<f64>,
}

fn round(ctx: &Ctx, known: &Known) -> Known {
    let now = ctx.world.clock.now();
    let (mut next, mut shown, mut left_out, mut read_bytes) = (Known::default(), vec![], 0, 0);
    for group in ctx.groups.list() {
        let offsets = ctx.groups.read_offsets(&group.id, |offsets| {
            let all = offsets.all().into_iter();
            let of_topic = all.flat_map(|(topic, partitions)| {
                partitions.iter().map(|(index, it)| (Arc::clone(topic), *index, it.offset))
            });
            of_topic.collect::<Vec<_>>()
        });
        for (topic, index, committed) in offsets.unwrap_or_default() {
            let id = ctx.topics.by_name(&topic).and_then(|it| it.partition(index));
            let Some(partition) = id.and_then(|it| ctx.log.partition(it)) else { continue };
            if shown.len() >= PARTITIONS_MAX {
                left_out += 1;
                continue;
            }
            let key = (Arc::clone(&group.id), topic, index);
            let end = partition.bounds().high_watermark.raw();
            let records = end.saturating_sub(committed).max(0);
            let mut seconds = Some(0.0);
            if records > 0 {
                let before = known.0.get(&key).copied();
                let is_fresh = matches!(before, Some((it, First::At(_))) if it == committed);
                let first = if is_fresh || read_bytes >= READ_BYTES_MAX {
                    before.unwrap_or((committed, First::Unknown))
                } else {
                    let (first, bytes) = first_record(&partition, committed);
                    read_bytes += bytes;
                    (committed, first)
                };
                seconds = match first.1 {
                    First::Nothing => Some(0.0),
                    First::At(time) => Some(now.since(time).as_secs_f64()),
                    First::Unknown => None,
                };
                next.0.insert(key.clone(), first);
            }
            shown.push(Behind { key, records, seconds });
        }
    }
    ctx.metrics.lag_left_out.set(left_out);
    ctx.metrics.lag.show(tables(&shown));
    next
}

/// The first record at or after `committed`, and how many bytes it took to know.
fn first_record(partition: &Partition, committed: i64) -> (First, usize) {
    let from = committed.max(partition.bounds().log_start.raw());
    let read = Offset::from_wire(from).map(|it| partition.read(it, READ_BYTES, UNCOMMITTED));
    let Some(Ok(read)) = read else { return (First::Unknown, 0) };
    let (size, is_all) = (read.size(), read.end >= read.bounds.high_watermark);
    let mut times = Batches::new(read.into_bytes())
        .map_while(Result::ok)
        .filter_map(|it| time_in(&it.header, &it.bytes, from));
    let first = match times.next() {
        Some(millis) if millis >= 0 => First::At(Timestamp::from_millis(millis)),
        None if is_all => First::Nothing,
        _ => First::Unknown,
    };
    (first, size)
}

/// The time of a batch's first record at or after `from`. `None`: there is no such record.
fn time_in(header: &BatchHeader, batch: &[u8], from: i64) -> Option<i64> {
    if header.attributes.is_control() || header.records_count == 0 {
        return None;
    }
    if header.attributes.timestamp_type() == TimestampType::LogAppend {
        return Some(header.max_timestamp);
    }
    if header.base_offset >= from {
        return Some(header.base_timestamp);
    }
    match RecordSet::open(batch, DECOMPRESSED_BYTES_MAX) {
        Ok(records) => {
            let mut records = records.iter().map_while(Result::ok);
            records.find(|it| it.offset >= from).map(|it| it.timestamp)
        }
        Err(_) => Some(header.base_timestamp),
    }
}

fn tables(shown: &[Behind]) -> BTreeMap<String, Table> {
    let mut of_groups = BTreeMap::<&Arc<str>, (f64, Option<f64>)>::new();
    let (mut records, mut seconds) = (Vec::new(), Vec::new());
    for it in shown {
        let (group, topic, partition) = &it.key;
        let labels = vec![
            ("group", Arc::clone(group)),
            ("topic", Arc::clone(topic)),
            ("partition", partition.to_string().into()),
        ];
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 records")]
        let lag = it.records as f64;
        records.push(Row { labels: labels.clone(), value: lag });
        seconds.extend(it.seconds.map(|value| Row { labels, value }));
        let max = of_groups.entry(group).or_default();
        max.0 = max.0.max(lag);
        max.1 = it.seconds.map(|it| it.max(max.1.unwrap_or_default())).or(max.1);
    }
    let row = |group: &Arc<str>, value| Row { labels: vec![("group", Arc::clone(group))], value };
    let max_records = of_groups.iter().map(|(group, it)| row(group, it.0)).collect();
    let max_seconds = of_groups.iter().filter_map(|(group, it)| Some(row(group, it.1?))).collect();
    let table = |name: &str, help, rows| (name.to_owned(), Table { help, rows });
    BTreeMap::from([
        table("kafka_consumergroup_group_lag", "Records that a group has not committed", records),
        table(
            "kafka_consumergroup_group_lag_seconds",
            "Age of the first record that a group has not committed",
            seconds,
        ),
        table(
            "kafka_consumergroup_group_max_lag",
            "The largest lag of a group in records",
            max_records,
        ),
        table(
            "kafka_consumergroup_group_max_lag_seconds",
            "The largest lag of a group in seconds",
            max_seconds,
        ),
    ])
}
