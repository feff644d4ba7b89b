//! The house rules as checks over the source: `cargo xtask tidy`, and a test of this crate.
//!
//! Owns: the list of rules. Does not own: what clippy and rustfmt hold already.
//! Reading order: [`tree`] -> [`rust`] -> any rule: [`layers`], [`sizes`], [`seams`], [`headers`],
//! [`words`], [`documents`]. How to add one: a function `check(&Tree, &mut Findings)`, a line in
//! [`findings`], and a test that shows it catching a violation.

mod documents;
mod finding;
mod headers;
mod layers;
mod rust;
mod seams;
mod sizes;
mod tree;
mod words;

#[cfg(test)]
mod tests;

use finding::{Finding, Findings};
use std::path::Path;
use tree::Tree;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {}

pub(crate) fn run(_: &Options) -> anyhow::Result<()> {
    let found = findings(&crate::root())?;
    for finding in &found {
        println!("{finding}");
    }
    anyhow::ensure!(found.is_empty(), "{} findings", found.len());
    Ok(())
}

fn findings(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let edges = layers::edges(root)?;
    let tree = Tree::read(root)?;
    let mut findings = Findings::default();
    layers::check(&edges, &mut findings);
    check_tree(&tree, &mut findings);
    documents::dependencies(&tree, &edges, &mut findings);
    Ok(findings.into_vec())
}

/// The rules that need only the files.
fn check_tree(tree: &Tree, findings: &mut Findings) {
    sizes::check(tree, findings);
    seams::check(tree, findings);
    headers::check(tree, findings);
    words::check(tree, findings);
    documents::links(tree, findings);
    documents::errors(tree, findings);
    documents::loggers(tree, findings);
}
