//! Share sessions (KIP-932): the node remembers what a member of a share group reads, and when its
//! connection ends, what is to be taken back.
//!
//! Owns: the sessions and their epochs. Does not own: records and who has them (`Shares`).
//! Reading order: [`ShareSessions::begin`] -> [`ShareSessions::end`].
//!
//! # Source  Kafka's `SharePartitionManager.newContext`, `acknowledgeSessionUpdate`

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use systole_kit::Uuid;
use systole_wire::ErrorCode;

/// The epoch that asks for a new session.
const INITIAL: i32 = 0;
/// The epoch that ends one.
const FINAL: i32 = -1;
/// Most partitions of one session: a member is assigned no more in earnest.
const PARTITIONS_MAX: usize = 100_000;

/// A topic's partition.
pub(crate) type Place = (Uuid, i32);
/// Both ends of a connection.
pub(crate) type Connection = (SocketAddr, SocketAddr);

/// Group and member.
type Who = (Arc<str>, Arc<str>);

/// What a ShareFetch says about its session.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) group: Arc<str>,
    pub(crate) member: Arc<str>,
    pub(crate) epoch: i32,
    pub(crate) wanted: Vec<Place>,
    pub(crate) forgotten: Vec<Place>,
    pub(crate) acknowledges: bool,
    pub(crate) connection: Connection,
}

#[derive(Debug)]
struct Session {
    /// Of the next request.
    epoch: i32,
    /// In the order in which they were named.
    places: Vec<Place>,
    connection: Connection,
}

/// All sessions of the node.
#[derive(Debug)]
pub(crate) struct ShareSessions {
    sessions_max: usize,
    sessions: Mutex<HashMap<Who, Session>>,
}

/// A session that ended, with what its member may still have.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) group: Arc<str>,
    pub(crate) member: Arc<str>,
    pub(crate) places: Vec<Place>,
}

impl ShareSessions {
    pub(crate) fn new(sessions_max: usize) -> Self {
        Self { sessions_max, sessions: Mutex::default() }
    }

    /// Takes a ShareFetch in; what is to be read for it. Call it in the order of requests.
    ///
    /// # Errors  `SHARE_SESSION_NOT_FOUND`, `INVALID_SHARE_SESSION_EPOCH`,
    /// `SHARE_SESSION_LIMIT_REACHED`, `INVALID_REQUEST` for acknowledgements in a first request.
    pub(crate) fn begin(&self, ask: Ask) -> Result<Vec<Place>, ErrorCode> {
        let mut sessions = self.lock();
        let who = (Arc::clone(&ask.group), Arc::clone(&ask.member));
        match ask.epoch {
            FINAL => {
                let known = sessions.contains_key(&who);
                return if known { Ok(Vec::new()) } else { Err(ErrorCode::ShareSessionNotFound) };
            }
            INITIAL if ask.acknowledges => return Err(ErrorCode::InvalidRequest),
            INITIAL => {
                sessions.remove(&who);
                if sessions.len() >= self.sessions_max {
                    return Err(ErrorCode::ShareSessionLimitReached);
                }
                let connection = ask.connection;
                sessions.insert(who.clone(), Session { epoch: 0, places: Vec::new(), connection });
            }
            _ => {}
        }
        let session = sessions.get_mut(&who).ok_or(ErrorCode::ShareSessionNotFound)?;
        session.step(ask.epoch)?;
        for place in ask.wanted {
            if !session.places.contains(&place) && session.places.len() < PARTITIONS_MAX {
                session.places.push(place);
            }
        }
        session.places.retain(|it| !ask.forgotten.contains(it));
        Ok(session.places.clone())
    }

    /// Takes a ShareAcknowledge in.
    ///
    /// # Errors  `SHARE_SESSION_NOT_FOUND`, `INVALID_SHARE_SESSION_EPOCH`.
    pub(crate) fn acknowledge(
        &self,
        group: &str,
        member: &str,
        epoch: i32,
    ) -> Result<(), ErrorCode> {
        if epoch == INITIAL {
            return Err(ErrorCode::InvalidShareSessionEpoch);
        }
        let mut sessions = self.lock();
        let session = sessions.get_mut(&(group.into(), member.into()));
        let session = session.ok_or(ErrorCode::ShareSessionNotFound)?;
        if epoch == FINAL { Ok(()) } else { session.step(epoch) }
    }

