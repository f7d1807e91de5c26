//! One controller: a listener, with or without TLS, and the connections to it.

use super::state::{Answered, Asked, State};
use anyhow::Context;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, COOKIE, HeaderValue, RETRY_AFTER, SET_COOKIE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What an encrypted array shows.
#[derive(Debug)]
pub(super) struct Identity {
    /// Its certificate, in PEM.
    pub(super) certificate: String,
    config: Arc<ServerConfig>,
}

/// A certificate of one's own, for the loopback address.
pub(super) fn identity() -> anyhow::Result<Identity> {
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names)?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(anyhow::Error::msg)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    Ok(Identity { certificate: made.cert.pem(), config: Arc::new(config) })
}

/// A controller's door.
#[derive(Debug)]
pub(super) struct Door {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Door {
    pub(super) async fn open(state: Arc<Mutex<State>>, identity: Option<&Identity>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free")?;
        let address = listener.local_addr()?;
        let acceptor = identity.map(|identity| TlsAcceptor::from(Arc::clone(&identity.config)));
        let task = tokio::spawn(async move {
            // Dropped with this task: every connection ends with its controller.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(connection(stream, acceptor.clone(), Arc::clone(&state)));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, task })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn close(&mut self) {
        self.task.abort();
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.close();
    }
}

async fn connection(stream: TcpStream, acceptor: Option<TlsAcceptor>, state: Arc<Mutex<State>>) {
    match acceptor {
        None => serve(stream, state).await,
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, state).await;
            }
        }
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, state: Arc<Mutex<State>>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&state)));
    // A client that goes away is none of the array's faults.
    let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.is_ok();
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let cookies = head.headers.get(COOKIE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let session = cookies.split("; ").find_map(|cookie| cookie.strip_prefix("sid="));
    let path: Vec<&str> = head.uri.path().split('/').skip(1).collect();
    let asked = Asked {
        method: head.method.as_str(),
        path: &path,
        session,
        csrf: text("x-csrf-token"),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let answered = state.lock().unwrap_or_else(PoisonError::into_inner).answer(&asked);
    Ok(written(answered))
}

fn written(answered: Answered) -> Response<Full<Bytes>> {
    let body = if answered.body.is_null() { String::new() } else { answered.body.to_string() };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() =
        StatusCode::from_u16(answered.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(Ok(cookie)) = answered.cookie.map(HeaderValue::try_from) {
        headers.insert(SET_COOKIE, cookie);
    }
    if let Some(seconds) = answered.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
