//! Runs the targets on stable Rust: their seeds, what an earlier hunt has kept, then inputs made of
//! these.
//!
//! Owns: the loop, and keeping an input that broke something. Does not own: what a target checks.
//! Finds less than libFuzzer, which sees what code an input reaches; but runs everywhere.
#![allow(clippy::disallowed_methods)] // a test tool: it reads and writes files of its own
#![allow(clippy::print_stdout, clippy::print_stderr)] // and talks to whoever runs it

use anyhow::Context as _;
use clap::Parser;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use systole_fuzz::{TARGETS, Target, mutate};
use systole_world::os::OsClock;
use systole_world::sim::SeededRandom;
use systole_world::{Clock as _, Random as _};

#[derive(Debug, Parser)]
struct Options {
    /// Only this target.
    #[arg(long)]
    target: Option<String>,
    /// How long each target is tried after its seeds, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The same seed makes the same inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this input, as it was kept.
    #[arg(long)]
    input: Option<PathBuf>,
}

/// What is being tried, for whoever panics: a target or a thread of the node.
static TRIED: Mutex<(&str, Vec<u8>)> = Mutex::new(("", Vec::new()));

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        told(panic);
        keep();
        std::process::exit(1); // wherever it happened: a task of the node would be forgiven
    }));
    let chosen = |it: &&Target| options.target.as_deref().is_none_or(|name| it.name == name);
    let mut tried = 0;
    for target in TARGETS.iter().filter(chosen) {
        tried += hunt(target, &options)?;
    }
    anyhow::ensure!(tried > 0, "no target has this name");
    Ok(())
}

/// How many inputs were tried.
fn hunt(target: &Target, options: &Options) -> anyhow::Result<u64> {
    if let Some(path) = &options.input {
        attempt(target, &std::fs::read(path).with_context(|| path.display().to_string())?);
        return Ok(1);
    }
    let mut inputs = (target.seeds)();
    inputs.extend(kept(&Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name))?);
    for input in &inputs {
        attempt(target, input);
    }
    let (clock, random) = (OsClock::default(), SeededRandom::new(options.seed));
    let end = clock.instant().plus(Duration::from_secs(options.seconds));
    let mut tried = inputs.len() as u64;
    let any = || inputs.get(usize::try_from(random.next_u64() % inputs.len().max(1) as u64).ok()?);
    while clock.instant() < end
        && let (Some(one), Some(other)) = (any(), any())
    {
        attempt(target, &mutate(one, other, &random));
        tried += 1;
    }
    println!("{:<16} {tried} inputs, seed {}", target.name, options.seed);
    Ok(tried)
}

fn attempt(target: &Target, input: &[u8]) {
    *TRIED.lock().unwrap_or_else(PoisonError::into_inner) = (target.name, input.to_vec());
    (target.run)(input);
}

/// Writes down the input that broke something.
fn keep() {
    let (name, input) = &*TRIED.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts");
    let path = dir.join(format!("{name}-{:08x}", crc32c::crc32c(input)));
    match std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(&path, input)) {
        Ok(()) => eprintln!("again: --target {name} --input {}", path.display()),
        Err(error) => eprintln!("the input could not be kept: {error}\n{input:02x?}"),
    }
}

fn kept(dir: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    std::fs::read_dir(dir)?.map(|it| Ok(std::fs::read(it?.path())?)).collect()
}
