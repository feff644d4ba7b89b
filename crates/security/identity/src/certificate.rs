//! The subject of a certificate, as Java prints it, and when certificates and lists of revoked ones
//! end.
//!
//! Owns: finding both in the bytes, and the text of the name (RFC 2253, the form that Kafka hands
//! to its mapping rules). Does not own: whether the certificate is valid (the TLS library checked
//! it before).
//!
//! # Source  RFC 5280, RFC 2253; Java `X500Principal.getName`

use crate::NotProven;
use systole_kit::Timestamp;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_ID: u8 = 0x06;
const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const IA5: u8 = 0x16;
const INTEGER: u8 = 0x02;
/// Years with two digits; 50 and above are of the last century.
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
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

/// The last moment at which the certificate is good.
pub fn not_after(der: &[u8]) -> Result<Timestamp, NotProven> {
    let mut outer = Der(der);
    let mut signed = Der(Der(outer.expect(SEQUENCE)?).expect(SEQUENCE)?);
    if signed.0.first() == Some(&VERSION) {
        signed.expect(VERSION)?;
    }
    for _ in ["serial number", "signature", "issuer"] {
        signed.next()?;
    }
    let mut validity = Der(signed.expect(SEQUENCE)?);
    validity.next()?;
    instant(validity.next()?)
}

/// When a list of revoked certificates must be followed by the next one; RFC 5280 wants every list
/// to say so.
pub fn next_update(der: &[u8]) -> Result<Timestamp, NotProven> {
    let mut outer = Der(der);
    let mut signed = Der(Der(outer.expect(SEQUENCE)?).expect(SEQUENCE)?);
    if signed.0.first() == Some(&INTEGER) {
        signed.next()?;
    }
    for _ in ["signature", "issuer", "this update"] {
        signed.next()?;
    }
    instant(signed.next()?)
}

/// Both forms end with `Z` and have seconds.
fn instant((tag, value): (u8, &[u8])) -> Result<Timestamp, NotProven> {
    let text = str::from_utf8(value).ok().and_then(|it| it.strip_suffix('Z')).ok_or(NotProven)?;
    if !text.bytes().all(|it| it.is_ascii_digit()) {
        return Err(NotProven);
    }
    let (years, rest) = match tag {
        UTC_TIME => text.split_at_checked(2),
        GENERALIZED_TIME => text.split_at_checked(4),
        _ => None,
    }
    .ok_or(NotProven)?;
    let number = |text: &str| text.parse::<i64>().map_err(|_| NotProven);
    let mut year = number(years)?;
    if tag == UTC_TIME {
        year += if year >= 50 { 1900 } else { 2000 };
    }
    let mut parts = [0; 5];
    let mut rest = rest;
    for part in &mut parts {
        let digits;
        (digits, rest) = rest.split_at_checked(2).ok_or(NotProven)?;
        *part = number(digits)?;
    }
    let [month, day, hours, minutes, seconds] = parts;
    let is_date = (1..=12).contains(&month) && (1..=31).contains(&day);
    if !rest.is_empty() || !is_date {
        return Err(NotProven);
    }
    let minutes = (days_since_1970(year, month, day) * 24 + hours) * 60 + minutes;
    Ok(Timestamp::from_millis((minutes * 60 + seconds) * 1000))
}

/// In the Gregorian calendar. Years begin with March here, so that the day that some have comes
/// last; 400 of them have 146,097 days, and 719,468 days lie before 1970.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before = year * 365 + year / 4 - year / 100 + year / 400;
    before + (month * 153 + 2) / 5 + day - 1 - 719_468
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
    fn the_end_of_a_certificate_is_read_in_both_forms() {
        for (year, month, day, millis) in [
            (2024, 2, 29, 1_709_164_800_000),
            (2049, 12, 31, 2_524_521_600_000),
            (2050, 1, 1, 2_524_608_000_000), // from here on with four digits
            (2100, 3, 1, 4_107_542_400_000),
            (1999, 12, 31, 946_598_400_000),
        ] {
            let mut params = CertificateParams::default();
            params.not_before = rcgen::date_time_ymd(1971, 1, 1);
            params.not_after = rcgen::date_time_ymd(year, month, day);
            let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            assert_eq!(not_after(der.der()), Ok(Timestamp::from_millis(millis)), "{year}");
        }
        let time = |it: &str| instant((UTC_TIME, it.as_bytes()));
        assert_eq!(time("700101000001Z"), Ok(Timestamp::from_millis(1000)));
        for wrong in ["", "Z", "700101000001", "70010100000Z", "7001010000011Z", "701301000001Z"] {
            assert_eq!(time(wrong), Err(NotProven), "{wrong}");
        }
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
