//! The command line's way to the daemon: HTTP over the unix socket in the state directory.
//!
//! Whoever may open the socket is the operator. Nothing is sent over the network.

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

/// The name of the socket in the state directory.
pub(crate) const SOCKET: &str = "operator.sock";
/// The largest answer read, in bytes: a list of 100,000 shares has less.
const LARGEST_ANSWER: usize = 256 << 20;

/// A connection to a daemon.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    socket: PathBuf,
    project: String,
}

/// What the daemon answered instead of doing what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// The daemon's words.
    pub(crate) message: String,
}

impl Client {
    /// A client of the daemon with this state directory, acting in `project`.
    pub(crate) fn new(state_directory: &Path, project: &str) -> Self {
        Self { socket: state_directory.join(SOCKET), project: project.to_owned() }
    }

    /// Read something.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(Method::GET, path, None).await
    }

    /// Ask for something.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(Method::POST, path, Some(body)).await
    }

    /// Ask for something that the API calls an experiment.
    pub(crate) async fn post_experimental(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send_with(Method::POST, path, Some(body), "True").await
    }

    /// Change something.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(Method::PUT, path, Some(body)).await
    }

    /// Remove something.
    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.send(Method::DELETE, path, None).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        self.send_with(method, path, body, "False").await
    }

    async fn send_with(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        experimental: &'static str,
    ) -> anyhow::Result<Value> {
        let stream = UnixStream::connect(&self.socket).await.with_context(|| {
            format!(
                "no daemon answers at {}\nhint: start it with 'bulkhead serve', or name its state directory with --state",
                self.socket.display()
            )
        })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .header("x-openstack-manila-api-version", "latest")
            .header("x-openstack-manila-api-experimental", experimental)
            .header("x-bulkhead-project", &self.project)
            .body(Full::new(Bytes::from(body.map(Value::to_string).unwrap_or_default())))?;
        let response = sender.send_request(request).await.context("the daemon closed the connection")?;
        let status = response.status();
        let bytes = Limited::new(response.into_body(), LARGEST_ANSWER)
            .collect()
            .await
            .map_err(|error| anyhow::anyhow!("the daemon's answer broke off: {error}"))?
            .to_bytes();
        connection.abort();
        let value = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes)? };
        if status.is_success() || status == StatusCode::MULTIPLE_CHOICES {
            return Ok(value);
        }
        bail!(Refusal { status, message: fault_message(&value).unwrap_or_else(|| status.to_string()) })
    }
}

/// A part of a path or query, so that whatever a user types stays one.
pub(crate) fn part(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.extend(['%', hexadecimal(byte >> 4), hexadecimal(byte & 15)]);
        }
    }
    encoded
}

fn hexadecimal(half: u8) -> char {
    char::from_digit(u32::from(half), 16).unwrap_or('0').to_ascii_uppercase()
}

/// The sentence in an OpenStack fault: `{"conflictingRequest": {"code": 409, "message": "…"}}`.
fn fault_message(value: &Value) -> Option<String> {
    let fault = value.as_object()?.values().next()?;
    fault.get("message")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_types_stays_one_part_of_a_path() {
        assert_eq!(part("nas-1_a~"), "nas-1_a~");
        assert_eq!(part("a b&c=/..?#%\u{e9}"), "a%20b%26c%3D%2F%2E%2E%3F%23%25%C3%A9");
    }
}
