//! Words that mean "not finished", "only for me" or "in the wrong place".
//!
//! Owns: the lists. Does not own: what clippy already refuses everywhere; it is repeated here only
//! where an `allow` could hide it.

use super::finding::{Findings, Rule};
use super::rust::Rust;
use super::tree::{Role, Tree};

const UNFINISHED: Rule = Rule { name: "unfinished", cure: "finish it, or leave it out and say so" };
const PRINTED: Rule = Rule { name: "print", cure: "log it, or return it to the command line" };
const IGNORED: Rule =
    Rule { name: "ignored test", cure: "assert today's behaviour and say why it is so" };
const SLEEP: Rule = Rule {
    name: "sleep in a test",
    cure: "turn `HandClock`, or wait in a function `eventually` for a condition with a deadline",
};
const NAMED: Rule = Rule { name: "name", cure: "name what it owns" };
const TEST_NAME: Rule =
    Rule { name: "test name", cure: "write a sentence of behaviour without the prefix" };

const UNFINISHED_CODE: [&[&str]; 3] = [&["todo", "!"], &["unimplemented", "!"], &["dbg", "!"]];
const UNFINISHED_COMMENTS: [&str; 3] = ["TODO", "FIXME", "XXX"];
const PRINTS: [&[&str]; 4] =
    [&["println", "!"], &["print", "!"], &["eprintln", "!"], &["eprint", "!"]];
const SLEEPS: [&[&str]; 3] =
    [&["thread", "::", "sleep"], &["time", "::", "sleep"], &["time", "::", "sleep_until"]];
/// Names under which anything could be put.
const EMPTY_NAMES: [&str; 9] =
    ["common", "util", "utils", "helper", "helpers", "manager", "types", "misc", "shared"];
/// The one function in which a test may sleep, between two looks at a condition.
const WAITING: &str = "eventually";
const MAY_PRINT: [&str; 1] = ["crates/cli/"];
/// These files have to name what they forbid.
const SELF: &str = "xtask/src/tidy/";

pub(crate) fn check(tree: &Tree, findings: &mut Findings) {
    for rust in &tree.rust {
        unfinished(rust, findings);
        prints(rust, findings);
        tests(rust, findings);
        modules(rust, findings);
    }
    for toml in tree.ending_with("Cargo.toml") {
        let folder = toml.path.rsplit('/').nth(1).unwrap_or_default();
        if EMPTY_NAMES.contains(&folder) {
            findings.add(NAMED, (&toml.path, 1), format!("a crate named `{folder}`"));
        }
    }
}

fn unfinished(rust: &Rust, findings: &mut Findings) {
    for words in UNFINISHED_CODE {
        for token in rust.find(words) {
            findings.add(UNFINISHED, (&rust.path, token.line), format!("`{}`", words.concat()));
        }
    }
    for (at, line) in rust.text.lines().enumerate().filter(|_| !rust.path.starts_with(SELF)) {
        let mut words = line.split(|it: char| !it.is_alphanumeric() && it != '_');
        if let Some(word) = words.find(|it| UNFINISHED_COMMENTS.contains(it)) {
            findings.add(UNFINISHED, (&rust.path, at + 1), format!("`{word}`"));
        }
    }
}

fn prints(rust: &Rust, findings: &mut Findings) {
    if rust.role != Role::Product || MAY_PRINT.iter().any(|it| rust.path.starts_with(it)) {
        return;
    }
    for words in PRINTS {
        for token in rust.find(words).filter(|it| !rust.is_test(it.line)) {
            findings.add(PRINTED, (&rust.path, token.line), format!("`{}`", words.concat()));
        }
    }
}

fn tests(rust: &Rust, findings: &mut Findings) {
    for token in rust.find(&["#", "[", "ignore"]) {
        findings.add(IGNORED, (&rust.path, token.line), "`#[ignore]`".into());
    }
    for words in SLEEPS {
        let in_tests = rust.find(words).filter(|it| rust.is_test(it.line));
        for token in in_tests.filter(|it| it.function != WAITING) {
            let wrong = format!("`{}` in `{}`", words.concat(), token.function);
            findings.add(SLEEP, (&rust.path, token.line), wrong);
        }
    }
    for pair in rust.tokens.windows(2) {
        if let [first, name] = pair
            && first.text == "fn"
            && name.text.starts_with("test_")
        {
            findings.add(TEST_NAME, (&rust.path, name.line), format!("`{}`", name.text));
        }
    }
}

fn modules(rust: &Rust, findings: &mut Findings) {
    let file = rust.path.rsplit('/').next().and_then(|it| it.strip_suffix(".rs"));
    let folder = rust.path.rsplit('/').nth(1).filter(|_| file == Some("mod"));
    for name in file.into_iter().chain(folder).filter(|it| EMPTY_NAMES.contains(it)) {
        findings.add(NAMED, (&rust.path, 1), format!("a module named `{name}`"));
    }
    for item in &rust.ast.items {
        if let syn::Item::Mod(module) = item
            && module.content.is_some()
            && EMPTY_NAMES.iter().any(|it| module.ident == it)
        {
            let line = Rust::line_of(&module.ident);
            findings.add(NAMED, (&rust.path, line), format!("a module named `{}`", module.ident));
        }
    }
}
