//! One request on the wire and what came of it: what a transport is asked for, and how it fails.

use super::controller::Controller;
use async_trait::async_trait;
use bulkhead_model::id::Label;
use bulkhead_model::manifest::HttpMethod;
use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use std::fmt;
use std::io;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// What a request carries.
pub enum Payload {
    /// These bytes; none of them: no body.
    Bytes(Vec<u8>),
    /// As many bytes as are told, piece by piece. A piece that is an error ends the request.
    Stream {
        /// How many.
        length: u64,
        /// The pieces.
        pieces: mpsc::Receiver<io::Result<Bytes>>,
    },
}

/// Where the body of a successful answer goes, when not into memory. Closed: nobody takes more.
pub type Sink = mpsc::Sender<Bytes>;

/// A request to be sent once, to one controller.
pub struct WireRequest {
    /// The template that it was made from.
    pub name: Label,
    /// The method.
    pub method: HttpMethod,
    /// Path and query, encoded.
    pub target: String,
    /// Headers, without those that the transport sets: host and length.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub payload: Payload,
    /// How much of the answer's body is kept, in bytes.
    pub capture: usize,
    /// Where the body of an answer with 2xx goes instead.
    pub sink: Option<Sink>,
    /// How many bytes may go there.
    pub largest: u64,
    /// Until when it must have been answered.
    pub deadline: Instant,
}

impl fmt::Debug for WireRequest {
    /// Without headers and body: credentials stand there.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("WireRequest")
            .field("name", &self.name)
            .field("method", &self.method)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// An answer.
#[derive(Clone, PartialEq, Eq)]
pub struct WireResponse {
    /// The status, 100 to 599.
    pub status: u16,
    /// All headers, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body as far as it is kept.
    pub body: Vec<u8>,
    /// Whether there was more of it.
    pub truncated: bool,
    /// How many bytes went into the sink.
    pub streamed: u64,
}

impl fmt::Debug for WireResponse {
    /// Without headers and body: tokens stand there.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WireResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

impl WireResponse {
    /// The first header with this name, as text; none if there is none or it is not ASCII.
    #[must_use]
    pub fn header<'this>(&'this self, name: &'this str) -> Option<&'this str> {
        self.headers(name).next()
    }

    /// Every header with this name that is ASCII.
    pub fn headers<'this>(&'this self, name: &'this str) -> impl Iterator<Item = &'this str> {
        let named = self.headers.iter().filter(move |(found, _)| found == name);
        named.filter_map(|(_, value)| std::str::from_utf8(value).ok().filter(|text| text.is_ascii()))
    }

    /// Whether its status is one of success.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }
}

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// Nothing of it was sent: another controller may be asked.
    #[error("{reason}")]
    NotSent {
        /// Why.
        reason: String,
    },
    /// Nothing was sent: the controller is not who the binding says it is.
    #[error("{reason}")]
    Impostor {
        /// Why, and what to do if it is right.
        reason: String,
    },
    /// It was sent, in part or whole, and the link broke: it may have been done.
    #[error("{reason}")]
    Lost {
        /// What happened.
        reason: String,
    },
    /// It was sent, and the time is up.
    #[error("there was no whole answer in time")]
    TimedOut,
    /// It was sent, and the answer is larger than it may be.
    #[error("{what}")]
    TooLarge {
        /// What is too large, with the limit.
        what: String,
    },
    /// It was sent, and the answer is packed in a way that hides what it holds.
    #[error("{what}")]
    Packed {
        /// How, and what to do.
        what: String,
    },
    /// What was to be sent could not be read.
    #[error("what was to be sent could not be read: {reason}")]
    Source {
        /// Why.
        reason: String,
    },
}

/// Sends requests.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug {
    /// Send `request` to `controller` once and wait for the answer, whatever its status. No redirect is followed.
    ///
    /// Dropped, nothing more is sent.
    async fn exchange(
        &self,
        controller: &Controller,
        request: WireRequest,
    ) -> Result<WireResponse, ExchangeError>;
}
