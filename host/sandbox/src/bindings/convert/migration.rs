//! Shares on their way, and what drivers answer about them.

use super::location::{LocationRights, locations_from_wit};
use super::replica::updates_of_from_wit;
use super::server::server_of;
use super::share::{protocol_from_wit, share_to_wit};
use super::snapshot::snapshot_to_wit;
use super::{Breach, check_count};
use crate::bindings::v0_1::bulkhead::driver::migration as wit_migration;
use crate::bindings::v0_1::bulkhead::driver::types as wit;
use bulkhead_model::migration::{Compatibility, Connection, FirstPhase, MigrationOutcome, ShareMigration};
use bulkhead_model::share::Protocol;
use std::collections::BTreeMap;

/// How many ways of naming clients there are.
const ACCESS_TYPES: usize = 4;

/// What every call about a migration is told.
pub(crate) fn migration_to_wit(migration: &ShareMigration) -> wit::ShareMigration {
    let mappings = migration.snapshots.iter().map(|mapping| wit::SnapshotMapping {
        source: snapshot_to_wit(&mapping.source),
        destination: snapshot_to_wit(&mapping.destination),
    });
    wit::ShareMigration {
        source_share: share_to_wit(&migration.source),
        destination_share: share_to_wit(&migration.destination),
        destination_host: migration.destination_host.clone(),
        snapshots: mappings.collect(),
        source_server: server_of(migration.source.server.as_ref()),
        destination_server: server_of(migration.destination.server.as_ref()),
    }
}

/// What a driver says it can keep.
pub(crate) const fn compatibility_from_wit(answer: wit_migration::MigrationCompatibility) -> Compatibility {
    Compatibility {
        compatible: answer.compatible,
        writable: answer.writable,
        preserve_metadata: answer.preserve_metadata,
        nondisruptive: answer.nondisruptive,
        preserve_snapshots: answer.preserve_snapshots,
    }
}

/// How far the first phase is.
pub(crate) const fn first_phase_from_wit(answer: wit_migration::FirstPhase) -> FirstPhase {
    match answer {
        wit_migration::FirstPhase::InProgress => FirstPhase::InProgress,
        wit_migration::FirstPhase::Done => FirstPhase::Done,
    }
}

/// What changed when a migration was completed: about snapshots of the destination, each at most once.
pub(crate) fn outcome_from_wit(
    rights: &LocationRights,
    migration: &ShareMigration,
    answer: wit_migration::MigrationOutcome,
) -> Result<MigrationOutcome, Breach> {
    let asked: Vec<_> = migration.snapshots.iter().map(|mapping| &mapping.destination).collect();
    Ok(MigrationOutcome {
        export_locations: answer
            .export_locations
            .map(|locations| locations_from_wit(rights, locations))
            .transpose()?,
        snapshots: updates_of_from_wit(rights, &asked, answer.snapshots)?,
    })
}

/// A share of the whole.
pub(crate) fn progress_from_wit(percent: u32) -> Result<u8, Breach> {
    u8::try_from(percent)
        .ok()
        .filter(|percent| *percent <= 100)
        .ok_or_else(|| Breach(format!("migration-progress is 0 to 100 percent, not {percent}")))
}

/// How a share can be mounted to copy it: at granted addresses only, like everything that leads somewhere.
pub(crate) fn connection_from_wit(
    rights: &LocationRights,
    answer: wit_migration::Connection,
) -> Result<Connection, Breach> {
    let export = wit::ExportLocation {
        path: answer.mount_export,
        admin_only: true,
        preferred: false,
        metadata: Vec::new(),
    };
    let [export] = <[_; 1]>::try_from(locations_from_wit(rights, vec![export])?)
        .map_err(|_| Breach::new("connection.mount-export is one location"))?;
    check_count("connection.access-mapping", &answer.access_mapping, ACCESS_TYPES)?;
    let mut access_mapping: BTreeMap<String, Vec<Protocol>> = BTreeMap::new();
    for mapping in answer.access_mapping {
        check_count("access-mapping.protocols", &mapping.protocols, Protocol::ALL.len())?;
        if mapping.protocols.is_empty() {
            return Err(Breach::new("access-mapping.protocols is not empty"));
        }
        let word = match mapping.access_type {
            wit::AccessType::Ip => "ip",
            wit::AccessType::User => "user",
            wit::AccessType::Cert => "cert",
            wit::AccessType::Cephx => "cephx",
        };
        let protocols = mapping.protocols.into_iter().map(protocol_from_wit).collect();
        if access_mapping.insert(word.to_owned(), protocols).is_some() {
            return Err(Breach(format!("connection.access-mapping has '{word}' twice")));
        }
    }
    Ok(Connection { mount_export: export.path, access_mapping })
}

#[cfg(test)]
mod tests {
    use super::super::location::tests::{location, rights};
    use super::*;
    use crate::fixture;

    #[test]
    fn a_migration_crosses_with_both_sides() {
        let migration = fixture::migration();
        let crossed = migration_to_wit(&migration);
        assert_eq!(crossed.source_share.id, migration.source.id.to_string());
        assert_eq!(crossed.destination_share.pool.as_deref(), Some("other"));
        let mapping = &crossed.snapshots[0];
        assert_eq!(mapping.destination.share_instance_id, migration.destination.id.to_string());
        assert_eq!(mapping.source.snapshot_id, mapping.destination.snapshot_id);
    }

    #[test]
    fn only_snapshots_of_the_destination_are_updated_and_locations_are_at_granted_addresses() {
        let migration = fixture::migration();
        let update = |id: String| wit::SnapshotUpdate {
            snapshot_id: id,
            progress: wit::SnapshotProgress::Available,
            provider_location: None,
            export_locations: None,
        };
        let check = |export_locations, snapshots| {
            let answer = wit_migration::MigrationOutcome { export_locations, snapshots };
            outcome_from_wit(&rights(), &migration, answer)
        };
        let (source, twin) = (&migration.snapshots[0].source, &migration.snapshots[0].destination);
        assert!(check(None, vec![update(twin.id.to_string())]).is_ok());
        assert!(check(None, Vec::new()).is_ok());
        assert!(check(None, vec![update(source.id.to_string())]).is_err());
        assert!(check(Some(vec![location("10.9.9.9:/a")]), Vec::new()).is_err());
    }

    #[test]
    fn progress_is_at_most_the_whole() {
        assert_eq!(progress_from_wit(100), Ok(100));
        assert!(progress_from_wit(101).is_err());
        assert!(progress_from_wit(256).is_err());
    }

    #[test]
    fn nobody_is_sent_to_an_address_that_was_not_granted() {
        let answer = |path: &str| wit_migration::Connection {
            mount_export: path.to_owned(),
            access_mapping: vec![wit_migration::AccessMapping {
                access_type: wit::AccessType::Ip,
                protocols: vec![wit::Protocol::Nfs],
            }],
        };
        assert!(connection_from_wit(&rights(), answer("10.9.9.9:/a")).is_err());
        let mut twice = answer("10.9.9.9:/a");
        twice.access_mapping.extend(answer("").access_mapping);
        assert!(connection_from_wit(&rights(), twice).is_err());
    }
}
