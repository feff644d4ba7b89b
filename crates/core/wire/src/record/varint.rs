//! Zigzag varints, as records use them.
//!
//! Owns: reading from a shrinking slice, writing to a `Vec`. Does not own: the unsigned varints of
//! flexible messages (`codec`).

/// Reads a zigzag varint of at most 5 bytes. `None` if it ends early or does not fit.
#[inline]
pub(super) fn read_i32(rest: &mut &[u8]) -> Option<i32> {
    if let [first @ 0..0x80, tail @ ..] = rest {
        let raw = i32::from(*first);
        *rest = tail;
        return Some((raw >> 1) ^ -(raw & 1));
    }
    let raw = u32::try_from(read_raw(rest, 5)?).ok()?;
    Some((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
}

/// Reads a zigzag varint of at most 10 bytes. `None` if it ends early or does not fit.
#[inline]
pub(super) fn read_i64(rest: &mut &[u8]) -> Option<i64> {
    if let [first @ 0..0x80, tail @ ..] = rest {
        let raw = i64::from(*first);
        *rest = tail;
        return Some((raw >> 1) ^ -(raw & 1));
    }
    let raw = read_raw(rest, 10)?;
    Some((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
}

fn read_raw(rest: &mut &[u8], bytes_max: u32) -> Option<u64> {
    let mut raw = 0_u64;
    for at in 0..bytes_max {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        let bits = u64::from(byte & 0x7f);
        if at == 9 && bits > 1 {
            return None; // bit 64 and beyond
        }
        raw |= bits << (7 * at);
        if byte & 0x80 == 0 {
            return Some(raw);
        }
    }
    None
}

pub(super) fn write(out: &mut Vec<u8>, value: i64) {
    let mut raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    loop {
        let [low, ..] = raw.to_le_bytes();
        raw >>= 7;
        if raw == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(value: i64, small: i32) {
            let mut bytes = Vec::new();
            write(&mut bytes, value);
            write(&mut bytes, i64::from(small));
            let mut rest = bytes.as_slice();
            prop_assert_eq!(read_i64(&mut rest), Some(value));
            prop_assert_eq!(read_i32(&mut rest), Some(small));
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn a_varint_that_does_not_fit_is_refused() {
        assert_eq!(read_i32(&mut &[0xff, 0xff, 0xff, 0xff, 0x0f][..]), Some(i32::MIN));
        assert_eq!(read_i32(&mut &[0xff, 0xff, 0xff, 0xff, 0x1f][..]), None);
        assert_eq!(read_i32(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00][..]), None);
        assert_eq!(read_i64(&mut &[0xff; 10][..]), None);
        assert_eq!(read_i32(&mut &[0x80][..]), None);
    }
}
