//! What each function is about, derived from its arguments here and nowhere else: no caller can widen the rights of a call by mistake.

use bulkhead_model::access::AccessUpdate;
use bulkhead_model::share::{RevertRules, ShareForDriver};
use bulkhead_model::snapshot::SnapshotForDriver;
use bulkhead_model::target::{CallTarget, TargetSnapshot};

/// One share.
pub(crate) fn share(share: &ShareForDriver) -> CallTarget {
    CallTarget::share(share.id)
}

/// A batch of shares: none of them is the subject, each is named by the guest.
pub(crate) fn shares(shares: &[ShareForDriver]) -> CallTarget {
    CallTarget { shares: shares.iter().map(|share| share.id).collect(), ..CallTarget::default() }
}

/// A share with the rules that shall be in force.
pub(crate) fn access(share: &ShareForDriver, update: &AccessUpdate) -> CallTarget {
    CallTarget { access_rules: Some(update.rules.clone()), ..CallTarget::share(share.id) }
}

/// A snapshot of a share.
pub(crate) fn snapshot(snapshot: &SnapshotForDriver) -> CallTarget {
    CallTarget::snapshot(snapshot.id, snapshot.share.id)
}

/// A new share and the snapshot it is made from, which may be read only.
pub(crate) fn share_from_snapshot(share: &ShareForDriver, source: &SnapshotForDriver) -> CallTarget {
    let source = TargetSnapshot { snapshot: source.id, share: source.share.id };
    CallTarget { source: Some(source), ..CallTarget::share(share.id) }
}

/// A snapshot, the share that is put back to it, and that share's rules.
pub(crate) fn revert(snapshot: &SnapshotForDriver, rules: &RevertRules) -> CallTarget {
    CallTarget { access_rules: Some(rules.share.clone()), ..self::snapshot(snapshot) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use bulkhead_model::target::Resource;

    #[test]
    fn the_source_of_a_new_share_is_no_target_of_its_own() {
        let (share, source) = (fixture::share(), fixture::snapshot());
        let target = share_from_snapshot(&share, &source);
        assert_eq!(target.subject(), Some(Resource::Share(share.id)));
        assert!(target.names(Some(Resource::Snapshot(source.id))).is_err());
        assert!(target.names(Some(Resource::Share(source.share.id))).is_err());
    }

    #[test]
    fn a_revert_carries_the_rules_of_the_share_only() {
        let rules = RevertRules { share: vec![fixture::rule()], snapshot: vec![fixture::rule()] };
        assert_eq!(revert(&fixture::snapshot(), &rules).access_rules, Some(rules.share.clone()));
    }
}
