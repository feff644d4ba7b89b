//! A Rust file as the rules look at it: syntax tree, flat tokens, and which lines are tests.
//!
//! Owns: parsing, and telling code from comments, text and tests. Does not own: any rule.

use super::tree::{File, Role};
use anyhow::Context as _;
use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};
use std::ops::RangeInclusive;
use syn::spanned::Spanned as _;
use syn::visit::Visit;

/// One token outside comments. `::` is one token.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
    pub(crate) is_literal: bool,
    /// The name after the last `fn` before this token.
    pub(crate) function: String,
}

pub(crate) struct Rust {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) role: Role,
    pub(crate) ast: syn::File,
    pub(crate) tokens: Vec<Token>,
    /// Lines of `#[cfg(test)]` modules.
    pub(crate) test_lines: Vec<RangeInclusive<usize>>,
}

impl Rust {
    pub(crate) fn parse(file: &File) -> anyhow::Result<Self> {
        let ast =
            syn::parse_file(&file.text).with_context(|| format!("cannot parse {}", file.path))?;
        let stream: TokenStream =
            file.text.parse().ok().with_context(|| format!("cannot read {}", file.path))?;
        let mut flat = Flat::default();
        flat.walk(stream);
        let mut tests = TestModules::default();
        tests.visit_file(&ast);
        Ok(Self {
            path: file.path.clone(),
            text: file.text.clone(),
            role: file.role(),
            ast,
            tokens: flat.tokens,
            test_lines: tests.0,
        })
    }
    pub(crate) fn is_test(&self, line: usize) -> bool {
        self.role == Role::Test || self.test_lines.iter().any(|it| it.contains(&line))
    }
    /// First tokens of every place where the code (not a comment, not a text) reads `words`.
    pub(crate) fn find(&self, words: &'static [&'static str]) -> impl Iterator<Item = &Token> {
        let reads = move |at: &[Token]| at.iter().zip(words).all(|(it, word)| it.text == *word);
        self.tokens.windows(words.len()).filter(move |it| reads(it)).filter_map(|it| it.first())
    }
    pub(crate) fn line_of(span: &impl syn::spanned::Spanned) -> usize {
        span.span().start().line
    }
}

#[derive(Default)]
struct Flat {
    tokens: Vec<Token>,
    function: String,
}

impl Flat {
    fn walk(&mut self, stream: TokenStream) {
        let mut trees = stream.into_iter().peekable();
        while let Some(tree) = trees.next() {
            let line = tree.span().start().line;
            match tree {
                TokenTree::Group(group) => self.group(&group),
                TokenTree::Ident(ident) => {
                    if self.tokens.last().is_some_and(|it| it.text == "fn") {
                        self.function = ident.to_string();
                    }
                    self.push(ident.to_string(), line, false);
                }
                TokenTree::Literal(literal) => self.push(literal.to_string(), line, true),
                TokenTree::Punct(punct) => {
                    let doubled = punct.as_char() == ':' && punct.spacing() == Spacing::Joint;
                    let next = trees.next_if(|it| doubled && it.to_string() == ":");
                    let text = if next.is_some() { "::".into() } else { punct.to_string() };
                    self.push(text, line, false);
                }
            }
        }
    }
    fn group(&mut self, group: &Group) {
        let first = group.stream().into_iter().next().map(|it| it.to_string());
        let after_hash = self.tokens.last().is_some_and(|it| it.text == "#" || it.text == "!");
        if after_hash && first.as_deref() == Some("doc") {
            return; // a doc comment
        }
        let (open, close) = match group.delimiter() {
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::Brace => ("{", "}"),
            Delimiter::Bracket => ("[", "]"),
            Delimiter::None => ("", ""),
        };
        self.push(open.into(), group.span_open().start().line, false);
        self.walk(group.stream());
        self.push(close.into(), group.span_close().start().line, false);
    }
    fn push(&mut self, text: String, line: usize, is_literal: bool) {
        self.tokens.push(Token { text, line, is_literal, function: self.function.clone() });
    }
}

#[derive(Default)]
struct TestModules(Vec<RangeInclusive<usize>>);

impl<'a> Visit<'a> for TestModules {
    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        let is_cfg_test = |it: &syn::Attribute| {
            it.path().is_ident("cfg")
                && it.meta.require_list().is_ok_and(|it| it.tokens.to_string().contains("test"))
        };
        if module.attrs.iter().any(is_cfg_test) {
            self.0.push(module.span().start().line..=module.span().end().line);
        } else {
            syn::visit::visit_item_mod(self, module);
        }
    }
}
