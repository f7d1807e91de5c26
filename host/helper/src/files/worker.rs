//! The helper's side of its worker: started when somebody first asks about files, asked without waiting, started again when it is lost.

use super::serve::{FromWorker, ToWorker};
use crate::frame::{FrameError, FrameReader, encode};
use crate::protocol::{FileReply, FilesCall, LARGEST_ANSWER, LARGEST_REQUEST, Refusal};
use bulkhead_model::error::CapabilityCode;
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

/// Read in one go, in bytes.
const BLOCK: usize = 64 << 10;
/// How long a worker may take to end what it does once nobody asks any more; then it is killed.
const GRACE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };
/// Requests that may wait for a worker that does not read, in bytes.
const MOST_UNSENT: usize = 16 << 20;

/// What came of a request.
pub(crate) type Answer = (u64, Result<FileReply, Refusal>);

/// The worker of one connection, if somebody has asked for it.
#[derive(Debug, Default)]
pub(crate) struct Worker {
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    stream: UnixStream,
    process: Option<OwnedFd>,
    reader: FrameReader,
    unsent: Vec<u8>,
    asked: BTreeSet<u64>,
}

impl Worker {
    /// Ask the worker. Refused: it does not hear of it.
    pub(crate) fn ask(&mut self, id: u64, call: Box<FilesCall>) -> Result<(), Refusal> {
        let running = match &mut self.running {
            Some(running) => running,
            None => self
                .running
                .insert(Running::start().map_err(|error| Refusal::io("a worker for files", error))?),
        };
        if running.unsent.len() > MOST_UNSENT {
            let message = "too many requests about files wait already; try again later";
            return Err(Refusal::new(CapabilityCode::Busy, message));
        }
        let frame = encode(&ToWorker::Do { id, call }, LARGEST_REQUEST.saturating_add(BLOCK));
        let frame = frame.map_err(|error| Refusal::invalid(error.to_string()))?;
        running.unsent.extend(frame);
        running.asked.insert(id);
        Ok(())
    }

    /// Let a request end soon. One that is not known is passed over.
    pub(crate) fn stop(&mut self, id: u64) {
        if let Some(running) = &mut self.running
            && running.asked.contains(&id)
            && let Ok(frame) = encode(&ToWorker::Stop { id }, LARGEST_REQUEST)
        {
            running.unsent.extend(frame);
        }
    }

    pub(crate) fn watch<'worker>(&'worker self, list: &mut Vec<PollFd<'worker>>) {
        if let Some(running) = &self.running {
            let mut flags = PollFlags::IN;
            flags.set(PollFlags::OUT, !running.unsent.is_empty());
            list.push(PollFd::new(&running.stream, flags));
        }
    }

    /// Send and receive what can be; what was answered. A worker that is lost leaves what it was asked unknown.
    pub(crate) fn advance(&mut self) -> Vec<Answer> {
        let Some(running) = &mut self.running else { return Vec::new() };
        let mut answers = Vec::new();
        let lost = running.exchange(&mut answers);
        for (id, _) in &answers {
            running.asked.remove(id);
        }
        if let Err(error) = lost
            && let Some(lost) = self.running.take()
        {
            let message =
                format!("the worker for files was lost ({error}); what it was doing may be done or not");
            let unknown = Refusal::new(CapabilityCode::OutcomeUnknown, message);
            answers.extend(lost.asked.iter().map(|id| (*id, Err(unknown.clone()))));
            lost.end();
        }
        answers
    }

    /// End the worker, and wait until it is gone: what it does is stopped, and cut short if it does not stop.
    pub(crate) fn end(&mut self) {
        if let Some(running) = self.running.take() {
            running.end();
        }
    }
}

/// Why a worker is of no use any more.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("it ended")]
    Ended,
    #[error("it does not speak the protocol: {0}")]
    Garbage(#[from] FrameError),
    #[error("its connection failed: {0}")]
    Failed(#[from] Errno),
}

impl Running {
    fn start() -> std::io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new("/proc/self/exe");
        command.arg("--serve-files").env_clear().current_dir("/");
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::inherit());
        let process = command.spawn()?;
        let process = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
        let process = process.and_then(|process| pidfd_open(process, PidfdFlags::empty()).ok());
        let reader = FrameReader::new(LARGEST_ANSWER);
        Ok(Self { stream: ours, process, reader, unsent: Vec::new(), asked: BTreeSet::new() })
    }

    fn exchange(&mut self, answers: &mut Vec<Answer>) -> Result<(), Lost> {
        while !self.unsent.is_empty() {
            match rustix::io::write(&self.stream, &self.unsent) {
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        let mut block = Vec::with_capacity(BLOCK);
        match rustix::io::read(&self.stream, spare_capacity(&mut block)) {
            Ok(0) => return Err(Lost::Ended),
            Ok(_) => self.reader.extend(&block),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        while let Some(FromWorker { id, answer }) = self.reader.read()? {
            answers.push((id, answer));
        }
        Ok(())
    }

    /// It ends when its connection does.
    fn end(self) {
        let Self { stream, process, .. } = self;
        drop(stream);
        let Some(process) = process else { return };
        let gone = |timeout: Option<&Timespec>| loop {
            match poll(&mut [PollFd::new(&process, PollFlags::IN)], timeout) {
                Err(Errno::INTR) => {}
                answer => return answer.is_ok_and(|ready| ready > 0),
            }
        };
        if !gone(Some(&GRACE)) {
            let _ended_meanwhile = pidfd_send_signal(&process, Signal::KILL).is_err();
            gone(None);
        }
    }
}
