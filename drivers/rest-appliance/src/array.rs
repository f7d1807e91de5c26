//! What the array answers, and what its refusals mean.

use bulkhead_sdk::http::{self, Response};
use bulkhead_sdk::{Error, Result, Share, Slots, Snapshot};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The array as a whole.
#[derive(Debug, Deserialize)]
pub(crate) struct System {
    /// What it is.
    pub(crate) model: String,
    /// Its software.
    pub(crate) version: String,
    pub(crate) total_gib: f64,
    pub(crate) free_gib: f64,
}

/// A volume.
#[derive(Debug, Deserialize)]
pub(crate) struct Volume {
    pub(crate) size_gib: u64,
    /// The path that clients mount.
    pub(crate) export: String,
}

/// A snapshot.
#[derive(Debug, Deserialize)]
pub(crate) struct ArraySnapshot {
    /// The volume it is of.
    pub(crate) volume: String,
}

/// What the array does to a volume, or did last.
#[derive(Debug, Deserialize)]
pub(crate) struct Job {
    pub(crate) state: JobState,
    /// Why it failed.
    #[serde(default)]
    pub(crate) error: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JobState {
    Running,
    Done,
    Failed,
}

/// A refusal.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refusal {
    code: String,
    message: String,
}

/// Send a request; wait where the array asks to.
pub(crate) fn send(request: &str, slots: Slots) -> Result<Response> {
    let answer = http::send_patiently(request, slots)?;
    match answer.status {
        429 | 503 => Err(Error::busy(format!("the array is too busy for {request} ({})", answer.status))),
        _ => Ok(answer),
    }
}

/// What a request is about: one volume.
pub(crate) fn of_volume(share: &Share) -> Slots {
    Slots::new().name_of("volume", share)
}

/// The volume of a share; none if there is none.
pub(crate) fn volume(share: &Share) -> Result<Option<Volume>> {
    optional("read-volume", of_volume(share))
}

/// What the array did last to the volume of a share; none if there is no such volume.
pub(crate) fn job(share: &Share) -> Result<Option<Job>> {
    optional("read-job", of_volume(share))
}

/// A snapshot; none if there is none.
pub(crate) fn snapshot(snapshot: &Snapshot) -> Result<Option<ArraySnapshot>> {
    optional("read-snapshot", Slots::new().name_of("snapshot", snapshot))
}

fn optional<T: DeserializeOwned>(request: &str, slots: Slots) -> Result<Option<T>> {
    let answer = send(request, slots)?;
    if answer.status == 404 { Ok(None) } else { read(request, &answer).map(Some) }
}

/// The body of a successful answer.
pub(crate) fn read<T: DeserializeOwned>(request: &str, answer: &Response) -> Result<T> {
    if !answer.is_success() {
        return Err(refused(request, answer));
    }
    serde_json::from_slice(&answer.body).map_err(|error| {
        Error::backend_failed(format!("the array answered {request} with what is none: {error}"))
    })
}

/// What a refusal means to the host.
pub(crate) fn refused(request: &str, answer: &Response) -> Error {
    let refusal: Refusal = serde_json::from_slice(&answer.body).unwrap_or_default();
    failure(&refusal.code, format!("the array refused {request} with {}: {}", answer.status, refusal.message))
}

/// A failure by the array's own code.
pub(crate) fn failure(code: &str, message: String) -> Error {
    match code {
        "no-space" => Error::no_space(message),
        "in-use" => Error::possible_data_loss(message),
        "no-volume" => Error::share_not_found(message),
        "no-snapshot" => Error::snapshot_not_found(message),
        "busy" => Error::busy(message),
        _ => Error::backend_failed(message),
    }
}
