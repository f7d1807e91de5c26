//! How often the daemon looks at its backends by itself.

use bulkhead_package::toml_file::{Finding, Step};
use serde::Deserialize;
use std::time::Duration;

/// The longest interval, in seconds: a day.
const LONGEST_SECONDS: u64 = 86_400;

/// The table `[intervals]`; all figures in seconds, 1 to 86,400 where nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Intervals {
    /// Between two readings of a backend's statistics and fingerprint (60).
    pub(crate) statistics_seconds: u64,
    /// Between two ensurings of a backend's shares (300).
    pub(crate) reconcile_seconds: u64,
    /// Between two looks at replicas that are not active (300).
    pub(crate) replica_seconds: u64,
    /// Between two questions how far a share is that its backend makes or reverts by itself (60).
    pub(crate) share_status_seconds: u64,
    /// Between two looks at a migration that its backend carries on (60).
    pub(crate) migration_seconds: u64,
    /// Between two readings of what shares use; none reads none. 300 is what Manila takes.
    pub(crate) usage_seconds: Option<u64>,
    /// For how long nothing must be on a share server before it is torn down; 0 tears it down with its last share (600).
    pub(crate) unused_share_server_seconds: u64,
    /// Between two rounds of the operator's hooks; none runs none. 300 is what Manila takes.
    pub(crate) hook_seconds: Option<u64>,
}

impl Default for Intervals {
    fn default() -> Self {
        Self {
            statistics_seconds: 60,
            reconcile_seconds: 300,
            replica_seconds: 300,
            share_status_seconds: 60,
            migration_seconds: 60,
            usage_seconds: None,
            unused_share_server_seconds: 600,
            hook_seconds: None,
        }
    }
}

impl Intervals {
    pub(crate) const fn statistics(&self) -> Duration {
        Duration::from_secs(self.statistics_seconds)
    }

    pub(crate) const fn reconcile(&self) -> Duration {
        Duration::from_secs(self.reconcile_seconds)
    }

    pub(crate) const fn replica(&self) -> Duration {
        Duration::from_secs(self.replica_seconds)
    }

    pub(crate) const fn share_status(&self) -> Duration {
        Duration::from_secs(self.share_status_seconds)
    }

    pub(crate) const fn migration(&self) -> Duration {
        Duration::from_secs(self.migration_seconds)
    }

    pub(crate) fn usage(&self) -> Option<Duration> {
        self.usage_seconds.map(Duration::from_secs)
    }

    pub(crate) const fn unused_share_server(&self) -> Duration {
        Duration::from_secs(self.unused_share_server_seconds)
    }

    pub(crate) fn hook(&self) -> Option<Duration> {
        self.hook_seconds.map(Duration::from_secs)
    }

    /// What is out of bounds.
    pub(super) fn check(&self) -> Vec<Finding> {
        let figures = [
            ("statistics-seconds", Some(self.statistics_seconds)),
            ("reconcile-seconds", Some(self.reconcile_seconds)),
            ("replica-seconds", Some(self.replica_seconds)),
            ("share-status-seconds", Some(self.share_status_seconds)),
            ("migration-seconds", Some(self.migration_seconds)),
            ("usage-seconds", self.usage_seconds),
            ("hook-seconds", self.hook_seconds),
            // The only one that may be nothing.
            ("unused-share-server-seconds", Some(self.unused_share_server_seconds.max(1))),
        ];
        let unfit = figures
            .into_iter()
            .filter(|(_, seconds)| seconds.is_some_and(|seconds| !(1..=LONGEST_SECONDS).contains(&seconds)));
        unfit
            .map(|(name, _)| {
                let path = vec![Step::from("intervals"), Step::from(name)];
                Finding::new(path, format!("not a number of seconds from 1 to {LONGEST_SECONDS}"))
            })
            .collect()
    }
}
