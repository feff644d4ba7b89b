//! What a rule says when it is broken.
//!
//! Owns: the rule's name and cure, the place, and how they print. Does not own: any rule.

use std::fmt;

/// One house rule: its short name and what to do when it is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) cure: &'static str,
}

/// One broken rule at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    rule: Rule,
    wrong: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, rule, wrong } = self;
        write!(f, "{path}:{line}: {}: {wrong}; {}", rule.name, rule.cure)
    }
}

/// Everything that was found, in the order of the rules.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn add(&mut self, rule: Rule, (path, line): (&str, usize), wrong: String) {
        self.0.push(Finding { path: path.to_owned(), line, rule, wrong });
    }
    pub(crate) fn into_vec(self) -> Vec<Finding> {
        self.0
    }
}