    /// Ends a session by its member's wish.
    pub(crate) fn end(&self, group: &str, member: &str) -> Option<Ended> {
        let who: Who = (group.into(), member.into());
        let ended = self.lock().remove(&who)?;
        Some(Ended { group: who.0, member: who.1, places: ended.places })
    }

    /// Ends the sessions of a connection that is gone.
    pub(crate) fn disconnected(&self, connection: Connection) -> Vec<Ended> {
        let mut sessions = self.lock();
        let gone = sessions.extract_if(|_, it| it.connection == connection);
        let ended = gone.map(|((group, member), it)| Ended { group, member, places: it.places });
        ended.collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Who, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// The epochs of requests follow each other; after the last comes 1.
    fn step(&mut self, epoch: i32) -> Result<(), ErrorCode> {
        if self.epoch != epoch {
            return Err(ErrorCode::InvalidShareSessionEpoch);
        }
        self.epoch = epoch.checked_add(1).unwrap_or(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "127.0.0.1:1";

    fn ask(member: &str, epoch: i32, wanted: &[i32], forgotten: &[i32]) -> Ask {
        let places = |it: &[i32]| it.iter().map(|it| (Uuid::from_bytes([1; 16]), *it)).collect();
        Ask {
            group: "g".into(),
            member: member.into(),
            epoch,
            wanted: places(wanted),
            forgotten: places(forgotten),
            acknowledges: false,
            connection: (AT.parse().unwrap(), AT.parse().unwrap()),
        }
    }
    fn read(sessions: &ShareSessions, ask: Ask) -> Result<Vec<i32>, ErrorCode> {
        sessions.begin(ask).map(|it| it.into_iter().map(|it| it.1).collect())
    }

    #[test]
    fn a_session_remembers_what_is_read_while_its_epochs_follow() {
        let sessions = ShareSessions::new(2);
        assert_eq!(read(&sessions, ask("a", 1, &[0], &[])), Err(ErrorCode::ShareSessionNotFound));
        assert_eq!(read(&sessions, ask("a", 0, &[0, 1], &[])), Ok(vec![0, 1]));
        assert_eq!(read(&sessions, ask("a", 1, &[2], &[0])), Ok(vec![1, 2]));
        assert_eq!(sessions.acknowledge("g", "a", 2), Ok(()));
        assert_eq!(
            read(&sessions, ask("a", 2, &[], &[])),
            Err(ErrorCode::InvalidShareSessionEpoch)
        );
        assert_eq!(read(&sessions, ask("a", 3, &[], &[])), Ok(vec![1, 2]));
        assert_eq!(read(&sessions, ask("a", 0, &[5], &[])), Ok(vec![5]));
        let acknowledging = Ask { acknowledges: true, ..ask("a", 0, &[], &[]) };
        assert_eq!(read(&sessions, acknowledging), Err(ErrorCode::InvalidRequest));
        assert_eq!(sessions.acknowledge("g", "a", 0), Err(ErrorCode::InvalidShareSessionEpoch));
        assert_eq!(read(&sessions, ask("a", -1, &[], &[])), Ok(vec![]));
        assert_eq!(sessions.end("g", "a").unwrap().places.len(), 1);
        assert_eq!(read(&sessions, ask("a", -1, &[], &[])), Err(ErrorCode::ShareSessionNotFound));
    }

    #[test]
    fn there_are_only_so_many_and_a_connection_takes_its_own_along() {
        let sessions = ShareSessions::new(2);
        assert!(read(&sessions, ask("a", 0, &[0], &[])).is_ok());
        let connection = (AT.parse().unwrap(), "127.0.0.1:2".parse().unwrap());
        assert!(read(&sessions, Ask { connection, ..ask("b", 0, &[1], &[]) }).is_ok());
        let full = Err(ErrorCode::ShareSessionLimitReached);
        assert_eq!(read(&sessions, ask("c", 0, &[0], &[])), full);
        assert!(read(&sessions, ask("a", 0, &[0], &[])).is_ok());
        let ended = sessions.disconnected(connection);
        assert_eq!(ended.iter().map(|it| &*it.member).collect::<Vec<_>>(), ["b"]);
        assert!(read(&sessions, ask("c", 0, &[0], &[])).is_ok());
    }
}
