//! What a driver answered, as JSON. Credentials are left out.

use bulkhead_model::access::AccessOutcome;
use bulkhead_model::error::{CallError, ErrorDetail};
use bulkhead_model::share::{Creation, EnsuredShare, Reversion};
use bulkhead_model::snapshot::SnapshotOutcome;
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
    use bulkhead_model::status::AccessRuleState;

    #[test]
    fn a_credential_is_not_shown() {
        let outcome = AccessOutcome {
            rule: AccessRuleId::random(),
            state: AccessRuleState::Active,
            access_key: Some("hunter2".to_owned()),
        };
        let shown = outcomes(&[outcome]).to_string();
        assert!(shown.contains("active") && !shown.contains("hunter2"), "{shown}");
    }
}
