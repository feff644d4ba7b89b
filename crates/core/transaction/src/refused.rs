//! Why a request of a producer is refused.
//!
//! Owns: the reasons. Does not own: their numbers on the wire, which depend on the API and its
//! version (the broker).

/// Named as Kafka names its codes, because clients act on exactly these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Another producer id belongs to the transactional id, or the latter is not known at all.
    #[error("the producer id does not belong to the transactional id")]
    InvalidProducerIdMapping,
    #[error("a newer incarnation of the producer, or the coordinator, moved the epoch on")]
    ProducerFenced,
    /// The last change is not on disk yet, or a transaction is being completed.
    #[error("the transaction before is being completed")]
    ConcurrentTransactions,
    #[error("the transaction is in a state that does not allow this")]
    InvalidTxnState,
    /// The partition is not in the transaction: nothing but an abort helps.
    #[error("the transaction can only be aborted")]
    TransactionAbortable,
    /// No refusal for the client: the caller asks again with [`crate::Facts::fresh_id`].
    #[error("a new producer id is needed")]
    FreshIdNeeded,
}
