//! The subject of a certificate, as Java prints it.
//!
//! Owns: finding the name in the certificate's bytes, and its text (RFC 2253, the form that Kafka
//! hands to its mapping rules). Does not own: whether the certificate is valid (the TLS library
//! checked it before).
//!
//! # Source  RFC 5280, RFC 2253; Java `X500Principal.getName`

use crate::NotProven;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_ID: u8 = 0x06;
const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const IA5: u8 = 0x16;
/// `[0]`, the version of a certificate.
const VERSION: u8 = 0xa0;

/// Attributes that RFC 2253 has words for.
const WORDS: [(&[u8], &str); 9] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
];

/// The subject's name: its parts from last to first, with commas between them.
pub fn subject(der: &[u8]) -> Result<String, NotProven> {
    let mut outer = Der(der);
    let mut signed = Der(Der(outer.expect(SEQUENCE)?).expect(SEQUENCE)?);
    if signed.0.first() == Some(&VERSION) {
        signed.expect(VERSION)?;
    }
    for _ in ["serial number", "signature", "issuer", "validity"] {
        signed.next()?;
    }
    let mut parts = Vec::new();
    let mut names = Der(signed.expect(SEQUENCE)?);
    while !names.0.is_empty() {
        let mut attributes = Der(names.expect(SET)?);
        let mut part = String::new();
        while !attributes.0.is_empty() {
            if !part.is_empty() {
                part.push('+');
            }
            attribute(attributes.expect(SEQUENCE)?, &mut part)?;
        }
        parts.push(part);
    }
    parts.reverse();
    Ok(parts.join(","))
}

fn attribute(der: &[u8], out: &mut String) -> Result<(), NotProven> {
    let mut der = Der(der);
    let id = der.expect(OBJECT_ID)?;
    let whole = der.0;
    let (tag, value) = der.next()?;
    let word = WORDS.iter().find(|(known, _)| *known == id).map(|it| it.1);
    let text = match tag {
        UTF8 | PRINTABLE | IA5 => str::from_utf8(value).ok(),
        _ => None,
    };
    if let (Some(word), Some(text)) = (word, text) {
        out.push_str(word);
        out.push('=');
        escape(text, out);
    } else {
        out.push_str(&word.map_or_else(|| dotted(id), str::to_owned));
        out.push_str("=#");
        out.extend(whole.iter().map(|it| format!("{it:02x}")));
    }
    Ok(())
}

fn escape(text: &str, out: &mut String) {
    let last = text.chars().count().saturating_sub(1);
    for (at, it) in text.chars().enumerate() {
        let is_edge = (at == 0 && matches!(it, ' ' | '#')) || (at == last && it == ' ');
        if is_edge || matches!(it, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            out.push('\\');
        }
        out.push(it);
    }
}

fn dotted(id: &[u8]) -> String {
    let mut numbers = Vec::new();
    let mut number = 0_u64;
    for byte in id {
        number = number.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if numbers.is_empty() {
                let first = (number / 40).min(2);
                numbers.push(first.to_string());
                number -= first * 40;
            }
            numbers.push(number.to_string());
            number = 0;
        }
    }
    numbers.join(".")
}

/// Elements of DER, one behind the other. Ends with an error wherever the bytes do.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn next(&mut self) -> Result<(u8, &'a [u8]), NotProven> {
        let (&[tag, first], mut rest) = self.0.split_first_chunk::<2>().ok_or(NotProven)?;
        let mut length = usize::from(first);
        if first & 0x80 != 0 {
            let count = usize::from(first & 0x7f);
            if !(1..=3).contains(&count) {
                return Err(NotProven);
            }
            let bytes;
            (bytes, rest) = rest.split_at_checked(count).ok_or(NotProven)?;
            length = bytes.iter().fold(0, |sum, it| sum << 8 | usize::from(*it));
        }
        let value;
        (value, self.0) = rest.split_at_checked(length).ok_or(NotProven)?;
        Ok((tag, value))
    }
    fn expect(&mut self, tag: u8) -> Result<&'a [u8], NotProven> {
        match self.next()? {
            (found, value) if found == tag => Ok(value),
            _ => Err(NotProven),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    fn der(names: &[(DnType, &str)]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in names {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_subject_is_printed_as_java_prints_it() {
        let mail = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
        let name = der(&[
            (DnType::CountryName, "US"),
            (DnType::OrganizationName, "Clinic, Inc."),
            (DnType::CommonName, " Zoë #1+"),
            (mail, "a@b"),
        ]);
        let expected = "1.2.840.113549.1.9.1=#0c03614062,CN=\\ Zoë #1\\+,O=Clinic\\, Inc.,C=US";
        assert_eq!(subject(&name).unwrap(), expected);
        assert_eq!(subject(&der(&[])).unwrap(), "");
    }

    #[test]
    fn bytes_that_are_no_certificate_are_an_error() {
        let whole = der(&[(DnType::CommonName, "alice")]);
        let end = whole.windows(5).rposition(|it| it == b"alice").unwrap();
        for length in 0..end {
            assert_eq!(subject(&whole[..length]), Err(NotProven), "{length}");
        }
        assert_eq!(subject(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), Err(NotProven));
    }
}
