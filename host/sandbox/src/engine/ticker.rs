//! The thread that interrupts guests: every 10 ms each running guest gives the executor a turn, so that its deadline is seen.
//!
//! It is a thread of its own, because tasks of the executor would wait for the very guests they are to interrupt.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often guests are interrupted.
const TICK: Duration = Duration::from_millis(10);

/// The running thread; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Start interrupting the guests of `engine`.
    pub(crate) fn start(engine: wasmtime::Engine) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name("guest-ticker".to_owned())
            .spawn(move || tick(&engine, &stopped))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that interrupts drivers had ended before its time");
        }
    }
}

fn tick(engine: &wasmtime::Engine, stopped: &Receiver<()>) {
    while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        engine.increment_epoch();
    }
}
