//! Which events a follower wants.
//!
//! Owns: the pattern. Does not own: where the attribute comes from.

use crate::error::Error;

/// An exact value, or a prefix if the pattern ends in `*`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Pattern {
    Exact(String),
    Prefix(String),
}

/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1024;

impl Pattern {
    pub(crate) fn parse(text: String) -> Result<Self, Error> {
        if text.is_empty() || text.len() > PATTERN_BYTES_MAX {
            return Err(Error::Query("a filter is 1 to 1024 bytes"));
        }
        match text.strip_suffix('*') {
            Some(prefix) if prefix.contains('*') => {
                Err(Error::Query("a filter has one * and has it at its end"))
            }
            Some(prefix) => Ok(Self::Prefix(prefix.to_owned())),
            None if text.contains('*') => {
                Err(Error::Query("a filter has one * and has it at its end"))
            }
            None => Ok(Self::Exact(text)),
        }
    }

    fn matches(&self, value: Option<&str>) -> bool {
        value.is_some_and(|value| match self {
            Self::Exact(it) => it == value,
            Self::Prefix(it) => value.starts_with(it),
        })
    }
}

impl std::fmt::Debug for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Exact(_) => "Exact",
            Self::Prefix(_) => "Prefix",
        })
    }
}

/// All that are given must match.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) type_: Option<Pattern>,
    pub(crate) subject: Option<Pattern>,
}

impl Filter {
    pub(crate) fn matches(&self, type_: Option<&str>, subject: Option<&str>) -> bool {
        let fits =
            |pattern: &Option<Pattern>, value| pattern.as_ref().is_none_or(|it| it.matches(value));
        fits(&self.type_, type_) && fits(&self.subject, subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_at_the_end_makes_a_prefix_and_anywhere_else_an_error() {
        let parse = |it: &str| Pattern::parse(it.to_owned());
        assert!(parse("a.b").unwrap().matches(Some("a.b")));
        assert!(!parse("a.b").unwrap().matches(Some("a.b.c")));
        assert!(parse("a.*").unwrap().matches(Some("a.b.c")));
        assert!(parse("*").unwrap().matches(Some("")));
        assert!(!parse("*").unwrap().matches(None));
        assert!(parse("a*b").is_err() && parse("**").is_err() && parse("").is_err());
    }
}
