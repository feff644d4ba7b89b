//! [`systole_fuzz::connection`], driven by libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| systole_fuzz::connection::run(data));
