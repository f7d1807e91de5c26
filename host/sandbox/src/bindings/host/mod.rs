//! The imports: each generated trait on [`State`], which converts and calls the capability. A refusal is a value, never a trap; rights
//! are the capability's to check and every call its to record.

mod clock;
mod config;
mod dbus;
mod execute;
mod files;
mod http;
mod job;
mod lock;
mod log;
mod network_allocation;
mod private_data;
mod secret;
mod service;

use crate::bindings::convert::capability::error_to_wit;
use crate::bindings::v0_1::bulkhead::{driver, host};
use crate::state::State;
use bulkhead_capability::record::Deed;
use bulkhead_model::error::CapabilityError;

type Answer<T> = Result<T, host::types::CapabilityError>;

// Both only lend types.
impl host::types::Host for State {}
impl driver::types::Host for State {}

impl State {
    /// Refuse arguments that cannot even be handed on. It is recorded like every other refusal.
    async fn refuse<T>(&self, function: &'static str, subject: &str, error: CapabilityError) -> Answer<T> {
        let refusing = async { Err::<(), _>(error.clone()) };
        let refused = self.call.recorded(Deed::new(function, subject), refusing).await;
        // Whoever stands between guest and host may say otherwise; there is nothing else to answer.
        Err(error_to_wit(refused.err().unwrap_or(error)))
    }
}
