//! Wall-clock time for display and records, never for durations.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A moment of the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// Now, by the host's wall clock.
    #[must_use]
    pub fn now() -> Self {
        Self(jiff::Timestamp::now())
    }

    /// The moment `wait` from now; now if that lies beyond all calendars.
    #[must_use]
    pub fn after_now(wait: std::time::Duration) -> Self {
        let now = jiff::Timestamp::now();
        Self(now.checked_add(wait).unwrap_or(now))
    }

    /// The moment this many milliseconds after 1970-01-01 UTC; none beyond all calendars.
    #[must_use]
    pub fn from_milliseconds(milliseconds: u64) -> Option<Self> {
        let milliseconds = i64::try_from(milliseconds).ok()?;
        jiff::Timestamp::from_millisecond(milliseconds).ok().map(Self)
    }

    /// Milliseconds since 1970-01-01 UTC; 0 before that.
    #[must_use]
    pub fn milliseconds(self) -> u64 {
        u64::try_from(self.0.as_millisecond()).unwrap_or(0)
    }

    /// As the OpenStack API prints it: UTC without a zone, `2026-11-22T13:20:21.910759`.
    #[must_use]
    pub fn openstack(self) -> String {
        self.0.strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string()
    }

    /// The moment that a caller of the OpenStack API writes: a day (its first moment), or a day and a time; in UTC where no zone is named.
    /// None for anything else.
    #[must_use]
    pub fn from_openstack(text: &str) -> Option<Self> {
        let in_utc = || {
            let civil: jiff::civil::DateTime = text.parse().ok()?;
            jiff::tz::Offset::UTC.to_timestamp(civil).ok()
        };
        text.parse().ok().or_else(in_utc).map(Self)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_openstack_form_has_six_digits_and_no_zone() {
        let timestamp = Timestamp(jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(timestamp.openstack(), "1970-01-01T00:00:00.000000");
    }

    #[test]
    fn a_day_is_its_first_moment_and_no_zone_is_utc() {
        let printed = |text: &str| Timestamp::from_openstack(text).map(Timestamp::openstack);
        assert_eq!(printed("2026-11-22").as_deref(), Some("2026-11-22T00:00:00.000000"));
        assert_eq!(printed("2026-11-22T13:20:21.910759").as_deref(), Some("2026-11-22T13:20:21.910759"));
        assert_eq!(printed("2026-11-22T13:20:21+02:00").as_deref(), Some("2026-11-22T11:20:21.000000"));
        for no_moment in ["", "yesterday", "2026-13-01", "22.11.2026", "1795353621"] {
            assert_eq!(printed(no_moment), None, "{no_moment}");
        }
    }

    #[test]
    fn milliseconds_beyond_all_calendars_are_no_moment() {
        assert_eq!(Timestamp::from_milliseconds(1500).map(Timestamp::milliseconds), Some(1500));
        assert_eq!(Timestamp::from_milliseconds(u64::MAX), None);
    }
}
