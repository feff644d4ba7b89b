//! Protected health information that cannot be printed by accident.
//!
//! Owns: the wrapper. Does not own: deciding who may read (`guard`) or recording it (`audit`).

use std::fmt;

/// A value that may identify a patient. `Debug` and `Display` show only its kind; reading it is the
/// one word [`Phi::disclose`], which a reviewer can search for.
///
/// ```
/// use systole_kit::Phi;
/// let name = Phi::new("patient name", "DOE^J".to_owned());
/// assert_eq!(format!("{name:?} {name}"), "<phi:patient name> <phi:patient name>");
/// assert_eq!(name.disclose(), "DOE^J");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Phi<T> {
    kind: &'static str,
    value: T,
}

impl<T> Phi<T> {
    /// `kind` says what sort of value this is and is printed in its place.
    pub const fn new(kind: &'static str, value: T) -> Self {
        Self { kind, value }
    }
    pub const fn kind(&self) -> &'static str {
        self.kind
    }
    /// The value itself. Only for code that hands it to someone entitled to it.
    pub const fn disclose(&self) -> &T {
        &self.value
    }
    pub fn disclose_owned(self) -> T {
        self.value
    }
}

impl<T> fmt::Debug for Phi<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<phi:{}>", self.kind)
    }
}
impl<T> fmt::Display for Phi<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
