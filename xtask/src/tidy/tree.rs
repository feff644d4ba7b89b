//! The files of a checkout, read once.
//!
//! Owns: which files count, and what each `.rs` file is for ([`Role`]). Does not own: any rule.

use super::rust::Rust;
use anyhow::Context as _;
use std::path::Path;

/// Folders that hold no source of ours.
const SKIPPED: [&str; 6] = [".git", "target", "node_modules", "__pycache__", "corpus", "artifacts"];
/// What is read as text.
const READ: [&str; 3] = ["rs", "md", "toml"];
/// Programs for developers and tests; the rules for the product are relaxed there by name.
const TOOLS: [&str; 5] = ["xtask/", "interop/", "bench/", "fuzz/", "crates/testkit/"];

/// What a source file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Part of the binary that is shipped.
    Product,
    /// A developer's program, a build script, an example, or a part of the test kit.
    Tool,
    /// Compiled for tests only.
    Test,
}

#[derive(Debug)]
pub(crate) struct File {
    /// From the root of the checkout, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn role(&self) -> Role {
        if self.path.contains("/tests/") || self.path.ends_with("/tests.rs") {
            Role::Test
        } else if TOOLS.iter().any(|it| self.path.starts_with(it))
            || self.path.ends_with("/build.rs")
            || self.path.contains("/examples/")
        {
            Role::Tool
        } else {
            Role::Product
        }
    }
    /// Written by `cargo xtask` and compared in a test; nobody reads it by eye.
    pub(crate) fn is_generated(&self) -> bool {
        self.path.contains("/generated/")
    }
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(at, line)| (at + 1, line))
    }
}

/// A checkout: every text file, and every hand-written Rust file parsed.
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
    pub(crate) rust: Vec<Rust>,
    /// Every path, read or not, so that links to any file can be resolved.
    pub(crate) paths: Vec<String>,
}

impl Tree {
    pub(crate) fn read(root: &Path) -> anyhow::Result<Self> {
        let mut paths = Vec::new();
        walk(root, "", &mut paths)?;
        paths.sort();
        let mut files = Vec::new();
        for path in &paths {
            if path.rsplit_once('.').is_some_and(|(_, it)| READ.contains(&it)) {
                let text = std::fs::read_to_string(root.join(path)).context(path.clone())?;
                files.push(File { path: path.clone(), text });
            }
        }
        Self::parse(files, paths)
    }
    fn parse(files: Vec<File>, paths: Vec<String>) -> anyhow::Result<Self> {
        let hand_written = files.iter().filter(|it| it.path.ends_with(".rs") && !it.is_generated());
        let rust = hand_written.map(Rust::parse).collect::<anyhow::Result<_>>()?;
        Ok(Self { files, rust, paths })
    }
    /// A checkout that exists only in a test.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let paths = files.iter().map(|(path, _)| (*path).to_owned()).collect();
        let file =
            |(path, text): &(&str, &str)| File { path: (*path).into(), text: (*text).into() };
        Self::parse(files.iter().map(file).collect(), paths).expect("the fixture is Rust")
    }
    pub(crate) fn ending_with(&self, suffix: &str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |it| it.path.ends_with(suffix))
    }
    pub(crate) fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|it| it.path == path)
    }
    /// Is there a file or a folder of this name?
    pub(crate) fn has(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        path.is_empty() || self.paths.iter().any(|it| it == path || it.starts_with(&folder))
    }
}

fn walk(root: &Path, folder: &str, paths: &mut Vec<String>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(root.join(folder)).with_context(|| folder.to_owned())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if SKIPPED.contains(&name.as_str()) {
            continue;
        }
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        if entry.file_type()?.is_dir() {
            walk(root, &path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}
