//! What a command writes on one stream: kept up to a limit, read on and thrown away beyond it, so that the command is not held up.

use rustix::buffer::spare_capacity;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

/// Read in one go, in bytes.
const BLOCK: usize = 64 << 10;
/// Blocks read before others have their turn.
const TURN: usize = 8;

/// One stream of a command.
#[derive(Debug)]
pub(crate) struct Output {
    stream: Option<OwnedFd>,
    kept: Vec<u8>,
    limit: u64,
    total: u64,
}

impl Output {
    pub(crate) const fn new(stream: Option<OwnedFd>, limit: u64) -> Self {
        Self { stream, kept: Vec::new(), limit, total: 0 }
    }

    /// The stream, until it ends.
    pub(crate) fn stream(&self) -> Option<BorrowedFd<'_>> {
        self.stream.as_ref().map(AsFd::as_fd)
    }

    /// How much was written, in bytes.
    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    /// Whether more was written than kept.
    pub(crate) const fn is_cut(&self) -> bool {
        self.total > self.limit
    }

    pub(crate) fn close(&mut self) {
        self.stream = None;
    }

    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.kept)
    }

    /// Read what is there, at most a turn's worth.
    pub(crate) fn read(&mut self) {
        let mut block = Vec::with_capacity(BLOCK);
        for _ in 0..TURN {
            let Some(stream) = &self.stream else { return };
            block.clear();
            match rustix::io::read(stream, spare_capacity(&mut block)) {
                Ok(0) => self.stream = None,
                Ok(_) => self.keep(&block),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.stream = None,
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_sub(self.total);
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        self.kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
        self.total = self.total.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_limit_is_counted_and_thrown_away() {
        let (reading, writing) = rustix::pipe::pipe().expect("a pipe");
        let mut output = Output::new(Some(reading), 4);
        rustix::io::write(&writing, b"ab").expect("it takes");
        drop(writing);
        output.read();
        assert!(output.stream().is_none() && !output.is_cut());
        output.keep(b"cdef");
        assert_eq!((output.total(), output.is_cut()), (6, true));
        assert_eq!(output.take(), b"abcd");
    }
}
