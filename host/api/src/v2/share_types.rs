//! Share types. There is one, built in; the stock client looks it up before every creation.

use crate::error::ApiError;
use crate::request::{Caller, Path};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use bulkhead_manager::{Manager, ShareTypeView};
use serde_json::{Value, json};

const REQUIRED_SPEC: &str = "driver_handles_share_servers";

pub(crate) fn routes() -> Router<Manager> {
    Router::new()
        .route("/v2/types", get(list))
        .route("/v2/types/{share_type}", get(show))
        .route("/v2/types/{share_type}/extra_specs", get(extra_specs))
}

async fn list(State(manager): State<Manager>, caller: Caller) -> Json<Value> {
    let types: Vec<_> =
        manager.list_share_types().iter().map(|share_type| view(&caller, share_type)).collect();
    Json(json!({ "share_types": types, "volume_types": types }))
}

async fn show(
    State(manager): State<Manager>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let shown = view(&caller, &manager.show_share_type(&name)?);
    Ok(Json(json!({ "share_type": shown, "volume_type": shown })))
}

async fn extra_specs(
    State(manager): State<Manager>,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({ "extra_specs": manager.show_share_type(&name)?.extra_specs })))
}

fn view(caller: &Caller, share_type: &ShareTypeView) -> Value {
    let required = share_type.extra_specs.get(REQUIRED_SPEC);
    let mut shown = json!({
        "id": share_type.id,
        "name": share_type.name,
        "extra_specs": share_type.extra_specs,
        "required_extra_specs": { REQUIRED_SPEC: required },
    });
    if let Value::Object(fields) = &mut shown {
        let public = if caller.version.at_least(7) {
            "share_type_access:is_public"
        } else {
            "os-share-type-access:is_public"
        };
        fields.insert(public.to_owned(), json!(true));
        if caller.version.at_least(41) {
            fields.insert("description".to_owned(), json!(share_type.description));
        }
        if caller.version.at_least(46) {
            fields.insert("is_default".to_owned(), json!(true));
        }
    }
    shown
}
