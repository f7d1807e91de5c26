//! Requests over the network: HTTP/1.1, with or without TLS, one connection a request.
//!
//! A connection that is kept may be closed by the other side at the moment a request is written to it, and nobody could tell whether that
//! was done. A fresh one is known to have carried nothing until its request is written.

use super::controller::{Controller, Host};
use super::exchange::{ExchangeError, Payload, Sink, Transport, WireRequest, WireResponse};
use super::metered::{Meter, Metered};
use async_trait::async_trait;
use bulkhead_model::text::GuestText;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING,
};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

/// How long one address may take to be connected to, at most.
const LONGEST_CONNECT: Duration = Duration::from_secs(10);
/// The most bytes before the body of an answer: its head and whatever informational answers come before.
const LARGEST_HEAD: u64 = 64 << 10;
/// The most headers of an answer.
const MOST_HEADERS: usize = 128;
/// How many bytes on the wire one byte of body may cost: chunks of one byte with their size and line ends, and some extensions.
const WIRE_COST: u64 = 16;
/// The longest reason in a text, in bytes.
const SHOWN: usize = 256;

/// The real transport.
#[derive(Debug, Clone, Copy, Default)]
pub struct Network;

#[async_trait]
impl Transport for Network {
    async fn exchange(
        &self,
        controller: &Controller,
        request: WireRequest,
    ) -> Result<WireResponse, ExchangeError> {
        let deadline = request.deadline;
        let stream = connect(controller, deadline).await?;
        let Some((config, name)) = controller.tls() else {
            return send(stream, controller, request).await;
        };
        let connecting = TlsConnector::from(Arc::clone(config)).connect(name.clone(), stream);
        match tokio::time::timeout_at(deadline, connecting).await {
            Ok(Ok(stream)) => send(stream, controller, request).await,
            Ok(Err(error)) => Err(handshake_failed(controller, &error)),
            Err(_) => Err(not_sent(format!("{controller}: the TLS handshake was not over in time"))),
        }
    }
}

fn not_sent(reason: String) -> ExchangeError {
    ExchangeError::NotSent { reason }
}

fn handshake_failed(controller: &Controller, error: &io::Error) -> ExchangeError {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(problem)) => ExchangeError::Impostor {
            reason: format!(
                "{controller} does not show the certificate it is known by ({problem:?}); if it has a new one, correct ca or \
                 fingerprints of the endpoint in the grant"
            ),
        },
        _ => not_sent(format!("{controller}: TLS: {}", GuestText::new(&error.to_string(), SHOWN))),
    }
}

/// Connect to the first address that answers, of those that the binding allows.
async fn connect(controller: &Controller, deadline: Instant) -> Result<TcpStream, ExchangeError> {
    let looking = async {
        match controller.host() {
            Host::Address(address) => Ok(vec![SocketAddr::new(*address, controller.port())]),
            Host::Name(name) => {
                tokio::net::lookup_host((name.as_str(), controller.port())).await.map(Iterator::collect)
            }
        }
    };
    let found: Vec<SocketAddr> = match tokio::time::timeout_at(deadline, looking).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            return Err(not_sent(format!("{controller}: its name cannot be looked up: {error}")));
        }
        Err(_) => return Err(not_sent(format!("{controller}: its name was not looked up in time"))),
    };
    let mut reason = format!("{controller}: its name has no address");
    for address in found {
        if !controller.may_lead_to(address.ip()) {
            reason = format!(
                "{controller} leads to {}, which its binding does not allow; name the address itself, or its network in addresses",
                address.ip()
            );
            continue;
        }
        let until = Instant::now().checked_add(LONGEST_CONNECT).map_or(deadline, |most| most.min(deadline));
        match tokio::time::timeout_at(until, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Small requests that are waited for: nothing is gained by holding them back.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection is slower than it could be");
                }
                return Ok(stream);
            }
            Ok(Err(error)) => reason = format!("{controller}: {error}"),
            Err(_) => reason = format!("{controller}: no connection in time"),
        }
    }
    Err(not_sent(reason))
}

async fn send<S>(
    stream: S,
    controller: &Controller,
    request: WireRequest,
) -> Result<WireResponse, ExchangeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let meter = Arc::new(Meter::new(LARGEST_HEAD));
    let metered = TokioIo::new(Metered::new(stream, Arc::clone(&meter)));
    let deadline = request.deadline;
    let work = talk(metered, controller, request, &meter);
    let outcome = tokio::time::timeout_at(deadline, work).await;
    match outcome {
        Ok(Err(ExchangeError::Lost { .. })) if meter.is_exceeded() => Err(ExchangeError::TooLarge {
            what: format!(
                "{controller} sent more than it may: a head has at most {LARGEST_HEAD} bytes, a body what its template says"
            ),
        }),
        Ok(Err(ExchangeError::Lost { reason })) if meter.written() == 0 => Err(not_sent(reason)),
        Ok(answer) => answer,
        Err(_) if meter.written() == 0 => {
            Err(not_sent(format!("{controller}: nothing could be sent in time")))
        }
        Err(_) => Err(ExchangeError::TimedOut),
    }
}

