//! Messages to tenants: what went wrong after a request had been accepted. A message is a failed operation of the journal, told in words of
//! the host's own with Manila's codes; a driver's text never reaches a tenant. It is there for 30 days, as in Manila, or until newer
//! operations push it out of the journal; nobody deletes one.

use super::pages::ListQuery;
use crate::body;
use crate::error::ApiError;
use crate::request::{Caller, Path, Query};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use bulkhead_manager::Manager;
use bulkhead_model::operation::{Operation, OperationState, Verb};
use bulkhead_model::time::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

/// The first that has messages.
const MESSAGES: u16 = 37;
/// How long a message is there.
const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// How many operations are looked through.
const MOST: usize = 10_000;

pub(crate) fn routes() -> Router<Manager> {
    Router::new().route("/v2/messages", get(list)).route("/v2/messages/{message}", get(show))
}

async fn list(
    State(manager): State<Manager>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    require_version(&caller)?;
    let filters = query.filters()?;
    let operations = manager.list_operations(&caller.scope(query.reach()), MOST);
    let told = operations.iter().filter_map(|operation| message(operation));
    let told: Vec<_> = told.filter(|message| filters.admit(|| message.clone())).collect();
    Ok(Json(json!({ "messages": query.page(told)? })))
}

async fn show(
    State(manager): State<Manager>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    require_version(&caller)?;
    let missing = || ApiError::not_found("message", &id);
    let operation = manager.show_operation(&caller.scope_by_id(), body::id("message", &id)?);
    let told = operation.ok().and_then(|operation| message(&operation)).ok_or_else(missing)?;
    Ok(Json(json!({ "message": told })))
}

fn require_version(caller: &Caller) -> Result<(), ApiError> {
    if caller.version.at_least(MESSAGES) { Ok(()) } else { Err(super::no_route()) }
}

/// What is told of an operation; nothing of one that has not failed, or failed long ago. Nothing of share servers, which tenants do not
/// see: what was to live on one tells of it, and what one did not follow is told of the subnet or the security service.
fn message(operation: &Operation) -> Option<Value> {
    let is_of_network = matches!(operation.verb, Verb::UpdateSubnetMetadata { .. })
        || operation.verb.changes_servers_network();
    if operation.verb.server().is_some() && !is_of_network {
        return None;
    }
    let failure = operation.failure.as_ref().filter(|_| operation.state == OperationState::Failed)?;
    let ended = Duration::from_millis(operation.updated_at.milliseconds());
    let expires = ended.saturating_add(LIFE);
    if expires < Duration::from_millis(Timestamp::now().milliseconds()) {
        return None;
    }
    let (resource_type, resource_id) = resource(operation);
    let action = action(&operation.verb);
    let detail = detail(&operation.verb, &failure.code);
    let expires_at = u64::try_from(expires.as_millis()).ok().and_then(Timestamp::from_milliseconds);
    Some(json!({
        "id": operation.id,
        "project_id": operation.project,
        "action_id": action.0,
        "detail_id": detail.0,
        "user_message": format!("{}: {}", action.1, detail.1),
        "message_level": "ERROR",
        "resource_type": resource_type,
        "resource_id": resource_id,
        "request_id": operation.request,
        "created_at": operation.updated_at.openstack(),
        "expires_at": expires_at.map(Timestamp::openstack),
        "links": [],
    }))
}

/// What it is about, in Manila's words.
fn resource(operation: &Operation) -> (&'static str, String) {
    match &operation.verb {
        Verb::CreateSnapshot { snapshot }
        | Verb::DeleteSnapshot { snapshot, .. }
        | Verb::ManageSnapshot { snapshot, .. }
        | Verb::UnmanageSnapshot { snapshot, .. }
        | Verb::UpdateSnapshotAccess { snapshot } => ("SHARE_SNAPSHOT", snapshot.to_string()),
        Verb::CreateReplica { replica }
        | Verb::DeleteReplica { replica, .. }
        | Verb::PromoteReplica { replica, .. } => ("SHARE_REPLICA", replica.to_string()),
        Verb::UpdateSubnetMetadata { subnet, .. } | Verb::AddServerSubnet { subnet, .. } => {
            ("SHARE_NETWORK_SUBNET", subnet.to_string())
        }
        Verb::UpdateSecurityService { new, .. } => ("SECURITY_SERVICE", new.to_string()),
        verb => match verb.group() {
            Some(group) => ("SHARE_GROUP", group.to_string()),
            None => ("SHARE", operation.share.to_string()),
        },
    }
}

