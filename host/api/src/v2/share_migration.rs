//! The actions on a share that move it: an experiment at every microversion, as in Manila, and for operators.

use super::experiment::Experiment;
use super::manage::backend_of;
use super::share_actions::convert;
use crate::body;
use crate::error::ApiError;
use crate::request::Caller;
use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bulkhead_manager::{Manager, ManagerError, StartMigration, Started};
use bulkhead_model::id::ShareId;
use bulkhead_model::migration::MigrationOptions;
use bulkhead_model::share::Placement;
use bulkhead_model::status::TaskState;
use serde::Deserialize;
use serde_json::{Value, json};

const START: Experiment = Experiment { what: "migrations", first: 29, settled: None };
const GO_ON: Experiment = Experiment { what: "migrations", first: 22, settled: None };
/// From when on the answer about the progress has details, which only share servers fill.
const DETAILS: u16 = 59;

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct StartBody {
    host: String,
    writable: Value,
    preserve_metadata: Value,
    nondisruptive: Value,
    preserve_snapshots: Value,
    force_host_assisted_migration: Option<Value>,
    new_share_network_id: Option<String>,
    new_share_type_id: Option<String>,
}

impl StartBody {
    fn check(self) -> Result<StartMigration, ApiError> {
        if self.new_share_network_id.is_some_and(|id| !id.is_empty()) {
            return Err(ApiError::BadRequest(
                "new_share_network_id cannot be used: no backend here builds share servers".to_owned(),
            ));
        }
        let (backend, pool) = backend_of("host", &self.host)?;
        Ok(StartMigration {
            to: Placement { backend, pool },
            options: MigrationOptions {
                writable: body::flag("writable", Some(&self.writable))?,
                preserve_metadata: body::flag("preserve_metadata", Some(&self.preserve_metadata))?,
                nondisruptive: body::flag("nondisruptive", Some(&self.nondisruptive))?,
                preserve_snapshots: body::flag("preserve_snapshots", Some(&self.preserve_snapshots))?,
                force_host_assisted: body::flag(
                    "force_host_assisted_migration",
                    self.force_host_assisted_migration.as_ref(),
                )?,
            },
            new_type: self.new_share_type_id.filter(|id| !id.is_empty()),
        })
    }
}

/// Begin to move a share: 202, or 200 if it is there already.
pub(super) async fn start(
    manager: &Manager,
    (caller, headers): (&Caller, &HeaderMap),
    share: ShareId,
    arguments: Value,
) -> Result<Response, ApiError> {
    START.check(caller, headers)?;
    let asked = convert::<StartBody>(arguments)?.check()?;
    let started = manager.start_migration(&caller.context(), share, asked).await.map_err(at_destination)?;
    Ok(match started {
        Started::Begun => StatusCode::ACCEPTED,
        Started::Already => StatusCode::OK,
    }
    .into_response())
}

/// A place that there is not is an argument at fault.
fn at_destination(error: ManagerError) -> ApiError {
    match error {
        ManagerError::NotFound { kind: "backend" | "pool" | "share type", .. } => {
            ApiError::BadRequest(error.to_string())
        }
        other => other.into(),
    }
}

/// The second phase.
pub(super) async fn complete(
    manager: &Manager,
    (caller, headers): (&Caller, &HeaderMap),
    share: ShareId,
) -> Result<Response, ApiError> {
    GO_ON.check(caller, headers)?;
    manager.complete_migration(&caller.context(), share).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// Stop.
pub(super) async fn cancel(
    manager: &Manager,
    (caller, headers): (&Caller, &HeaderMap),
    share: ShareId,
) -> Result<Response, ApiError> {
    GO_ON.check(caller, headers)?;
    manager.cancel_migration(&caller.context(), share).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// How far it is.
pub(super) async fn progress(
    manager: &Manager,
    (caller, headers): (&Caller, &HeaderMap),
    share: ShareId,
) -> Result<Response, ApiError> {
    GO_ON.check(caller, headers)?;
    let progress = manager.migration_progress(&caller.context(), share).await?;
    let mut answer = json!({ "total_progress": progress.total_percent, "task_state": progress.task_state });
    if caller.version.at_least(DETAILS)
        && let Value::Object(fields) = &mut answer
    {
        fields.insert("details".to_owned(), json!({}));
    }
    Ok(Json(answer).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct TaskStateBody {
    task_state: Option<String>,
}

/// Set the word by hand. The stock client sends this after every change of a share, mostly with what is so already: that changes nothing
/// and is no operator's matter.
pub(super) async fn reset_task_state(
    manager: &Manager,
    caller: &Caller,
    share: ShareId,
    arguments: Value,
) -> Result<Response, ApiError> {
    let asked: TaskStateBody = convert(arguments)?;
    let parse = |text: String| {
        text.parse::<TaskState>().map_err(|_| {
            let shown: String = text.chars().take(64).collect();
            ApiError::BadRequest(format!("there is no task state '{shown}'"))
        })
    };
    let state = asked.task_state.filter(|text| !text.is_empty() && text != "None").map(parse).transpose()?;
    let found = manager.show_share(&caller.scope_by_id(), share)?;
    if found.share.task_state != state {
        manager.reset_task_state(&caller.context(), share, state).await?;
    }
    Ok(StatusCode::ACCEPTED.into_response())
}
