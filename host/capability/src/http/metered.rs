//! A stream whose bytes are counted: whether anything was written, and no more read than is allowed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What one exchange has written and read.
#[derive(Debug)]
pub(super) struct Meter {
    written: AtomicU64,
    /// How many bytes may still be read.
    left: AtomicU64,
    exceeded: AtomicBool,
}

impl Meter {
    /// At first, `allowed` bytes may be read.
    pub(super) const fn new(allowed: u64) -> Self {
        Self { written: AtomicU64::new(0), left: AtomicU64::new(allowed), exceeded: AtomicBool::new(false) }
    }

    /// From now on, `allowed` bytes may be read.
    pub(super) fn allow(&self, allowed: u64) {
        self.left.store(allowed, Ordering::Relaxed);
    }

    /// How many bytes were written.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Whether more came than was allowed.
    pub(super) fn is_exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }

    fn take(&self, read: usize) -> io::Result<()> {
        let read = u64::try_from(read).unwrap_or(u64::MAX);
        let left = self.left.load(Ordering::Relaxed);
        match left.checked_sub(read) {
            Some(rest) => {
                self.left.store(rest, Ordering::Relaxed);
                Ok(())
            }
            None => {
                self.exceeded.store(true, Ordering::Relaxed);
                Err(io::Error::other("more was sent than is allowed"))
            }
        }
    }
}

/// A stream with its meter.
#[derive(Debug)]
pub(super) struct Metered<S> {
    stream: S,
    meter: Arc<Meter>,
}

impl<S> Metered<S> {
    pub(super) const fn new(stream: S, meter: Arc<Meter>) -> Self {
        Self { stream, meter }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        Poll::Ready(self.meter.take(buffer.filled().len().saturating_sub(before)))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // Counted before: what fails halfway may have gone out.
        self.meter.written.fetch_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
