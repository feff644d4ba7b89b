//! One partition: keeps what is not yet in a segment, and answers reads.
//!
//! Owns: the state of a partition and the handle [`Partition`]. Does not own: appending (`append`),
//! durability (`engine`), moving batches into segments (`keeper`), or topics' names and
//! configurations (`broker`).
//!
//! Invariants
//! - Below the high watermark everything is durable (or, for a relaxed partition, with the OS);
//!   nothing above it is ever read or written to a segment.
//! - `tail` holds exactly the batches from the last segment's end to `next`, without a gap.
//! - What producers and transactions did is known as of `next`; a roll-back undoes it.
//! - Whoever holds `state` may take the queue's lock, never the other way round.

use crate::batch::Header;
use crate::commits::Ticket;
use crate::engine::{Engine, Queued};
use crate::error::{AppendError, ReadError};
use crate::lock;
use crate::options::PartitionConfig;
use crate::position::{Offset, PartitionId};
use crate::producers::{ProducerState, Producers};
use crate::report::Damage;
use crate::segment::reader::{Ask, Damaged, Spot};
use crate::segment::{Segment, SegmentFile};
use crate::transactions::{Aborted, OpenTransaction, Transactions};
use crate::wal::{Entry, Kind};
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use systole_kit::Timestamp;
use tokio::sync::Notify;

/// Places in segments where readers stopped, so that the next read needs no search.
const HINTS: usize = 8;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) id: PartitionId,
    high_watermark: AtomicI64,
    pub(crate) state: Mutex<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: PartitionConfig,
    pub(crate) life: Life,
    pub(crate) log_start: Offset,
    /// The offset of the next append.
    pub(crate) next: Offset,
    pub(crate) tail: VecDeque<Stored>,
    pub(crate) tail_bytes: u64,
    pub(crate) segments: Vec<Segment>,
    /// During recovery: segment files found beyond the checkpoint, to roll where they rolled; with
    /// their generation.
    pub(crate) ahead: BTreeMap<Offset, u64>,
    /// Compaction has read everything below.
    pub(crate) compacted_to: Offset,
    /// It gave up.
    pub(crate) compaction_off: bool,
    /// Files that compaction replaced, and the newest checkpoint that names them.
    pub(crate) replaced: Vec<(Arc<SegmentFile>, u64)>,
    pub(crate) producers: Producers,
    pub(crate) transactions: Transactions,
    /// The keeper knows that there is something to write.
    pub(crate) listed: bool,
    pub(crate) unsynced_bytes: u64,
    pub(crate) latest: Ticket,
    pub(crate) relaxed_records: u64,
    watchers: Vec<(u64, Arc<Notify>)>,
    next_watcher: u64,
    hints: VecDeque<(u64, Spot)>,
}

/// Whether the partition is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Open,
    /// Its deletion is on the way to the disk: nobody may use it, but it is not gone yet.
    Closing,
    /// Its deletion is durable.
    Gone,
}

/// A batch in memory, at its place.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) header: Header,
    pub(crate) bytes: Bytes,
}

impl Shared {
    pub(crate) fn new(id: PartitionId, config: PartitionConfig) -> Self {
        let state = State {
            config,
            life: Life::Open,
            log_start: Offset::ZERO,
            next: Offset::ZERO,
            tail: VecDeque::new(),
            tail_bytes: 0,
            segments: Vec::new(),
            ahead: BTreeMap::new(),
            compacted_to: Offset::ZERO,
            compaction_off: false,
            replaced: Vec::new(),
            producers: Producers::default(),
            transactions: Transactions::default(),
            listed: false,
            unsynced_bytes: 0,
            latest: Ticket::NONE,
            relaxed_records: 0,
            watchers: Vec::new(),
            next_watcher: 0,
            hints: VecDeque::new(),
        };
        Self { id, high_watermark: AtomicI64::new(0), state: Mutex::new(state) }
    }
    pub(crate) fn high_watermark(&self) -> Offset {
        Offset::new(self.high_watermark.load(Ordering::Acquire))
    }
    pub(crate) fn bounds(&self, state: &State) -> Bounds {
        let high_watermark = self.high_watermark();
        let unstable = state.transactions.first_unstable();
        // A transaction may reach back below where records begin by now.
        let last_stable = unstable.map_or(high_watermark, |it| it.max(state.log_start));
        let last_stable = last_stable.min(high_watermark);
        Bounds { log_start: state.log_start, last_stable, high_watermark }
    }
    pub(crate) fn advance(&self, to: Offset) {
        self.high_watermark.fetch_max(to.raw(), Ordering::AcqRel);
    }
}

