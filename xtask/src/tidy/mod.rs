//! The house rules as checks over the source: `cargo xtask tidy`, and a test of this crate.

#[derive(Debug, clap::Args)]
pub(crate) struct Options {}

#[expect(clippy::unnecessary_wraps, reason = "the signature of every chore")]
pub(crate) fn run(_: &Options) -> anyhow::Result<()> {
    Ok(())
}
