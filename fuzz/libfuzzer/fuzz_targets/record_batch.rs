//! [`systole_fuzz::record_batch`], driven by libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| systole_fuzz::record_batch::run(data));