impl State {
    /// The end of what is in segments.
    pub(crate) fn written(&self) -> Offset {
        self.tail.front().map_or(self.next, |it| it.header.base)
    }
    pub(crate) fn push(&mut self, stored: Stored, at: Timestamp) {
        if let Some(change) = self.producers.note(&stored, at) {
            self.transactions.apply(change);
        }
        self.next = stored.header.last().next();
        self.tail_bytes += stored.bytes.len() as u64;
        self.tail.push_back(stored);
    }
    /// Batches below `end` lie in a segment now. Gives their bytes.
    pub(crate) fn settle(&mut self, end: Offset) -> u64 {
        let mut freed = 0;
        while let Some(it) = self.tail.pop_front_if(|it| it.header.last() < end) {
            freed += it.bytes.len() as u64;
            self.producers.settle(&it);
        }
        self.tail_bytes -= freed;
        freed
    }
    /// Forgets every batch from `end` on, as if it had never been appended. Gives their bytes.
    pub(crate) fn roll_back(&mut self, end: Offset, now: Timestamp) -> u64 {
        let mut freed = 0;
        while let Some(it) = self.tail.pop_back_if(|it| it.header.base >= end) {
            freed += it.bytes.len() as u64;
        }
        self.tail_bytes -= freed;
        self.next = end;
        self.producers.roll_back();
        let open = self.producers.settled_open();
        let ending = self.transactions.begin_roll_back(self.written(), open);
        for it in &self.tail {
            if let Some(change) = self.producers.note(it, now) {
                self.transactions.apply(change);
            }
        }
        self.transactions.end_roll_back(end, ending);
        freed
    }
    /// Whether a segment is still what is read: compaction and retention replace and remove them.
    pub(crate) fn has(&self, segment: &Segment) -> bool {
        let at = self.segments.partition_point(|it| it.base() < segment.base());
        self.segments.get(at).is_some_and(|it| it.file.key == segment.file.key)
    }
    pub(crate) fn notify(&self) {
        for (_, watcher) in &self.watchers {
            watcher.notify_one();
        }
    }
    fn hint(&self, key: u64, from: Offset) -> Option<Spot> {
        self.hints.iter().find(|it| it.0 == key && it.1.offset == from).map(|it| it.1)
    }
    fn remember(&mut self, key: u64, used: Offset, next: Spot) {
        self.hints.retain(|it| it.1.offset != used && it.1.offset != next.offset);
        if self.hints.len() >= HINTS {
            self.hints.pop_front();
        }
        self.hints.push_back((key, next));
    }
}

/// Which records a reader sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// All below the high watermark.
    Uncommitted,
    /// Those below the last stable offset, together with the list of aborted transactions that the
    /// reader leaves out.
    Committed,
}

/// Where a partition begins and ends for readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub log_start: Offset,
    /// Below it, it is certain how every transaction ended. At most the high watermark.
    pub last_stable: Offset,
    pub high_watermark: Offset,
}

impl Bounds {
    /// Where records end for a reader.
    pub const fn end(&self, isolation: Isolation) -> Offset {
        match isolation {
            Isolation::Uncommitted => self.high_watermark,
            Isolation::Committed => self.last_stable,
        }
    }
}

/// Whole batches in offset order; the first may begin before the offset asked for.
#[derive(Clone)]
pub struct Records {
    pub chunks: Vec<Bytes>,
    /// Where to go on reading.
    pub end: Offset,
    pub bounds: Bounds,
    /// Those that overlap the chunks, in the order of their markers; empty for
    /// [`Isolation::Uncommitted`].
    pub aborted: Vec<Aborted>,
}

