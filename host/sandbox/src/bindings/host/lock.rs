//! `lock`.

use super::Answer;
use crate::bindings::convert::capability::error_to_wit;
use crate::bindings::v0_1::bulkhead::host::lock::Host;
use crate::state::State;

impl Host for State {
    async fn acquire(&mut self, name: String, wait_ms: u64) -> Answer<u64> {
        self.call.locks().acquire(&name, wait_ms).await.map_err(error_to_wit)
    }

    async fn release(&mut self, name: String) -> Answer<()> {
        self.call.locks().release(&name).await.map_err(error_to_wit)
    }
}
