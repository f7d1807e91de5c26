//! What a backend goes on with by itself after it has answered `pending`: the kit looks at it until it is done, as the share manager does.

use super::Stage;
use crate::finding::{Found, Judge as _, unjudged};
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::export::ExportLocation;
use bulkhead_model::share::{Creation, FinishedShare, PendingWork, Reversion, ShareForDriver, ShareProgress};
use bulkhead_model::snapshot::SnapshotForDriver;
use bulkhead_model::target::TargetSnapshot;
use std::time::Duration;

/// How often one piece of work is looked at.
const MOST_LOOKS: u32 = 30;
/// The pause after the first look; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest pause between two looks. All looks together take less than four minutes.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What became of work that was looked at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Followed {
    /// It is done.
    Finished(FinishedShare),
    /// It failed at the backend.
    Failed,
    /// It was not done when it was last looked at.
    StillAtIt,
}

/// `source`, of which a share is made.
pub(crate) fn creation_from(source: &SnapshotForDriver) -> PendingWork {
    PendingWork::Creation(named(source))
}

/// The revert of a share to `snapshot`.
pub(crate) fn revert_to(snapshot: &SnapshotForDriver) -> PendingWork {
    PendingWork::Revert(named(snapshot))
}

fn named(snapshot: &SnapshotForDriver) -> TargetSnapshot {
    TargetSnapshot { snapshot: snapshot.id, share: snapshot.share.id }
}

impl Stage {
    /// Look at `work` on `share` until it is over. A backend that is busy is asked again.
    pub(crate) async fn follow(
        &self,
        share: &ShareForDriver,
        work: &PendingWork,
    ) -> Result<Followed, CallError> {
        let mut pause = FIRST_PAUSE;
        for _ in 0..MOST_LOOKS {
            match self.driver().share_status(&self.reason(), share, work).await {
                Ok(ShareProgress::Available(finished)) => return Ok(Followed::Finished(finished)),
                Ok(ShareProgress::Failed) => return Ok(Followed::Failed),
                Ok(ShareProgress::Pending(_)) => {}
                Err(error) if error.code().is_some_and(DriverErrorCode::is_repeated) => {}
                Err(error) => return Err(error),
            }
            self.world.pause(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
        Ok(Followed::StillAtIt)
    }

    /// As [`Stage::follow`], of work that comes before what is judged.
    pub(crate) async fn finish(&self, share: &ShareForDriver, work: &PendingWork) -> Found<FinishedShare> {
        match self.follow(share, work).await.prepare("share-status")? {
            Followed::Finished(finished) => Ok(finished),
            Followed::Failed => unjudged("the backend failed in what it had answered 'pending' to"),
            Followed::StillAtIt => unjudged(format!(
                "the backend is still at what it had answered 'pending' to after {MOST_LOOKS} looks"
            )),
        }
    }

    /// Where `share`, which is made from `source`, is found once it is made.
    pub(crate) async fn ready(
        &self,
        creation: Creation,
        share: &ShareForDriver,
        source: &SnapshotForDriver,
    ) -> Found<Vec<ExportLocation>> {
        match creation {
            Creation::Available(locations) => Ok(locations),
            Creation::Pending => {
                let finished = self.finish(share, &creation_from(source)).await?;
                Ok(finished.export_locations.unwrap_or_default())
            }
        }
    }

    /// Go on when the share of `snapshot` is put back to it.
    pub(crate) async fn reverted(&self, reversion: Reversion, snapshot: &SnapshotForDriver) -> Found {
        match reversion {
            Reversion::Done | Reversion::DoneWithSize(_) => Ok(()),
            Reversion::Pending => self.finish(&snapshot.share, &revert_to(snapshot)).await.map(drop),
        }
    }
}
