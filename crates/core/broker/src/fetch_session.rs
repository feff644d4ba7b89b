//! Fetch sessions (KIP-227): the node remembers what a client fetches, so that client and node tell
//! each other only what changed.
//!
//! Owns: the sessions, their epochs, what of an answer is news, and which session goes when there
//! are too many. Does not own: reading records (`api::fetch`).
//! Reading order: [`FetchSessions::begin`] -> [`FetchSessions::end`] -> `Cache`.
//!
//! # Source  KIP-227; KIP-516 (topic ids); observed answers of Apache Kafka 4.3.1

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use systole_kit::Uuid;
use systole_wire::ErrorCode;
use systole_wire::message::fetch_response::PartitionData;
use systole_world::Instant;

/// Most sessions at once. Kafka: `max.incremental.fetch.session.cache.slots`.
const SESSIONS_MAX: usize = 1000;
/// Most partitions in all sessions together; at a few hundred bytes each.
const PARTITIONS_MAX: usize = 200_000;
/// A session unused for so long gives way to a new one. Kafka: `min.incremental.fetch.session.
/// eviction.ms`.
const UNUSED_MAX: Duration = Duration::from_mins(2);
/// The session epoch that asks for a new session.
const EPOCH_FULL: i32 = 0;
/// The session epoch that wants none, and ends the one that is named.
const EPOCH_NONE: i32 = -1;

/// A topic as the request names it: by name up to v12, by id from v13.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum TopicRef {
    Name(Arc<str>),
    Id(Uuid),
}

/// One partition that a client wants records of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) topic: TopicRef,
    pub(crate) partition: i32,
    pub(crate) current_leader_epoch: i32,
    pub(crate) last_fetched_epoch: i32,
    pub(crate) fetch_offset: i64,
    pub(crate) bytes_max: i32,
}

/// What a request says about its session.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) session_id: i32,
    pub(crate) epoch: i32,
    /// The request is of a version that names topics by id.
    pub(crate) by_id: bool,
    /// All partitions, or in a session the new and changed ones.
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) forgotten: Vec<(TopicRef, i32)>,
    pub(crate) at: Instant,
}

/// A request between [`FetchSessions::begin`] and [`FetchSessions::end`].
#[derive(Debug)]
pub(crate) struct Turn {
    kind: Kind,
    by_id: bool,
    /// What is to be read, in the order in which the answer's bytes are handed out.
    pub(crate) wanted: Arc<[Wanted]>,
}

#[derive(Debug)]
enum Kind {
    Sessionless,
    New,
    Continued { id: i32, epoch: i32 },
}

/// What was read for one wanted partition.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) topic: TopicRef,
    pub(crate) data: PartitionData,
}

/// All sessions of the node.
#[derive(Debug, Default)]
pub(crate) struct FetchSessions {
    cache: Mutex<Cache>,
}

impl FetchSessions {
    /// Takes a request in. Call it in the order in which requests arrive.
    pub(crate) fn begin(&self, ask: Ask) -> Result<Turn, ErrorCode> {
        let mut cache = self.lock();
        let by_id = ask.by_id;
        if ask.epoch == EPOCH_FULL || ask.epoch == EPOCH_NONE {
            cache.remove(ask.session_id);
            let kind = if ask.epoch == EPOCH_FULL { Kind::New } else { Kind::Sessionless };
            return Ok(Turn { kind, by_id, wanted: ask.wanted.into() });
        }
        cache.continued(ask)
    }

