//! The sandbox: where drivers run. One wasmtime engine for all, limits on everything a guest could use up, bindings from WIT to the
//! words of `model`, and one fresh instance for every call.
//!
//! ```text
//! Engine ── load(digest, bytes) ──> Component         compiled, checked against the contract, linked; kept once per digest
//! Component + capability::Backend ──> Generation      a Driver: what the share manager calls
//! Generation ── one call ──> Store, Instance, Call    made for it, thrown away after it
//! ```
//!
//! A driver is refused while loading with a [`LoadError`] that says on one screen what is wrong and what to do. A call fails with a
//! `CallError` that says who is to blame: the driver trapped, was too slow, ran into a limit or answered against the contract, or it
//! said itself what failed. A refusal of a capability is no failure of the call but an answer to the guest.
#![deny(unsafe_code)]

mod bindings;
mod call;
mod component;
mod driver;
mod engine;
mod export;
mod failure;
#[cfg(test)]
mod fixture;
mod generation;
mod limits;
mod link;
mod load;
#[doc(hidden)]
pub mod measure;
mod server_driver;
mod slots;
mod state;
mod target;

pub use bulkhead_capability::files::{CopyProgress, CopySummary, ShareDirectory};
pub use bulkhead_capability::network_allocation::{
    AddressRequest, AllocationError, GiveBack, Holder, KeptAddress, NetworkProvider, NetworkUsage, Purpose,
    Release, SubnetChoice, TakeOver, TakenAddress,
};
pub use bulkhead_capability::seal::{SealError, SealingKey};
pub use component::Component;
pub use driver::{Driver, ENSURE_BATCH, HOOK_BATCH, USAGE_BATCH};
pub use engine::{Engine, EngineConfig, EngineError, LARGEST_COMPONENT};
pub use generation::Generation;
pub use load::LoadError;
pub use server_driver::ServerDriver;
