//! How fast files are read: `cargo run --release -p systole-fhir --example throughput -- FILE…`
//! Each file is in memory before the clock starts; the fastest of several rounds is what the reader
//! can do, the slowest what the machine did.
#![allow(clippy::disallowed_methods)] // a measurement reads files and the real clock
#![allow(clippy::print_stdout)]

use std::time::Instant;
use systole_fhir::{Format, Limits, Options, Reader, Summary};
use systole_kit::Uuid;
use systole_world::World;

const ROUNDS: usize = 7;

fn main() -> std::io::Result<()> {
    let files =
        std::env::args_os().skip(1).map(std::fs::read).collect::<std::io::Result<Vec<_>>>()?;
    let clock = World::os().clock;
    let options = Options {
        source: "urn:systole:throughput".to_owned(),
        ingest: Uuid::ZERO,
        format: Format::Auto,
        limits: Limits::default(),
    };
    let mut rates = Vec::new();
    let mut total = Summary::default();
    for _ in 0..ROUNDS {
        total = Summary::default();
        let start = Instant::now();
        for file in &files {
            let mut reader = Reader::new(&file[..], options.clone(), clock.clone());
            for item in reader.by_ref() {
                std::hint::black_box(&item);
            }
            total.add(&reader.summary());
        }
        let seconds = start.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
        rates.push(total.bytes as f64 / 1e6 / seconds);
    }
    rates.sort_by(f64::total_cmp);
    print!("{total}");
    println!(
        "{:.1} MB/s median, {:.1} to {:.1} in {ROUNDS} rounds",
        rates[ROUNDS / 2],
        rates[0],
        rates[ROUNDS - 1]
    );
    Ok(())
}
