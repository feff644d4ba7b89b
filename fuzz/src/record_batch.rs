//! Bytes as a run of record batches: split, checked, decompressed, walked.
//!
//! Holds: no panic, and nothing comes out larger than the limit.

use systole_wire::compression::Codec;
use systole_wire::record::{BatchBuilder, BatchOptions, Batches, NewRecord, RecordSet};
use systole_wire::record::{check_produced, position};

const LIMIT_BYTES: usize = 1 << 20;

pub fn run(data: &[u8]) {
    for batch in Batches::new(data.to_vec().into()).map_while(Result::ok) {
        if let Ok(records) = RecordSet::open(&batch.bytes, LIMIT_BYTES) {
            assert!(records.size_bytes() <= LIMIT_BYTES.max(batch.bytes.len()));
            for record in records.iter().map_while(Result::ok) {
                assert!(record.headers.clone().count() == record.headers.len());
            }
        }
        // With a checksum that fits, so that the check gets beyond it.
        let mut whole = batch.bytes.to_vec();
        if let Some(covered) = whole.get(position::ATTRIBUTES..) {
            let crc = crc32c::crc32c(covered);
            whole[position::CRC..position::ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
        }
        let _ = check_produced(&whole, LIMIT_BYTES, |_| {});
    }
}

/// Two batches, with every codec.
pub fn seeds() -> Vec<Vec<u8>> {
    let codecs = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
    codecs.into_iter().map(|codec| [batch(codec, 1), batch(codec, 30)].concat()).collect()
}

pub(crate) fn batch(codec: Codec, count: u8) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions { codec, ..BatchOptions::default() });
    for number in 0..count {
        let (key, value) = ([number], [number; 20]);
        let headers = [("kind", Some(&b"seed"[..])), ("none", None)];
        let (key, value) = (Some(&key[..]), (number % 5 != 4).then_some(&value[..]));
        builder.push(&NewRecord { timestamp: i64::from(number), key, value, headers: &headers });
    }
    match builder.build() {
        Ok(bytes) => bytes.to_vec(),
        Err(error) => panic!("a seed cannot be built: {error}"),
    }
}
