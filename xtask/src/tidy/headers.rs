//! Every file says what it owns before it says anything else.
//!
//! Owns: module headers and crate READMEs. Does not own: whether they are true; a reviewer reads.

use super::finding::{Findings, Rule};
use super::tree::{Role, Tree};

const HEADER: Rule = Rule {
    name: "module header",
    cure: "begin the file with `//!`: what it owns, what it does not",
};
const README: Rule =
    Rule { name: "crate README", cure: "write one: owns, does not own, reading order, how to add" };
/// Shorter than this is a word, not a statement.
const HEADER_CHARS_MIN: usize = 20;

pub(crate) fn check(tree: &Tree, findings: &mut Findings) {
    for rust in &tree.rust {
        let header: Vec<_> = rust.text.lines().take_while(|it| it.starts_with("//!")).collect();
        let said: usize = header.iter().map(|it| it.trim_start_matches("//!").trim().len()).sum();
        if said < HEADER_CHARS_MIN {
            findings.add(HEADER, (&rust.path, 1), "is missing".into());
        } else if rust.path.ends_with("src/lib.rs")
            && rust.role == Role::Product
            && !["Owns", "Does not own"]
                .iter()
                .all(|it| header.iter().any(|line| line.contains(it)))
        {
            findings.add(
                HEADER,
                (&rust.path, 1),
                "does not say both `Owns` and `Does not own`".into(),
            );
        }
    }
    for manifest in tree.ending_with("/Cargo.toml") {
        let folder = manifest.path.trim_end_matches("Cargo.toml");
        if tree.get(&format!("{folder}README.md")).is_none() {
            findings.add(README, (&manifest.path, 1), "is missing".into());
        }
    }
}
