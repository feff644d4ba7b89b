//! Nothing grows so large that it must be searched.
//!
//! Owns: the limits on lines, files, functions, traits, parameters, imports.
//! Does not own: generated code, which nobody reads.

use super::finding::{Findings, Rule};
use super::rust::Rust;
use super::tree::Tree;
use std::collections::HashSet;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

const FILE_LINES_MAX: usize = 800;
const INLINE_TEST_LINES_MAX: usize = 200;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_COLUMNS_MAX: usize = 100;
const IMPORT_LINES_MAX: usize = 25;
const TRAIT_METHODS_MAX: usize = 7;
const PARAMETERS_MAX: usize = 4;
const TYPE_PARAMETERS_MAX: usize = 2;

/// Traits that may be wider, each with its reason.
const WIDE_TRAITS: [(&str, &str); 1] =
    [("Disk", "one verb per thing that a directory can be asked; each has one line of code")];

const FILE: Rule = Rule { name: "file size", cure: "split it by what its parts own" };
const TESTS: Rule = Rule { name: "inline tests", cure: "move them to a sibling `tests.rs`" };
const FUNCTION: Rule = Rule { name: "function size", cure: "name its steps" };
const LINE: Rule = Rule { name: "line length", cure: "break it" };
const IMPORTS: Rule = Rule { name: "import block", cure: "import modules, or split the file" };
const TRAIT: Rule = Rule { name: "trait size", cure: "split it by who calls it" };
const PARAMETERS: Rule = Rule { name: "parameters", cure: "give them a struct" };
const TYPES: Rule = Rule { name: "type parameters", cure: "use a trait object or one trait" };

pub(crate) fn check(tree: &Tree, findings: &mut Findings) {
    for rust in &tree.rust {
        file(rust, findings);
        lines(rust, findings);
        imports(rust, findings);
        Items { rust, findings }.visit_file(&rust.ast);
    }
}

fn file(rust: &Rust, findings: &mut Findings) {
    let in_tests: usize = rust.test_lines.iter().map(|it| it.clone().count()).sum();
    if in_tests > INLINE_TEST_LINES_MAX {
        let line = rust.test_lines.first().map_or(1, |it| *it.start());
        let wrong = format!("{in_tests} lines of tests, at most {INLINE_TEST_LINES_MAX}");
        findings.add(TESTS, (&rust.path, line), wrong);
    }
    let own = rust.text.lines().count() - in_tests;
    if own > FILE_LINES_MAX && rust.role != super::tree::Role::Test {
        let wrong = format!("{own} lines without tests, at most {FILE_LINES_MAX}");
        findings.add(FILE, (&rust.path, 1), wrong);
    }
}

/// Lines inside a text of several lines are data and may be as long as the data is.
fn lines(rust: &Rust, findings: &mut Findings) {
    let mut data = HashSet::new();
    for token in rust.tokens.iter().filter(|it| it.is_literal) {
        let more = token.text.matches('\n').count();
        data.extend((1..=more).map(|it| token.line + it).chain((more > 0).then_some(token.line)));
    }
    for (at, line) in rust.text.lines().enumerate().map(|(at, line)| (at + 1, line)) {
        let columns = line.chars().count();
        if columns > LINE_COLUMNS_MAX && !data.contains(&at) {
            let wrong = format!("{columns} columns, at most {LINE_COLUMNS_MAX}");
            findings.add(LINE, (&rust.path, at), wrong);
        }
    }
}

fn imports(rust: &Rust, findings: &mut Findings) {
    let uses = rust.ast.items.iter().filter(|it| matches!(it, syn::Item::Use(_)));
    let count: usize =
        uses.clone().map(|it| it.span().end().line - it.span().start().line + 1).sum();
    if let Some(first) = uses.clone().next().filter(|_| count > IMPORT_LINES_MAX) {
        let wrong = format!("{count} lines, at most {IMPORT_LINES_MAX}");
        findings.add(IMPORTS, (&rust.path, Rust::line_of(first)), wrong);
    }
}

