//! SASL PLAIN: user and password as they are. Worth something under TLS only.
//!
//! Owns: reading the message. Does not own: who may log in.
//!
//! # Source  RFC 4616

use crate::NotProven;
use std::fmt;

/// What the client claims.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    pub user: &'a str,
    pub password: &'a [u8],
}

impl fmt::Debug for Claim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<claim of {} with a password>", self.user)
    }
}

/// Reads `[authorization id] NUL user NUL password`. As in Kafka, acting for another user is
/// refused.
pub fn read(message: &[u8]) -> Result<Claim<'_>, NotProven> {
    let mut parts = message.split(|it| *it == 0);
    let mut part = || parts.next().ok_or(NotProven);
    let (acting_for, user, password) = (part()?, part()?, part()?);
    let is_alone = acting_for.is_empty() || acting_for == user;
    if parts.next().is_some() || user.is_empty() || password.is_empty() || !is_alone {
        return Err(NotProven);
    }
    let user = str::from_utf8(user).map_err(|_| NotProven)?;
    Ok(Claim { user, password })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_has_three_parts() {
        let read = |it: &'static str| read(it.as_bytes()).ok().map(|it| (it.user, it.password));
        assert_eq!(read("\0alice\0pw"), Some(("alice", &b"pw"[..])));
        assert_eq!(read("alice\0alice\0pw"), Some(("alice", &b"pw"[..])));
        for wrong in ["", "alice", "\0alice", "\0alice\0", "\0\0pw", "bob\0alice\0pw", "\0a\0b\0c"]
        {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
