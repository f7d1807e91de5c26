//! Security services: the directories that share servers join.
//!
//! A password goes in and does not come out: where Manila shows it to its tenant, here stands [`HIDDEN`].

use super::pages::ListQuery;
use super::view::into_map;
use crate::body;
use crate::error::ApiError;
use crate::request::{Caller, Path, Query};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use bulkhead_manager::{Manager, NewSecurityService, Password, SecurityServiceUpdate};
use bulkhead_model::id::SecurityServiceId;
use bulkhead_model::network::{SecurityService, SecurityServiceType};
use serde::Deserialize;
use serde_json::{Value, json};
use std::cmp::Reverse;

/// The first microversion that shows an organizational unit.
const UNIT: u16 = 44;
/// What stands for a password that is set.
const HIDDEN: &str = "***";
/// What lists of security services are narrowed by beside what all lists are.
const OWN_FILTERS: [(&str, &str); 6] = [
    ("type", "type"),
    ("dns_ip", "dns_ip"),
    ("server", "server"),
    ("domain", "domain"),
    ("user", "user"),
    ("ou", "ou"),
];

pub(crate) fn routes() -> Router<Manager> {
    Router::new()
        .route("/v2/security-services", get(list).post(create))
        .route("/v2/security-services/detail", get(list_detail))
        .route("/v2/security-services/{service}", get(show).put(update).delete(delete))
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct CreateEnvelope {
    security_service: CreateBody,
}

/// What the stock client sends. Fields that nobody knows are refused.
#[derive(Deserialize)]
#[serde(expecting = "an object", deny_unknown_fields)]
struct CreateBody {
    #[serde(rename = "type")]
    service_type: String,
    name: Option<String>,
    description: Option<String>,
    dns_ip: Option<String>,
    server: Option<String>,
    domain: Option<String>,
    user: Option<String>,
    password: Option<String>,
    ou: Option<String>,
    default_ad_site: Option<String>,
}

async fn create(
    State(manager): State<Manager>,
    caller: Caller,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let asked = body::parse::<CreateEnvelope>(&bytes?)?.security_service;
    let new = NewSecurityService {
        service_type: service_type(&asked.service_type)?,
        name: body::display_text(asked.name),
        description: body::display_text(asked.description),
        dns_ip: body::display_text(asked.dns_ip),
        server: body::display_text(asked.server),
        domain: body::display_text(asked.domain),
        user: body::display_text(asked.user),
        password: body::display_text(asked.password).map(Password::new),
        organizational_unit: body::display_text(asked.ou),
        default_ad_site: body::display_text(asked.default_ad_site),
    };
    let made = manager.create_security_service(&caller.context(), new).await?;
    Ok(Json(json!({ "security_service": full(&caller, &made) })))
}

fn service_type(text: &str) -> Result<SecurityServiceType, ApiError> {
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(64).collect();
        ApiError::BadRequest(format!("there is no type '{shown}'; use active_directory, ldap or kerberos"))
    })
}

/// The share network whose services are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OfNetwork {
    share_network_id: Option<String>,
}

async fn list(
    State(manager): State<Manager>,
    caller: Caller,
    Query(query): Query<ListQuery>,
    Query(of): Query<OfNetwork>,
) -> Result<Json<Value>, ApiError> {
    let summary = |service: &SecurityService| {
        json!({
            "id": service.id, "name": service.name, "type": service.service_type, "status": "new",
        })
    };
    listed(&manager, &caller, (&query, &of), summary)
}

async fn list_detail(
    State(manager): State<Manager>,
    caller: Caller,
    Query(query): Query<ListQuery>,
    Query(of): Query<OfNetwork>,
) -> Result<Json<Value>, ApiError> {
    listed(&manager, &caller, (&query, &of), |service| full(&caller, service))
}

