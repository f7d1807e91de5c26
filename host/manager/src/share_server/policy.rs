//! The policy of share servers: which verb is accepted in which status. Pure: no I/O, no lock.

use crate::denial::Denial;
use crate::error::ManagerError;
use bulkhead_model::operation::Verb;
use bulkhead_model::share_server::ShareServerStatus;

/// What the policy needs to know of a share server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ServerFacts {
    pub(super) status: ShareServerStatus,
    /// How many share instances are on it.
    pub(super) shares: usize,
    /// How many groups are on it.
    pub(super) groups: usize,
    /// The verb of an unfinished operation on it.
    pub(super) in_flight: Option<&'static str>,
}

impl ServerFacts {
    fn require_rest(&self, what: &'static str) -> Result<(), Denial> {
        if let Some(running) = self.in_flight {
            return Err(Denial::InFlight { running });
        }
        if self.status.is_transient() {
            return Err(Denial::ServerStatus { what, status: self.status });
        }
        Ok(())
    }

    fn require_nothing_on_it(&self) -> Result<(), Denial> {
        match (self.shares, self.groups) {
            (0, 0) => Ok(()),
            (shares, groups) => Err(Denial::ServerInUse { shares, groups }),
        }
    }
}

/// Whether a server may be torn down: from every resting status, once nothing is on it.
pub(super) fn delete(facts: &ServerFacts) -> Result<(), Denial> {
    facts.require_rest("tearing it down")?;
    facts.require_nothing_on_it()
}

/// Whether a server may be let go: as it may be torn down.
pub(super) fn unmanage(facts: &ServerFacts) -> Result<(), Denial> {
    facts.require_rest("letting it go")?;
    facts.require_nothing_on_it()
}

/// Whether the host may tear a server down by itself: nothing is on it, and no operation at work.
pub(super) fn is_left_alone(facts: &ServerFacts) -> bool {
    let rests = matches!(
        facts.status,
        ShareServerStatus::Active | ShareServerStatus::Error | ShareServerStatus::Inactive
    );
    rests && delete(facts).is_ok()
}

/// Whether somebody may set a status by hand: not one that needs an operation at work.
pub(super) fn rests(status: ShareServerStatus) -> Result<(), ManagerError> {
    if !status.is_transient() {
        return Ok(());
    }
    let reason = format_args!("'{status}' needs an operation at work; set a status that rests");
    Err(ManagerError::invalid("status", reason))
}

/// The status a server has once `verb` has failed; none if the verb is about no server.
pub(super) const fn status_after_failure(verb: &Verb) -> Option<ShareServerStatus> {
    match verb {
        Verb::SetUpShareServer { .. }
        | Verb::TearDownShareServer { .. }
        | Verb::UpdateSecurityService { .. }
        | Verb::AddServerSubnet { .. } => Some(ShareServerStatus::Error),
        Verb::ManageShareServer { .. } => Some(ShareServerStatus::ManageError),
        Verb::UnmanageShareServer { .. } => Some(ShareServerStatus::UnmanageError),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_server() -> impl Strategy<Value = ServerFacts> {
        let status = proptest::sample::select(ShareServerStatus::ALL);
        let in_flight = proptest::option::of(Just("set-up-share-server"));
        (status, 0_usize..3, 0_usize..3, in_flight)
            .prop_map(|(status, shares, groups, in_flight)| ServerFacts { status, shares, groups, in_flight })
    }

    proptest! {
        #[test]
        fn a_server_at_rest_goes_once_nothing_is_on_it_and_never_before(facts in any_server()) {
            let is_free = facts.shares == 0 && facts.groups == 0;
            let rests = facts.in_flight.is_none() && !facts.status.is_transient();
            prop_assert_eq!(delete(&facts).is_ok(), is_free && rests);
            prop_assert_eq!(unmanage(&facts).is_ok(), is_free && rests);
        }

        #[test]
        fn the_host_never_removes_by_itself_what_was_taken_over_or_is_used(facts in any_server()) {
            if is_left_alone(&facts) {
                prop_assert!(delete(&facts).is_ok());
                prop_assert!(!matches!(facts.status, ShareServerStatus::ManageError | ShareServerStatus::UnmanageError));
            }
        }
    }

    #[test]
    fn a_status_that_needs_an_operation_is_not_set_by_hand() {
        for status in ShareServerStatus::ALL {
            assert_eq!(rests(*status).is_err(), status.is_transient(), "{status}");
        }
    }
}
