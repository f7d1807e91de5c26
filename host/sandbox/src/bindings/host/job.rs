//! `job`.

use super::Answer;
use crate::bindings::convert::capability::{error_to_wit, exit_to_wit, slots_from_wit};
use crate::bindings::v0_1::bulkhead::host::job::{
    Host, JobEntry as WitEntry, JobExit as WitExit, JobProgress as WitProgress, JobState as WitState,
};
use crate::bindings::v0_1::bulkhead::host::types::Slot as WitSlot;
use crate::state::State;
use bulkhead_capability::job::{JobEntry, JobExit, JobState};

impl Host for State {
    async fn start(&mut self, name: String, key: String, slots: Vec<WitSlot>) -> Answer<WitState> {
        let slots = match slots_from_wit(slots) {
            Ok(slots) => slots,
            Err(error) => return self.refuse("job.start", &name, error).await,
        };
        self.call.jobs().start(&name, &key, &slots).await.map(state_to_wit).map_err(error_to_wit)
    }

    async fn poll(&mut self, name: String, key: String) -> Answer<WitState> {
        self.call.jobs().poll(&name, &key).await.map(state_to_wit).map_err(error_to_wit)
    }

    async fn entries(&mut self) -> Answer<Vec<WitEntry>> {
        let entries = self.call.jobs().entries().await.map_err(error_to_wit)?;
        Ok(entries.into_iter().map(entry_to_wit).collect())
    }

    async fn cancel(&mut self, name: String, key: String) -> Answer<()> {
        self.call.jobs().cancel(&name, &key).await.map_err(error_to_wit)
    }

    async fn forget(&mut self, name: String, key: String) -> Answer<()> {
        self.call.jobs().forget(&name, &key).await.map_err(error_to_wit)
    }
}

fn entry_to_wit(entry: JobEntry) -> WitEntry {
    WitEntry { name: entry.name, key: entry.key, state: state_to_wit(entry.state) }
}

fn state_to_wit(state: JobState) -> WitState {
    match state {
        JobState::Running(progress) => WitState::Running(WitProgress {
            bytes_done: progress.bytes_done,
            running_ms: progress.running_ms,
        }),
        JobState::Succeeded(exit) => WitState::Succeeded(job_exit_to_wit(exit)),
        JobState::Failed(exit) => WitState::Failed(job_exit_to_wit(exit)),
        JobState::Lost => WitState::Lost,
    }
}

fn job_exit_to_wit(exit: JobExit) -> WitExit {
    WitExit { exit: exit_to_wit(exit.exit), bytes_done: exit.bytes_done, duration_ms: exit.duration_ms }
}
