//! Stable error codes and what the caller can do about them.
//!
//! Owns: the form of a code (`SYS-nnnn`) and the closed set of remedies. Does not own: the errors
//! themselves (each module has its own enum) or their pages (`docs/errors/`).

use std::fmt;

/// The stable number of one kind of failure, shown as `SYS-1203`. Each has a page in
/// `docs/errors/`; a number is never given to another failure later.
///
/// The thousands tell the area: 1 foundation and start-up, 2 wire and broker, 3 log, 4 client,
/// 5 FHIR, 6 gateway, 9 command line.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(u16);

impl Code {
    /// `number` is 1000..=9999, so that every code has four digits; checked at compile time when
    /// used in a `const`.
    pub const fn new(number: u16) -> Self {
        assert!(number >= 1000 && number <= 9999, "an error code has four digits");
        Self(number)
    }
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SYS-{}", self.0)
    }
}
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What the caller can do. Small on purpose: a new variant needs an ADR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// Nothing is wrong with the request; the same request may succeed later.
    Retry,
    /// The request can never succeed as it is.
    FixRequest,
    /// A setting is wrong; the process must be started with another one.
    FixConfig,
    /// Two sides disagree (a version conflict, a fenced writer): read again, then decide.
    Resolve,
    /// Someone must look at the machine: disk, memory, damaged file.
    Operator,
}
