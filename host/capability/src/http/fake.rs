//! A transport for tests: it sends nothing, remembers what it was asked, and answers what it was told to.

use super::controller::Controller;
use super::exchange::{ExchangeError, Payload, Transport, WireRequest, WireResponse};
use async_trait::async_trait;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// A request as it would have been sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentRequest {
    /// The controller.
    pub controller: String,
    /// Method, path and query.
    pub line: String,
    /// Headers in order.
    pub headers: Vec<(String, String)>,
    /// The body; of a stream all that came.
    pub body: Vec<u8>,
}

/// What answers a request in place of an array.
type Answerer = Box<dyn Fn(&SentRequest) -> Result<WireResponse, ExchangeError> + Send + Sync>;

/// Answers 200 with nothing unless it is told otherwise.
#[derive(Default)]
pub struct FakeTransport {
    sent: Mutex<Vec<SentRequest>>,
    answers: Mutex<VecDeque<Result<WireResponse, ExchangeError>>>,
    answerer: Mutex<Option<Answerer>>,
    silent: Mutex<Option<String>>,
    held: Mutex<Option<oneshot::Receiver<()>>>,
}

impl fmt::Debug for FakeTransport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FakeTransport").field("sent", &self.sent).finish_non_exhaustive()
    }
}

impl FakeTransport {
    /// Answer the next request with this; several calls queue up.
    pub fn answer(&self, answer: Result<WireResponse, ExchangeError>) {
        locked(&self.answers).push_back(answer);
    }

    /// Answer every request that nothing is queued for with this.
    pub fn answer_all(
        &self,
        answerer: impl Fn(&SentRequest) -> Result<WireResponse, ExchangeError> + Send + Sync + 'static,
    ) {
        *locked(&self.answerer) = Some(Box::new(answerer));
    }

    /// Never answer what is asked at this controller any more.
    pub fn fall_silent(&self, controller: &str) {
        *locked(&self.silent) = Some(controller.to_owned());
    }

    /// Answer the next request only once what is returned is dropped, and those after it at once.
    #[must_use]
    pub fn hold_next(&self) -> oneshot::Sender<()> {
        let (release, held) = oneshot::channel();
        *locked(&self.held) = Some(held);
        release
    }

    /// What was answered, oldest first.
    #[must_use]
    pub fn sent(&self) -> Vec<SentRequest> {
        locked(&self.sent).clone()
    }
}

/// An answer without headers.
#[must_use]
pub fn answer(status: u16, body: impl Into<Vec<u8>>) -> WireResponse {
    WireResponse { status, headers: Vec::new(), body: body.into(), truncated: false, streamed: 0 }
}

#[async_trait]
impl Transport for FakeTransport {
    async fn exchange(
        &self,
        controller: &Controller,
        request: WireRequest,
    ) -> Result<WireResponse, ExchangeError> {
        let (capture, sink) = (request.capture, request.sink.clone());
        let sent = seen(controller, request).await?;
        if locked(&self.silent).as_ref().is_some_and(|silent| *silent == sent.controller) {
            return std::future::pending().await;
        }
        let held = locked(&self.held).take();
        if let Some(held) = held {
            // Whoever holds it drops it, or says so.
            let _released = held.await.is_ok();
        }
        let queued = locked(&self.answers).pop_front();
        let answer = match (queued, &*locked(&self.answerer)) {
            (Some(answer), _) => answer,
            (None, Some(answerer)) => answerer(&sent),
            (None, None) => Ok(answer(200, "")),
        };
        locked(&self.sent).push(sent);
        let mut answer = answer?;
        match sink.filter(|_| answer.is_success()) {
            Some(sink) => {
                answer.streamed = u64::try_from(answer.body.len()).unwrap_or(u64::MAX);
                // Whoever takes no more says why.
                let _taken = sink.send(std::mem::take(&mut answer.body).into()).await.is_ok();
            }
            None => {
                answer.truncated = answer.body.len() > capture;
                answer.body.truncate(capture);
            }
        }
        Ok(answer)
    }
}

async fn seen(controller: &Controller, request: WireRequest) -> Result<SentRequest, ExchangeError> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = request.headers.iter();
    let headers = headers.map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes()))).collect();
    let body = match request.payload {
        Payload::Bytes(bytes) => bytes,
        Payload::Stream { mut pieces, .. } => {
            let mut body = Vec::new();
            while let Some(piece) = pieces.recv().await {
                let piece = piece.map_err(|error| ExchangeError::Source { reason: error.to_string() })?;
                body.extend_from_slice(&piece);
            }
            body
        }
    };
    Ok(SentRequest {
        controller: controller.url().to_owned(),
        line: format!("{} {}", request.method.as_str(), request.target),
        headers,
        body,
    })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