impl Records {
    pub fn size(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }
    /// Adds what was read behind it.
    pub fn extend(&mut self, behind: Self) {
        self.chunks.extend(behind.chunks);
        let known_below = self.end;
        self.aborted.extend(behind.aborted.into_iter().filter(|it| it.first >= known_below));
        self.aborted.sort_by_key(|it| it.last);
        (self.bounds, self.end) = (behind.bounds, behind.end);
    }
    /// All batches in one piece; free of copying if they already are.
    pub fn into_bytes(mut self) -> Bytes {
        if self.chunks.len() == 1 {
            return self.chunks.pop().unwrap_or_default();
        }
        let mut joined = BytesMut::with_capacity(self.size());
        self.chunks.iter().for_each(|it| joined.extend_from_slice(it));
        joined.freeze()
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Records({} bytes, {:?})", self.size(), self.bounds)
    }
}

/// A handle to one partition. Cheap to clone; stays valid, though useless, after a deletion.
#[derive(Debug, Clone)]
pub struct Partition {
    pub(crate) shared: Arc<Shared>,
    pub(crate) engine: Arc<Engine>,
}

impl Partition {
    pub fn id(&self) -> PartitionId {
        self.shared.id
    }
    pub fn bounds(&self) -> Bounds {
        self.shared.bounds(&lock(&self.shared.state))
    }
    /// Bytes in segments and waiting for them.
    pub fn size_bytes(&self) -> u64 {
        let state = lock(&self.shared.state);
        state.segments.iter().map(|it| it.extent.bytes).sum::<u64>() + state.tail_bytes
    }
    /// What is known of everyone who wrote with a producer id, sorted by that.
    ///
    /// # Source  Kafka `DescribeProducers`
    pub fn producers(&self) -> Vec<ProducerState> {
        lock(&self.shared.state).producers.all()
    }
    pub fn producer(&self, id: i64) -> Option<ProducerState> {
        lock(&self.shared.state).producers.state(id)
    }
    /// Transactions without a marker, in the order in which they began.
    pub fn open_transactions(&self) -> Vec<OpenTransaction> {
        let state = lock(&self.shared.state);
        let open = state.transactions.open().filter_map(|(first, producer_id)| {
            let producer_epoch = state.producers.state(producer_id)?.epoch;
            Some(OpenTransaction { partition: self.shared.id, producer_id, producer_epoch, first })
        });
        open.collect()
    }
    pub fn config(&self) -> PartitionConfig {
        lock(&self.shared.state).config
    }
    /// Takes effect with the next append, roll and [`Log::maintain`](crate::Log::maintain).
    pub fn configure(&self, config: PartitionConfig) {
        lock(&self.shared.state).config = config;
    }

    /// Whether [`Partition::read`] at `from` answers without touching the disk.
    pub fn is_in_memory(&self, from: Offset) -> bool {
        let state = lock(&self.shared.state);
        from >= state.written() || from >= self.shared.high_watermark()
    }

