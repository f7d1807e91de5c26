//! `execute`.

use super::Answer;
use crate::bindings::convert::capability::{error_to_wit, slots_from_wit};
use crate::bindings::v0_1::bulkhead::host::execute::{Host, Output as WitOutput};
use crate::bindings::v0_1::bulkhead::host::types::Slot as WitSlot;
use crate::state::State;
use bulkhead_capability::execute::Output;

impl Host for State {
    async fn run(&mut self, template: String, slots: Vec<WitSlot>) -> Answer<WitOutput> {
        let slots = match slots_from_wit(slots) {
            Ok(slots) => slots,
            Err(error) => return self.refuse("execute.run", &template, error).await,
        };
        self.call.execute().run(&template, &slots).await.map(output_to_wit).map_err(error_to_wit)
    }

    async fn run_with_retries(&mut self, template: String, slots: Vec<WitSlot>) -> Answer<WitOutput> {
        let slots = match slots_from_wit(slots) {
            Ok(slots) => slots,
            Err(error) => return self.refuse("execute.run-with-retries", &template, error).await,
        };
        self.call.execute().run_with_retries(&template, &slots).await.map(output_to_wit).map_err(error_to_wit)
    }
}

fn output_to_wit(output: Output) -> WitOutput {
    WitOutput {
        stdout: output.stdout,
        stderr: output.stderr,
        truncated: output.truncated,
        duration_ms: output.duration_ms,
    }
}
