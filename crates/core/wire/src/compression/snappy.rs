//! Snappy in both of its dresses: a raw block, and the framing of the xerial Java library.
//!
//! Owns: telling them apart, reading both, writing xerial's. Does not own: snappy itself (`snap`).
//! Xerial: 8 magic bytes, version and oldest compatible version (big-endian i32 each), then blocks,
//! each a big-endian i32 length and a raw block. Streams may follow each other, header and all.

use std::io;

const MAGIC: &[u8; 8] = b"\x82SNAPPY\x00";
/// The first four bytes of the magic, which no block length can be: it would be negative.
const MAGIC_HEAD: [u8; 4] = [0x82, b'S', b'N', b'A'];
const VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
/// What one block holds before compression, in bytes: the Java client's default.
const BLOCK_BYTES: usize = 32 * 1024;
/// The best that snappy can do is a copy of 64 bytes in an element of 3; a raw block that claims
/// more than that per byte lies about its length.
const EXPANSION_MAX: usize = 22;

pub(super) fn compress(data: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = snap::raw::Encoder::new();
    let mut out = Vec::with_capacity(data.len() / 2 + 64);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSIONS);
    for block in data.chunks(BLOCK_BYTES) {
        let compressed = encoder.compress_vec(block)?;
        let length = u32::try_from(compressed.len()).map_err(io::Error::other)?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&compressed);
    }
    Ok(out)
}

/// `None` if more than `limit_bytes` would come out.
pub(super) fn decompress(data: &[u8], limit_bytes: usize) -> io::Result<Option<Vec<u8>>> {
    let mut out = Vec::new();
    if !data.starts_with(MAGIC) {
        return Ok(append_block(data, &mut out, limit_bytes)?.map(|()| out));
    }
    let mut rest = skip_header(data)?;
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        if *length == MAGIC_HEAD {
            rest = skip_header(rest)?;
            continue;
        }
        let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| damaged("length"))?;
        let (block, tail) = tail.split_at_checked(length).ok_or_else(|| damaged("block"))?;
        if append_block(block, &mut out, limit_bytes)?.is_none() {
            return Ok(None);
        }
        rest = tail;
    }
    if rest.is_empty() { Ok(Some(out)) } else { Err(damaged("tail")) }
}

fn skip_header(data: &[u8]) -> io::Result<&[u8]> {
    let rest = data.strip_prefix(MAGIC).ok_or_else(|| damaged("magic"))?;
    rest.split_first_chunk::<8>().map(|(_, rest)| rest).ok_or_else(|| damaged("header"))
}

fn append_block(block: &[u8], out: &mut Vec<u8>, limit_bytes: usize) -> io::Result<Option<()>> {
    let length = snap::raw::decompress_len(block)?;
    if length > limit_bytes.saturating_sub(out.len()) {
        return Ok(None);
    }
    if length > block.len().saturating_mul(EXPANSION_MAX) {
        return Err(damaged("claimed length"));
    }
    let start = out.len();
    out.resize(start + length, 0);
    let room = out.get_mut(start..).unwrap_or_default();
    snap::raw::Decoder::new().decompress(block, room)?;
    Ok(Some(()))
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
