//! Subscriptions by pattern.
//!
//! Owns: compiling and matching. A pattern comes from a client: its size is bounded, and matching
//! takes time linear in the topic's name, whatever the pattern.
//!
//! # Source  Kafka matches whole names with RE2/J; the crate `regex` reads the same syntax.

use super::Refused;
use regex::{Regex, RegexBuilder};
use systole_wire::ErrorCode;

/// Most letters of a pattern.
const PATTERN_LENGTH_MAX: usize = 4096;
/// Most memory of a compiled pattern, in bytes.
const COMPILED_BYTES_MAX: usize = 1024 * 1024;

/// Reads `pattern` so that it matches whole names.
pub(super) fn compile(pattern: &str) -> Result<Regex, Refused> {
    let refuse = || {
        let message = "SubscribedTopicRegex is not a valid regular expression.";
        Refused::new(ErrorCode::InvalidRegularExpression, message)
    };
    if pattern.len() > PATTERN_LENGTH_MAX {
        return Err(refuse());
    }
    // Alone first: `a)(b` must not become valid by what is put around it.
    let build = |text: &str| RegexBuilder::new(text).size_limit(COMPILED_BYTES_MAX).build();
    build(pattern).map_err(|_| refuse())?;
    build(&format!("^(?:{pattern})$")).map_err(|_| refuse())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names_or_is_refused() {
        let matches = |pattern: &str, name: &str| compile(pattern).unwrap().is_match(name);
        assert!(matches("a|b", "a") && matches("a|b", "b") && !matches("a|b", "ab"));
        assert!(matches("clinical\\..*", "clinical.observation"));
        for bad in ["(", "a)(b", "(?=x)", "x{1000}{1000}{1000}", &"a".repeat(5000)] {
            let code = compile(bad).unwrap_err().code;
            assert_eq!(code, ErrorCode::InvalidRegularExpression, "{bad:.20}");
        }
    }
}
