//! Finds every anomaly of a history.
//!
//! Owns: the order of the passes. Does not own: any rule: what is there (`truth`), what readers got
//! (`records`), in which order (`order`), how far groups are (`offsets`).
//!
//! The rules suppose that readers of both kinds came to the end of every partition after the last
//! write, and that clients begin no operation of a producer before its last one ended.

mod offsets;
mod order;
mod records;
mod truth;

use crate::anomaly::Anomaly;
use crate::op::History;
use truth::Truth;

/// Every anomaly, each record and group named once for each kind. Cost: near linear.
pub fn check(history: &History) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let truth = Truth::of(history, &mut found);
    records::check(&truth, &mut found);
    order::check(&truth, &mut found);
    offsets::check(&truth, &mut found);
    found
}
