//! What joins a stage to the next one.
//!
//! The pipe's ends are held open here until a stage has ended well. So a stage never takes the end of one that failed for the end of
//! what it reads, and none breaks off because its reader failed: whoever fails first is known, and the others are ended. What is written
//! to a reader that has ended well, content with what it had, is thrown away: its writer has not failed.

use crate::child::Stream;
use crate::output::Output;
use rustix::event::{PollFd, PollFlags};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, ioctl_fionbio, ioctl_fionread};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// What a pipe holds at most, in bytes, where the kernel allows so much.
const PIPE: usize = 1 << 20;
/// Blocks moved before others have their turn.
const TURN: usize = 64;

/// Whether what passes is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counting {
    /// No: the kernel moves it, this process does not see it.
    No,
    /// Yes: this process moves it from one pipe to another.
    Yes,
}

/// A pipe between two stages.
#[derive(Debug)]
pub(super) struct Link {
    /// Where the later stage reads.
    reader: Option<OwnedFd>,
    /// Where the earlier stage, or this process for it, writes.
    writer: Option<OwnedFd>,
    /// Where this process reads what the earlier stage writes, if it counts.
    source: Option<OwnedFd>,
    /// What is still written to a reader that has ended.
    rest: Option<Output>,
    moved: u64,
    broken: bool,
}

/// What the two stages are started with.
#[derive(Debug)]
pub(super) struct Ends {
    /// The earlier one's standard output.
    pub(super) output: Stream,
    /// The later one's standard input.
    pub(super) input: Stream,
}

impl Link {
    pub(super) fn make(counting: Counting) -> Result<(Self, Ends), Errno> {
        let (reader, writer) = pipe()?;
        let input = Stream::Given(duplicate(&reader)?);
        let (source, output) = match counting {
            Counting::No => (None, duplicate(&writer)?),
            Counting::Yes => {
                let (source, output) = pipe()?;
                (Some(source), output)
            }
        };
        let link =
            Self { reader: Some(reader), writer: Some(writer), source, rest: None, moved: 0, broken: false };
        Ok((link, Ends { output: Stream::Given(output), input }))
    }

    /// Bytes that were moved, where they are counted.
    pub(super) const fn moved(&self) -> u64 {
        self.moved
    }

    /// Whether something is lost: then no end is passed on.
    pub(super) const fn is_broken(&self) -> bool {
        self.broken
    }

    /// Bytes that were written to a reader that had ended.
    pub(super) fn thrown_away(&self) -> u64 {
        self.rest.as_ref().map_or(0, Output::total)
    }

    /// Add what the moving waits for.
    pub(super) fn watch<'link>(&'link self, list: &mut Vec<PollFd<'link>>) {
        if let Some(rest) = self.rest.as_ref().and_then(Output::stream) {
            list.push(PollFd::from_borrowed_fd(rest, PollFlags::IN));
        }
        if self.broken {
            return;
        }
        let (Some(source), Some(writer)) = (&self.source, &self.writer) else { return };
        if ioctl_fionread(source).is_ok_and(|waiting| waiting > 0) {
            list.push(PollFd::new(writer, PollFlags::OUT));
        } else {
            list.push(PollFd::new(source, PollFlags::IN));
        }
    }

    /// Move what is there, where it is counted.
    pub(super) fn advance(&mut self) {
        if let Some(rest) = &mut self.rest {
            rest.read();
        }
        for _ in 0..TURN {
            let (Some(source), Some(writer), false) = (&self.source, &self.writer, self.broken) else {
                return;
            };
            match splice(source, None, writer, None, PIPE, SpliceFlags::NONBLOCK | SpliceFlags::MOVE) {
                Ok(0) => self.source = None,
                Ok(bytes) => {
                    self.moved = self.moved.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.broken = true,
            }
        }
    }

    /// The earlier stage has ended well: once all it wrote is moved, the later one may see the end of it.
    pub(super) fn writer_ended(&mut self) {
        if self.source.is_none() {
            self.writer = None;
        }
    }

    /// The later stage has ended well.
    pub(super) fn reader_ended(&mut self) {
        if self.rest.is_some() {
            return;
        }
        self.writer = None;
        let rest = self.source.take().or_else(|| self.reader.take());
        self.reader = None;
        let rest = rest.filter(|rest| ioctl_fionbio(rest, true).is_ok());
        self.rest = Some(Output::new(rest, 0));
    }

    /// Hold nothing open any more.
    pub(super) fn close(&mut self) {
        (self.reader, self.writer, self.source) = (None, None, None);
        if let Some(rest) = &mut self.rest {
            rest.close();
        }
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    // A user has so much for all pipes together; without, the pipe is a smaller one.
    let _smaller = fcntl_setpipe_size(&writer, PIPE).is_err();
    Ok((reader, writer))
}

fn duplicate(descriptor: &OwnedFd) -> Result<OwnedFd, Errno> {
    rustix::io::fcntl_dupfd_cloexec(descriptor, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::{read, write};

    fn given(stream: Stream) -> OwnedFd {
        match stream {
            Stream::Given(descriptor) => descriptor,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_passes_is_counted_and_the_end_waits_for_the_writer() {
        let (mut link, ends) = Link::make(Counting::Yes).expect("pipes");
        let (output, input) = (given(ends.output), given(ends.input));
        rustix::io::ioctl_fionbio(&input, true).expect("it does not block");
        write(&output, b"abcdef").expect("it takes");
        link.advance();
        assert_eq!(link.moved(), 6);
        let mut buffer = [0; 16];
        assert_eq!(read(&input, &mut buffer), Ok(6));
        drop(output);
        link.advance();
        assert_eq!(read(&input, &mut buffer), Err(Errno::AGAIN), "nobody said that the writer ended well");
        link.writer_ended();
        assert_eq!(read(&input, &mut buffer), Ok(0));
    }

    #[test]
    fn a_full_pipe_is_waited_for_at_its_writing_end() {
        let (mut link, ends) = Link::make(Counting::Yes).expect("pipes");
        let (output, input) = (given(ends.output), given(ends.input));
        rustix::io::ioctl_fionbio(&output, true).expect("it does not block");
        let block = [7; 65_536];
        while write(&output, &block).is_ok() {
            link.advance();
        }
        let mut watched = Vec::new();
        link.watch(&mut watched);
        let nothing = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        assert_eq!(rustix::event::poll(&mut watched, Some(&nothing)), Ok(0));
        drop(watched);
        let mut buffer = vec![0; 1 << 20];
        read(&input, &mut buffer).expect("it is full");
        let mut watched = Vec::new();
        link.watch(&mut watched);
        assert_eq!(rustix::event::poll(&mut watched, Some(&nothing)), Ok(1));
    }

    #[test]
    fn what_is_written_to_a_reader_that_has_ended_is_thrown_away() {
        for counting in [Counting::No, Counting::Yes] {
            let (mut link, ends) = Link::make(counting).expect("pipes");
            let output = given(ends.output);
            drop(ends.input);
            assert_eq!(write(&output, b"abc"), Ok(3), "its end is not known yet");
            link.reader_ended();
            assert_eq!(write(&output, b"def"), Ok(3));
            link.advance();
            assert_eq!((link.thrown_away(), link.moved()), (6, 0));
            link.close();
            assert_eq!(write(&output, b"g"), Err(Errno::PIPE));
        }
    }
}