type Told = (&'static str, &'static str);

/// Manila's number of what was done, and words for it.
const fn action(verb: &Verb) -> Told {
    match verb {
        Verb::DeleteShare { .. }
        | Verb::DeleteSnapshot { .. }
        | Verb::DeleteReplica { .. }
        | Verb::DeleteShareGroup { .. }
        | Verb::DeleteShareGroupSnapshot { .. } => ("007", "delete"),
        Verb::ExtendShare { .. } => ("008", "extend"),
        Verb::ShrinkShare { .. } => ("009", "shrink"),
        Verb::UpdateAccess | Verb::UpdateSnapshotAccess { .. } => ("010", "update access rules"),
        Verb::RevertShare { .. } => ("006", "revert to snapshot"),
        Verb::PromoteReplica { .. } => ("004", "promote"),
        Verb::UpdateSecurityService { .. } => ("011", "add or update security service"),
        Verb::UpdateShareMetadata { .. } | Verb::UpdateSubnetMetadata { .. } => ("027", "update_metadata"),
        Verb::UnmanageShare { .. }
        | Verb::UnmanageSnapshot { .. }
        | Verb::MigrateShare { .. }
        | Verb::AddServerSubnet { .. } => ("005", "update"),
        _ => ("002", "create"),
    }
}

