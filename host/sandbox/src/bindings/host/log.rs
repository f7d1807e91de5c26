//! `log`.

use crate::bindings::v0_1::bulkhead::host::log::{Host, Level as WitLevel};
use crate::state::State;
use bulkhead_capability::log::Level;

impl Host for State {
    async fn write(&mut self, level: WitLevel, message: String) {
        let level = match level {
            WitLevel::Debug => Level::Debug,
            WitLevel::Info => Level::Info,
            WitLevel::Warning => Level::Warning,
            WitLevel::Error => Level::Error,
        };
        self.call.log().write(level, &message);
    }
}
