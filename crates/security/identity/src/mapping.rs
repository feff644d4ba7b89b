//! From the name in a certificate to a user, by rules in Kafka's syntax.
//!
//! Owns: reading and applying `ssl.principal.mapping.rules`. Does not own: the name
//! ([`crate::certificate`]).
//!
//! `DEFAULT` is the name as it is. `RULE:PATTERN/REPLACEMENT/` applies where the pattern matches
//! the whole name; `L` or `U` behind the last slash makes the result lower or upper case. The first
//! rule that applies wins. Patterns have no look-around and no back-references, so no name can make
//! matching slow.
//!
//! # Source  Kafka KIP-371, KIP-411

use regex::Regex;

/// Compiled patterns may be so large, in bytes.
const PATTERN_BYTES_MAX: usize = 64 * 1024;

/// The rules, in order.
#[derive(Debug, Clone)]
pub struct Rules(Vec<Rule>);

#[derive(Debug, Clone)]
enum Rule {
    Default,
    Replace { pattern: Regex, replacement: String, case: Case },
}

#[derive(Debug, Clone, Copy)]
enum Case {
    AsIs,
    Lower,
    Upper,
}

#[derive(Debug, thiserror::Error)]
pub enum NotARule {
    #[error("`{0}` is neither DEFAULT nor RULE:PATTERN/REPLACEMENT/[L or U]")]
    Form(String),
    #[error("the pattern of `{rule}` cannot be used: {source}")]
    Pattern { rule: String, source: regex::Error },
}

impl Rules {
    pub fn read<'a>(rules: impl IntoIterator<Item = &'a str>) -> Result<Self, NotARule> {
        rules.into_iter().map(Rule::read).collect::<Result<_, _>>().map(Self)
    }

    /// The user behind a name. `None`: no rule applies, and the caller is nobody.
    pub fn apply(&self, name: &str) -> Option<String> {
        self.0.iter().find_map(|it| it.apply(name))
    }
}

impl Rule {
    fn read(text: &str) -> Result<Self, NotARule> {
        let text = text.trim();
        if text == "DEFAULT" {
            return Ok(Self::Default);
        }
        let wrong = || NotARule::Form(text.to_owned());
        let rest = text.strip_prefix("RULE:").ok_or_else(wrong)?;
        let mut parts = split(rest).into_iter();
        let (Some(pattern), Some(replacement), case, None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        let case = match case {
            Some("") | None => Case::AsIs,
            Some("L") => Case::Lower,
            Some("U") => Case::Upper,
            Some(_) => return Err(wrong()),
        };
        let whole = format!("^(?:{})$", pattern.replace("\\/", "/"));
        let pattern = regex::RegexBuilder::new(&whole).size_limit(PATTERN_BYTES_MAX).build();
        let pattern =
            pattern.map_err(|source| NotARule::Pattern { rule: text.to_owned(), source })?;
        Ok(Self::Replace { pattern, replacement: with_braces(replacement), case })
    }

    fn apply(&self, name: &str) -> Option<String> {
        match self {
            Self::Default => Some(name.to_owned()),
            Self::Replace { pattern, replacement, case } => {
                let found = pattern.captures(name)?;
                let mut user = String::new();
                found.expand(replacement, &mut user);
                let user = match case {
                    Case::AsIs => user,
                    Case::Lower => user.to_lowercase(),
                    Case::Upper => user.to_uppercase(),
                };
                Some(user).filter(|it| !it.is_empty())
            }
        }
    }
}

/// At slashes that no backslash stands before.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut from, mut is_escaped) = (0, false);
    for (at, it) in text.char_indices() {
        if it == '/' && !is_escaped {
            parts.push(text.get(from..at).unwrap_or_default());
            from = at + 1;
        }
        is_escaped = it == '\\' && !is_escaped;
    }
    parts.push(text.get(from..).unwrap_or_default());
    parts
}

/// `$1x` means group 1 and an x, as in Java.
fn with_braces(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars().peekable();
    while let Some(it) = rest.next() {
        out.push(it);
        if it == '$'
            && let Some(digit) = rest.next_if(char::is_ascii_digit)
        {
            out.extend(['{', digit, '}']);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    const NAME: &str = "CN=Lab-7,OU=Devices,O=Clinic,C=US";

    #[track_caller]
    fn check(rules: &[&str], expected: Option<&str>) {
        let rules = Rules::read(rules.iter().copied()).unwrap();
        assert_eq!(rules.apply(NAME).as_deref(), expected);
    }

    #[test]
    fn the_first_rule_that_matches_the_whole_name_wins() {
        check(&["DEFAULT"], Some(NAME));
        check(&["RULE:^CN=(.*?),OU=Devices.*$/$1/"], Some("Lab-7"));
        check(&["RULE:CN=(.*?),OU=(.*?),.*/$1@$2/L"], Some("lab-7@devices"));
        check(&["RULE:CN=(.*?),.*/$1x/U"], Some("LAB-7X"));
        check(&["RULE:CN=(.*?),OU=Users.*/$1/", "DEFAULT"], Some(NAME));
        check(&["RULE:CN=Lab/$1/"], None);
        check(&["RULE:.*/no\\/body/"], Some("no\\/body"));
        check(&["RULE:.*//"], None);
        check(&[], None);
    }

    #[test]
    fn what_is_no_rule_is_told() {
        let wrong =
            |it: &str| Rules::read([it]).unwrap_err().to_string().lines().next().map(str::to_owned);
        expect!["`default` is neither DEFAULT nor RULE:PATTERN/REPLACEMENT/[L or U]"]
            .assert_eq(&wrong("default").unwrap());
        for it in ["RULE:a", "RULE:a/b/X", "RULE:a/b/L/c", "RULE:(/b/", "RULE:(?=a)b/c/"] {
            assert!(Rules::read([it]).is_err(), "{it}");
        }
    }
}
