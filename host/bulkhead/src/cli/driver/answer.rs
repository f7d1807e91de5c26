//! What a driver answered, as JSON. Credentials are left out.

use bulkhead_model::access::AccessOutcome;
use bulkhead_model::error::{CallError, ErrorDetail};
use bulkhead_model::migration::{Compatibility, Connection, FirstPhase, MigrationOutcome};
use bulkhead_model::replica::{ReplicaOutcome, SnapshotProgress, SnapshotUpdate};
use bulkhead_model::share::{
    Creation, EnsuredShare, HookAnswer, ManagedShare, Reversion, ShareProgress, ShareUsage, SuppliedMetadata,
};
use bulkhead_model::share_group::CreatedShare;
use bulkhead_model::share_server::{ServerChoice, ServerForDriver};
use bulkhead_model::size::Gibibytes;
use bulkhead_model::snapshot::{ManagedSnapshot, SnapshotOutcome};
use serde_json::{Value, json};

pub(super) fn ensured(shares: &[EnsuredShare]) -> Value {
    shares
        .iter()
        .map(|share| {
            json!({
                "share": share.id,
                "export-locations": share.export_locations,
                "reapply-access-rules": share.reapply_access_rules,
                "healthy": share.healthy,
            })
        })
        .collect()
}

pub(super) fn outcomes(outcomes: &[AccessOutcome]) -> Value {
    outcomes
        .iter()
        .map(|outcome| {
            let access_key = outcome.access_key.as_ref().map(|_| "(a credential)");
            json!({ "rule": outcome.rule, "state": outcome.state, "access-key": access_key })
        })
        .collect()
}

pub(super) fn snapshot(outcome: &SnapshotOutcome) -> Value {
    json!({ "provider-location": outcome.provider_location, "export-locations": outcome.export_locations })
}

pub(super) fn creation(creation: &Creation) -> Value {
    match creation {
        Creation::Available(locations) => json!({ "available": locations }),
        Creation::Pending => json!("pending"),
    }
}

pub(super) fn reversion(reversion: Reversion) -> Value {
    match reversion {
        Reversion::Done => json!("done"),
        Reversion::DoneWithSize(size) => json!({ "done-with-size-gib": size.get() }),
        Reversion::Pending => json!("pending"),
    }
}

/// How far something is that the backend goes on with.
pub(super) fn progress(progress: &ShareProgress) -> Value {
    match progress {
        ShareProgress::Pending(percent) => json!({ "pending-percent": percent }),
        ShareProgress::Available(finished) => json!({ "available": {
            "export-locations": finished.export_locations,
            "size-gib": finished.size.map(Gibibytes::get),
        } }),
        ShareProgress::Failed => json!("failed"),
    }
}

pub(super) fn usage(shares: &[ShareUsage]) -> Value {
    let one = |share: &ShareUsage| json!({ "share": share.id, "used-gib": share.used_gib, "gathered-at": share.gathered_at });
    shares.iter().map(one).collect()
}

pub(super) fn managed(found: &ManagedShare) -> Value {
    json!({ "size-gib": found.size.get(), "export-locations": found.export_locations })
}

pub(super) fn managed_snapshot(found: &ManagedSnapshot) -> Value {
    json!({
        "size-gib": found.size.map(Gibibytes::get),
        "provider-location": found.provider_location,
        "export-locations": found.export_locations,
    })
}

pub(super) fn hook(answer: &HookAnswer) -> Value {
    let shares = answer.shares.iter().map(|told| json!({ "share": told.id, "data": told.data }));
    json!({ "shares": shares.collect::<Vec<_>>(), "dropped": answer.dropped })
}

pub(super) fn supplied(metadata: &SuppliedMetadata) -> Value {
    let dropped: Vec<String> = metadata.dropped.iter().map(ToString::to_string).collect();
    json!({ "metadata": metadata.pairs, "dropped": dropped })
}

pub(super) fn first_phase(phase: FirstPhase) -> Value {
    match phase {
        FirstPhase::InProgress => json!("in-progress"),
        FirstPhase::Done => json!("done"),
    }
}

pub(super) fn compatibility(answer: Compatibility) -> Value {
    json!({
        "compatible": answer.compatible,
        "writable": answer.writable,
        "preserve-metadata": answer.preserve_metadata,
        "nondisruptive": answer.nondisruptive,
        "preserve-snapshots": answer.preserve_snapshots,
    })
}

pub(super) fn migrated(outcome: &MigrationOutcome) -> Value {
    json!({ "export-locations": outcome.export_locations, "snapshots": updates(&outcome.snapshots) })
}

pub(super) fn connection(connection: &Connection) -> Value {
    json!({ "mount-export": connection.mount_export, "access-mapping": connection.access_mapping })
}

pub(super) fn created(shares: &[CreatedShare]) -> Value {
    shares.iter().map(|made| json!({ "share": made.id, "creation": creation(&made.creation) })).collect()
}

pub(super) fn updates(updates: &[SnapshotUpdate]) -> Value {
    let word = |progress| match progress {
        SnapshotProgress::Creating => "creating",
        SnapshotProgress::Available => "available",
        SnapshotProgress::Deleting => "deleting",
        SnapshotProgress::Deleted => "deleted",
        SnapshotProgress::Error => "error",
    };
    let one = |update: &SnapshotUpdate| {
        json!({
            "snapshot": update.id,
            "progress": word(update.progress),
            "provider-location": update.provider_location,
            "export-locations": update.export_locations,
        })
    };
    updates.iter().map(one).collect()
}

pub(super) fn replicas(replicas: &[ReplicaOutcome]) -> Value {
    let one = |replica: &ReplicaOutcome| {
        json!({
            "share": replica.id,
            "state": replica.state,
            "export-locations": replica.export_locations,
            "access-rules-status": replica.access_rules_status,
            "access-rules": outcomes(&replica.access_rules),
        })
    };
    replicas.iter().map(one).collect()
}

/// A server as it is known once it is made.
pub(super) fn server(server: &ServerForDriver) -> Value {
    json!({
        "identifier": server.identifier,
        "backend-details": server.backend_details,
        "addresses": server.addresses,
    })
}

pub(super) fn server_choice(choice: ServerChoice) -> Value {
    match choice {
        ServerChoice::Existing(server) => json!({ "existing": server }),
        ServerChoice::New => json!("new"),
    }
}

/// What a failed call leaves behind that the host would keep.
pub(super) fn left_behind(error: &CallError) -> Option<Value> {
    let CallError::Answered(answer) = error else { return None };
    match answer.detail.as_ref()? {
        ErrorDetail::ExportLocations(locations) => Some(json!({ "export-locations": locations })),
        ErrorDetail::ServerDetails(details) => Some(json!({ "server-details": details })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_model::id::AccessRuleId;
    use bulkhead_model::secret::SealedSecret;
    use bulkhead_model::status::AccessRuleState;

    #[test]
    fn a_credential_is_not_shown() {
        let outcome = AccessOutcome {
            rule: AccessRuleId::random(),
            state: AccessRuleState::Active,
            access_key: Some(SealedSecret::new("hunter2".to_owned())),
        };
        let shown = outcomes(&[outcome]).to_string();
        assert!(shown.contains("active") && !shown.contains("hunter2"), "{shown}");
    }
}