/// Manila's number of what went wrong, and the host's words for it.
fn detail(verb: &Verb, code: &str) -> Told {
    match (verb, code) {
        (Verb::UpdateShareMetadata { .. } | Verb::UpdateSubnetMetadata { .. }, _) => (
            "030",
            "the backend did not follow the metadata, which stay as you wrote them; set the key again to let it try again",
        ),
        (Verb::ExtendShare { .. }, _) => (
            "015",
            "the share could not be made larger; its status says so until your administrator has put it right",
        ),
        (_, "share-server-full") => (
            "004",
            "the share server that the share has to be on holds as much as it may; free some of it, or ask your administrator",
        ),
        (Verb::CreateShareFromSnapshot { .. }, _) => {
            ("017", "the share could not be made from the snapshot; delete it and make another")
        }
        (_, "port-limit-exceeded") => (
            "027",
            "the share network's subnet may have no more addresses now; ask for a larger allowance, or free some",
        ),
        (_, "no-address-left") => (
            "033",
            "no address is left in the share network's subnet; delete what you need no more there, or ask your administrator",
        ),
        (_, "security-service-failed") => (
            "023",
            "the share server could not join a security service of the share network; check its user, password and domain",
        ),
        (_, "bad-network-configuration" | "invalid-share-server") => (
            "004",
            "no share server could be had on the share network; check it or use another one, or ask your administrator",
        ),
        (Verb::ShrinkShare { .. }, "possible-data-loss") => (
            "018",
            "the share holds more than the size asked for; it is available as it was, ask for a larger size",
        ),
        (Verb::ShrinkShare { .. }, "not-implemented") => {
            ("019", "the share's backend makes no share smaller")
        }
        _ => ("001", "it failed at the backend; ask your administrator, naming this message"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_model::error::Blame;
    use bulkhead_model::id::{OperationId, RequestId, ShareId, ShareNetworkSubnetId, ShareServerId};
    use bulkhead_model::operation::OperationFailure;
    use bulkhead_model::size::Gibibytes;
    use std::collections::BTreeSet;

    fn failed(verb: Verb, code: &str) -> Operation {
        let now = Timestamp::now();
        Operation {
            id: OperationId::next(),
            verb,
            share: ShareId::random(),
            project: "blue".parse().expect("a project"),
            backend: "nas".parse().expect("a name"),
            request: RequestId::random(),
            state: OperationState::Failed,
            step: "failed".to_owned(),
            attempts: 1,
            generation: None,
            fencing_token: 1,
            deadline_at: None,
            failure: Some(OperationFailure {
                code: code.to_owned(),
                blame: Blame::Backend,
                message: "tier paper is sold out at 10.0.0.9".to_owned(),
            }),
            created_at: now,
            updated_at: now,
        }
    }

    #[test]
    fn a_server_that_does_not_follow_its_network_is_told_of_the_service_or_the_subnet() {
        let (server, subnet) = (ShareServerId::random(), ShareNetworkSubnetId::random());
        let told = |verb, code| message(&failed(verb, code)).expect("told");
        let service = bulkhead_model::id::SecurityServiceId::random();
        let joined = Verb::UpdateSecurityService { server, new: service, current: None };
        let shown = told(joined, "security-service-failed");
        let expected = (&json!("SECURITY_SERVICE"), &json!(service), &json!("023"));
        assert_eq!((&shown["resource_type"], &shown["resource_id"], &shown["detail_id"]), expected);
        let shown = told(Verb::AddServerSubnet { server, subnet }, "no-address-left");
        let expected = (&json!("SHARE_NETWORK_SUBNET"), &json!(subnet), &json!("033"));
        assert_eq!((&shown["resource_type"], &shown["resource_id"], &shown["detail_id"]), expected);
    }

    #[test]
    fn a_message_has_the_codes_of_manila_and_never_a_drivers_words() {
        let operation = failed(Verb::UpdateShareMetadata { keys: BTreeSet::new() }, "invalid-parameter");
        let told = message(&operation).expect("told");
        assert_eq!((&told["action_id"], &told["detail_id"]), (&json!("027"), &json!("030")));
        assert_eq!(told["resource_id"], json!(operation.share));
        assert!(!told.to_string().contains("paper"), "{told}");
        let refused = message(&failed(
            Verb::ShrinkShare { new_size: Gibibytes::new(1).expect("a size") },
            "possible-data-loss",
        ));
        assert_eq!(refused.expect("told")["detail_id"], "018");
    }

    #[test]
    fn metadata_that_a_server_did_not_follow_are_told_of_the_subnet() {
        let (server, subnet) = (ShareServerId::random(), ShareNetworkSubnetId::random());
        let verb = Verb::UpdateSubnetMetadata { server, subnet, keys: BTreeSet::new() };
        let told = message(&failed(verb, "invalid-parameter")).expect("told");
        assert_eq!((&told["action_id"], &told["detail_id"]), (&json!("027"), &json!("030")));
        assert_eq!(
            (&told["resource_type"], &told["resource_id"]),
            (&json!("SHARE_NETWORK_SUBNET"), &json!(subnet))
        );
        assert!(!told.to_string().contains(&server.to_string()), "{told}");
    }

    #[test]
    fn what_a_share_network_lacks_is_told_with_its_share_and_never_with_the_server() {
        for (code, number) in [
            ("port-limit-exceeded", "027"),
            ("no-address-left", "033"),
            ("security-service-failed", "023"),
            ("bad-network-configuration", "004"),
        ] {
            assert_eq!(message(&failed(Verb::CreateShare, code)).expect("told")["detail_id"], number);
            let of_server = failed(Verb::SetUpShareServer { server: ShareServerId::random() }, code);
            assert_eq!(message(&of_server), None, "{code}");
        }
    }

    #[test]
    fn what_has_not_failed_or_failed_long_ago_is_not_told() {
        let mut operation = failed(Verb::CreateShare, "no-space");
        assert!(message(&operation).is_some());
        operation.updated_at = Timestamp::from_milliseconds(1_000_000_000_000).expect("a moment");
        assert_eq!(message(&operation), None);
        let waiting = Operation { state: OperationState::Waiting, ..failed(Verb::CreateShare, "busy") };
        assert_eq!(message(&waiting), None);
    }
}
