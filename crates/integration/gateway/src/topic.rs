//! Which topics this door serves.
//!
//! Owns: the form of a name and the platform's own. Does not own: whether the topic exists.

use crate::error::Error;

/// Kafka's limit.
const NAME_BYTES_MAX: usize = 249;

/// A topic name from a path.
pub(crate) fn check(name: &str) -> Result<(), Error> {
    let is_good = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'_' | b'-');
    let is_length = (1..=NAME_BYTES_MAX).contains(&name.len());
    if !is_length || !name.bytes().all(is_good) || matches!(name, "." | "..") {
        return Err(Error::TopicName);
    }
    // `__consumer_offsets`, `_schemas`, `_systole.*`: state of the platform, not anyone's events.
    if name.starts_with('_') { Err(Error::PlatformTopic) } else { Ok(()) }
}
