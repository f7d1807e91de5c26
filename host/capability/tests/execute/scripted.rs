//! A helper that does what a test says, at a real socket.

use bulkhead_helper::frame::{FrameReader, encode};
use bulkhead_helper::protocol::{
    Ending, EndingMethod, Finished, FromHelper, LARGEST_ANSWER, LARGEST_REQUEST, ToHelper, VERSION,
};
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

pub(crate) struct Place {
    listener: UnixListener,
    directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(directory.path().join("helper")).expect("a socket");
        Self { listener, directory }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("helper")
    }

    /// The next connection of a client.
    pub(crate) async fn accept(&self) -> Scripted {
        let (stream, _) = self.listener.accept().await.expect("a client");
        Scripted { stream, reader: FrameReader::new(LARGEST_REQUEST) }
    }

    /// The next connection, greeted and swept.
    pub(crate) async fn accept_ready(&self) -> Scripted {
        let mut helper = self.accept().await;
        helper.greet(VERSION).await;
        assert_eq!(helper.next().await, Some(ToHelper::Sweep));
        helper.say(&FromHelper::Swept).await;
        helper
    }
}

pub(crate) struct Scripted {
    pub(crate) stream: UnixStream,
    reader: FrameReader,
}

impl Scripted {
    pub(crate) async fn greet(&mut self, version: u32) {
        assert_eq!(self.next().await, Some(ToHelper::Hello { version: VERSION }));
        self.say(&FromHelper::Hello { version, process: 42, ending: EndingMethod::MarkAndSweep }).await;
    }

    pub(crate) async fn say(&mut self, message: &FromHelper) {
        let frame = encode(message, LARGEST_ANSWER).expect("it fits");
        self.stream.write_all(&frame).await.expect("the client reads");
    }

    /// None once the client has closed.
    pub(crate) async fn next(&mut self) -> Option<ToHelper> {
        let mut block = vec![0; 65_536];
        loop {
            if let Some(message) = self.reader.read().expect("the client speaks the protocol") {
                return Some(message);
            }
            match self.stream.read(&mut block).await {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.reader.extend(&block[..read]),
            }
        }
    }

    /// The id of the next request to run something.
    pub(crate) async fn next_run(&mut self) -> u64 {
        loop {
            match self.next().await.expect("a request") {
                ToHelper::Run(request) => return request.id,
                ToHelper::Ping { token } => self.say(&FromHelper::Pong { token }).await,
                other => panic!("{other:?}"),
            }
        }
    }

    /// The id of the next request to end something.
    pub(crate) async fn next_cancel(&mut self) -> u64 {
        loop {
            match self.next().await.expect("a request") {
                ToHelper::Cancel { id } => return id,
                ToHelper::Ping { token } => self.say(&FromHelper::Pong { token }).await,
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) async fn finish(&mut self, id: u64, ending: Ending, stdout: &str) {
        let finished = Finished {
            ending,
            stdout: stdout.as_bytes().to_vec(),
            stderr: Vec::new(),
            truncated: false,
            duration_ms: 1,
        };
        self.say(&FromHelper::Finished { id, finished }).await;
    }
}
