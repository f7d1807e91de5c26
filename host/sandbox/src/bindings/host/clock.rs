//! `clock`.

use crate::bindings::v0_1::bulkhead::host::clock::Host;
use crate::state::State;

impl Host for State {
    async fn now_ms(&mut self) -> u64 {
        self.call.clock().now_ms()
    }

    async fn monotonic_ms(&mut self) -> u64 {
        self.call.clock().monotonic_ms()
    }

    async fn time_left_ms(&mut self) -> u64 {
        self.call.clock().time_left_ms()
    }

    async fn sleep(&mut self, duration_ms: u64) -> u64 {
        self.call.clock().sleep(duration_ms).await
    }

    async fn new_id(&mut self) -> String {
        self.call.clock().new_id()
    }
}
