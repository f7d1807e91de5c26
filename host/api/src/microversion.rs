//! Microversions: which form of the OpenStack API a client speaks.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;

/// The header that carries it, in both directions.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-openstack-manila-api-version");

/// A version of the API: 2.0 up to [`LATEST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Microversion {
    major: u16,
    minor: u16,
}

/// The newest form we speak. Clients take the smaller of theirs and ours. 2.73 is the oldest maximum at which every command of the
/// stock client works: before it, `snapshot create` of python-manilaclient 6.3 fails in the client itself.
pub const LATEST: Microversion = Microversion::new(2, 73);

/// The oldest form we speak, and the one meant by a request that names none.
pub(crate) const OLDEST: Microversion = Microversion::new(2, 0);

impl Microversion {
    pub(crate) const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// Whether this is 2.`minor` or newer.
    #[must_use]
    pub const fn at_least(self, minor: u16) -> bool {
        self.major > 2 || (self.major == 2 && self.minor >= minor)
    }

    /// What the request asks for.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, UnusableMicroversion> {
        let Some(text) = headers.get(HEADER) else { return Ok(OLDEST) };
        let text = text.to_str().map_err(|_| UnusableMicroversion::Malformed(String::new()))?;
        if text == "latest" {
            return Ok(LATEST);
        }
        let version = Self::parse(text)?;
        if version < OLDEST || version > LATEST {
            Err(UnusableMicroversion::Unsupported(version))
        } else {
            Ok(version)
        }
    }

    pub(crate) fn header_value(self) -> HeaderValue {
        // Digits and a dot are always a header value; the oldest version stands in for the impossible.
        HeaderValue::from_str(&self.to_string()).unwrap_or(HeaderValue::from_static("2.0"))
    }
}

/// A microversion header that cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnusableMicroversion {
    #[error("'{0}' is not a microversion; write MAJOR.MINOR, for example {LATEST}")]
    Malformed(String),
    #[error("version {0} is not supported; this server speaks {OLDEST} to {LATEST}")]
    Unsupported(Microversion),
}

impl fmt::Display for Microversion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

impl Microversion {
    fn parse(text: &str) -> Result<Self, UnusableMicroversion> {
        let malformed = || UnusableMicroversion::Malformed(text.chars().take(32).collect());
        let digits =
            |part: &str| part.parse::<u16>().ok().filter(|_| part.bytes().all(|byte| byte.is_ascii_digit()));
        let (major, minor) = text.split_once('.').ok_or_else(malformed)?;
        match (digits(major), digits(minor)) {
            (Some(major), Some(minor)) => Ok(Self { major, minor }),
            _ => Err(malformed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &'static str) -> Result<Microversion, UnusableMicroversion> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_static(text));
        Microversion::of(&headers)
    }

    #[test]
    fn a_request_without_a_version_speaks_the_oldest() {
        assert_eq!(Microversion::of(&HeaderMap::new()), Ok(OLDEST));
        assert_eq!(asked("latest"), Ok(LATEST));
    }

    #[test]
    fn a_version_beyond_ours_is_refused_with_the_range() {
        let refusal = asked("2.999").expect_err("too new");
        assert!(refusal.to_string().contains("2.0 to 2.73"));
        for text in ["2", "2.", "a.b", "2.+5", "2.-1", "99999999.1"] {
            assert!(asked(text).is_err(), "{text}");
        }
    }
}
