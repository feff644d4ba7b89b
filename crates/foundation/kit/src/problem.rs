//! All problems of one input at once, instead of the first one only.
//!
//! Owns: collecting and printing. Does not own: finding problems.

use std::fmt;

/// Problems found while checking a configuration or a document. Each names the place (a dotted
/// path), what is wrong and what to write instead.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    found: Vec<Problem>,
    prefix: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Dotted path of the place, for example `broker.port`.
    pub place: String,
    /// One sentence: what is wrong.
    pub wrong: String,
    /// One sentence: what to write instead.
    pub cure: String,
}

impl Problems {
    pub fn add(&mut self, place: &str, wrong: impl Into<String>, cure: impl Into<String>) {
        let mut path = self.prefix.clone();
        path.push(place.to_owned());
        self.found.push(Problem { place: path.join("."), wrong: wrong.into(), cure: cure.into() });
    }
    /// Runs `check` with `section` put before every place that it reports.
    pub fn within(&mut self, section: &str, check: impl FnOnce(&mut Self)) {
        self.prefix.push(section.to_owned());
        check(self);
        self.prefix.pop();
    }
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.found.iter()
    }
    /// `Err` with everything that was found, or `Ok`.
    pub fn into_result(self) -> Result<(), Self> {
        if self.found.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.found.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            write!(f, "{}: {}; {}", problem.place, problem.wrong, problem.cure)?;
        }
        Ok(())
    }
}
impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_reported_with_its_full_place() {
        let mut problems = Problems::default();
        problems.within("broker", |it| {
            it.add("port", "70000 is not a port", "use 0..=65535");
            it.within("log", |it| it.add("dir", "is empty", "name a directory"));
        });
        problems.add("data", "is missing", "give --data DIR");
        assert_eq!(
            problems.into_result().unwrap_err().to_string(),
            "broker.port: 70000 is not a port; use 0..=65535\n\
             broker.log.dir: is empty; name a directory\n\
             data: is missing; give --data DIR"
        );
    }
}
