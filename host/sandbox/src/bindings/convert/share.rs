//! Shares, and what drivers answer about them.

use super::location::{LocationRights, location_to_wit, locations_from_wit};
use super::replica::replica_state_to_wit;
use super::{Breach, check_count, pairs_to_wit, shown};
use crate::bindings::v0_1::bulkhead::driver::revert::Reversion as WitReversion;
use crate::bindings::v0_1::bulkhead::driver::shares::EnsuredShare as WitEnsuredShare;
use crate::bindings::v0_1::bulkhead::driver::types as wit;
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::share::{Creation, EnsuredShare, Protocol, Reversion, ShareForDriver, share_name};
use bulkhead_model::size::Gibibytes;
use std::collections::BTreeMap;

/// A share as a driver call carries it.
pub(crate) fn share_to_wit(share: &ShareForDriver) -> wit::Share {
    wit::Share {
        id: share.id.to_string(),
        share_id: share.share.to_string(),
        name: share_name(share.id),
        project_id: share.project.as_str().to_owned(),
        size_gib: share.size.get(),
        protocol: protocol_to_wit(share.protocol),
        pool: share.pool.clone(),
        source_snapshot_id: share.source_snapshot.map(|id| id.to_string()),
        share_server_id: share.server.as_ref().map(|server| server.id.to_string()),
        share_group_id: share.group.map(|id| id.to_string()),
        replica_state: share.replica_state.map(replica_state_to_wit),
        mount_snapshot_support: share.mount_snapshot_support,
        export_locations: share.export_locations.iter().map(location_to_wit).collect(),
        extra_specs: pairs_to_wit(&share.extra_specs),
        metadata: pairs_to_wit(&share.metadata),
    }
}

pub(super) const fn protocol_from_wit(protocol: wit::Protocol) -> Protocol {
    match protocol {
        wit::Protocol::Nfs => Protocol::Nfs,
        wit::Protocol::Cifs => Protocol::Cifs,
        wit::Protocol::Glusterfs => Protocol::Glusterfs,
        wit::Protocol::Hdfs => Protocol::Hdfs,
        wit::Protocol::Cephfs => Protocol::Cephfs,
        wit::Protocol::Maprfs => Protocol::Maprfs,
        wit::Protocol::Lustre => Protocol::Lustre,
        wit::Protocol::Wekafs => Protocol::Wekafs,
    }
}

const fn protocol_to_wit(protocol: Protocol) -> wit::Protocol {
    match protocol {
        Protocol::Nfs => wit::Protocol::Nfs,
        Protocol::Cifs => wit::Protocol::Cifs,
        Protocol::Glusterfs => wit::Protocol::Glusterfs,
        Protocol::Hdfs => wit::Protocol::Hdfs,
        Protocol::Cephfs => wit::Protocol::Cephfs,
        Protocol::Maprfs => wit::Protocol::Maprfs,
        Protocol::Lustre => wit::Protocol::Lustre,
        Protocol::Wekafs => wit::Protocol::Wekafs,
    }
}

/// What a driver found out about the shares it was asked about, each at most once.
pub(crate) fn ensured_from_wit(
    rights: &LocationRights,
    asked: &[ShareForDriver],
    answer: Vec<WitEnsuredShare>,
) -> Result<Vec<EnsuredShare>, Breach> {
    check_count("the answer of ensure-shares", &answer, asked.len())?;
    let mut open: BTreeMap<ShareInstanceId, &ShareForDriver> =
        asked.iter().map(|share| (share.id, share)).collect();
    let mut found = Vec::with_capacity(answer.len());
    for ensured in answer {
        let id = ensured.share_id.parse::<ShareInstanceId>().ok();
        let share = id.and_then(|id| open.remove(&id)).ok_or_else(|| {
            Breach(format!(
                "ensured-share.share-id is one of those asked about, each once, unlike '{}'",
                shown(&ensured.share_id)
            ))
        })?;
        let rights = rights.at(share.server.as_ref());
        found.push(EnsuredShare {
            id: share.id,
            export_locations: ensured
                .export_locations
                .map(|locations| locations_from_wit(&rights, locations))
                .transpose()?,
            reapply_access_rules: ensured.reapply_access_rules,
            healthy: ensured.healthy,
        });
    }
    Ok(found)
}

