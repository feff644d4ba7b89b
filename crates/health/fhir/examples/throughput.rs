//! How fast files are read: `cargo run --release -p systole-fhir --example throughput -- FILE…`
//! Each file is in memory before the clock starts; the fastest of several rounds is what the reader
//! can do, the slowest what the machine did.

use std::io::{self, Write as _};
use std::path::PathBuf;
use systole_fhir::{Format, Limits, Options, Reader, Summary};
use systole_kit::Uuid;
use systole_world::{Open, World};

const ROUNDS: usize = 7;

fn main() -> io::Result<()> {
    let world = World::os();
    let paths = std::env::args_os().skip(1).map(PathBuf::from);
    let files = paths.map(|it| read(&world, &it)).collect::<io::Result<Vec<_>>>()?;
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
        let start = world.clock.instant();
        for file in &files {
            let mut reader = Reader::new(&file[..], options.clone(), world.clock.clone());
            for item in reader.by_ref() {
                std::hint::black_box(&item);
            }
            total.add(&reader.summary());
        }
        let seconds = world.clock.instant().since(start).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
        rates.push(total.bytes as f64 / 1e6 / seconds);
    }
    rates.sort_by(f64::total_cmp);
    let (slowest, median, fastest) = (rates[0], rates[ROUNDS / 2], rates[ROUNDS - 1]);
    let mut out = io::stdout().lock();
    write!(out, "{total}")?;
    writeln!(out, "{median:.1} MB/s median, {slowest:.1} to {fastest:.1} in {ROUNDS} rounds")
}

fn read(world: &World, path: &std::path::Path) -> io::Result<Vec<u8>> {
    let file = world.disk.open(path, Open::Read)?;
    let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}
