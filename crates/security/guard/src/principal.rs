//! Who asks.
//!
//! Owns: the name of a caller as access lists write it. Does not own: how the caller proved it.

use std::fmt;

/// The kind of principal that Kafka has: others can be named in rules and never match.
const USER: &str = "User:";

/// `User:` and a name. Compared as text, as Kafka compares it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Principal(Box<str>);

/// The text is not `KIND:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a principal is written as User:NAME")]
pub struct NotAPrincipal;

impl Principal {
    /// Whoever did not say who they are.
    pub fn anonymous() -> Self {
        Self::user("ANONYMOUS")
    }
    pub fn user(name: &str) -> Self {
        Self(format!("{USER}{name}").into())
    }
    /// Reads `KIND:NAME`.
    pub fn parse(text: &str) -> Result<Self, NotAPrincipal> {
        match text.split_once(':') {
            Some((kind, name)) if !kind.is_empty() && !name.is_empty() => Ok(Self(text.into())),
            _ => Err(NotAPrincipal),
        }
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Without the kind.
    pub fn name(&self) -> &str {
        self.0.split_once(':').map_or("", |it| it.1)
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_colons() {
        let it = Principal::parse("User:CN=a:b,O=x").unwrap();
        assert_eq!((it.name(), it.to_string()), ("CN=a:b,O=x", "User:CN=a:b,O=x".to_owned()));
        assert_eq!(it, Principal::user("CN=a:b,O=x"));
        for wrong in ["", "alice", ":alice", "User:"] {
            assert_eq!(Principal::parse(wrong), Err(NotAPrincipal), "{wrong}");
        }
    }
}
