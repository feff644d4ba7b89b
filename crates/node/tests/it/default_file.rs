//! `default.toml` says what the sections' own comments say.
//!
//! To write it anew after a change: `UPDATE_EXPECT=1 cargo test -p systole-node`.

use expect_test::expect_file;
use serde::Serialize;
use std::fmt::Write as _;
use systole_node::Config;

/// A section, the source that declares it and the structure there.
struct Section {
    name: &'static str,
    source: &'static str,
    structure: &'static str,
    /// Nothing of it applies unless someone writes it.
    optional: bool,
}

const SECTIONS: [Section; 15] = [
    section("logs", "foundation/telemetry/src/logs.rs", "Config", false),
    section("broker", "core/broker/src/config.rs", "BrokerConfig", false),
    section("broker.sasl", "core/broker/src/sasl/config.rs", "SaslConfig", false),
    section("broker.sasl.oauth", "core/broker/src/sasl/config.rs", "OauthConfig", true),
    section("[broker.listeners]", "core/broker/src/listener/config.rs", "ListenerConfig", true),
    section("broker.listeners.tls", "core/broker/src/listener/config.rs", "TlsConfig", true),
    section("broker.access", "core/broker/src/config.rs", "AccessConfig", false),
    section("broker.quotas", "core/broker/src/quota/config.rs", "QuotaConfig", false),
    section("broker.groups", "core/coordinator/src/group/config.rs", "GroupConfig", false),
    section("broker.share_groups", "core/coordinator/src/share/config.rs", "ShareConfig", false),
    section(
        "broker.transactions",
        "core/coordinator/src/transaction/config.rs",
        "TransactionConfig",
        false,
    ),
    section("gateway", "integration/gateway/src/config.rs", "GatewayConfig", false),
    section("cluster", "core/client/src/settings.rs", "Settings", true),
    section("cluster.tls", "core/client/src/settings.rs", "Tls", true),
    section("cluster.sasl", "core/client/src/settings.rs", "Sasl", true),
];

const fn section(
    name: &'static str,
    source: &'static str,
    structure: &'static str,
    optional: bool,
) -> Section {
    Section { name, source, structure, optional }
}

#[test]
fn the_default_file_comes_from_the_comments_of_the_fields() {
    let defaults = Config::default();
    let mut text = String::from(
        "# Every setting of a node. A value that stands here is the default.\n\
         # The variable SYSTOLE_SECTION__KEY overrides the key of a section.\n",
    );
    for it in &SECTIONS {
        let values = match it.name {
            "logs" => table(&defaults.logs),
            "broker" => table(&defaults.broker),
            "broker.sasl" => table(&defaults.broker.sasl),
            "broker.access" => table(&defaults.broker.access),
            "broker.quotas" => table(&defaults.broker.quotas),
            "broker.groups" => table(&defaults.broker.groups),
            "broker.share_groups" => table(&defaults.broker.share_groups),
            "broker.transactions" => table(&defaults.broker.transactions),
            "gateway" => table(&defaults.gateway),
            _ => toml::Table::new(),
        };
        write_section(it, &values, &mut text);
    }
    expect_file!["../../src/default.toml"].assert_eq(&text);
}

fn table(section: &impl Serialize) -> toml::Table {
    toml::Table::try_from(section).unwrap()
}

fn write_section(section: &Section, values: &toml::Table, text: &mut String) {
    let path = format!("{}/../{}", env!("CARGO_MANIFEST_DIR"), section.source);
    let source = std::fs::read_to_string(&path).unwrap_or_else(|it| panic!("{path}: {it}"));
    let file = syn::parse_file(&source).unwrap();
    let structure = file.items.iter().find_map(|it| match it {
        syn::Item::Struct(it) if it.ident == section.structure => Some(it),
        _ => None,
    });
    let structure = structure.unwrap_or_else(|| panic!("{path} has no {}", section.structure));
    text.push('\n');
    comment(&structure.attrs, text);
    let mark = if section.optional { "# " } else { "" };
    writeln!(text, "{mark}[{}]", section.name).unwrap();
    for field in &structure.fields {
        let name = field.ident.as_ref().unwrap().to_string();
        let is_section = SECTIONS.iter().any(|it| it.name == format!("{}.{name}", section.name));
        if is_section {
            continue;
        }
        text.push('\n');
        comment(&field.attrs, text);
        match values.get(&name) {
            Some(value) => writeln!(text, "{name} = {value}").unwrap(),
            None => writeln!(text, "# {name} =").unwrap(),
        }
    }
}

fn comment(attributes: &[syn::Attribute], text: &mut String) {
    for it in attributes.iter().filter(|it| it.path().is_ident("doc")) {
        let syn::Meta::NameValue(pair) = &it.meta else { continue };
        let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(line), .. }) = &pair.value else {
            continue;
        };
        writeln!(text, "#{}", line.value()).unwrap();
    }
}
