//! Dependencies point down.
//!
//! Owns: the order of layers and of the crates in each (the table in `docs/ARCHITECTURE.md`), the
//! two doors with few keys (`log` is for the crates of the embedded node, librdkafka for `client`),
//! and the crates that have no way to the outside.
//! Does not own: features and versions of dependencies.

use super::finding::{Findings, Rule};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use std::path::Path;

/// From the lowest to the highest. A crate may name crates of lower layers and those before it in
/// its own.
const LAYERS: [(&str, &[&str]); 9] = [
    ("foundation", &["kit", "world", "telemetry", "fetch"]),
    ("security", &["guard", "identity", "keys"]),
    (
        "core",
        &[
            "history",
            "wire",
            "log",
            "group",
            "transaction",
            "catalogue",
            "coordinator",
            "broker",
            "client",
            "registry",
            "audit",
            "stream",
            "connect",
        ],
    ),
    ("processing", &["sourcing", "workflow", "pattern", "sql"]),
    ("health", &["canon", "fhir", "hl7", "correlate"]),
    ("integration", &["gateway", "webhooks", "routing", "bridges", "graph"]),
    ("management", &["topology", "playback", "governance", "console"]),
    ("", &["node", "cli", "testkit"]),
    ("tools", &["interop", "bench", "fuzz", "xtask"]),
];
/// What may be used by whom alone: by the crates that make up the embedded node, by the client.
const DOORS: [(&str, &[&str]); 2] =
    [("systole-log", &["catalogue", "coordinator", "broker"]), ("rdkafka", &["client"])];
/// Crates without IO: pure functions and sans-IO protocols.
const PURE: [&str; 7] = ["guard", "identity", "history", "wire", "group", "transaction", "hl7"];
/// What would let them reach time, files and sockets.
const OUTSIDE: [&str; 2] = ["systole-world", "tokio"];
/// Tests of any crate may use the test kit, which stands above them all.
const TEST_KIT: &str = "testkit";

const DOWN: Rule = Rule { name: "layers", cure: "see docs/ARCHITECTURE.md, section Layers" };
const DOOR: Rule = Rule { name: "one door", cure: "go through the crate that owns it" };
const INSIDE: Rule = Rule { name: "no IO", cure: "take it as an argument, return it as a value" };
const PLACE: Rule = Rule { name: "place", cure: "add it to LAYERS and to docs/ARCHITECTURE.md" };

/// One dependency of one of our crates. Names are without `systole-`, except for crates not ours.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) from: String,
    /// `from`'s manifest, from the root.
    pub(crate) manifest: String,
    pub(crate) to: String,
    pub(crate) is_ours: bool,
    pub(crate) is_dev: bool,
}

/// Every dependency of every crate of the workspace.
pub(crate) fn edges(root: &Path) -> anyhow::Result<Vec<Edge>> {
    let metadata = MetadataCommand::new().current_dir(root).no_deps().exec()?;
    Ok(from_metadata(&metadata))
}

fn from_metadata(metadata: &Metadata) -> Vec<Edge> {
    let mut edges = Vec::new();
    for package in &metadata.packages {
        let manifest = package.manifest_path.strip_prefix(&metadata.workspace_root);
        let manifest = manifest.map_or_else(|_| package.name.to_string(), ToString::to_string);
        for dependency in &package.dependencies {
            edges.push(Edge {
                from: package.name.trim_start_matches("systole-").to_owned(),
                manifest: manifest.clone(),
                to: dependency.name.clone(),
                is_ours: dependency.path.is_some(),
                is_dev: dependency.kind == DependencyKind::Development,
            });
        }
    }
    edges
}

pub(crate) fn check(edges: &[Edge], findings: &mut Findings) {
    for edge in edges {
        let Edge { from, to, .. } = edge;
        let place = (edge.manifest.as_str(), 1);
        if let Some((_, owners)) = DOORS.iter().find(|(door, _)| door == to)
            && !owners.contains(&from.as_str())
            && !edge.is_dev
        {
            let owners = owners.join("`, `");
            findings.add(DOOR, place, format!("only `{owners}` may use `{to}`"));
        }
        if PURE.contains(&from.as_str()) && OUTSIDE.contains(&to.as_str()) && !edge.is_dev {
            findings.add(INSIDE, place, format!("`{from}` may not use `{to}`"));
        }
        if !edge.is_ours {
            continue;
        }
        let to = to.trim_start_matches("systole-");
        match (height(from), height(to)) {
            (Some(above), Some(below)) if above > below => {}
            _ if edge.is_dev && to == TEST_KIT => {}
            (Some(_), Some(_)) => {
                findings.add(DOWN, place, format!("`{from}` -> `{to}` points sideways or up"));
            }
            (None, _) => findings.add(PLACE, place, format!("`{from}` has no layer")),
            (_, None) => findings.add(PLACE, place, format!("`{to}` has no layer")),
        }
    }
    folders(edges, findings);
}

