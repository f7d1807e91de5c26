//! What the fake backend goes on with by itself, and what it says of its shares beside their operations.

use crate::fake::{Act, FakeDriver, HeldShare, World, answered, location, make};
use bulkhead_model::call::CallReason;
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::share::{
    Creation, FinishedShare, HookAnswer, HookData, PendingWork, ShareForDriver, ShareProgress,
    SuppliedMetadata,
};
use bulkhead_model::size::Gibibytes;
use bulkhead_model::text::GuestText;
use bulkhead_sandbox::HOOK_BATCH;
use std::collections::BTreeMap;

/// Work that the backend goes on with, whoever runs the daemon.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// How often it is asked about before it is done.
    left: u32,
    content: u64,
    size: Gibibytes,
}

impl Work {
    /// Be done at the next question.
    pub fn hurry(&mut self) {
        self.left = 0;
    }
}

impl FakeDriver {
    /// Begin to make a share by itself, or say that it is there.
    pub fn begin_creation(
        &self,
        world: &mut World,
        share: &ShareForDriver,
        content: u64,
    ) -> Result<Creation, CallError> {
        if self.slow == 0 || world.shares.contains_key(&share.id) {
            world.pending.remove(&share.id);
            return Ok(Creation::Available(make(world, share, content)?));
        }
        self.begin(world, share.id, content, share.size);
        Ok(Creation::Pending)
    }

    /// Begin to work on a share, if it is not at just that.
    pub fn begin(&self, world: &mut World, share: ShareInstanceId, content: u64, size: Gibibytes) {
        let is_at_it =
            world.pending.get(&share).is_some_and(|work| (work.content, work.size) == (content, size));
        if !is_at_it {
            world.pending.insert(share, Work { left: self.slow, content, size });
        }
    }

    pub async fn progress(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        work: &PendingWork,
    ) -> Result<ShareProgress, CallError> {
        let said =
            match self.script.lock().expect("the script").get("share-status").and_then(|acts| acts.front()) {
                Some(Act::Progress(said)) => Some(said.clone()),
                _ => None,
            };
        let is_revert = matches!(work, PendingWork::Revert(_));
        self.perform(("share-status", reason), (Some(share.id), "change"), |world| {
            if let Some(said) = said {
                return Ok(said);
            }
            let done = |size| {
                let export_locations = Some(vec![location(share)]);
                Ok(ShareProgress::Available(FinishedShare { export_locations, size }))
            };
            match world.pending.get_mut(&share.id) {
                Some(work) if work.left > 0 => {
                    work.left -= 1;
                    Ok(ShareProgress::Pending(u8::try_from(100 / (work.left + 2)).unwrap_or(100)))
                }
                Some(work) if is_revert => {
                    let Work { content, size, .. } = *work;
                    let held = world.shares.get_mut(&share.id);
                    let held = held.ok_or_else(|| answered(DriverErrorCode::ShareNotFound))?;
                    *held = HeldShare { size, content, rules: std::mem::take(&mut held.rules) };
                    world.pending.remove(&share.id);
                    done(self.size_after_revert)
                }
                Some(work) => {
                    let content = work.content;
                    make(world, share, content)?;
                    world.pending.remove(&share.id);
                    done(None)
                }
                None if world.shares.contains_key(&share.id) => done(None),
                None => Err(answered(DriverErrorCode::ShareNotFound)),
            }
        })
        .await
    }

    pub async fn supply(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
    ) -> Result<SuppliedMetadata, CallError> {
        if self.supplied.is_empty() {
            return Ok(SuppliedMetadata::default());
        }
        assert!(!share.export_locations.is_empty(), "the share is there already");
        let dropped = vec![GuestText::message("unlisted")];
        let supplied = SuppliedMetadata { pairs: self.supplied.clone(), dropped };
        self.perform(("share-creation-metadata", reason), (Some(share.id), "change"), |_| Ok(supplied)).await
    }

    pub async fn follow(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        metadata: &BTreeMap<String, String>,
    ) -> Result<(), CallError> {
        for (key, value) in metadata {
            assert_eq!(share.metadata.get(key), Some(value), "the share carries what is asked for");
        }
        self.perform(("update-share-from-metadata", reason), (Some(share.id), "change"), |world| {
            world.followed.push(metadata.clone());
            Ok(())
        })
        .await
    }

    /// Says something of every second share, and of one that nobody asked about.
    pub async fn tell(
        &self,
        reason: &CallReason,
        shares: &[ShareForDriver],
    ) -> Result<HookAnswer, CallError> {
        assert!(shares.len() <= HOOK_BATCH && !shares.is_empty(), "{}", shares.len());
        let told = |share: &ShareForDriver| HookData { id: share.id, data: self.hook_data.clone() };
        let answer = HookAnswer { shares: shares.iter().step_by(2).map(told).collect(), dropped: 1 };
        self.perform(("periodic-hook-data", reason), (None, ""), |_| Ok(answer)).await
    }
}
