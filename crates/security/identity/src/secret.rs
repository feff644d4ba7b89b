//! Text that may not be printed.
//!
//! Owns: hiding it, and comparing without telling where a guess went wrong.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use std::fmt;

/// A password, or another text that proves something.
#[derive(Clone)]
pub struct Secret(Box<str>);

impl Secret {
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }
    /// Reading it is one word that can be searched for.
    pub fn disclose(&self) -> &str {
        &self.0
    }
    /// The time taken tells neither the length of the secret nor where the guess differs.
    pub fn is(&self, guess: &[u8]) -> bool {
        let hash = |it: &[u8]| digest::digest(&digest::SHA256, it);
        verify_slices_are_equal(hash(self.0.as_bytes()).as_ref(), hash(guess).as_ref()).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_itself_and_is_not_printed() {
        let it = Secret::new("open sesame");
        assert!(it.is(b"open sesame") && !it.is(b"open") && !it.is(b""));
        assert_eq!(format!("{it:?}"), "<secret>");
    }
}