async fn talk<S>(
    stream: TokioIo<Metered<S>>,
    controller: &Controller,
    request: WireRequest,
    meter: &Meter,
) -> Result<WireResponse, ExchangeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let lost = |error: hyper::Error| failed(controller, &error);
    let mut builder = http1::Builder::new();
    builder.max_buf_size(usize::try_from(LARGEST_HEAD).unwrap_or(usize::MAX)).max_headers(MOST_HEADERS);
    let (mut sender, connection) = builder.handshake(stream).await.map_err(lost)?;
    // Ended with this future: an answer nobody waits for keeps nothing open.
    let _driving = Driving(tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended");
        }
    }));
    let WireRequest { method, target, headers, payload, capture, sink, largest, .. } = request;
    let broken = Arc::new(AtomicBool::new(false));
    let mut built = Request::new(Carried::new(payload, Arc::clone(&broken)));
    *built.method_mut() = method.as_str().parse().map_err(|_| not_sent("the method is none".to_owned()))?;
    *built.uri_mut() =
        target.parse().map_err(|_| not_sent("path and query are longer than a request has".to_owned()))?;
    let authority = HeaderValue::try_from(controller.authority())
        .map_err(|_| not_sent(format!("{controller} has a name that no header holds")))?;
    built.headers_mut().insert(HOST, authority);
    built.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    built.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in headers {
        built.headers_mut().append(name, value);
    }
    let response = sender.send_request(built).await.map_err(|error| {
        if broken.load(Ordering::Relaxed) {
            return ExchangeError::Source { reason: "the file ended early or could not be read".to_owned() };
        }
        failed(controller, &error)
    })?;
    receive(response, controller, meter, (capture, sink, largest)).await
}

fn failed(controller: &Controller, error: &hyper::Error) -> ExchangeError {
    if error.is_parse_too_large() {
        return ExchangeError::TooLarge {
            what: format!(
                "{controller} answered with more than {MOST_HEADERS} headers or {LARGEST_HEAD} bytes of them"
            ),
        };
    }
    let reason = GuestText::new(&error.to_string(), SHOWN);
    ExchangeError::Lost { reason: format!("{controller}: the link broke: {reason}") }
}

async fn receive(
    response: Response<Incoming>,
    controller: &Controller,
    meter: &Meter,
    (capture, sink, largest): (usize, Option<Sink>, u64),
) -> Result<WireResponse, ExchangeError> {
    let (head, mut body) = response.into_parts();
    if let Some(packing) = packing(&head.headers).filter(|_| !body.is_end_stream()) {
        return Err(ExchangeError::Packed {
            what: format!(
                "{controller} answered in the coding '{}' although it was asked not to; switch that off there, so that secrets which \
                 it may hold can be taken out",
                GuestText::new(&packing, SHOWN)
            ),
        });
    }
    let mut answer = WireResponse {
        status: head.status.as_u16(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect(),
        body: Vec::new(),
        truncated: false,
        streamed: 0,
    };
    let sink = sink.filter(|_| answer.is_success());
    let most = if sink.is_some() { largest } else { u64::try_from(capture).unwrap_or(u64::MAX) };
    meter.allow(most.saturating_mul(WIRE_COST).saturating_add(LARGEST_HEAD));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| failed(controller, &error))?;
        let Ok(piece) = frame.into_data() else { continue };
        match &sink {
            Some(sink) => {
                answer.streamed =
                    answer.streamed.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
                if answer.streamed > largest {
                    let what = format!("{controller} sent more than the {largest} bytes its template allows");
                    return Err(ExchangeError::TooLarge { what });
                }
                if sink.send(piece).await.is_err() {
                    // Whoever writes it has failed, and says why.
                    return Ok(answer);
                }
            }
            None => {
                let room = capture.saturating_sub(answer.body.len());
                answer.body.extend_from_slice(piece.get(..room.min(piece.len())).unwrap_or_default());
                if piece.len() > room {
                    answer.truncated = true;
                    return Ok(answer);
                }
            }
        }
    }
    Ok(answer)
}

/// How a body is packed, other than in pieces; none if it is not. What is packed holds its secrets unseen.
fn packing(headers: &HeaderMap) -> Option<String> {
    let codings = headers.get_all(CONTENT_ENCODING).iter().chain(headers.get_all(TRANSFER_ENCODING));
    let words = codings.map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase());
    words
        .flat_map(|value| value.split(',').map(|word| word.trim().to_owned()).collect::<Vec<_>>())
        .find(|word| !matches!(word.as_str(), "" | "identity" | "chunked"))
}

/// Ends its task when dropped.
struct Driving(tokio::task::JoinHandle<()>);

impl Drop for Driving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What is sent.
enum Carried {
    Bytes(Option<Bytes>),
    Stream { left: u64, pieces: mpsc::Receiver<io::Result<Bytes>>, broken: Arc<AtomicBool> },
}

impl Carried {
    fn new(payload: Payload, broken: Arc<AtomicBool>) -> Self {
        match payload {
            Payload::Bytes(bytes) if bytes.is_empty() => Self::Bytes(None),
            Payload::Bytes(bytes) => Self::Bytes(Some(bytes.into())),
            Payload::Stream { length, pieces } => Self::Stream { left: length, pieces, broken },
        }
    }
}

impl Body for Carried {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::Bytes(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream { left: 0, .. } => Poll::Ready(None),
            Self::Stream { left, pieces, broken } => {
                let fail = |reason: io::Error| {
                    broken.store(true, Ordering::Relaxed);
                    Poll::Ready(Some(Err(reason)))
                };
                match ready!(pieces.poll_recv(context)) {
                    Some(Ok(piece)) => {
                        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                        match left.checked_sub(length) {
                            Some(rest) => *left = rest,
                            None => return fail(io::Error::other("the file has grown meanwhile")),
                        }
                        Poll::Ready(Some(Ok(Frame::data(piece))))
                    }
                    Some(Err(error)) => fail(error),
                    None => fail(io::ErrorKind::UnexpectedEof.into()),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Bytes(None) | Self::Stream { left: 0, .. })
    }

    fn size_hint(&self) -> SizeHint {
        let length = match self {
            Self::Bytes(bytes) => {
                bytes.as_ref().map_or(0, |bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
            Self::Stream { left, .. } => *left,
        };
        SizeHint::with_exact(length)
    }
}
