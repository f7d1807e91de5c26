//! A small HTTP client for tests: one request, one answer, over TCP or the operator's socket.

use anyhow::Context;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// Which door of a daemon.
#[derive(Debug, Clone)]
pub enum Door {
    /// The tenants' address.
    Network(SocketAddr),
    /// The operator's socket.
    Socket(PathBuf),
}

/// A client with the headers it sends.
#[derive(Debug, Clone)]
pub struct Client {
    door: Door,
    headers: Vec<(String, String)>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: hyper::HeaderMap,
    /// The body, as JSON if it is; else as a JSON string.
    pub body: Value,
}

impl Client {
    /// A client of this door that speaks the newest form of the API.
    #[must_use]
    pub fn new(door: Door) -> Self {
        Self { door, headers: Vec::new() }.header("x-openstack-manila-api-version", "latest")
    }

    /// Send this header with every request, instead of an earlier one of the same name.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Send a request; a body is JSON.
    pub async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        self.send_bytes(method, path, body.map(Value::to_string).unwrap_or_default().into_bytes()).await
    }

    /// Send a request with any bytes as its body.
    pub async fn send_bytes(&self, method: &str, path: &str, body: Vec<u8>) -> anyhow::Result<Answer> {
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes())?).uri(path);
        request = request.header("content-type", "application/json");
        let host = match &self.door {
            Door::Network(address) => address.to_string(),
            Door::Socket(_) => "localhost".to_owned(),
        };
        if !self.headers.iter().any(|(name, _)| name == "host") {
            request = request.header("host", host);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(body)))?;
        match &self.door {
            Door::Network(address) => exchange(TcpStream::connect(address).await?, request).await,
            Door::Socket(path) => exchange(UnixStream::connect(path).await?, request).await,
        }
    }

    /// GET; anything but a 2xx is an error with what the daemon said.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.expect("GET", path, None).await
    }

    /// POST; anything but a 2xx is an error.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.expect("POST", path, Some(body)).await
    }

    /// DELETE; anything but a 2xx is an error.
    pub async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.expect("DELETE", path, None).await
    }

    async fn expect(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let answer = self.send(method, path, body).await.with_context(|| format!("{method} {path}"))?;
        anyhow::ensure!(
            (200..300).contains(&answer.status),
            "{method} {path} answered {}: {}",
            answer.status,
            answer.body
        );
        Ok(answer.body)
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> anyhow::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await?.to_bytes();
    connection.abort();
    let body = match serde_json::from_slice(&bytes) {
        Ok(value) => value,
        Err(_) if bytes.is_empty() => Value::Null,
        Err(_) => Value::String(String::from_utf8_lossy(&bytes).into_owned()),
    };
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
}
