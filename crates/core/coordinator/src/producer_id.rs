//! Ids for idempotent producers: never the same one twice, not even after a crash.
//!
//! Owns: giving ids out of a block. Does not own: which ids are spoken for (the catalogue's
//! journal), what a producer wrote (the log).

use systole_catalogue::Catalogue;
use systole_wire::Rejected;
use tokio::sync::Mutex;

/// Ids that are spoken for at once; a crash loses at most so many. Kafka: 1000.
const BLOCK_IDS: i64 = 1000;

/// Gives out ids. One per node.
#[derive(Debug, Default)]
pub struct ProducerIds {
    block: Mutex<Block>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Block {
    next: i64,
    end: i64,
}

impl ProducerIds {
    /// An id that nobody has or had. Waits for the disk once in [`BLOCK_IDS`] calls.
    pub async fn next(&self, catalogue: &Catalogue) -> Result<i64, Rejected> {
        let mut block = self.block.lock().await;
        if block.next == block.end {
            let (first, durable) = catalogue.reserve_producer_ids(BLOCK_IDS)?;
            durable.await?;
            *block = Block { next: first, end: first + BLOCK_IDS };
        }
        block.next += 1;
        Ok(block.next - 1)
    }
}
