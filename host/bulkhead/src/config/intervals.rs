//! How often the daemon looks at its backends by itself.

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use std::fmt;
use std::time::Duration;

/// The longest interval, in seconds: a day.
const LONGEST_SECONDS: u64 = 86_400;

/// Seconds: a whole number from `LEAST` to a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seconds<const LEAST: u64 = 1>(u64);

impl<const LEAST: u64> Seconds<LEAST> {
    const fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl<'de, const LEAST: u64> Deserialize<'de> for Seconds<LEAST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i64(SecondsVisitor::<LEAST>)
    }
}

/// Says what to write in words of ours: serde's own name the type.
struct SecondsVisitor<const LEAST: u64>;

impl<const LEAST: u64> Visitor<'_> for SecondsVisitor<LEAST> {
    type Value = Seconds<LEAST>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a whole number of seconds from {LEAST} to {LONGEST_SECONDS}, without quotes")
    }

    fn visit_i64<E: Error>(self, written: i64) -> Result<Self::Value, E> {
        let seconds =
            u64::try_from(written).ok().filter(|seconds| (LEAST..=LONGEST_SECONDS).contains(seconds));
        seconds.map(Seconds).ok_or_else(|| E::invalid_value(Unexpected::Signed(written), &self))
    }
}

/// The table `[intervals]`; all figures in seconds, 1 to 86,400 where nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Intervals {
    /// Between two readings of a backend's statistics and fingerprint (60).
    statistics_seconds: Seconds,
    /// Between two ensurings of a backend's shares (300).
    reconcile_seconds: Seconds,
    /// Between two looks at replicas that are not active (300).
    replica_seconds: Seconds,
    /// Between two questions how far a share is that its backend makes or reverts by itself (60).
    share_status_seconds: Seconds,
    /// Between two looks at a migration that its backend carries on (60).
    migration_seconds: Seconds,
    /// Between two readings of what shares use; none reads none. 300 is what Manila takes.
    usage_seconds: Option<Seconds>,
    /// For how long nothing must be on a share server before it is torn down; 0 tears it down with its last share (600).
    unused_share_server_seconds: Seconds<0>,
    /// Between two rounds of the operator's hooks; none runs none. 300 is what Manila takes.
    hook_seconds: Option<Seconds>,
}

impl Default for Intervals {
    fn default() -> Self {
        Self {
            statistics_seconds: Seconds(60),
            reconcile_seconds: Seconds(300),
            replica_seconds: Seconds(300),
            share_status_seconds: Seconds(60),
            migration_seconds: Seconds(60),
            usage_seconds: None,
            unused_share_server_seconds: Seconds(600),
            hook_seconds: None,
        }
    }
}

impl Intervals {
    pub(crate) const fn statistics(&self) -> Duration {
        self.statistics_seconds.duration()
    }

    pub(crate) const fn reconcile(&self) -> Duration {
        self.reconcile_seconds.duration()
    }

    pub(crate) const fn replica(&self) -> Duration {
        self.replica_seconds.duration()
    }

    pub(crate) const fn share_status(&self) -> Duration {
        self.share_status_seconds.duration()
    }

    pub(crate) const fn migration(&self) -> Duration {
        self.migration_seconds.duration()
    }

    pub(crate) fn usage(&self) -> Option<Duration> {
        self.usage_seconds.map(Seconds::duration)
    }

    pub(crate) const fn unused_share_server(&self) -> Duration {
        self.unused_share_server_seconds.duration()
    }

    pub(crate) fn hook(&self) -> Option<Duration> {
        self.hook_seconds.map(Seconds::duration)
    }
}