/// How far a new share is.
pub(crate) fn creation_from_wit(
    rights: &LocationRights,
    can_be_polled: CanBePolled,
    creation: wit::Creation,
) -> Result<Creation, Breach> {
    match creation {
        wit::Creation::Available(locations) => {
            Ok(Creation::Available(locations_from_wit(rights, locations)?))
        }
        wit::Creation::Pending => can_be_polled.pending(Creation::Pending),
    }
}

/// How far a revert is.
pub(crate) fn reversion_from_wit(
    can_be_polled: CanBePolled,
    reversion: WitReversion,
) -> Result<Reversion, Breach> {
    match reversion {
        WitReversion::Done => Ok(Reversion::Done),
        WitReversion::DoneWithSize(gib) => Gibibytes::new(gib)
            .map(Reversion::DoneWithSize)
            .map_err(|error| Breach(format!("reversion.done-with-size: {error}"))),
        WitReversion::Pending => can_be_polled.pending(Reversion::Pending),
    }
}

/// Whether a driver may leave work to be polled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CanBePolled {
    /// It exports `share-status`.
    Yes,
    /// Nobody could ever find out how it ended.
    No,
}

impl CanBePolled {
    fn pending<T>(self, answer: T) -> Result<T, Breach> {
        match self {
            Self::Yes => Ok(answer),
            Self::No => Err(Breach::new(
                "'pending' is answered only by a driver that exports share-status, which is polled",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::location::tests::{location, rights};
    use super::*;
    use crate::fixture;

    fn ensured(id: &str) -> WitEnsuredShare {
        WitEnsuredShare {
            share_id: id.to_owned(),
            export_locations: None,
            reapply_access_rules: false,
            healthy: true,
        }
    }

    #[test]
    fn a_share_crosses_with_the_names_that_the_host_derives() {
        let share = fixture::share();
        let crossed = share_to_wit(&share);
        assert_eq!(crossed.name, format!("share-{}", share.id));
        assert_eq!((crossed.id, crossed.size_gib), (share.id.to_string(), share.size.get()));
    }

    #[test]
    fn only_shares_that_were_asked_about_are_ensured_and_each_once() {
        let asked = [fixture::share(), fixture::share()];
        let id = asked[0].id.to_string();
        let check = |answer| ensured_from_wit(&rights(), &asked, answer);
        assert_eq!(check(vec![ensured(&id)]).map(|found| found[0].id), Ok(asked[0].id));
        assert!(check(vec![ensured(&id), ensured(&id)]).is_err());
        assert!(check(vec![ensured(&ShareInstanceId::random().to_string())]).is_err());
        assert!(check(vec![ensured("../../etc")]).is_err());
        assert!(check((0..3).map(|_| ensured(&id)).collect()).is_err());
        let foreign =
            WitEnsuredShare { export_locations: Some(vec![location("10.9.9.9:/a")]), ..ensured(&id) };
        assert!(check(vec![foreign]).is_err());
    }

    #[test]
    fn nobody_waits_for_what_cannot_be_polled() {
        let pending = || wit::Creation::Pending;
        assert_eq!(creation_from_wit(&rights(), CanBePolled::Yes, pending()), Ok(Creation::Pending));
        assert!(creation_from_wit(&rights(), CanBePolled::No, pending()).is_err());
        assert!(reversion_from_wit(CanBePolled::No, WitReversion::Pending).is_err());
    }

    #[test]
    fn a_reverted_share_has_a_size_that_a_share_can_have() {
        let size = |gib| reversion_from_wit(CanBePolled::No, WitReversion::DoneWithSize(gib));
        assert!(size(3).is_ok());
        assert!(size(0).is_err());
        assert!(size(u64::MAX).is_err());
    }
}
