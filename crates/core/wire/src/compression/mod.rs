//! The four codecs of record batches, with a bound on what comes out.
//!
//! Owns: codec ids and names, compression, decompression up to a limit that the caller names. Does
//! not own: which codec and level a topic wants (`broker`), the framing of batches
//! ([`record`]).
//!
//! Invariants
//! - Decompression is total: any input gives bytes or an [`Error`], never a panic.
//! - Output grows in steps as it is produced and stops at the limit, so a bomb costs the limit at
//!   most. On top of it a codec holds its own window: 32 KiB (gzip), none (snappy), 12 MiB (lz4,
//!   blocks of 4 MiB that refer back), [`ZSTD_WINDOW_LOG_MAX`] (zstd, touched only as far as output
//!   has gone).
//!
//! [`record`]: crate::record

mod snappy;
#[cfg(test)]
mod tests;

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use std::io::{self, Read, Write as _};

/// Output grows by at most this many bytes at a time, in bytes.
const STEP_BYTES: usize = 64 * 1024;
/// The largest zstd window accepted, as a power of two: 128 MiB, which is what the reference
/// decoder accepts by default and what level 22 uses.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// How the records of a batch are compressed. The ids are those of the batch attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Codec {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    pub const fn from_id(id: u8) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }
    pub const fn id(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }
    /// The word for it in Kafka's configurations (`compression.type`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
    /// `uncompressed` is what a topic calls `none`.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = if name == "uncompressed" { "none" } else { name };
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// How records are to be compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    pub codec: Codec,
    /// As gzip (1..=9) and zstd (-131072..=22) count; outside of that the nearest. Snappy and lz4
    /// have one level here. `None`: the codec's default.
    pub level: Option<i32>,
}

impl From<Codec> for Compression {
    fn from(codec: Codec) -> Self {
        Self { codec, level: None }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// More would come out than the caller allows. The input may be a decompression bomb.
    #[error("{} data decompresses to more than {limit_bytes} bytes", codec.name())]
    TooLarge { codec: Codec, limit_bytes: usize },
    #[error("damaged {} data", codec.name())]
    Damaged { codec: Codec, source: io::Error },
    #[error("{} compression failed", codec.name())]
    Compress { codec: Codec, source: io::Error },
}

/// Compresses in the framing that Kafka's Java client writes.
///
/// # Errors  [`Error::Compress`] if the codec library gives up (out of memory).
pub fn compress(how: impl Into<Compression>, data: &[u8]) -> Result<Vec<u8>, Error> {
    let Compression { codec, level } = how.into();
    let compressed = match codec {
        Codec::None => Ok(data.to_vec()),
        Codec::Gzip => gzip(level, data),
        Codec::Snappy => snappy::compress(data),
        Codec::Lz4 => lz4(data),
        Codec::Zstd => zstd(level, data),
    };
    compressed.map_err(|source| Error::Compress { codec, source })
}

fn gzip(level: Option<i32>, data: &[u8]) -> io::Result<Vec<u8>> {
    let level = level.and_then(|it| u32::try_from(it.clamp(1, 9)).ok());
    let level = level.map_or_else(flate2::Compression::default, flate2::Compression::new);
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(data)?;
    encoder.finish()
}

fn zstd(level: Option<i32>, data: &[u8]) -> io::Result<Vec<u8>> {
    let range = zstd::compression_level_range();
    let level =
        level.map_or(zstd::DEFAULT_COMPRESSION_LEVEL, |it| it.clamp(*range.start(), *range.end()));
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), level)?;
    // High levels take memory for the data that they expect, which is 128 MiB unless they know.
    encoder.set_pledged_src_size(Some(data.len() as u64))?;
    encoder.include_contentsize(false)?;
    encoder.write_all(data)?;
    encoder.finish()
}

fn lz4(data: &[u8]) -> io::Result<Vec<u8>> {
    let frame = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(frame, Vec::new());
    encoder.write_all(data)?;
    encoder.finish().map_err(io::Error::from)
}

/// Decompresses at most `limit_bytes` bytes; concatenated members and frames are read through.
///
/// # Errors  [`Error::TooLarge`] beyond the limit; [`Error::Damaged`] if the data is not the
/// codec's, fails its own checksum, or ends early.
pub fn decompress(codec: Codec, data: &[u8], limit_bytes: usize) -> Result<Vec<u8>, Error> {
    let decompressed = match codec {
        Codec::None => read_bounded(data, limit_bytes),
        Codec::Gzip => read_bounded(MultiGzDecoder::new(data), limit_bytes),
        Codec::Snappy => snappy::decompress(data, limit_bytes),
        Codec::Lz4 => unlz4(data, limit_bytes),
        Codec::Zstd => unzstd(data, limit_bytes),
    };
    match decompressed {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(Error::TooLarge { codec, limit_bytes }),
        Err(source) => Err(Error::Damaged { codec, source }),
    }
}

/// Frames one after the other, a decoder for each: one decoder reuses the first frame's buffers,
/// which fit only that frame's block size. A frame that is cut off between two blocks reads as
/// complete; the batch's record count notices.
fn unlz4(data: &[u8], limit_bytes: usize) -> io::Result<Option<Vec<u8>>> {
    let mut out = Vec::new();
    let rest = &mut { data };
    loop {
        let before = rest.len();
        if !append_bounded(&mut FrameDecoder::new(&mut *rest), &mut out, limit_bytes)? {
            return Ok(None);
        }
        if rest.len() == before {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if rest.is_empty() {
            return Ok(Some(out));
        }
    }
}

fn unzstd(data: &[u8], limit_bytes: usize) -> io::Result<Option<Vec<u8>>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(data)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
    read_bounded(decoder, limit_bytes)
}

/// Reads to the end; `None` if that is beyond `limit_bytes`.
fn read_bounded(mut from: impl Read, limit_bytes: usize) -> io::Result<Option<Vec<u8>>> {
    let mut out = Vec::new();
    Ok(append_bounded(&mut from, &mut out, limit_bytes)?.then_some(out))
}

/// Reads until `from` first says that it is at its end, and never asks it again. `false` if `out`
/// would become longer than `limit_bytes`.
fn append_bounded(from: &mut impl Read, out: &mut Vec<u8>, limit_bytes: usize) -> io::Result<bool> {
    loop {
        let room = limit_bytes.saturating_add(1).saturating_sub(out.len());
        let step = room.min(STEP_BYTES);
        let read = from.by_ref().take(step as u64).read_to_end(out)?;
        if out.len() > limit_bytes {
            return Ok(false);
        }
        if read < step {
            return Ok(true);
        }
    }
}
