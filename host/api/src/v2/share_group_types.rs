//! Types of share groups: one is built in. The stock client looks types up before every creation.

use super::share_groups::GroupCaller;
use crate::error::ApiError;
use crate::request::{Caller, Path};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use bulkhead_manager::{Manager, ShareGroupTypeView};
use serde_json::{Value, json};

/// The first microversion that says which type is the default.
const DEFAULT: u16 = 46;

pub(crate) fn routes() -> Router<Manager> {
    Router::new()
        .route("/v2/share-group-types", get(list))
        .route("/v2/share-group-types/{group_type}", get(show))
        .route("/v2/share-group-types/{group_type}/group-specs", get(group_specs))
}

async fn list(State(manager): State<Manager>, GroupCaller(caller): GroupCaller) -> Json<Value> {
    let types: Vec<_> =
        manager.list_share_group_types().iter().map(|group_type| view(&caller, group_type)).collect();
    Json(json!({ "share_group_types": types }))
}

/// Also `default`, which is the name of the built-in one.
async fn show(
    State(manager): State<Manager>,
    GroupCaller(caller): GroupCaller,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = manager.show_share_group_type(&name)?;
    Ok(Json(json!({ "share_group_type": view(&caller, &found) })))
}

async fn group_specs(
    State(manager): State<Manager>,
    GroupCaller(_): GroupCaller,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = manager.show_share_group_type(&name)?;
    Ok(Json(json!({ "group_specs": found.group_specs })))
}

fn view(caller: &Caller, group_type: &ShareGroupTypeView) -> Value {
    let mut shown = json!({
        "id": group_type.id,
        "name": group_type.name,
        "is_public": true,
        "group_specs": group_type.group_specs,
        "share_types": group_type.share_types,
    });
    if caller.version.at_least(DEFAULT)
        && let Value::Object(fields) = &mut shown
    {
        fields.insert("is_default".to_owned(), json!(group_type.is_default));
    }
    shown
}
