//! A strict reader of one JSON value that lies in memory.
//!
//! Owns: RFC 8259 syntax, duplicate members, depth, and the path of a fault. Does not own: finding
//! where a value ends in a stream ([`crate::input`]) or what members mean ([`crate::entry`]).
//!
//! Why not `serde_json` for this: values must be handed on byte for byte, members of any object may
//! not appear twice, and a fault must name its path. Strings with escapes are decoded by it.
//!
//! Invariants
//! - Total: any bytes give a value or a fault. Recursion is bounded by [`DEPTH_MAX`].
//! - A path is pushed before a value is read and popped after it, so a fault finds its path there.

use crate::problem::Reason;
use std::borrow::Cow;
use std::collections::HashSet;
use systole_kit::ByteSize;

/// How deep objects and arrays may nest within one entry or bare resource.
pub(crate) const DEPTH_MAX: usize = 128;
/// Up to this many members are compared one by one; above it by a hash set.
const MEMBERS_COMPARED_MAX: usize = 32;

/// What is wrong, where: an offset into the text that was given, and a path from its root.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) path: String,
    pub(crate) reason: Reason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    String,
    Other,
}

#[derive(Debug)]
pub(crate) struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    path: Vec<Step<'a>>,
    /// Names of the members seen so far in every open object, innermost last.
    names: Vec<Cow<'a, str>>,
}

/// A value that was read and may be read again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark<'a> {
    step: Step<'a>,
    at: usize,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Member(&'a [u8]),
    Index(usize),
}

