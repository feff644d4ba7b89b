//! Bytes as a run of record batches: split, checked, decompressed, walked. Nothing may panic, and
//! nothing may come out larger than the limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use systole_wire::record::{Batches, RecordSet, check_produced, position};

const LIMIT_BYTES: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
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
});
