//! What lists promise is there: links, error pages, a line for every dependency, loggers.
//!
//! Owns: these four comparisons. Does not own: prose.

use super::finding::{Findings, Rule};
use super::layers::Edge;
use super::rust::{Rust, Token};
use super::tree::{File, Role, Tree};
use std::collections::{BTreeMap, BTreeSet};

const LINK: Rule = Rule { name: "link", cure: "correct it; links are relative to their file" };
const PAGE: Rule = Rule { name: "error page", cure: "write docs/errors/<code>.md" };
const UNUSED_PAGE: Rule = Rule { name: "error page", cure: "delete it: no code gives this error" };
const PAGE_FORM: Rule = Rule {
    name: "error page",
    cure: "a title with the code, `What happened`, `What to do`, at most 15 lines",
};
const DEPENDENCY: Rule = Rule {
    name: "dependency",
    cure: "add its line (why, owner crate, exit) to docs/dependencies.md",
};
const OLD_DEPENDENCY: Rule = Rule { name: "dependency", cure: "delete the line: nobody uses it" };

const LOGGER: Rule = Rule { name: "logger", cure: "add it to CRATES in levels.rs" };

const ERROR_PAGES: &str = "docs/errors/";
const ERROR_PAGE_LINES_MAX: usize = 15;
const DEPENDENCIES: &str = "docs/dependencies.md";
const LEVELS: &str = "crates/foundation/telemetry/src/levels.rs";

/// Every relative link of every Markdown file leads to a file, and its anchor to a heading.
pub(crate) fn links(tree: &Tree, findings: &mut Findings) {
    for file in tree.ending_with(".md") {
        for (line, target) in link_targets(file) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let at = if path.is_empty() { file.path.clone() } else { resolve(&file.path, path) };
            if !tree.has(at.trim_end_matches('/')) {
                findings.add(LINK, (&file.path, line), format!("`{target}` leads nowhere"));
            } else if let Some(page) = tree.get(&at).filter(|_| !anchor.is_empty())
                && page.path.ends_with(".md")
                && !headings(page).contains(anchor)
            {
                findings.add(LINK, (&file.path, line), format!("`{at}` has no heading `{anchor}`"));
            }
        }
    }
}

/// Every crate that may write log lines is a logger, by the name of its library or its program.
pub(crate) fn loggers(tree: &Tree, findings: &mut Findings) {
    let levels = tree.get(LEVELS).map_or("", |it| &it.text);
    for file in tree.ending_with("/Cargo.toml") {
        let names = file.lines().filter_map(|it| it.1.strip_prefix("name = "));
        let mut names = names.map(|it| format!("    {},\n", it.replace('-', "_")));
        let may_write = file.lines().any(|it| it.1.starts_with("tracing."));
        if may_write && !names.any(|it| levels.contains(&it)) {
            findings.add(LOGGER, (&file.path, 1), "its log lines have no logger".to_owned());
        }
    }
}

/// Lines outside code fences.
fn prose(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let mut in_fence = false;
    file.lines().filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        in_fence ^= is_fence;
        !in_fence && !is_fence
    })
}

fn link_targets(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let is_code =
        |line: &str, at: usize| line.get(..at).unwrap_or("").matches('`').count() % 2 == 1;
    prose(file).flat_map(move |(number, line)| {
        line.match_indices("](").filter(move |(at, _)| !is_code(line, *at)).filter_map(
            move |(at, _)| {
                let target = line.get(at + 2..)?.split([')', ' ']).next()?;
                let is_outside = target.contains("://") || target.starts_with("mailto:");
                (!is_outside && !target.is_empty()).then_some((number, target))
            },
        )
    })
}

fn resolve(from: &str, link: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Anchors as GitHub makes them from headings.
fn headings(file: &File) -> BTreeSet<String> {
    let titles = prose(file).filter(|(_, line)| line.starts_with('#'));
    let anchor = |title: &str| {
        let kept = title.chars().filter(|it| it.is_alphanumeric() || " -_".contains(*it));
        kept.map(|it| if it == ' ' { '-' } else { it.to_ascii_lowercase() }).collect()
    };
    titles.map(|(_, line)| anchor(line.trim_start_matches('#').trim())).collect()
}

/// Every code that the product can give has a page, and every page a code.
pub(crate) fn errors(tree: &Tree, findings: &mut Findings) {
    let mut used = BTreeMap::new();
    for rust in tree.rust.iter().filter(|it| it.role == Role::Product) {
        for (code, line) in codes(rust) {
            used.entry(code).or_insert((rust.path.as_str(), line));
        }
    }
    for (code, place) in &used {
        let path = format!("{ERROR_PAGES}{code}.md");
        match tree.get(&path) {
            None => findings.add(PAGE, *place, format!("{code} has no page")),
            Some(page) if !is_well_formed(page, code) => {
                findings.add(PAGE_FORM, (&path, 1), "another form".into());
            }
            Some(_) => {}
        }
    }
    for page in tree.files.iter().filter(|it| it.path.starts_with(&format!("{ERROR_PAGES}SYS-"))) {
        let code = page.path.trim_start_matches(ERROR_PAGES).trim_end_matches(".md");
        if !used.contains_key(code) {
            findings.add(UNUSED_PAGE, (&page.path, 1), format!("{code} is nowhere in the code"));
        }
    }
}

fn is_well_formed(page: &File, code: &str) -> bool {
    let title = page.text.lines().next().unwrap_or_default();
    title.starts_with("# ")
        && title.contains(code)
        && page.text.contains("What happened")
        && page.text.contains("What to do")
        && page.text.lines().count() <= ERROR_PAGE_LINES_MAX
}

/// `Code::new(1203)`, and `SYS-1203` inside a text, outside tests and comments.
fn codes(rust: &Rust) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let of_product = |it: &&Token| !rust.is_test(it.line);
    for token in rust.tokens.iter().filter(|it| it.is_literal).filter(of_product) {
        for (at, _) in token.text.match_indices("SYS-") {
            let digits = token.text.get(at + 4..at + 8).unwrap_or_default();
            if digits.len() == 4 && digits.bytes().all(|it| it.is_ascii_digit()) {
                found.push((format!("SYS-{digits}"), token.line));
            }
        }
    }
    for window in rust.tokens.windows(5) {
        if let [code, path, new, open, number] = window
            && [&code.text, &path.text, &new.text, &open.text] == ["Code", "::", "new", "("]
            && number.is_literal
            && of_product(&number)
        {
            found.push((format!("SYS-{}", number.text.replace('_', "")), number.line));
        }
    }
    found
}

/// Every direct dependency has a line in the table, and every line a dependency.
pub(crate) fn dependencies(tree: &Tree, edges: &[Edge], findings: &mut Findings) {
    let mut used: BTreeMap<&str, &str> = BTreeMap::new();
    for edge in edges.iter().filter(|it| !it.is_ours) {
        used.entry(&edge.to).or_insert(&edge.manifest);
    }
    let row = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    let table = tree.get(DEPENDENCIES);
    let rows: BTreeMap<String, usize> = table
        .map(|it| it.lines().filter_map(|(at, line)| Some((row(line)?, at))).collect())
        .unwrap_or_default();
    for (name, manifest) in &used {
        if !rows.contains_key(*name) {
            findings.add(DEPENDENCY, (manifest, 1), format!("`{name}` has no line"));
        }
    }
    for (name, line) in rows.iter().filter(|(name, _)| !used.contains_key(name.as_str())) {
        findings.add(OLD_DEPENDENCY, (DEPENDENCIES, *line), format!("`{name}` is no dependency"));
    }
}
