//! `cargo xtask wire`: from Kafka's message definitions to tables, from tables to Rust.
//!
//! Owns: the two steps and where their files lie. Does not own: the codec at run time
//! (`crates/core/wire`). Reading order: [`table`] -> [`import`] -> [`generate`].

mod generate;
mod import;
mod table;

use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Reads the message definitions inside Kafka's jars and rewrites `tables/`.
    Import {
        /// The jars `kafka-clients`, `kafka-group-coordinator`, `kafka-share-coordinator`,
        /// `kafka-transaction-coordinator`.
        #[arg(required = true)]
        jars: Vec<PathBuf>,
    },
    /// Writes `src/generated/` from `tables/`.
    Generate {
        /// Writes nothing; fails if the committed files differ.
        #[arg(long)]
        check: bool,
    },
}

pub(crate) fn run(command: &Command) -> Result<()> {
    let tables = wire_crate().join("tables");
    let generated = wire_crate().join("src/generated");
    match command {
        Command::Import { jars } => {
            let count = import::run(jars, &tables)?;
            println!("{count} tables written to {}", tables.display());
        }
        Command::Generate { check: true } => {
            let stale = generate::stale(&tables, &generated)?;
            if !stale.is_empty() {
                bail!("run `cargo xtask wire generate`; these differ: {}", stale.join(", "));
            }
        }
        Command::Generate { check: false } => {
            let count = generate::run(&tables, &generated)?;
            println!("{count} files written to {}", generated.display());
        }
    }
    Ok(())
}

fn wire_crate() -> PathBuf {
    crate::root().join("crates/core/wire")
}

/// All tables of the folder, by name.
fn load(tables: &Path) -> Result<Vec<table::Message>> {
    let mut messages = Vec::new();
    for entry in std::fs::read_dir(tables).with_context(|| tables.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_none_or(|it| it != table::EXTENSION) {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        let message = table::parse(&text).map_err(anyhow::Error::msg);
        messages.push(message.with_context(|| path.display().to_string())?);
    }
    messages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_code_is_what_the_tables_say() {
        let crate_dir = wire_crate();
        let stale =
            generate::stale(&crate_dir.join("tables"), &crate_dir.join("src/generated")).unwrap();
        assert!(stale.is_empty(), "run `cargo xtask wire generate`; these differ: {stale:?}");
    }

    #[test]
    fn every_table_prints_as_it_was_parsed() {
        let tables = wire_crate().join("tables");
        for message in load(&tables).unwrap() {
            let path = tables.join(&message.name).with_extension(table::EXTENSION);
            assert_eq!(message.to_string(), std::fs::read_to_string(path).unwrap());
        }
    }
}
