//! Numbers at fixed places in bytes that may be damaged.
//!
//! Owns: reads that give `None` past the end instead of panicking. Does not own: any layout.

pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}
pub(crate) fn le_u32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}
pub(crate) fn le_i32(bytes: &[u8], at: usize) -> Option<i32> {
    array(bytes, at).map(i32::from_le_bytes)
}
pub(crate) fn le_u64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}
pub(crate) fn le_i64(bytes: &[u8], at: usize) -> Option<i64> {
    array(bytes, at).map(i64::from_le_bytes)
}
pub(crate) fn be_i32(bytes: &[u8], at: usize) -> Option<i32> {
    array(bytes, at).map(i32::from_be_bytes)
}
pub(crate) fn be_u32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}
/// Overwrites `bytes[at..]`; a place past the end is left alone (callers pass whole headers).
pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at.saturating_add(value.len())) {
        place.copy_from_slice(value);
    }
}

/// Lengths in files are 64 bit, in memory `usize`; on the platforms served these are the same.
#[expect(clippy::cast_possible_truncation, reason = "64-bit platforms only, held by the assertion")]
pub(crate) const fn size(bytes: u64) -> usize {
    const { assert!(size_of::<usize>() == size_of::<u64>()) };
    bytes as usize
}
