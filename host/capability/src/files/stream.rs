//! Files that are streamed from or to somewhere else inside the host: their bytes pass no guest.
//!
//! What comes in stands beside its place until it is complete, and is put there in one step, as the helper's library does it.

use super::Files;
use super::change::{missing, unless_taken};
use super::place::{Alone, look, path_of};
use super::policy::Purpose;
use crate::call::Call;
use crate::ownership::{self, OwnedKind, Reach};
use crate::resolve::ResolvedPath;
use crate::root::Worksite;
use crate::slot::Path;
use bulkhead_helper::files::{OpenedRoots, stream};
use bulkhead_helper::protocol::{Before, FileKind};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_store::Revision;
use hyper::body::Bytes;
use std::fs::File;
use std::io::{self, Read as _};
use tokio::sync::{mpsc, oneshot};

/// How much is read at once, in bytes.
const PIECE: usize = 256 << 10;
/// How many pieces wait for whoever takes them.
const WAITING: usize = 4;

/// A file on its way out.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// How many bytes it has.
    pub(crate) length: u64,
    /// Its bytes in order. Ended early by an error.
    pub(crate) pieces: mpsc::Receiver<io::Result<Bytes>>,
}

/// A file on its way in. Dropped, what has come is removed.
#[derive(Debug)]
pub(crate) struct Incoming {
    at: ResolvedPath,
    /// The record of a file that was not there before.
    claimed: Option<Revision>,
    sink: Option<mpsc::Sender<Bytes>>,
    keep: Option<oneshot::Sender<()>>,
    writing: tokio::task::JoinHandle<Result<(), CapabilityError>>,
}

impl Files<'_> {
    /// Open the file at `at`, which its resource owns, to be sent elsewhere. Part of another host call, which records it.
    ///
    /// Fails with `not-found`, `not-owned`, `denied`.
    pub(crate) async fn outgoing(&self, at: &Path) -> Result<Outgoing, CapabilityError> {
        let place = self.resolve(at, Purpose::Look);
        let place = self.apart(place?, Reach::Place).await?;
        ownership::require(self.call, &place).await?;
        if look(self.call, &place).await?.is_none() {
            return Err(missing(&place));
        }
        let (roots, path) = (here(&place)?, path_of(&place));
        let opening = tokio::task::spawn_blocking(move || stream::open(&roots, &path));
        let (file, length) = opening.await.unwrap_or_else(|error| Err(abrupt(&error)))?;
        let (sender, pieces) = mpsc::channel(WAITING);
        tokio::task::spawn_blocking(move || read(file, length, &sender));
        Ok(Outgoing { length, pieces })
    }

    /// Begin a file that comes from elsewhere and shall stand at `at`. Part of another host call, which records it.
    ///
    /// Fails with `not-owned` if something else stands there, `denied`.
    pub(crate) async fn incoming(&self, at: &Path) -> Result<Incoming, CapabilityError> {
        let call = self.call;
        let place = self.resolve(at, Purpose::Change);
        let at = self.apart(place?, Reach::Place).await?;
        let roots = here(&at)?;
        let alone = Alone::with(call, vec![at.subject()]).await?;
        let (before, claimed) = match look(call, &at).await? {
            Some(found) if found.kind == FileKind::File => {
                ownership::require(call, &at).await?;
                (Before::Own, None)
            }
            Some(_) => return Err(ownership::not_owned(&at)),
            None => (Before::Nothing, Some(ownership::claim(call, &at, OwnedKind::File).await?)),
        };
        let (sink, pieces) = mpsc::channel(WAITING);
        let (keep, kept) = oneshot::channel();
        let path = path_of(&at);
        // Its own task, so that a dropped call lets go of the path only when nothing of it is written any more.
        let writing = tokio::task::spawn_blocking(move || {
            let mut pieces = pieces;
            let next = || pieces.blocking_recv();
            let written = stream::receive(&roots, (&path, before), next, || kept.blocking_recv().is_ok());
            drop(alone);
            written
        });
        Ok(Incoming { at, claimed, sink: Some(sink), keep: Some(keep), writing })
    }
}

impl Incoming {
    /// Where its bytes go.
    pub(crate) fn sink(&self) -> Option<mpsc::Sender<Bytes>> {
        self.sink.clone()
    }

    /// All has come: put it in its place.
    pub(crate) async fn keep(mut self, call: &Call) -> Result<(), CapabilityError> {
        self.sink = None;
        let keep = self.keep.take();
        // Who writes has failed already where nobody hears this.
        let _heard = keep.is_some_and(|keep| keep.send(()).is_ok());
        let written = (&mut self.writing).await.unwrap_or_else(|error| Err(abrupt(&error)));
        let written = match self.claimed {
            Some(revision) => unless_taken(call, (&self.at, revision), written).await,
            None => written,
        };
        written.map_err(|error| match error.code {
            CapabilityCode::AlreadyExists => ownership::not_owned(&self.at),
            _ => error,
        })
    }

    /// Nothing of it shall stay.
    pub(crate) async fn abandon(mut self, call: &Call) -> Result<(), CapabilityError> {
        self.sink = None;
        self.keep = None;
        let _failed_or_not = (&mut self.writing).await.is_ok();
        match self.claimed {
            Some(revision) => ownership::withdraw(call, &self.at, revision).await,
            None => Ok(()),
        }
    }
}

fn abrupt(error: &tokio::task::JoinError) -> CapabilityError {
    tracing::error!(error = error as &dyn std::error::Error, "writing a file ended abruptly");
    CapabilityError::new(CapabilityCode::Io, "the host failed inside; see the host's log")
}

/// The roots of this machine. What lies at another place is not streamed: its bytes would cross the link twice.
fn here(at: &ResolvedPath) -> Result<OpenedRoots, CapabilityError> {
    match Worksite::of(&[&*at.root])? {
        Worksite::Here(roots) => Ok(roots),
        Worksite::There(..) => Err(CapabilityError::denied(
            format!("streaming {}, which lies at another place,", at.subject()),
            "no line; only files of this machine are streamed to and from an endpoint",
        )),
    }
}

/// Hand over as many bytes as were told; a file that has become shorter ends with an error there.
fn read(mut file: File, length: u64, sender: &mpsc::Sender<io::Result<Bytes>>) {
    let mut left = length;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let mut piece = vec![0; most];
        let answer = match file.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            answer => answer,
        };
        let handed = answer.map(|count| {
            piece.truncate(count);
            left = left.saturating_sub(u64::try_from(count).unwrap_or(left));
            Bytes::from(piece)
        });
        let is_end = handed.is_err();
        if sender.blocking_send(handed).is_err() || is_end {
            return;
        }
    }
}
