//! One connection to a helper: frames out, frames in, and who waits for which answer.

use super::super::dial::Carried;
use super::super::provider::{Abandoned, CommandRequest, RunError};
use bulkhead_helper::frame::{FrameError, FrameReader, encode};
use bulkhead_helper::protocol::{
    DbusReply, DbusRequest, EndingMethod, FileReply, FilesCall, Finished, FromHelper, JobAnswer, JobCall,
    LARGEST_ANSWER, LARGEST_REQUEST, PipeFinished, PipeRequest, Refusal, ServiceAnswer, ServiceCall,
    ToHelper,
};
use bulkhead_model::error::CapabilityCode;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
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

/// What was asked for came to this, on its way to who waits for it.
type Answer = Result<Reply, Refusal>;

#[derive(Debug)]
enum Reply {
    Finished(Finished),
    Piped(PipeFinished),
    Service(ServiceAnswer),
    Job(JobAnswer),
    Dbus(DbusReply),
    Files(FileReply),
}

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
    writing: WriteHalf<Box<dyn Carried>>,
}

/// The direction from the helper.
#[derive(Debug)]
pub(super) struct Reading {
    stream: ReadHalf<Box<dyn Carried>>,
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
    pub(super) fn new(stream: Box<dyn Carried>) -> Self {
        let (stream, writing) = tokio::io::split(stream);
        Self { reading: Reading { stream, reader: FrameReader::new(LARGEST_ANSWER) }, writing }
    }

    pub(super) async fn send(&mut self, message: &ToHelper) -> Result<(), LinkError> {
        self.writing.write_all(&encode(message, LARGEST_REQUEST)?).await?;
        Ok(self.writing.flush().await?)
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
async fn write(mut stream: WriteHalf<Box<dyn Carried>>, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = queue.recv().await {
        if stream.write_all(&frame).await.is_err() || stream.flush().await.is_err() {
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
        abandoned: Abandoned,
    ) -> Result<Finished, RunError> {
        let asked = self.ask(|id| Ok(ToHelper::Run(Box::new(request.to_helper(id)?))))?;
        match self.ended(asked, abandoned).await? {
            Reply::Finished(finished) => Ok(finished),
            other => Err(mistaken(&other)),
        }
    }

    /// Run commands that feed each other.
    pub(super) async fn pipe(
        &self,
        stages: &[CommandRequest],
        abandoned: Abandoned,
    ) -> Result<PipeFinished, RunError> {
        let asked = self.ask(|id| {
            let stages = stages.iter().map(|stage| stage.to_helper(0)).collect::<Result<_, _>>()?;
            Ok(ToHelper::Pipe(Box::new(PipeRequest { id, stages })))
        })?;
        match self.ended(asked, abandoned).await? {
            Reply::Piped(finished) => Ok(finished),
            other => Err(mistaken(&other)),
        }
    }

    /// Ask about groups and services.
    pub(super) async fn service(&self, call: ServiceCall) -> Result<ServiceAnswer, RunError> {
        let (_, answer) = self.ask(|id| Ok(ToHelper::Service { id, call: Box::new(call) }))?;
        match self.answered(answer.await)? {
            Reply::Service(answer) => Ok(answer),
            other => Err(mistaken(&other)),
        }
    }

    /// Ask about jobs.
    pub(super) async fn job(&self, call: JobCall) -> Result<JobAnswer, RunError> {
        let (_, answer) = self.ask(|id| Ok(ToHelper::Job { id, call: Box::new(call) }))?;
        match self.answered(answer.await)? {
            Reply::Job(answer) => Ok(answer),
            other => Err(mistaken(&other)),
        }
    }

    /// Call a method on a group's bus.
    pub(super) async fn dbus(&self, call: DbusRequest) -> Result<DbusReply, RunError> {
        let (_, answer) = self.ask(|id| Ok(ToHelper::Dbus { id, call: Box::new(call) }))?;
        match self.answered(answer.await)? {
            Reply::Dbus(reply) => Ok(reply),
            other => Err(mistaken(&other)),
        }
    }

    /// Do something about files.
    pub(super) async fn files(&self, call: FilesCall, abandoned: Abandoned) -> Result<FileReply, RunError> {
        let asked = self.ask(|id| Ok(ToHelper::Files { id, call: Box::new(call) }))?;
        match self.ended(asked, abandoned).await? {
            Reply::Files(reply) => Ok(reply),
            other => Err(mistaken(&other)),
        }
    }

    /// Wait for the end of commands; once nobody else does, have them ended.
    async fn ended(
        &self,
        (id, mut answer): (u64, oneshot::Receiver<Answer>),
        mut abandoned: Abandoned,
    ) -> Result<Reply, RunError> {
        let answer = tokio::select! {
            answer = &mut answer => answer,
            () = abandoned.wait() => {
                self.cancel(id).await;
                answer.await
            }
        };
        self.answered(answer)
    }

    fn answered(&self, answer: Result<Answer, oneshot::error::RecvError>) -> Result<Reply, RunError> {
        match answer {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(refusal)) => Err(refusal.into()),
            Err(_) => {
                let reason = self.pending().over.clone();
                Err(RunError::OutcomeUnknown { reason: reason.unwrap_or_else(|| "it is gone".to_owned()) })
            }
        }
    }

    /// Queue a request. On failure the helper never hears of it.
    fn ask(
        &self,
        request: impl FnOnce(u64) -> Result<ToHelper, serde_json::Error>,
    ) -> Result<(u64, oneshot::Receiver<Answer>), RunError> {
        let mut pending = self.pending();
        if let Some(reason) = &pending.over {
            return Err(RunError::Unavailable { reason: reason.clone() });
        }
        // Numbered and queued under one lock, because the helper wants numbers to grow.
        let id = pending.last_id.saturating_add(1);
        let malformed = |error: &dyn std::fmt::Display| {
            Refusal::new(CapabilityCode::InvalidArgument, format!("the request cannot be sent: {error}"))
        };
        let request = request(id).map_err(|error| malformed(&error))?;
        let frame = encode(&request, LARGEST_REQUEST).map_err(|error| malformed(&error))?;
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
            FromHelper::Finished { id, finished } => (id, Ok(Reply::Finished(finished))),
            FromHelper::Piped { id, finished } => (id, Ok(Reply::Piped(finished))),
            FromHelper::Service { id, answer } => (id, answer.map(Reply::Service)),
            FromHelper::Job { id, answer } => (id, answer.map(Reply::Job)),
            FromHelper::Dbus { id, answer } => (id, answer.map(Reply::Dbus)),
            FromHelper::Files { id, answer } => (id, answer.map(Reply::Files)),
            FromHelper::Refused { id, refusal } => (id, Err(refusal)),
            FromHelper::Hello { .. } | FromHelper::Swept => return Err(out_of_turn(&message)),
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

/// An answer to something else than was asked: what was asked may have been done.
fn mistaken(reply: &Reply) -> RunError {
    let said: String = format!("{reply:?}").chars().take(200).collect();
    RunError::OutcomeUnknown { reason: format!("it answered something else: {said}") }
}

fn out_of_turn(message: &FromHelper) -> LinkError {
    LinkError::OutOfTurn(format!("{message:?}").chars().take(200).collect())
}
