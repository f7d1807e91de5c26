//! Figures of the manager.

use std::time::Duration;

/// How the manager waits, repeats and bounds. [`Default`] holds the figures of the documentation.
#[derive(Debug, Clone)]
pub struct ManagerSettings {
    /// The wait before the first repeat of a driver call (1 s); doubled every time, with up to a quarter of jitter.
    pub first_repeat: Duration,
    /// The longest wait before a repeat (60 s).
    pub longest_repeat: Duration,
    /// How often a call that ran into its deadline is made in a row before the operation fails (3).
    pub deadline_attempts: u32,
    /// The wait after the first failed set-up of a backend (2 s); doubled every time.
    pub first_setup_repeat: Duration,
    /// The longest wait between set-ups (600 s).
    pub longest_setup_repeat: Duration,
    /// Between two readings of a backend's statistics (60 s).
    pub statistics_period: Duration,
    /// Between two ensurings of a backend's shares (300 s), with up to a tenth of jitter.
    pub reconcile_period: Duration,
    /// The wait before shares are ensured again that were not all found in line, or not asked about when their backend became ready
    /// (10 s, less up to a quarter of jitter); doubled every time, up to the period.
    pub first_reconcile: Duration,
    /// Between two readings of what shares use; none (the default) reads none.
    pub usage_period: Option<Duration>,
    /// Between two rounds of the operator's hooks; none (the default) runs none.
    pub hook_period: Option<Duration>,
    /// Whether the access rules of a share or snapshot are taken away before it is let go (no).
    pub unmanage_removes_access_rules: bool,
    /// The age from which statistics no longer place shares (300 s).
    pub statistics_stale_after: Duration,
    /// Between two looks at replicas that are not active (300 s).
    pub replica_period: Duration,
    /// Between two questions how far a share is that its backend makes or reverts by itself (60 s), less up to a quarter of jitter.
    pub share_status_period: Duration,
    /// Between two looks at a migration that its backend carries on (60 s), with up to a quarter of jitter.
    pub migration_period: Duration,
    /// For how long nothing must be on a share server before the host tears it down (600 s); nothing at all tears it down with the last
    /// share. A tear-down that failed is tried again after as long.
    pub unused_server_after: Duration,
    /// Between two looks for unused share servers (60 s), less up to a quarter of jitter.
    pub server_cleanup_period: Duration,
    /// The most unfinished operations of one backend (1,000); more are refused as `busy` or `backend-unreachable`.
    pub unfinished_operations: usize,
    /// The most finished operations kept for `operation list` (10,000).
    pub finished_operations: usize,
    /// The most generations of a backend that are kept for `rollback` beside the current one (5), and of those that failed.
    pub kept_generations: usize,
}

impl Default for ManagerSettings {
    fn default() -> Self {
        Self {
            first_repeat: Duration::from_secs(1),
            longest_repeat: Duration::from_secs(60),
            deadline_attempts: 3,
            first_setup_repeat: Duration::from_secs(2),
            longest_setup_repeat: Duration::from_secs(600),
            statistics_period: Duration::from_secs(60),
            reconcile_period: Duration::from_secs(300),
            first_reconcile: Duration::from_secs(10),
            usage_period: None,
            hook_period: None,
            unmanage_removes_access_rules: false,
            statistics_stale_after: Duration::from_secs(300),
            replica_period: Duration::from_secs(300),
            share_status_period: Duration::from_secs(60),
            migration_period: Duration::from_secs(60),
            unused_server_after: Duration::from_secs(600),
            server_cleanup_period: Duration::from_secs(60),
            unfinished_operations: 1000,
            finished_operations: 10_000,
            kept_generations: 5,
        }
    }
}
