//! The way to a helper on another machine: its program is started by an exec, and the channel is the connection to it.

use crate::quote;
use crate::session::{Session, SshError};
use crate::target::Target;
use async_trait::async_trait;
use bulkhead_capability::execute::{Carried, Dial, DialError};
use russh::client::Msg;
use russh::{Channel, ChannelMsg};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

/// What waits between the channel and whoever reads or writes, in bytes.
const BUFFER: usize = 256 << 10;
/// How much is kept of what the far side says on standard error, in bytes.
const LONGEST_COMPLAINT: usize = 2 << 10;

/// What a POSIX shell leaves with if the program that it shall become cannot be run, or is not there.
const SHELL_STARTS_NOTHING: [u32; 2] = [126, 127];

/// Where the helper is on the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FarHelper {
    /// The absolute file `bulkhead-helper`.
    pub program: String,
    /// An absolute directory for it alone: what it writes down of what outlives it. One for each daemon.
    pub runtime: String,
    /// An absolute file with the policy that it holds requests against; none: it trusts this daemon's grants.
    pub policy: Option<String>,
}

impl FarHelper {
    /// As a shell takes it; none if a path holds a NUL.
    fn command(&self) -> Option<String> {
        let mut words = vec![self.program.as_str(), "--stdio", "--runtime", &self.runtime];
        if let Some(policy) = &self.policy {
            words.extend(["--policy", policy]);
        }
        let quoted: Option<Vec<String>> = words.into_iter().map(quote::posix).collect();
        // The shell's own process becomes the helper: nothing of it stays between.
        Some(format!("exec {}", quoted?.join(" ")))
    }

    /// What to do if it cannot be started.
    fn remedy(&self, target: &Target) -> String {
        format!(
            "; copy bulkhead-helper to {} there, so that user {} may run it, or write where it is as helper = \"...\" in [ssh.{}]",
            self.program, target.user, target.name
        )
    }
}

/// Why the helper was not started.
#[derive(Debug, thiserror::Error)]
enum WayError {
    #[error(transparent)]
    Ssh(#[from] SshError),
    #[error("ssh target '{target}' was reached, but starts no program; see that its user may")]
    Channel {
        target: String,
        #[source]
        source: russh::Error,
    },
    #[error("ssh target '{0}': a path of the helper holds a NUL")]
    Path(String),
}

/// A [`Dial`] over SSH. A connection of its own for each helper: it is closed with it.
#[derive(Debug)]
pub struct Way {
    target: Arc<Target>,
    helper: FarHelper,
}

impl Way {
    /// To `helper` on `target`.
    #[must_use]
    pub const fn new(target: Arc<Target>, helper: FarHelper) -> Self {
        Self { target, helper }
    }

    async fn start(&self) -> Result<Far, WayError> {
        let target = &self.target;
        let command = self.helper.command().ok_or_else(|| WayError::Path(target.name.clone()))?;
        let session = Session::open(target).await?;
        let refused = |source| WayError::Channel { target: target.name.clone(), source };
        let starting = async {
            let channel = session.channel().await?;
            channel.exec(true, command).await?;
            Ok(channel)
        };
        let channel = match tokio::time::timeout(target.connect_timeout, starting).await {
            Ok(started) => started.map_err(refused)?,
            Err(_) => return Err(refused(russh::Error::ConnectionTimeout)),
        };
        let (near, far) = tokio::io::duplex(BUFFER);
        let complaint = Arc::new(Complaint::new(self.helper.remedy(target)));
        tokio::spawn(carry(session, channel, (far, Arc::clone(&complaint))));
        Ok(Far { stream: near, complaint })
    }
}

#[async_trait]
impl Dial for Way {
    async fn dial(&self) -> Result<Box<dyn Carried>, DialError> {
        Ok(Box::new(self.start().await.map_err(DialError::new)?))
    }
}

/// What the far side said beside the protocol, and why it ended.
#[derive(Debug)]
struct Complaint {
    said: Mutex<Vec<u8>>,
    /// What to do if the program cannot be started.
    remedy: String,
}

impl Complaint {
    const fn new(remedy: String) -> Self {
        Self { said: Mutex::new(Vec::new()), remedy }
    }

    fn left(&self, exit_status: u32) {
        self.add(format!(" (it left with {exit_status})").as_bytes());
        if SHELL_STARTS_NOTHING.contains(&exit_status) {
            self.add(self.remedy.as_bytes());
        }
    }

    fn add(&self, bytes: &[u8]) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let room = LONGEST_COMPLAINT.saturating_sub(said.len());
        said.extend(bytes.iter().take(room));
    }

    fn text(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&said);
        let cleaned: String =
            text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        cleaned.trim().to_owned()
    }
}

/// The connection to the helper.
#[derive(Debug)]
struct Far {
    stream: DuplexStream,
    complaint: Arc<Complaint>,
}

impl AsyncRead for Far {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = read
            && buffer.filled().len() == before
            && buffer.remaining() > 0
        {
            let said = self.complaint.text();
            if !said.is_empty() {
                return Poll::Ready(Err(io::Error::other(said)));
            }
        }
        read
    }
}

impl AsyncWrite for Far {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Carry bytes both ways until either side ends; with it ends the connection.
async fn carry(session: Session, channel: Channel<Msg>, (far, complaint): (DuplexStream, Arc<Complaint>)) {
    let (mut from_channel, to_channel) = channel.split();
    let (mut written, mut read) = tokio::io::split(far);
    let sending = async {
        let mut block = vec![0; 32 << 10];
        loop {
            match written.read(&mut block).await {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    let bytes = block.get(..count).unwrap_or_default().to_vec();
                    if to_channel.data_bytes(bytes).await.is_err() {
                        return;
                    }
                }
            }
        }
    };
    let receiving = async {
        while let Some(message) = from_channel.wait().await {
            match message {
                ChannelMsg::Data { data } if read.write_all(&data).await.is_err() => return,
                ChannelMsg::ExtendedData { data, .. } => complaint.add(&data),
                ChannelMsg::ExitStatus { exit_status } if exit_status != 0 => {
                    complaint.left(exit_status);
                }
                ChannelMsg::Failure => {
                    complaint.add(b"the server refuses to start a program");
                    return;
                }
                ChannelMsg::Close => return,
                _ => {}
            }
        }
    };
    tokio::select! {
        () = sending => {}
        () = receiving => {}
    }
    drop(session);
}
