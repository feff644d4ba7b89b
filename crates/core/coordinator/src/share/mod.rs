//! The shell around share partitions: feeds them requests and time, and writes what they must not
//! forget.
//!
//! Owns: [`Shares`], the share partitions of all share groups, with their locks and their timer;
//! their settings; the topic `__share_group_state` ([`Store`]). Does not own: which record goes to
//! whom (`systole_group::share_partition`), who is in a group (`group`), reading records and the
//! answers on the wire (the broker).
//! Reading order: [`Shares`] -> `slot` -> [`Reading`] -> `store` -> `prune`.

mod config;
mod prune;
mod reading;
mod settings;
mod shares;
mod slot;
mod store;

#[cfg(test)]
pub(crate) mod tests;

pub use config::ShareConfig;
pub use reading::Reading;
pub use settings::{Reset, Settings};
pub use shares::{Position, Shares};
pub use store::{Store, TOPIC as STATE_TOPIC};
