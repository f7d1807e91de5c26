//! The mode `--serve-files`: a process of its own that does what is asked about files, because the helper has one thread and a copy may
//! take hours. It ends with its connection, and is killed with the helper that started it.

use super::{OpenedRoots, Watch, perform};
use crate::frame::{FrameReader, encode};
use crate::path::open_root;
use crate::protocol::{FileReply, FilesCall, LARGEST_ANSWER, LARGEST_REQUEST, Refusal};
use bulkhead_model::error::CapabilityCode;
use cap_std::fs::Dir;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How much is worked on at once; more is refused as `busy`.
const MOST_AT_ONCE: usize = 64;
/// Read in one go, in bytes.
const BLOCK: usize = 64 << 10;
/// What a thread of a walk needs, in bytes.
const STACK: usize = 1 << 20;

/// From the helper to its worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToWorker {
    /// Do this.
    Do {
        /// Comes back.
        id: u64,
        /// What.
        call: Box<FilesCall>,
    },
    /// Let it end soon; it is answered all the same.
    Stop {
        /// Which.
        id: u64,
    },
}

/// From the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FromWorker {
    /// Which.
    pub(super) id: u64,
    /// What came of it.
    pub(super) answer: Result<FileReply, Refusal>,
}

/// What all threads share.
#[derive(Debug)]
struct Shared {
    answers: Mutex<UnixStream>,
    running: Mutex<BTreeMap<u64, Arc<AtomicBool>>>,
}

/// Serve until `connection` closes, then stop what runs and wait for it.
pub fn serve(connection: UnixStream) -> Result<(), Box<dyn std::error::Error>> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // A parent that died before that: the socket says so too.
    if getppid().is_none() {
        return Ok(());
    }
    let shared = Arc::new(Shared { answers: Mutex::new(connection.try_clone()?), running: Mutex::default() });
    let mut threads = Vec::new();
    let outcome = receive(connection, &shared, &mut threads);
    for stopped in locked(&shared.running).values() {
        stopped.store(true, Ordering::Relaxed);
    }
    for thread in threads {
        let _it_answered_or_panicked = thread.join().is_err();
    }
    outcome
}

fn receive(
    mut connection: UnixStream,
    shared: &Arc<Shared>,
    threads: &mut Vec<JoinHandle<()>>,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut reader = FrameReader::new(LARGEST_REQUEST.saturating_add(BLOCK));
    let mut block = vec![0; BLOCK];
    loop {
        while let Some(message) = reader.read()? {
            threads.retain(|thread| !thread.is_finished());
            match message {
                ToWorker::Do { id, call } => threads.extend(begin(shared, id, call)),
                ToWorker::Stop { id } => {
                    if let Some(stopped) = locked(&shared.running).get(&id) {
                        stopped.store(true, Ordering::Relaxed);
                    }
                }
            }
        }
        match connection.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(read) => reader.extend(block.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// A thread for the call; none if there are too many, which is told.
fn begin(shared: &Arc<Shared>, id: u64, call: Box<FilesCall>) -> Option<JoinHandle<()>> {
    let stopped = Arc::new(AtomicBool::new(false));
    {
        let mut running = locked(&shared.running);
        if running.len() < MOST_AT_ONCE {
            running.insert(id, Arc::clone(&stopped));
        } else {
            drop(running);
            let message =
                format!("{MOST_AT_ONCE} requests about files are worked on already; try again later");
            shared.tell(id, Err(Refusal::new(CapabilityCode::Busy, message)));
            return None;
        }
    }
    let until = Instant::now().checked_add(Duration::from_millis(call.timeout_ms));
    let watch = Watch::new(until.unwrap_or_else(Instant::now), stopped);
    let worker = Arc::clone(shared);
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(move || {
        let answer = answer(&call, &watch);
        locked(&worker.running).remove(&id);
        worker.tell(id, answer);
    });
    match thread {
        Ok(thread) => Some(thread),
        Err(error) => {
            locked(&shared.running).remove(&id);
            shared.tell(id, Err(Refusal::io("a thread for the request cannot be started", error)));
            None
        }
    }
}

fn answer(call: &FilesCall, watch: &Watch) -> Result<FileReply, Refusal> {
    let opened: Result<OpenedRoots, Refusal> = call
        .roots
        .iter()
        .map(|(name, binding)| Ok((name.clone(), Arc::new(Dir::from(open_root(name, binding)?)))))
        .collect();
    Ok(perform(&opened?, &call.work, watch)?)
}

impl Shared {
    fn tell(&self, id: u64, answer: Result<FileReply, Refusal>) {
        let too_large =
            |error: &dyn std::fmt::Display| FromWorker { id, answer: Err(Refusal::io("the answer", error)) };
        let frame = encode(&FromWorker { id, answer }, LARGEST_ANSWER)
            .or_else(|error| encode(&too_large(&error), LARGEST_ANSWER));
        if let Ok(frame) = frame {
            // Nobody can be told that the connection is gone; who reads it sees the end.
            let _gone = locked(&self.answers).write_all(&frame).is_err();
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
