//! Names that a topic may have.
//!
//! Owns: the rule and its reasons, in Kafka's words. Does not own: which topics exist.

/// A name may not be longer: with partition and suffix it must fit into a file name.
const LENGTH_MAX: usize = 249;

/// Why a name is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    #[error("the empty string is not allowed")]
    Empty,
    #[error("'{0}' is not allowed")]
    Dots(String),
    #[error("the length of '{name}' is longer than the max allowed length {LENGTH_MAX}")]
    TooLong { name: String },
    #[error(
        "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
    )]
    Character { name: String },
}

/// Checks a name that a client wants to give to a topic.
pub(crate) fn check(name: &str) -> Result<(), NameError> {
    let legal = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'_' | b'-');
    if name.is_empty() {
        Err(NameError::Empty)
    } else if name == "." || name == ".." {
        Err(NameError::Dots(name.to_owned()))
    } else if name.len() > LENGTH_MAX {
        Err(NameError::TooLong { name: name.chars().take(LENGTH_MAX).collect() })
    } else if name.bytes().all(legal) {
        Ok(())
    } else {
        Err(NameError::Character { name: name.escape_default().to_string() })
    }
}

/// The name as metrics of other tools show it: they cannot tell `.` from `_`, so two topics may not
/// differ in that alone.
pub(crate) fn without_dots(name: &str) -> String {
    name.replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn names_are_judged_as_kafka_judges_them() {
        let long = "x".repeat(250);
        let names = ["a.b_c-D9", "", ".", "..", "...", "a b", "ä", "a/b", &long[..249], &long];
        let judge = |it: &str| match check(it) {
            Ok(()) => format!("{it:.9}: fine\n"),
            Err(error) => format!("{it:.9}: {error:.60}\n"),
        };
        expect![[r#"
            a.b_c-D9: fine
            : the empty string is not allowed
            .: '.' is not allowed
            ..: '..' is not allowed
            ...: fine
            a b: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'
            ä: '\u{e4}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'
            a/b: 'a/b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'
            xxxxxxxxx: fine
            xxxxxxxxx: the length of 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' is longer than the max allowed length 249
        "#]]
        .assert_eq(&names.map(judge).concat());
    }
}