struct Items<'a> {
    rust: &'a Rust,
    findings: &'a mut Findings,
}

impl Items<'_> {
    fn function(&mut self, signature: &syn::Signature, body: Option<&syn::Block>) {
        let name = &signature.ident;
        let line = Rust::line_of(name);
        if let Some(body) = body {
            let count = self.code_lines(body);
            if count > FUNCTION_LINES_MAX {
                let wrong = format!("`{name}` has {count} lines, at most {FUNCTION_LINES_MAX}");
                self.findings.add(FUNCTION, (&self.rust.path, line), wrong);
            }
        }
        self.generics(&signature.generics, &name.to_string(), line);
    }
    fn parameters(&mut self, signature: &syn::Signature) {
        let typed = signature.inputs.iter().filter(|it| matches!(it, syn::FnArg::Typed(_))).count();
        if typed > PARAMETERS_MAX {
            let name = &signature.ident;
            let wrong = format!("`{name}` takes {typed}, at most {PARAMETERS_MAX}");
            self.findings.add(PARAMETERS, (&self.rust.path, Rust::line_of(name)), wrong);
        }
    }
    fn generics(&mut self, generics: &syn::Generics, name: &str, line: usize) {
        let count = generics.type_params().count();
        if count > TYPE_PARAMETERS_MAX {
            let wrong = format!("`{name}` has {count}, at most {TYPE_PARAMETERS_MAX}");
            self.findings.add(TYPES, (&self.rust.path, line), wrong);
        }
    }
    /// Lines between the braces that are neither empty nor only a comment, as clippy counts them.
    fn code_lines(&self, body: &syn::Block) -> usize {
        let (open, close) = (body.span().start().line, body.span().end().line);
        let inner = self.rust.text.lines().skip(open).take((close - open).saturating_sub(1));
        inner.map(str::trim).filter(|it| !it.is_empty() && !it.starts_with("//")).count()
    }
}

impl<'a> Visit<'a> for Items<'_> {
    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        self.parameters(&item.sig);
        self.function(&item.sig, Some(&item.block));
        visit::visit_item_fn(self, item);
    }
    fn visit_item_impl(&mut self, item: &'a syn::ItemImpl) {
        for it in &item.items {
            if let syn::ImplItem::Fn(method) = it {
                if item.trait_.is_none() {
                    self.parameters(&method.sig); // a trait's are counted where it is declared
                }
                self.function(&method.sig, Some(&method.block));
            }
        }
        visit::visit_item_impl(self, item);
    }
    fn visit_item_trait(&mut self, item: &'a syn::ItemTrait) {
        let methods = item.items.iter().filter_map(|it| match it {
            syn::TraitItem::Fn(method) => Some(method),
            _ => None,
        });
        // Only what an implementer must write counts: provided methods are sugar for callers.
        let required = methods.clone().filter(|it| it.default.is_none()).count();
        let is_known = WIDE_TRAITS.iter().any(|(name, _)| item.ident == name);
        if required > TRAIT_METHODS_MAX && !is_known {
            let wrong =
                format!("`{}` asks for {required}, at most {TRAIT_METHODS_MAX}", item.ident);
            self.findings.add(TRAIT, (&self.rust.path, Rust::line_of(&item.ident)), wrong);
        }
        for method in methods {
            self.parameters(&method.sig);
            self.function(&method.sig, method.default.as_ref());
        }
        visit::visit_item_trait(self, item);
    }
    fn visit_item_struct(&mut self, item: &'a syn::ItemStruct) {
        self.generics(&item.generics, &item.ident.to_string(), Rust::line_of(&item.ident));
    }
    fn visit_item_enum(&mut self, item: &'a syn::ItemEnum) {
        self.generics(&item.generics, &item.ident.to_string(), Rust::line_of(&item.ident));
    }
}
