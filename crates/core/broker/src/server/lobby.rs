//! Where connections are until they have proved who they are.
//!
//! Owns: how many there may be, who must leave for a newcomer, and how many handshakes the node
//! computes at once. Does not own: the proof (`sasl`, `tls`), connections in total (`limit`).
//! Reading order: [`Lobby::enter`] -> [`Place`] -> [`Turn`].
//!
//! A crowd that says nothing, or half of a handshake, must cost others nothing. So the newcomer
//! gets in, and of those that owe us a word the one that came first leaves; whoever waits for us
//! stays. And a handshake's signature, a millisecond of a worker, is made for few at once: between
//! two of them everyone else's requests have their turn.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// One connection that has not proved who it is. Dropping it leaves.
#[derive(Debug)]
pub(super) struct Place {
    lobby: Arc<Lobby>,
    number: u64,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    /// It is the peer who must say something.
    is_owed: AtomicBool,
    must_leave: Notify,
}

#[derive(Debug)]
pub(super) struct Lobby {
    places_max: usize,
    places: Mutex<Places>,
    handshakes: Arc<Semaphore>,
}

/// In the order in which they came.
#[derive(Debug, Default)]
struct Places {
    next: u64,
    taken: BTreeMap<u64, Arc<State>>,
}

/// One of the few handshakes that are computed now.
pub(super) type Turn = OwnedSemaphorePermit;

impl Lobby {
    /// Handshakes take half of the machine's processors at most, and one at least.
    pub(super) fn new(places_max: usize, processors: usize) -> Arc<Self> {
        Arc::new(Self {
            places_max,
            places: Mutex::default(),
            handshakes: Arc::new(Semaphore::new((processors / 2).max(1))),
        })
    }

    /// A place, and whether someone had to leave for it. `None`: all of them wait for us.
    pub(super) fn enter(self: &Arc<Self>) -> Option<(Place, bool)> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = places.taken.len() >= self.places_max;
        if is_full {
            let mut in_order = places.taken.iter();
            let first = in_order.find(|(_, it)| it.is_owed.load(Ordering::Acquire));
            let (number, state) = first?;
            let number = *number;
            state.must_leave.notify_one();
            places.taken.remove(&number);
        }
        let state = State { is_owed: AtomicBool::new(true), must_leave: Notify::new() };
        let (number, state) = (places.next, Arc::new(state));
        places.next += 1;
        places.taken.insert(number, Arc::clone(&state));
        drop(places);
        Some((Place { lobby: Arc::clone(self), number, state }, is_full))
    }
}

impl Place {
    /// Whether the peer owes us a word, or we owe it one.
    pub(super) fn set_owed(&self, is_owed: bool) {
        self.state.is_owed.store(is_owed, Ordering::Release);
    }
    /// Ready when the connection must make room for another.
    pub(super) async fn must_leave(&self) {
        self.state.must_leave.notified().await;
    }
    /// Leave to compute a step of a handshake, now or never.
    pub(super) fn try_turn(&self) -> Option<Turn> {
        Arc::clone(&self.lobby.handshakes).try_acquire_owned().ok()
    }
    /// The same, first come first served.
    pub(super) fn turn(&self) -> impl Future<Output = Option<Turn>> + Send + use<> {
        let handshakes = Arc::clone(&self.lobby.handshakes);
        async move { handshakes.acquire_owned().await.ok() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.lobby.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn the_first_that_owes_us_a_word_leaves_and_whoever_waits_for_us_stays() {
        let lobby = Lobby::new(2, 1);
        let (waits, _) = lobby.enter().unwrap();
        waits.set_owed(false);
        let (silent, crowded) = lobby.enter().unwrap();
        assert!(!crowded && silent.must_leave().now_or_never().is_none());
        let (newcomer, crowded) = lobby.enter().unwrap();
        assert!(crowded && silent.must_leave().now_or_never().is_some());
        assert!(waits.must_leave().now_or_never().is_none());
        newcomer.set_owed(false);
        assert!(lobby.enter().is_none(), "everyone waits for us");
        drop(silent); // it had left
        assert!(lobby.enter().is_none());
        drop(waits); // it has proved who it is
        assert!(lobby.enter().is_some());
    }

    #[test]
    fn handshakes_are_computed_by_half_of_the_processors() {
        for (processors, at_once) in [(1, 1), (2, 1), (3, 1), (8, 4)] {
            let (place, _) = Lobby::new(1, processors).enter().unwrap();
            let turns: Vec<_> = std::iter::from_fn(|| place.try_turn()).collect();
            assert_eq!(turns.len(), at_once, "{processors}");
            assert!(place.turn().now_or_never().is_none());
            drop(turns);
            assert!(place.turn().now_or_never().is_some());
        }
    }
}
