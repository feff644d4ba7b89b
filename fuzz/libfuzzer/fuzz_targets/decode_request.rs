//! [`systole_fuzz::decode_request`], driven by libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| systole_fuzz::decode_request::run(data));