    /// Takes out of `answers` what the client knows already, and gives the session id to send.
    /// `random` draws the id of a new session.
    pub(crate) fn end(
        &self,
        turn: &Turn,
        answers: &mut Vec<Answer>,
        at: Instant,
        random: impl FnMut() -> i32,
    ) -> Result<i32, ErrorCode> {
        match turn.kind {
            Kind::Sessionless => Ok(0),
            Kind::New => {
                let session = Session::new(turn.by_id, &turn.wanted, answers, at);
                Ok(self.lock().add(session, random))
            }
            Kind::Continued { id, epoch } => {
                let mut cache = self.lock();
                let session =
                    cache.sessions.get_mut(&id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
                if session.epoch != epoch {
                    return Err(ErrorCode::InvalidFetchSessionEpoch);
                }
                answers.retain(|it| session.take_news(it));
                Ok(id)
            }
        }
    }

    /// Answers nothing this time; the session goes on, and none begins. The session id to send.
    pub(crate) fn skip(&self, turn: &Turn) -> Result<i32, ErrorCode> {
        let Kind::Continued { id, epoch } = turn.kind else { return Ok(0) };
        let cache = self.lock();
        let session = cache.sessions.get(&id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch == epoch { Ok(id) } else { Err(ErrorCode::InvalidFetchSessionEpoch) }
    }

    fn lock(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Cache {
    sessions: HashMap<i32, Session>,
    /// In all sessions.
    partitions: usize,
}

impl Cache {
    fn continued(&mut self, ask: Ask) -> Result<Turn, ErrorCode> {
        let id = ask.session_id;
        let session = self.sessions.get_mut(&id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != ask.epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.by_id != ask.by_id {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        self.partitions -= session.len();
        session.update(ask.wanted, &ask.forgotten);
        self.partitions += session.len();
        session.used_at = ask.at;
        session.epoch = if session.epoch == i32::MAX { 1 } else { session.epoch + 1 };
        let (kind, wanted) = (Kind::Continued { id, epoch: session.epoch }, session.wanted());
        if wanted.is_empty() {
            self.remove(id);
            return Ok(Turn { kind: Kind::Sessionless, by_id: ask.by_id, wanted });
        }
        if self.partitions > PARTITIONS_MAX {
            self.remove(id); // the client begins anew and will be served without a session
            return Err(ErrorCode::FetchSessionIdNotFound);
        }
        Ok(Turn { kind, by_id: ask.by_id, wanted })
    }

    /// 0 if there is no place: the client then says everything each time.
    fn add(&mut self, session: Session, mut random: impl FnMut() -> i32) -> i32 {
        let is_full = self.sessions.len() >= SESSIONS_MAX;
        if (is_full && !self.evict_for(&session))
            || self.partitions + session.len() > PARTITIONS_MAX
        {
            return 0;
        }
        loop {
            let id = random() & i32::MAX;
            if id != 0 && !self.sessions.contains_key(&id) {
                self.partitions += session.len();
                self.sessions.insert(id, session);
                return id;
            }
        }
    }

    fn remove(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.partitions -= session.len();
        }
    }

    /// Makes one place: the longest unused session if it is stale, else a smaller one that has had
    /// its time.
    fn evict_for(&mut self, new: &Session) -> bool {
        let now = new.used_at;
        let unused = self.sessions.iter().min_by_key(|(_, it)| it.used_at);
        let stale = unused.filter(|(_, it)| now.since(it.used_at) > UNUSED_MAX);
        let smaller = || {
            let old = self.sessions.iter().filter(|(_, it)| now.since(it.created_at) > UNUSED_MAX);
            old.min_by_key(|(_, it)| it.len()).filter(|(_, it)| it.len() < new.len())
        };
        let victim = stale.or_else(smaller).map(|(id, _)| *id);
        victim.map(|id| self.remove(id)).is_some()
    }
}

#[derive(Debug)]
struct Session {
    /// The epoch of the next request.
    epoch: i32,
    by_id: bool,
    created_at: Instant,
    used_at: Instant,
    /// In the order of reading: who got records goes to the end, so that a small answer limit does
    /// not starve anyone.
    partitions: BTreeMap<u64, Cached>,
    places: HashMap<(TopicRef, i32), u64>,
    next_place: u64,
}

#[derive(Debug)]
struct Cached {
    wanted: Wanted,
    /// What the client was told last; -1 makes the next answer news.
    high_watermark: i64,
    log_start_offset: i64,
}

impl Session {
    fn new(by_id: bool, wanted: &[Wanted], answers: &[Answer], at: Instant) -> Self {
        let mut session = Self {
            epoch: 1,
            by_id,
            created_at: at,
            used_at: at,
            partitions: BTreeMap::new(),
            places: HashMap::new(),
            next_place: 0,
        };
        session.update(wanted.to_vec(), &[]);
        for answer in answers {
            session.take_news(answer);
        }
        session
    }

    fn len(&self) -> usize {
        self.partitions.len()
    }
    fn wanted(&self) -> Arc<[Wanted]> {
        self.partitions.values().map(|it| it.wanted.clone()).collect()
    }

    fn update(&mut self, wanted: Vec<Wanted>, forgotten: &[(TopicRef, i32)]) {
        for wanted in wanted {
            let key = (wanted.topic.clone(), wanted.partition);
            let known = self.places.get(&key).and_then(|it| self.partitions.get_mut(it));
            if let Some(cached) = known {
                cached.wanted = wanted;
            } else {
                self.append(key, Cached { wanted, high_watermark: -1, log_start_offset: -1 });
            }
        }
        for key in forgotten {
            if let Some(place) = self.places.remove(key) {
                self.partitions.remove(&place);
            }
        }
    }

    fn append(&mut self, key: (TopicRef, i32), cached: Cached) {
        self.places.insert(key, self.next_place);
        self.partitions.insert(self.next_place, cached);
        self.next_place += 1;
    }

    /// Whether `answer` says something that the client does not know; remembers it as told.
    fn take_news(&mut self, answer: &Answer) -> bool {
        let data = &answer.data;
        let has_records = data.records.as_ref().is_some_and(|it| !it.is_empty());
        let is_error = data.error_code != ErrorCode::None.number();
        let key = (answer.topic.clone(), data.partition_index);
        let Some(place) = self.places.get(&key).copied() else { return true };
        let Some(cached) = self.partitions.get_mut(&place) else { return true };
        let is_news = has_records
            || is_error
            || cached.high_watermark != data.high_watermark
            || cached.log_start_offset != data.log_start_offset
            || data.diverging_epoch.epoch >= 0;
        cached.high_watermark = if is_error { -1 } else { data.high_watermark };
        cached.log_start_offset = data.log_start_offset;
        if has_records && let Some(cached) = self.partitions.remove(&place) {
            self.append(key, cached);
        }
        is_news
    }
}

#[cfg(test)]
mod tests;