    /// Reads whole batches from the one that holds `from`, as far as `isolation` allows: at least
    /// one if there is any, and otherwise at most `max_bytes`. Empty at the end. May stop early (at
    /// the end of a segment); asking again goes on. Blocks on file IO unless the records are recent
    /// enough to be in memory.
    ///
    /// # Errors  [`ReadError::Damaged`] names the range that cannot be served; it is never served
    /// in part, and reading goes on behind it.
    pub fn read(
        &self,
        from: Offset,
        max_bytes: usize,
        isolation: Isolation,
    ) -> Result<Records, ReadError> {
        let state = lock(&self.shared.state);
        let bounds = self.shared.bounds(&state);
        if state.life != Life::Open {
            return Err(ReadError::Deleted);
        }
        if from < bounds.log_start || from > bounds.high_watermark {
            return Err(out_of_range(from, bounds));
        }
        let until = bounds.end(isolation);
        if from >= state.written() || from >= until {
            let (chunks, end) = from_tail(&state.tail, (from, until), max_bytes);
            let aborted = aborted(&state, (from, end), isolation);
            return Ok(Records { chunks, end, bounds, aborted });
        }
        let segment = self.holding(&state, from)?;
        let hint = state.hint(segment.file.key, from);
        drop(state);
        match self.engine.view(&segment).read(Ask { from, until, max_bytes, hint }) {
            // What was read and the list of aborted transactions must be of one time.
            _ if !lock(&self.shared.state).has(&segment) => self.read(from, max_bytes, isolation),
            Ok(Ok(batches)) => {
                let mut state = lock(&self.shared.state);
                state.remember(segment.file.key, from, batches.next);
                let aborted = aborted(&state, (from, batches.next.offset), isolation);
                let (chunks, end) = (vec![batches.bytes], batches.next.offset);
                Ok(Records { chunks, end, bounds, aborted })
            }
            Ok(Err(damaged)) => Err(self.damaged(damaged)),
            Err(source) => Err(ReadError::Io { partition: self.shared.id, source }),
        }
    }

    /// The segment with `from`, or the gap between two segments that recovery had to leave.
    fn holding(&self, state: &State, from: Offset) -> Result<Segment, ReadError> {
        let after = state.segments.partition_point(|it| it.base() <= from);
        let before = after.checked_sub(1).and_then(|it| state.segments.get(it));
        match before {
            Some(it) if from < it.extent.end => Ok(it.clone()),
            before => {
                let first = before.map_or(state.log_start, |it| it.extent.end);
                let next = state.segments.get(after).map_or(state.written(), Segment::base);
                Err(self.damaged(Damaged { first, last: next.before() }))
            }
        }
    }

    fn damaged(&self, it: Damaged) -> ReadError {
        let Damaged { first, last } = it;
        let partition = self.shared.id;
        // Retention may have removed the file while it was being read: that is no damage.
        let bounds = self.bounds();
        if lock(&self.shared.state).life != Life::Open {
            return ReadError::Deleted;
        }
        if last < bounds.log_start {
            return out_of_range(first, bounds);
        }
        self.engine.damage.report(Damage::Records { partition, first, last });
        ReadError::Damaged { partition, first, last }
    }

    /// The first batch with a record at `at` or later, by record time (which need not be
    /// monotonic).
    /// `None`: every record is older. Blocks on file IO.
    ///
    /// # Source  Kafka `ListOffsets` with a timestamp; the record inside the batch is the caller's
    /// to find.
    pub fn seek_time(&self, at: Timestamp) -> Result<Option<Bytes>, ReadError> {
        let at = at.as_millis();
        let (segments, log_start) = {
            let state = lock(&self.shared.state);
            (state.segments.clone(), state.log_start)
        };
        for segment in segments.iter().filter(|it| it.extent.end > log_start) {
            let found = self.engine.view(segment).find_time(at);
            if !matches!(found, Ok(None)) && !lock(&self.shared.state).has(segment) {
                return self.seek_time(Timestamp::from_millis(at)); // replaced meanwhile
            }
            match found.map_err(|source| ReadError::Io { partition: self.shared.id, source })? {
                None => {}
                Some(Err(damaged)) => return Err(self.damaged(damaged)),
                Some(Ok(spot)) => {
                    let from = spot.offset.max(log_start);
                    return self.first_batch(from, |it| it.max_timestamp >= at);
                }
            }
        }
        let from = self.tail_start();
        self.first_batch(from, |it| it.max_timestamp >= at)
    }

    /// The first batch that holds the largest timestamp, if there are records. Blocks on file IO.
    pub fn seek_max_time(&self) -> Result<Option<Bytes>, ReadError> {
        let end = self.shared.high_watermark();
        let state = lock(&self.shared.state);
        let kept = state.segments.iter().filter(|it| it.extent.end > state.log_start);
        let stored = kept.map(|it| (it.extent.max_timestamp, it.extent.max_timestamp_at));
        let waiting = state.tail.iter().filter(|it| it.header.last() < end);
        let waiting = waiting.map(|it| (it.header.max_timestamp, it.header.base));
        // Of equal timestamps the first counts.
        let newest = stored.chain(waiting).max_by_key(|it| (it.0, std::cmp::Reverse(it.1)));
        let log_start = state.log_start;
        drop(state);
        match newest {
            Some((_, at)) => self.first_batch(at.max(log_start), |_| true),
            None => Ok(None),
        }
    }