impl<'a> Parser<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, path: Vec::new(), names: Vec::new() }
    }

    /// Offset of the next byte to read.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Skips white space and says what kind of value begins.
    pub(crate) fn kind(&mut self) -> Result<Kind, Fault> {
        match self.peek() {
            None => Err(self.fault(Reason::Truncated)),
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(_) => Ok(Kind::Other),
        }
    }

    /// Reads an object; `member` must read the value of each member.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &str) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.open(b'{', "an object")?;
        let first_name = self.names.len();
        let mut many: Option<HashSet<Cow<'a, str>>> = None;
        if !self.take_if(b'}') {
            loop {
                let start = self.name_start()?;
                let name = self.string()?;
                self.path.push(Step::Member(self.quoted(start)));
                self.remember(first_name, name.clone(), &mut many)
                    .map_err(|reason| self.fault_at(start, reason))?;
                if !self.take_if(b':') {
                    return Err(self.expected("expected a colon after a member name"));
                }
                member(self, &name)?;
                self.path.pop();
                if self.take_if(b'}') {
                    break;
                }
                if !self.take_if(b',') {
                    return Err(self.expected("expected a comma or } after a member"));
                }
            }
        }
        self.names.truncate(first_name);
        Ok(())
    }

    /// Reads an array; `item` must read each item.
    pub(crate) fn array(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.open(b'[', "an array")?;
        if self.take_if(b']') {
            return Ok(());
        }
        for index in 0.. {
            self.path.push(Step::Index(index));
            item(self)?;
            self.path.pop();
            if self.take_if(b']') {
                break;
            }
            if !self.take_if(b',') {
                return Err(self.expected("expected a comma or ] after an item"));
            }
        }
        Ok(())
    }

    /// Reads a string and decodes its escapes.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.wrong_kind("a string"));
        }
        let start = self.at;
        let escaped = self.string_end()?;
        let inside = self.quoted(start);
        let text = std::str::from_utf8(inside)
            .map_err(|error| self.fault_at(start + 1 + error.valid_up_to(), Reason::NotUtf8))?;
        if !escaped {
            return Ok(Cow::Borrowed(text));
        }
        let raw = self.text.get(start..self.at).unwrap_or_default();
        serde_json::from_slice(raw).map(Cow::Owned).map_err(|_| {
            self.fault_at(start, Reason::Syntax("an escape that is not a Unicode character"))
        })
    }

    /// As [`Self::string`], refused above `limit` bytes: what becomes a key or is remembered.
    pub(crate) fn short_string(&mut self, limit: ByteSize) -> Result<Cow<'a, str>, Fault> {
        self.kind()?;
        let start = self.at;
        let text = self.string()?;
        if text.len() as u64 > limit.bytes() {
            return Err(self.fault_at(start, Reason::TooLarge { limit }));
        }
        Ok(text)
    }

    /// Checks any value and forgets it; the text is the caller's by [`Self::since`].
    pub(crate) fn skip(&mut self) -> Result<(), Fault> {
        match self.kind()? {
            Kind::Object => self.object(|it, _| it.skip()),
            Kind::Array => self.array(Self::skip),
            Kind::String => self.skip_string(),
            Kind::Other => self.scalar(),
        }
    }

    /// The member or item that is about to be read, to come back to with [`Self::revisit`].
    pub(crate) fn mark(&self) -> Option<Mark<'a>> {
        self.path.last().map(|step| Mark { step: *step, at: self.at })
    }

    /// Reads a marked value again; must be called where the mark's container was read.
    pub(crate) fn revisit(
        &mut self,
        mark: Mark<'a>,
        read: impl FnOnce(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let here = std::mem::replace(&mut self.at, mark.at);
        self.path.push(mark.step);
        read(self)?;
        self.path.pop();
        self.at = here;
        Ok(())
    }

    /// The text from `start` up to here, exactly as in the input.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Nothing but white space may follow.
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.fault(Reason::Syntax("something follows the value"))),
        }
    }

    /// A fault at the next byte that says which kind of value FHIR has here.
    pub(crate) fn wrong_kind(&self, expected: &'static str) -> Fault {
        match self.text.get(self.at) {
            None => self.fault(Reason::Truncated),
            Some(_) => self.fault(Reason::WrongKind { expected }),
        }
    }

    pub(crate) fn fault(&self, reason: Reason) -> Fault {
        self.fault_at(self.at, reason)
    }

    pub(crate) fn fault_at(&self, at: usize, reason: Reason) -> Fault {
        Fault { at, path: render(&self.path), reason }
    }

    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    fn take_if(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn open(&mut self, bracket: u8, expected: &'static str) -> Result<(), Fault> {
        if self.path.len() >= DEPTH_MAX {
            return Err(self.fault(Reason::TooDeep { limit: DEPTH_MAX }));
        }
        if self.take_if(bracket) { Ok(()) } else { Err(self.wrong_kind(expected)) }
    }

    fn name_start(&mut self) -> Result<usize, Fault> {
        match self.peek() {
            Some(b'"') => Ok(self.at),
            _ => Err(self.expected("expected a member name in quotes")),
        }
    }

    fn remember(
        &mut self,
        first_name: usize,
        name: Cow<'a, str>,
        many: &mut Option<HashSet<Cow<'a, str>>>,
    ) -> Result<(), Reason> {
        let known = self.names.get(first_name..).unwrap_or_default();
        let is_new = match many {
            Some(many) => many.insert(name),
            None if known.contains(&name) => false,
            None if known.len() < MEMBERS_COMPARED_MAX => {
                self.names.push(name);
                true
            }
            None => {
                let set = many.insert(known.iter().cloned().collect());
                set.insert(name)
            }
        };
        if is_new { Ok(()) } else { Err(Reason::DuplicateMember) }
    }

    /// What lies between the quotes of the string that began at `start` and ends here.
    fn quoted(&self, start: usize) -> &'a [u8] {
        self.text.get(start + 1..self.at.saturating_sub(1)).unwrap_or_default()
    }

    fn skip_string(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.string_end()?;
        match std::str::from_utf8(self.quoted(start)) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.fault_at(start + 1 + error.valid_up_to(), Reason::NotUtf8)),
        }
    }

    /// Moves behind the closing quote and says whether an escape was met.
    fn string_end(&mut self) -> Result<bool, Fault> {
        self.at += 1; // the opening quote
        let mut escaped = false;
        loop {
            match self.text.get(self.at) {
                None => return Err(self.fault(Reason::Truncated)),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    self.escape()?;
                    escaped = true;
                }
                Some(0..=0x1f) => {
                    return Err(self.fault(Reason::Syntax("a control character in a string")));
                }
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        let digits = |it: &[u8]| it.iter().all(u8::is_ascii_hexdigit);
        match self.text.get(self.at + 1) {
            None => return Err(self.fault(Reason::Truncated)),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => match self.text.get(self.at + 2..self.at + 6) {
                Some(hex) if digits(hex) => self.at += 6,
                Some(_) => return Err(self.fault(Reason::Syntax("\\u without four hex digits"))),
                None => return Err(self.fault(Reason::Truncated)),
            },
            Some(_) => return Err(self.fault(Reason::Syntax("an unknown escape in a string"))),
        }
        Ok(())
    }

    /// `true`, `false`, `null` or a number.
    fn scalar(&mut self) -> Result<(), Fault> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        for word in [&b"true"[..], b"false", b"null"] {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(());
            }
        }
        match rest.first() {
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.expected("expected a value")),
        }
    }

    fn number(&mut self) -> Result<(), Fault> {
        let here = |it: &Self| it.text.get(it.at).copied();
        if here(self) == Some(b'-') {
            self.at += 1;
        }
        if here(self) == Some(b'0') {
            self.at += 1; // a leading zero stands alone
        } else {
            self.digits()?;
        }
        if here(self) == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(here(self), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(here(self), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|it| it.is_ascii_digit()).count();
        self.at += count;
        match count {
            0 if self.at == self.text.len() => Err(self.fault(Reason::Truncated)),
            0 => Err(self.fault(Reason::Syntax("a number without digits"))),
            _ => Ok(()),
        }
    }

    fn expected(&self, rule: &'static str) -> Fault {
        match self.text.get(self.at) {
            None => self.fault(Reason::Truncated),
            Some(byte) if *byte >= 0x80 => self.fault(Reason::NotUtf8),
            Some(_) => self.fault(Reason::Syntax(rule)),
        }
    }
}

/// The path below the root, `.resource.name[0]`. A name that is not like FHIR's element names may
/// be anybody's data and is not shown.
fn render(path: &[Step<'_>]) -> String {
    const STEPS_SHOWN_MAX: usize = 20;
    let mut shown = String::new();
    for (depth, step) in path.iter().enumerate() {
        if depth == STEPS_SHOWN_MAX {
            shown.push('…');
            break;
        }
        match step {
            Step::Index(index) => {
                shown.push('[');
                shown.push_str(&index.to_string());
                shown.push(']');
            }
            Step::Member(name) => {
                shown.push('.');
                shown.push_str(element_name(name).unwrap_or("?"));
            }
        }
    }
    shown
}

/// FHIR's element names: a lower-case letter, then letters; `_` before it for the twin that carries
/// a primitive's extensions; digits only in the type names `Base64Binary` and `Integer64`.
fn element_name(name: &[u8]) -> Option<&str> {
    const LENGTH_MAX: usize = 64;
    let text = std::str::from_utf8(name).ok().filter(|it| it.len() <= LENGTH_MAX)?;
    let bare = text.strip_prefix('_').unwrap_or(text).replacen("64", "", 1);
    let letters = bare.bytes().all(|it| it.is_ascii_alphabetic());
    (letters && bare.starts_with(|it: char| it.is_ascii_lowercase())).then_some(text)
}
