//! Records under way: sent, then acknowledged or failed.
//!
//! Owns: how many are waited for at once, and counting. Does not own: sending (`client`).

use crate::failure::Result;
use std::collections::VecDeque;
use systole_client::{Delivered, Delivery, Error, NewRecord, Producer, ProducerExt as _};

/// Records whose acknowledgement is waited for at once.
const IN_FLIGHT_MAX: usize = 10_000;

/// What became of the records.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    under_way: VecDeque<Delivery>,
    pub(crate) acknowledged: u64,
    pub(crate) failed: u64,
    pub(crate) last: Option<Delivered>,
    pub(crate) first_error: Option<Error>,
}

impl Tally {
    pub(crate) async fn send(&mut self, producer: &dyn Producer, record: NewRecord) -> Result {
        self.under_way.push_back(producer.send(record).await?);
        self.settle(IN_FLIGHT_MAX).await;
        Ok(())
    }
    /// Waits until at most `left` are under way.
    pub(crate) async fn settle(&mut self, left: usize) {
        while self.under_way.len() > left {
            let Some(delivery) = self.under_way.pop_front() else { return };
            match delivery.await {
                Ok(delivered) => {
                    self.acknowledged += 1;
                    self.last = Some(delivered);
                }
                Err(error) => {
                    self.failed += 1;
                    self.first_error.get_or_insert(error);
                }
            }
        }
    }
}