    fn tail_start(&self) -> Offset {
        let state = lock(&self.shared.state);
        state.written().max(state.log_start)
    }

    fn first_batch(
        &self,
        mut from: Offset,
        wanted: impl Fn(&Header) -> bool,
    ) -> Result<Option<Bytes>, ReadError> {
        loop {
            let found = self.read(from, 1, Isolation::Uncommitted)?.into_bytes();
            let Some(header) = Header::read(&found) else { return Ok(None) };
            if wanted(&header) {
                return Ok(Some(found));
            }
            from = header.last().next();
        }
    }

    /// Removes all records below `offset` (at most the high watermark). In effect once the ticket
    /// is done.
    ///
    /// # Source  Kafka `DeleteRecords`
    pub fn delete_before(&self, offset: Offset) -> Result<Ticket, DeleteError> {
        let mut state = lock(&self.shared.state);
        let bounds = self.shared.bounds(&state);
        if state.life != Life::Open {
            return Err(DeleteError::Refused(AppendError::Deleted));
        }
        if offset > bounds.high_watermark {
            let end = bounds.high_watermark;
            return Err(DeleteError::BeyondEnd { asked: offset, end });
        }
        if offset <= bounds.log_start {
            return Ok(Ticket::NONE);
        }
        let entry = Entry::control(Kind::Trim, self.shared.id, offset);
        let queued = Queued::new(Arc::clone(&self.shared), entry, true);
        let ticket = self.engine.enqueue(queued).map_err(DeleteError::Refused)?;
        state.latest = ticket;
        Ok(ticket)
    }

    /// `wake` is notified (one permit) each time the high watermark or the log start moves, and at
    /// a deletion, until the result is dropped. Subscribe, then look, then wait.
    pub fn watch(&self, wake: &Arc<Notify>) -> Watch {
        let mut state = lock(&self.shared.state);
        let id = state.next_watcher;
        state.next_watcher += 1;
        state.watchers.push((id, Arc::clone(wake)));
        Watch { shared: Arc::clone(&self.shared), id }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeleteError {
    #[error("offset {asked} is beyond the high watermark {end}")]
    BeyondEnd { asked: Offset, end: Offset },
    #[error(transparent)]
    Refused(AppendError),
}

/// A subscription to one partition; ends when dropped.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        lock(&self.shared.state).watchers.retain(|it| it.0 != self.id);
    }
}

fn out_of_range(asked: Offset, bounds: Bounds) -> ReadError {
    ReadError::OutOfRange { asked, start: bounds.log_start, end: bounds.high_watermark }
}

/// The aborted transactions of what was read from `from` up to `end`.
fn aborted(state: &State, (from, end): (Offset, Offset), isolation: Isolation) -> Vec<Aborted> {
    match isolation {
        Isolation::Uncommitted => Vec::new(),
        Isolation::Committed => state.transactions.overlapping(from, end),
    }
}

/// The batches from `from` on that end before `until`, and where the next one begins.
fn from_tail(
    tail: &VecDeque<Stored>,
    (from, until): (Offset, Offset),
    max_bytes: usize,
) -> (Vec<Bytes>, Offset) {
    let start = tail.partition_point(|it| it.header.last() < from);
    let (mut chunks, mut end) = (Vec::new(), from);
    let mut size = 0;
    for it in tail.iter().skip(start).take_while(|it| it.header.last() < until) {
        size += it.bytes.len();
        if !chunks.is_empty() && size > max_bytes {
            break;
        }
        chunks.push(it.bytes.clone());
        end = it.header.last().next();
    }
    (chunks, end)
}