fn listed(
    manager: &Manager,
    caller: &Caller,
    (query, of): (&ListQuery, &OfNetwork),
    show: impl Fn(&SecurityService) -> Value,
) -> Result<Json<Value>, ApiError> {
    let network = of.share_network_id.as_deref().map(super::share_networks::id).transpose()?;
    let mut found = manager.list_security_services(&caller.scope(query.reach()), network)?;
    let filters = query.filters_and(&OWN_FILTERS)?;
    let filtered = |service: &SecurityService| {
        let mut fields = into_map(full(caller, service));
        fields.insert("share_network_id".to_owned(), json!(network));
        Value::Object(fields)
    };
    found.retain(|service| filters.admit(|| filtered(service)));
    found.sort_by_key(|service| Reverse((service.created_at, service.id)));
    let services: Vec<_> = query.page(found)?.iter().map(|service| show(service)).collect();
    Ok(Json(json!({ "security_services": services })))
}

async fn show(
    State(manager): State<Manager>,
    caller: Caller,
    Path(service): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = manager.show_security_service(&caller.scope_by_id(), id(&service)?)?;
    Ok(Json(json!({ "security_service": full(&caller, &found) })))
}

fn id(service: &str) -> Result<SecurityServiceId, ApiError> {
    body::id("security service", service)
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct UpdateEnvelope {
    security_service: UpdateBody,
}

#[derive(Deserialize)]
#[serde(expecting = "an object", deny_unknown_fields)]
struct UpdateBody {
    #[serde(default, deserialize_with = "body::given")]
    name: Option<Option<String>>,
    #[serde(default, deserialize_with = "body::given")]
    description: Option<Option<String>>,
    #[serde(default, deserialize_with = "body::given")]
    dns_ip: Option<Option<String>>,
    #[serde(default, deserialize_with = "body::given")]
    server: Option<Option<String>>,
    #[serde(default, deserialize_with = "body::given")]
    domain: Option<Option<String>>,
    #[serde(default, deserialize_with = "body::given")]
    user: Option<Option<String>>,
    #[serde(default, deserialize_with = "body::given")]
    password: Option<Option<String>>,
    #[serde(default, deserialize_with = "body::given")]
    ou: Option<Option<String>>,
    #[serde(default, deserialize_with = "body::given")]
    default_ad_site: Option<Option<String>>,
}

async fn update(
    State(manager): State<Manager>,
    caller: Caller,
    Path(service): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let id = id(&service)?;
    let asked = body::parse::<UpdateEnvelope>(&bytes?)?.security_service;
    // Whoever writes back what was shown does not mean a new password.
    let password = asked.password.filter(|password| password.as_deref() != Some(HIDDEN));
    let update = SecurityServiceUpdate {
        name: asked.name.map(body::display_text),
        description: asked.description.map(body::display_text),
        dns_ip: asked.dns_ip.map(body::display_text),
        server: asked.server.map(body::display_text),
        domain: asked.domain.map(body::display_text),
        user: asked.user.map(body::display_text),
        password: password.map(|password| body::display_text(password).map(Password::new)),
        organizational_unit: asked.ou.map(body::display_text),
        default_ad_site: asked.default_ad_site.map(body::display_text),
    };
    let changed = manager.update_security_service(&caller.context(), id, update).await?;
    Ok(Json(json!({ "security_service": full(&caller, &changed) })))
}

async fn delete(
    State(manager): State<Manager>,
    caller: Caller,
    Path(service): Path<String>,
) -> Result<StatusCode, ApiError> {
    manager.delete_security_service(&caller.context(), id(&service)?).await?;
    Ok(StatusCode::ACCEPTED)
}

/// A security service, in full. Its password is never among it.
fn full(caller: &Caller, service: &SecurityService) -> Value {
    let mut fields = into_map(json!({
        "id": service.id,
        "name": service.name,
        "description": service.description,
        "type": service.service_type,
        "status": "new",
        "project_id": service.project_id,
        "dns_ip": service.dns_ip,
        "server": service.server,
        "domain": service.domain,
        "user": service.user,
        "password": service.password.as_ref().map(|_| HIDDEN),
        "created_at": service.created_at.openstack(),
        "updated_at": service.updated_at.openstack(),
    }));
    if caller.version.at_least(UNIT) {
        fields.insert("ou".to_owned(), json!(service.organizational_unit));
    }
    Value::Object(fields)
}
