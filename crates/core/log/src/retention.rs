//! Which records are too old or too many.
//!
//! Owns: the decision per partition at a given time, as Kafka takes it: whole segments, oldest
//! first. Does not own: removing files (`keeper`, once the decision is durable).
//!
//! # Source  Kafka `UnifiedLog.deleteOldSegments`

use crate::partition::State;
use crate::position::Offset;
use crate::segment::Extent;
use systole_kit::Timestamp;

/// The log start that retention asks for, if it is later than the present one. The active segment
/// goes too when all of it is too old.
pub(crate) fn due(state: &State, now: Timestamp) -> Option<Offset> {
    let kept = state.segments.iter().filter(|it| it.extent.end > state.log_start);
    let extents: Vec<Extent> = kept.map(|it| it.extent).collect();
    let by_age = state.config.retention_age.and_then(|age| {
        let oldest = now.minus(age).as_millis();
        extents.iter().take_while(|it| it.max_timestamp < oldest).last().map(|it| it.end)
    });
    let by_size = state.config.retention_bytes.and_then(|limit| {
        let mut total = extents.iter().map(|it| it.bytes).sum::<u64>() + state.tail_bytes;
        let old = extents.iter().take_while(|it| {
            let surplus = total.checked_sub(it.bytes).is_some_and(|rest| rest >= limit);
            total = total.saturating_sub(it.bytes);
            surplus
        });
        old.last().map(|it| it.end)
    });
    by_age.max(by_size).filter(|it| *it > state.log_start)
}
