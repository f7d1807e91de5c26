//! Pulling one instant from the peer's pool into this one.
//!
//! ```text
//! peer: shares/share-ACTIVE ──snapshot──▶ peer: replication/NAME ──send | receive──▶ pool: replication/NAME
//! ```
//!
//! The stream runs as a job: it may take hours, longer than any call. A call waits a while for it, then answers `busy`; the host calls
//! again, and the job is found by its key. A stream that broke leaves a subvolume that is writable and says of no origin: it is
//! deleted, and the pull begins anew.

use super::base::{self, Base, Turn};
use super::peer;
use crate::place::PULLED_SNAPSHOT;
use bulkhead_btrfs_pool::place::{SHARE, SNAPSHOT};
use bulkhead_btrfs_pool::subvolume::{self, Access};
use bulkhead_sdk::job::{self, State};
use bulkhead_sdk::{Error, OrAbsent, Resource, Result, Share, Slots, clock, log};
use std::time::Duration;

const WHOLE: &str = "pull-whole";
const INCREMENT: &str = "pull-increment";
/// How long a call waits for a stream; a longer one is asked for again.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(100);

/// A path below a pool, with the resource that fills it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The pattern.
    pub(crate) pattern: &'static str,
    /// Whose it is.
    pub(crate) resource: Resource,
}

/// What is pulled.
#[derive(Debug, Clone)]
pub(crate) struct Pull {
    /// Of what an instant is pulled, in the peer's pool.
    pub(crate) of: Place,
    /// Its name on the way, in both pools.
    pub(crate) via: Place,
    /// What both pools hold already; none: everything is pulled.
    pub(crate) since: Option<Base>,
    /// The key of its job, unique for the call's subject.
    pub(crate) key: String,
}

impl Pull {
    /// Go on with it until it is received to its end.
    ///
    /// Fails with `busy` while it is on its way, `replication-failed` if the stream broke: a repeat begins anew.
    pub(crate) fn advance(&self) -> Result<()> {
        match self.job()? {
            Some((_, State::Running(_))) => {}
            Some((_, State::Succeeded(_))) if self.is_received()? => return self.forget_job(),
            Some((name, state)) => {
                log::warning(&format!(
                    "{name} {} did not bring its subvolume: {state:?}; it begins anew",
                    self.key
                ));
                self.begin()?;
            }
            None => self.begin()?,
        }
        self.wait()
    }

    /// Remove what an earlier attempt left, take the instant, and let it come.
    fn begin(&self) -> Result<()> {
        self.clean()?;
        let (pattern, via) = (self.via.pattern, &self.via.resource);
        let slots = Slots::new().path_of("from", self.of.pattern, self.of.resource.clone()).path_of(
            "to",
            pattern,
            via.clone(),
        );
        subvolume::run("peer-base", slots)?;
        let slots =
            Slots::new().path_of("source", pattern, via.clone()).path_of("into", pattern, via.clone());
        match &self.since {
            Some(base) => {
                let slots = slots.path_of("parent", base.turn.pattern(), base.owner.clone());
                job::start(INCREMENT, &self.key, slots)?;
            }
            None => {
                job::start(WHOLE, &self.key, slots)?;
            }
        }
        Ok(())
    }

    fn wait(&self) -> Result<()> {
        let mut waited = Duration::ZERO;
        loop {
            match self.job()? {
                Some((_, State::Succeeded(_))) if self.is_received()? => return self.forget_job(),
                Some((name, State::Running(progress))) => {
                    if waited >= PATIENCE || clock::sleep(PAUSE) < PAUSE {
                        return Err(Error::busy(format!(
                            "{name} {} is on its way: {} bytes so far",
                            self.key,
                            progress.bytes_done.unwrap_or_default()
                        )));
                    }
                    waited += PAUSE;
                }
                Some((name, State::Failed(exit))) => {
                    self.clean()?;
                    return Err(Error::replication_failed(format!(
                        "{name} {} failed: {}",
                        self.key, exit.exit.stderr
                    )));
                }
                other => {
                    self.clean()?;
                    return Err(Error::replication_failed(format!("{} did not come: {other:?}", self.key)));
                }
            }
        }
    }

    /// Its job, whichever it is.
    fn job(&self) -> Result<Option<(&'static str, State)>> {
        for name in [INCREMENT, WHOLE] {
            if let Some(state) = job::poll(name, &self.key).or_absent()? {
                return Ok(Some((name, state)));
            }
        }
        Ok(None)
    }

    fn forget_job(&self) -> Result<()> {
        for name in [INCREMENT, WHOLE] {
            job::forget(name, &self.key)?;
        }
        Ok(())
    }

    /// Whether the stream was received to its end: only then is the subvolume read-only and names its origin.
    pub(crate) fn is_received(&self) -> Result<bool> {
        let facts = subvolume::look("show-subvolume", self.via.pattern, &self.via.resource)?;
        Ok(facts.is_some_and(|facts| facts.access == Access::ReadOnly && facts.received.is_some()))
    }

    /// End the job and remove what it made in both pools.
    pub(crate) fn clean(&self) -> Result<()> {
        for name in [INCREMENT, WHOLE] {
            job::cancel(name, &self.key)?;
        }
        self.forget_job()?;
        subvolume::delete(self.via.pattern, &self.via.resource)?;
        peer::delete(self.via.pattern, &self.via.resource)
    }
}

/// Pull what changed in the active replica since the last pull; from then on both pools hold one more instant.
pub(crate) fn share(subject: &Share, active: &Share) -> Result<()> {
    let (subject, active) = (Resource::from(subject), Resource::from(active));
    let turn = base::recorded(&subject)?.map_or(Turn::A, Turn::other);
    let pull = Pull {
        of: Place { pattern: SHARE, resource: active.clone() },
        via: Place { pattern: turn.pattern(), resource: subject.clone() },
        since: base::find(&subject, &active)?,
        key: format!("share-{}", turn.word()),
    };
    pull.advance()?;
    base::record(&subject, turn)?;
    base::delete(&subject, turn.other())
}

/// Pull a snapshot of the active replica, and keep it under the name of this replica's own instance. One that is there is left alone.
pub(crate) fn snapshot(of: &Resource, own: &Resource, since: Option<Base>) -> Result<()> {
    if subvolume::is_there(SNAPSHOT, own)? {
        return Ok(());
    }
    let pull = Pull {
        of: Place { pattern: SNAPSHOT, resource: of.clone() },
        via: Place { pattern: PULLED_SNAPSHOT, resource: own.clone() },
        since,
        key: format!("snapshot-{}", own.id()),
    };
    if !pull.is_received()? {
        pull.advance()?;
    }
    let slots =
        Slots::new().path_of("from", PULLED_SNAPSHOT, own.clone()).path_of("to", SNAPSHOT, own.clone());
    subvolume::run("take-snapshot", slots)?;
    subvolume::sync(SNAPSHOT, own)?;
    pull.clean()
}
