//! Where a document is.
//!
//! Owns: which addresses are taken at all. Does not own: reaching them.

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use std::fmt;
use std::net::IpAddr;

/// `https://HOST[:PORT]/PATH`, or `http://` to this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    is_encrypted: bool,
    authority: Authority,
    header: HeaderValue,
    target: PathAndQuery,
}

/// The text is no address that may be fetched from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAUrl {
    #[error("it is no URL")]
    Syntax,
    #[error("it is neither https nor http")]
    Scheme,
    #[error("it holds a user or a password")]
    User,
    #[error("http would let anyone on the way change the document")]
    Readable,
}

impl Url {
    pub fn read(text: &str) -> Result<Self, NotAUrl> {
        let parts = text.parse::<Uri>().map_err(|_| NotAUrl::Syntax)?.into_parts();
        let (scheme, authority) = (parts.scheme, parts.authority);
        let (scheme, authority) = scheme.zip(authority).ok_or(NotAUrl::Syntax)?;
        if scheme != Scheme::HTTPS && scheme != Scheme::HTTP {
            return Err(NotAUrl::Scheme);
        }
        if authority.as_str().contains('@') {
            return Err(NotAUrl::User);
        }
        let header = HeaderValue::from_str(authority.as_str()).map_err(|_| NotAUrl::Syntax)?;
        let target = parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let url = Self { is_encrypted: scheme == Scheme::HTTPS, authority, header, target };
        if url.host().is_empty() {
            return Err(NotAUrl::Syntax);
        }
        if url.is_encrypted || url.is_near() { Ok(url) } else { Err(NotAUrl::Readable) }
    }

    fn is_near(&self) -> bool {
        let address = self.host().parse::<IpAddr>();
        self.host() == "localhost" || address.is_ok_and(|it| it.is_loopback())
    }
    pub(crate) const fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }
    /// Without the brackets of an IPv6 address.
    pub(crate) fn host(&self) -> &str {
        self.authority.host().trim_start_matches('[').trim_end_matches(']')
    }
    pub(crate) fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.is_encrypted { 443 } else { 80 })
    }
    /// The name that the server's certificate must bear.
    pub(crate) fn server_name(&self) -> Result<ServerName<'static>, InvalidDnsNameError> {
        ServerName::try_from(self.host().to_owned())
    }
    pub(crate) fn authority(&self) -> HeaderValue {
        self.header.clone()
    }
    pub(crate) fn target(&self) -> Uri {
        Uri::from(self.target.clone())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_encrypted { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_goes_anywhere_and_http_stays_on_this_machine() {
        for fine in [
            "https://id.example/keys?v=1",
            "https://id.example:8443/",
            "https://[2001:db8::1]/keys",
            "http://localhost:8080/keys",
            "http://127.0.0.1/keys",
            "http://[::1]:1/keys",
        ] {
            assert_eq!(Url::read(fine).unwrap().to_string(), fine);
        }
        for (wrong, why) in [
            ("", NotAUrl::Syntax),
            ("keys.json", NotAUrl::Syntax),
            ("/keys.json", NotAUrl::Syntax),
            ("https:///keys", NotAUrl::Syntax),
            ("ftp://id.example/keys", NotAUrl::Scheme),
            ("file:///etc/passwd", NotAUrl::Syntax),
            ("https://me:secret@id.example/keys", NotAUrl::User),
            ("http://id.example/keys", NotAUrl::Readable),
            ("http://127.0.0.1.id.example/keys", NotAUrl::Readable),
            ("http://169.254.169.254/latest", NotAUrl::Readable),
        ] {
            assert_eq!(Url::read(wrong), Err(why), "{wrong}");
        }
    }

    #[test]
    fn the_port_is_that_of_the_scheme_unless_it_is_said() {
        let port = |it| Url::read(it).unwrap().port();
        assert_eq!(port("https://id.example/"), 443);
        assert_eq!(port("http://localhost/"), 80);
        assert_eq!(port("https://id.example:8443/"), 8443);
        assert_eq!(Url::read("https://[::1]/").unwrap().host(), "::1");
    }
}
