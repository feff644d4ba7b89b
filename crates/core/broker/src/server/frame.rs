//! Frames out of a stream of bytes: four bytes of length, then that many bytes.
//!
//! Owns: the bytes of one connection that are not yet a whole frame. Does not own: the socket,
//! time.
//!
//! Invariant: the memory held is bounded by the bytes received (twice, plus one read's worth),
//! whatever length was announced.

use bytes::{Buf as _, Bytes, BytesMut};
use systole_kit::Code;

const LENGTH_BYTES: usize = 4;
/// What one read asks for at least. Small requests come whole; large ones double from here.
const READ_BYTES: usize = 16 * 1024;

/// Longest frame of a peer that has not proved who it is, in bytes: with the room of a read it
/// holds no more than 64 KiB.
pub(super) const UNPROVEN_FRAME_BYTES_MAX: u32 = 32 * 1024;

/// The length in front of a frame is not one that this connection may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame of {announced} bytes was announced, {max} are allowed")]
    TooLarge { announced: u32, max: u32 },
    #[error("a frame of {0} bytes was announced: this is not the Kafka protocol")]
    Negative(i32),
}

impl FrameError {
    pub(crate) fn code(self) -> Code {
        match self {
            Self::TooLarge { .. } => const { Code::new(2002) },
            Self::Negative(_) => const { Code::new(2003) },
        }
    }
}

#[derive(Debug)]
pub(crate) struct Frames {
    received: BytesMut,
    /// The longest frame this peer may send. Authentication raises it.
    frame_bytes_max: u32,
}

impl Frames {
    pub(crate) fn new(frame_bytes_max: u32) -> Self {
        Self { received: BytesMut::new(), frame_bytes_max }
    }

    /// The peer proved who it is, and may send longer frames.
    pub(crate) const fn raise(&mut self, frame_bytes_max: u32) {
        self.frame_bytes_max = frame_bytes_max;
    }

    /// The announced length of the frame whose bytes are coming in, if its first four are here.
    pub(crate) fn announced(&self) -> Result<Option<u32>, FrameError> {
        let Some(head) = self.received.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let announced = i32::from_be_bytes(*head);
        match u32::try_from(announced) {
            Err(_) => Err(FrameError::Negative(announced)),
            Ok(len) if len > self.frame_bytes_max => {
                Err(FrameError::TooLarge { announced: len, max: self.frame_bytes_max })
            }
            Ok(len) => Ok(Some(len)),
        }
    }

    /// The next whole frame without its length; `None` until all of it is here.
    pub(crate) fn take(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(len) = self.announced()? else { return Ok(None) };
        let len = len as usize;
        if self.received.len() - LENGTH_BYTES < len {
            return Ok(None);
        }
        self.received.advance(LENGTH_BYTES);
        let frame = self.received.split_to(len).freeze();
        if self.received.is_empty() {
            // What is left of the buffer would keep the frame's memory for as long as the
            // connection idles.
            self.received = BytesMut::new();
        }
        Ok(Some(frame))
    }

    /// The buffer to read into, with room for one read and never for more than was sent so far.
    pub(crate) fn room(&mut self) -> &mut BytesMut {
        if self.received.capacity() == self.received.len() {
            self.received.reserve(self.received.len().max(READ_BYTES));
        }
        &mut self.received
    }

    /// Gives back the room of a read that brought nothing.
    pub(crate) fn release_if_empty(&mut self) {
        if self.received.is_empty() {
            self.received = BytesMut::new();
        }
    }

    /// Part of a frame is here, and the rest is owed.
    pub(crate) fn is_partial(&self) -> bool {
        !self.received.is_empty()
    }

    #[cfg(test)]
    fn capacity(&self) -> usize {
        self.received.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn feed(frames: &mut Frames, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = frames.room();
            let n = bytes.len().min(room.capacity() - room.len());
            room.extend_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
        }
    }

    #[test]
    fn two_gib_announced_is_refused_and_reserves_nothing() {
        let mut frames = Frames::new(100 << 20);
        feed(&mut frames, &i32::MAX.to_be_bytes());
        let refused = FrameError::TooLarge { announced: 0x7fff_ffff, max: 100 << 20 };
        assert_eq!(frames.take(), Err(refused));
        assert!(frames.capacity() <= READ_BYTES);
    }

    #[test]
    fn a_peer_without_proof_makes_us_hold_no_more_than_64_kib() {
        let mut frames = Frames::new(UNPROVEN_FRAME_BYTES_MAX);
        feed(&mut frames, &UNPROVEN_FRAME_BYTES_MAX.to_be_bytes());
        for _ in 1..UNPROVEN_FRAME_BYTES_MAX {
            feed(&mut frames, b"x");
            assert!(frames.capacity() <= 64 * 1024 && frames.take() == Ok(None));
        }
        feed(&mut frames, b"x");
        assert!(frames.take().unwrap().is_some());
    }

    #[test]
    fn a_negative_length_is_not_kafka() {
        let mut frames = Frames::new(100);
        feed(&mut frames, b"\xff\xff\xff\xfe");
        assert_eq!(frames.take(), Err(FrameError::Negative(-2)));
    }

    #[test]
    fn an_idle_connection_holds_no_buffer() {
        let mut frames = Frames::new(100);
        feed(&mut frames, b"\0\0\0\x03abc");
        assert_eq!(frames.take().unwrap().unwrap(), &b"abc"[..]);
        assert_eq!(frames.capacity(), 0);
    }

    proptest! {
        /// However the stream is cut, the same frames come out, and memory follows what was sent.
        #[test]
        fn frames_do_not_depend_on_how_the_stream_is_cut(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..70_000), 0..6),
            cut in 1_usize..50_000,
        ) {
            let mut stream = Vec::new();
            for body in &bodies {
                stream.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
                stream.extend(body);
            }
            let (mut frames, mut seen) = (Frames::new(1 << 20), Vec::new());
            for part in stream.chunks(cut) {
                feed(&mut frames, part);
                while let Some(frame) = frames.take().unwrap() {
                    seen.push(frame.to_vec());
                }
                prop_assert!(frames.capacity() <= 2 * (stream.len() + READ_BYTES));
            }
            prop_assert_eq!(seen, bodies);
            prop_assert!(!frames.is_partial());
        }
    }
}
