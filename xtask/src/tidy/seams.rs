//! Only `world` touches time, randomness, files and sockets.
//!
//! Owns: who may switch clippy's `disallowed_methods` off, and the modules that clippy's list of
//! single functions leaves open. Does not own: that list (`clippy.toml`).

use super::finding::{Findings, Rule};
use super::rust::Rust;
use super::tree::{Role, Tree};

/// Crates of the product that may, each with its reason.
const ALLOWED: [(&str, &str); 2] = [
    ("crates/foundation/world/", "it is the seam"),
    ("crates/core/client/", "librdkafka has clocks, threads and sockets of its own"),
];
/// Paths that go round the seam. Methods are clippy's matter; these are whole modules.
const BANNED: [&[&str]; 9] = [
    &["std", "::", "fs"],
    &["tokio", "::", "fs"],
    &["tokio", "::", "time"],
    &["std", "::", "time", "::", "Instant"],
    &["std", "::", "time", "::", "SystemTime"],
    &["std", "::", "net", "::", "TcpListener"],
    &["std", "::", "net", "::", "UdpSocket"],
    &["getrandom", "::"],
    &["rand", "::"],
];

const SWITCH: Rule = Rule { name: "seam", cure: "take what you need from `world`" };

pub(crate) fn check(tree: &Tree, findings: &mut Findings) {
    let product = tree.rust.iter().filter(|it| it.role == Role::Product);
    for rust in product.filter(|it| !ALLOWED.iter().any(|(at, _)| it.path.starts_with(at))) {
        let switches = rust.tokens.iter().filter(|it| it.text == "disallowed_methods");
        for token in switches.filter(|it| !rust.is_test(it.line)) {
            let wrong = "`disallowed_methods` is switched off".to_owned();
            findings.add(SWITCH, (&rust.path, token.line), wrong);
        }
        for path in BANNED {
            for token in rust.find(path).filter(|it| !rust.is_test(it.line)) {
                findings.add(
                    SWITCH,
                    (&rust.path, token.line),
                    format!("names `{}`", path.concat()),
                );
            }
        }
        imports(rust, findings);
    }
}

/// The same paths written as `use std::{fs, io}`.
fn imports(rust: &Rust, findings: &mut Findings) {
    for item in &rust.ast.items {
        let syn::Item::Use(item) = item else { continue };
        let mut paths = Vec::new();
        flatten(&item.tree, &mut Vec::new(), &mut paths);
        let written_out = matches!(&item.tree, syn::UseTree::Path(it) if !has_group(&it.tree));
        for path in paths.iter().filter(|_| !written_out) {
            if BANNED.iter().any(|it| path.starts_with(it.concat().trim_end_matches(':'))) {
                findings.add(SWITCH, (&rust.path, Rust::line_of(item)), format!("names `{path}`"));
            }
        }
    }
}

fn has_group(tree: &syn::UseTree) -> bool {
    match tree {
        syn::UseTree::Path(it) => has_group(&it.tree),
        syn::UseTree::Group(_) => true,
        _ => false,
    }
}

fn flatten(tree: &syn::UseTree, above: &mut Vec<String>, paths: &mut Vec<String>) {
    match tree {
        syn::UseTree::Path(it) => {
            above.push(it.ident.to_string());
            flatten(&it.tree, above, paths);
            above.pop();
        }
        syn::UseTree::Group(it) => it.items.iter().for_each(|it| flatten(it, above, paths)),
        syn::UseTree::Name(it) => paths.push(join(above, &it.ident)),
        syn::UseTree::Rename(it) => paths.push(join(above, &it.ident)),
        syn::UseTree::Glob(_) => paths.push(above.join("::")),
    }
}

fn join(above: &[String], name: &syn::Ident) -> String {
    above.iter().map(|it| format!("{it}::")).chain([name.to_string()]).collect()
}
