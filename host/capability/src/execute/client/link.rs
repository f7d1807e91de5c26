//! One connection to a helper: frames out, frames in, and who waits for which command.

use super::super::provider::{Abandoned, CommandRequest, RunError};
use bulkhead_helper::frame::{FrameError, FrameReader, encode};
use bulkhead_helper::protocol::{
    EndingMethod, Finished, FromHelper, LARGEST_ANSWER, LARGEST_REQUEST, Refusal, ToHelper,
};
use bulkhead_model::error::CapabilityCode;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

/// Frames that wait to be written; a helper that does not read for so long is busy.
const QUEUE: usize = 256;
/// Read from the connection in one go, in bytes.
const BLOCK: usize = 64 << 10;

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// The helper closed it, or died.
    #[error("the helper has closed the connection")]
    Closed,
    /// Reading or writing failed.
    #[error("the connection to the helper failed")]
    Failed(#[from] std::io::Error),
    /// The helper does not speak the protocol.
    #[error("the helper does not speak the protocol")]
    Garbage(#[from] FrameError),
    /// The helper said something that no rule lets it say.
    #[error("the helper answered out of turn: {0}")]
    OutOfTurn(String),
}

/// What a command came to, on its way to who waits for it.
type Answer = Result<Finished, Refusal>;

#[derive(Debug, Default)]
struct Pending {
    last_id: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Answer>>,
    /// Why nobody is asked any more.
    over: Option<String>,
}

/// A connection that commands can be run over.
#[derive(Debug)]
pub(super) struct Link {
    frames: mpsc::Sender<Vec<u8>>,
    pending: Mutex<Pending>,
    ending: EndingMethod,
    process: u32,
}

/// Both directions of a connection, before and after the handshake.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) reading: Reading,
    writing: OwnedWriteHalf,
}

/// The direction from the helper.
#[derive(Debug)]
pub(super) struct Reading {
    stream: OwnedReadHalf,
    reader: FrameReader,
}

impl Reading {
    /// The next message. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<FromHelper, LinkError> {
        let mut block = vec![0; BLOCK];
        loop {
            if let Some(message) = self.reader.read()? {
                return Ok(message);
            }
            let read = self.stream.read(&mut block).await?;
            if read == 0 {
                return Err(LinkError::Closed);
            }
            self.reader.extend(block.get(..read).unwrap_or_default());
        }
    }
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> Self {
        let (stream, writing) = stream.into_split();
        Self { reading: Reading { stream, reader: FrameReader::new(LARGEST_ANSWER) }, writing }
    }

    pub(super) async fn send(&mut self, message: &ToHelper) -> Result<(), LinkError> {
        Ok(self.writing.write_all(&encode(message, LARGEST_REQUEST)?).await?)
    }

    /// The link over this connection, once the helper has swept, and what it reads from.
    pub(super) fn into_link(self, (process, ending): (u32, EndingMethod)) -> (Arc<Link>, Reading) {
        let (frames, queue) = mpsc::channel(QUEUE);
        tokio::spawn(write(self.writing, queue));
        let link = Link { frames, pending: Mutex::default(), ending, process };
        (Arc::new(link), self.reading)
    }
}

/// Ends when the last sender is gone, or the helper is: who reads notices.
async fn write(mut stream: OwnedWriteHalf, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = queue.recv().await {
        if stream.write_all(&frame).await.is_err() {
            return;
        }
    }
}

impl Link {
    pub(super) const fn ending_method(&self) -> EndingMethod {
        self.ending
    }

    pub(super) const fn process(&self) -> u32 {
        self.process
    }

    /// Run one command over this connection.
    pub(super) async fn run(
        &self,
        request: &CommandRequest,
        mut abandoned: Abandoned,
    ) -> Result<Finished, RunError> {
        let (id, mut answer) = self.ask(request)?;
        let answer = tokio::select! {
            answer = &mut answer => answer,
            () = abandoned.wait() => {
                self.cancel(id).await;
                answer.await
            }
        };
        match answer {
            Ok(Ok(finished)) => Ok(finished),
            Ok(Err(refusal)) => Err(refusal.into()),
            Err(_) => {
                let reason = self.pending().over.clone();
                Err(RunError::OutcomeUnknown { reason: reason.unwrap_or_else(|| "it is gone".to_owned()) })
            }
        }
    }

    /// Queue a request. On failure the helper never hears of it.
    fn ask(&self, request: &CommandRequest) -> Result<(u64, oneshot::Receiver<Answer>), RunError> {
        let mut pending = self.pending();
        if let Some(reason) = &pending.over {
            return Err(RunError::Unavailable { reason: reason.clone() });
        }
        // Numbered and queued under one lock, because the helper wants numbers to grow.
        let id = pending.last_id.saturating_add(1);
        let malformed = |error: &dyn std::fmt::Display| {
            Refusal::new(CapabilityCode::InvalidArgument, format!("the request cannot be sent: {error}"))
        };
        let request = request.to_helper(id).map_err(|error| malformed(&error))?;
        let frame =
            encode(&ToHelper::Run(Box::new(request)), LARGEST_REQUEST).map_err(|error| malformed(&error))?;
        self.frames.try_send(frame).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => RunError::Refused(Refusal::new(
                CapabilityCode::Busy,
                format!("{QUEUE} requests wait for the helper already; try again later"),
            )),
            mpsc::error::TrySendError::Closed(_) => {
                RunError::Unavailable { reason: "the connection to the helper is closing".to_owned() }
            }
        })?;
        let (told, answer) = oneshot::channel();
        pending.last_id = id;
        pending.waiting.insert(id, told);
        Ok((id, answer))
    }

    async fn cancel(&self, id: u64) {
        if let Ok(frame) = encode(&ToHelper::Cancel { id }, LARGEST_REQUEST) {
            let _over_anyway = self.frames.send(frame).await.is_err();
        }
    }

    /// Ask for a sign of life.
    pub(super) fn ping(&self, token: u64) {
        if let Ok(frame) = encode(&ToHelper::Ping { token }, LARGEST_REQUEST) {
            // A full queue is no sign of life either.
            let _not_asked = self.frames.try_send(frame).is_err();
        }
    }

    /// Hand a message to who waits for it; the token of a pong comes back.
    pub(super) fn deliver(&self, message: FromHelper) -> Result<Option<u64>, LinkError> {
        let (id, answer) = match message {
            FromHelper::Started { id } => {
                return if self.pending().last_id >= id { Ok(None) } else { Err(out_of_turn(&message)) };
            }
            FromHelper::Pong { token } => return Ok(Some(token)),
            FromHelper::Finished { id, finished } => (id, Ok(finished)),
            FromHelper::Refused { id, refusal } => (id, Err(refusal)),
            FromHelper::Hello { .. }
            | FromHelper::Swept
            | FromHelper::Piped { .. }
            | FromHelper::Service { .. }
            | FromHelper::Job { .. }
            | FromHelper::Dbus { .. } => return Err(out_of_turn(&message)),
        };
        let waiting = self.pending().waiting.remove(&id);
        let waiting = waiting.ok_or_else(|| LinkError::OutOfTurn(format!("an answer to request {id}")))?;
        let _nobody_waits = waiting.send(answer).is_err();
        Ok(None)
    }

    /// The connection is lost: whoever waits learns that the outcome is unknown, nobody else is taken.
    pub(super) fn give_up(&self, reason: &str) {
        let mut pending = self.pending();
        pending.over = Some(reason.to_owned());
        pending.waiting.clear();
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn out_of_turn(message: &FromHelper) -> LinkError {
    LinkError::OutOfTurn(format!("{message:?}").chars().take(200).collect())
}
