//! Partitions enter a transaction.
//!
//! Owns: who may add which partition, and who may write to one. Does not own: whether the
//! partition exists (the broker).

use crate::{Facts, Place, Producer, Refused, State, Transaction, Version};

impl Transaction {
    /// `places` belong to the transaction, which begins if none is under way. `None`: they did
    /// already.
    pub fn add(
        &self,
        from: Producer,
        places: &[Place],
        version: Version,
        facts: Facts,
    ) -> Result<Option<Self>, Refused> {
        self.check_writer(from)?;
        if facts.pending || self.markers().is_some() {
            return Err(Refused::ConcurrentTransactions);
        }
        let is_ongoing = self.state == State::Ongoing;
        if is_ongoing && places.iter().all(|it| self.places.contains(it)) {
            return Ok(None);
        }
        let mut next = self.moved(State::Ongoing, facts.now);
        if !is_ongoing {
            next.started_at_ms = next.updated_at.as_millis();
        }
        next.places.extend(places.iter().cloned());
        next.version = version;
        Ok(Some(next))
    }

    /// May `from` write to `place`? It was added before.
    pub fn verify(&self, from: Producer, place: &Place) -> Result<(), Refused> {
        self.check_writer(from)?;
        match self.state {
            State::PrepareCommit | State::PrepareAbort => Err(Refused::ConcurrentTransactions),
            _ if self.places.contains(place) => Ok(()),
            _ => Err(Refused::TransactionAbortable),
        }
    }

    fn check_writer(&self, from: Producer) -> Result<(), Refused> {
        if self.producer.id != from.id {
            Err(Refused::InvalidProducerIdMapping)
        } else if self.producer.epoch != from.epoch {
            Err(Refused::ProducerFenced)
        } else {
            Ok(())
        }
    }
}