/// A crate lies in the folder of its layer.
fn folders(edges: &[Edge], findings: &mut Findings) {
    let mut manifests: Vec<_> = edges.iter().map(|it| (&it.from, &it.manifest)).collect();
    manifests.dedup();
    for (name, manifest) in manifests {
        let Some((layer, _)) = LAYERS.iter().find(|(_, crates)| crates.contains(&name.as_str()))
        else {
            continue;
        };
        let expected = match *layer {
            "tools" => format!("{name}/Cargo.toml"),
            "" => format!("crates/{name}/Cargo.toml"),
            layer => format!("crates/{layer}/{name}/Cargo.toml"),
        };
        if *manifest != expected {
            findings.add(PLACE, (manifest, 1), format!("`{name}` belongs at {expected}"));
        }
    }
}

fn height(name: &str) -> Option<usize> {
    LAYERS.iter().flat_map(|(_, crates)| *crates).position(|it| *it == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check_edges(edges: &[(&str, &str, bool)], expected: &Expect) {
        let edge = |(from, to, is_dev): &(&str, &str, bool)| {
            let folder = LAYERS.iter().find(|(_, it)| it.contains(from)).map_or("", |(it, _)| it);
            let manifest = format!("crates/{folder}/{from}/Cargo.toml").replace("//", "/");
            let (from, to) = ((*from).to_owned(), (*to).to_owned());
            let is_ours = to.starts_with("systole-");
            Edge { from, manifest, to, is_ours, is_dev: *is_dev }
        };
        let mut findings = Findings::default();
        check(&edges.iter().map(edge).collect::<Vec<_>>(), &mut findings);
        let found: String = findings.into_vec().iter().map(|it| format!("{it}\n")).collect();
        expected.assert_eq(&found);
    }

    #[test]
    fn a_crate_names_only_what_lies_below() {
        check_edges(
            &[
                ("world", "systole-kit", false),
                ("kit", "systole-world", false),
                ("client", "systole-broker", false),
                ("broker", "systole-client", false),
                ("gateway", "systole-fhir", false),
                ("fhir", "systole-gateway", true),
                ("newcomer", "systole-kit", false),
            ],
            &expect![[r"
                crates/foundation/kit/Cargo.toml:1: layers: `kit` -> `world` points sideways or up; see docs/ARCHITECTURE.md, section Layers
                crates/core/broker/Cargo.toml:1: layers: `broker` -> `client` points sideways or up; see docs/ARCHITECTURE.md, section Layers
                crates/health/fhir/Cargo.toml:1: layers: `fhir` -> `gateway` points sideways or up; see docs/ARCHITECTURE.md, section Layers
                crates/newcomer/Cargo.toml:1: place: `newcomer` has no layer; add it to LAYERS and to docs/ARCHITECTURE.md
            "]],
        );
    }

    #[test]
    fn the_log_and_librdkafka_have_one_user_each() {
        check_edges(
            &[
                ("broker", "systole-log", false),
                ("node", "systole-log", false),
                ("client", "rdkafka", false),
                ("gateway", "rdkafka", false),
                ("broker", "rdkafka", true),
            ],
            &expect![[r"
                crates/node/Cargo.toml:1: one door: only `catalogue`, `coordinator`, `broker` may use `systole-log`; go through the crate that owns it
                crates/integration/gateway/Cargo.toml:1: one door: only `client` may use `rdkafka`; go through the crate that owns it
            "]],
        );
    }

    #[test]
    fn a_crate_without_io_has_no_way_to_the_outside() {
        check_edges(
            &[
                ("wire", "systole-world", false),
                ("guard", "tokio", false),
                ("wire", "tokio", true),
                ("log", "systole-world", false),
            ],
            &expect![[r"
                crates/core/wire/Cargo.toml:1: no IO: `wire` may not use `systole-world`; take it as an argument, return it as a value
                crates/security/guard/Cargo.toml:1: no IO: `guard` may not use `tokio`; take it as an argument, return it as a value
            "]],
        );
    }

    #[test]
    fn tests_of_any_crate_may_use_the_test_kit_and_the_product_may_not() {
        check_edges(
            &[("client", "systole-testkit", true), ("client", "systole-testkit", false)],
            &expect![[r"
                crates/core/client/Cargo.toml:1: layers: `client` -> `testkit` points sideways or up; see docs/ARCHITECTURE.md, section Layers
            "]],
        );
    }
}
