//! Whether the share servers of a network could follow a change of it. The first question begins the asking and says that nothing is known
//! yet (`compatible: null`); the same question again tells.

use super::share_actions::convert;
use super::share_networks::{UPDATES, refuse_zone, service_id};
use super::view::HOST;
use crate::body;
use crate::error::ApiError;
use crate::microversion::Microversion;
use crate::request::Caller;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bulkhead_manager::{Manager, NetworkChange, Recheck};
use bulkhead_model::id::{BackendName, ShareNetworkId};
use bulkhead_model::scope::Role;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The first microversion in which security services may change under share servers.
const SERVICES: u16 = 63;
const ADD: &str = "add_security_service_check";
const REPLACE: &str = "update_security_service_check";
const SUBNET: &str = "share_network_subnet_create_check";

/// Whether an action is a check in this microversion.
pub(super) fn is_one(action: &str, version: Microversion) -> bool {
    match action {
        ADD | REPLACE => version.at_least(SERVICES),
        SUBNET => version.at_least(UPDATES),
        _ => false,
    }
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct AddBody {
    security_service_id: String,
    #[serde(default)]
    reset_operation: Value,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct ReplaceBody {
    current_service_id: String,
    new_service_id: String,
    #[serde(default)]
    reset_operation: Value,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct SubnetBody {
    neutron_net_id: Option<String>,
    neutron_subnet_id: Option<String>,
    availability_zone: Option<String>,
    #[serde(default)]
    reset_operation: Value,
}

/// Ask, or tell what is known.
pub(super) async fn check(
    manager: &Manager,
    caller: &Caller,
    network: ShareNetworkId,
    action: &str,
    arguments: Value,
) -> Result<Response, ApiError> {
    let (change, requested, reset) = match action {
        ADD => {
            let asked: AddBody = convert(arguments)?;
            let service = service_id(&asked.security_service_id)?;
            let requested = requested("add_security_service", Value::Null, &asked.security_service_id);
            (NetworkChange::AddService { service }, Some(requested), asked.reset_operation)
        }
        REPLACE => {
            let asked: ReplaceBody = convert(arguments)?;
            let change = NetworkChange::ReplaceService {
                current: service_id(&asked.current_service_id)?,
                new: service_id(&asked.new_service_id)?,
            };
            let current = json!(asked.current_service_id);
            let requested = requested("update_security_service", current, &asked.new_service_id);
            (change, Some(requested), asked.reset_operation)
        }
        _ => {
            let asked: SubnetBody = convert(arguments)?;
            refuse_zone(asked.availability_zone.as_deref())?;
            let change = NetworkChange::AddSubnet {
                neutron_net_id: body::display_text(asked.neutron_net_id),
                neutron_subnet_id: body::display_text(asked.neutron_subnet_id),
            };
            (change, None, asked.reset_operation)
        }
    };
    let recheck = if body::flag("reset_operation", Some(&reset))? { Recheck::Yes } else { Recheck::No };
    let known = manager.check_share_network_change(&caller.context(), network, change, recheck).await?;
    let mut shown = Map::from_iter([("compatible".to_owned(), json!(known.is_compatible()))]);
    shown.extend(requested.map(|requested| ("requested_operation".to_owned(), requested)));
    if caller.actor.role == Role::Operator {
        let host =
            |(backend, could): (&BackendName, &Option<bool>)| (format!("{HOST}@{backend}"), json!(could));
        let hosts: Map<String, Value> = known.backends.iter().map(host).collect();
        shown.insert("hosts_check_result".to_owned(), Value::Object(hosts));
    }
    Ok((StatusCode::ACCEPTED, Json(Value::Object(shown))).into_response())
}

fn requested(operation: &str, current: Value, new: &str) -> Value {
    json!({ "operation": operation, "current_security_service": current, "new_security_service": new })
}
