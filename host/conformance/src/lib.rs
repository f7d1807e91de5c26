//! The conformance kit behind `bulkhead driver check`: does a driver keep the sentences of its contract?
//!
//! ```text
//! World     the driver under test, what it stands on, and the one place where its host calls can be made to fail
//! Check     one sentence of the contract, the exports it needs, and calls that would show that it does not hold
//! Sweep     for each function: every host call it makes fails, times out or is the last one; the function, repeated, must converge
//! Report    which sentences hold, which do not and why, which could not be judged and why
//! ```
//!
//! The kit calls a driver through the same [`Driver`](bulkhead_sandbox::Driver) as the share manager does, with the records that the
//! manager would hand over. It knows nothing of what lies below: the owner of a [`World`] says whether host calls reach fakes, a
//! simulator or an array. What a driver has is learned from what the world keeps for it ([`Holdings`]), never from the driver's words
//! alone.
#![forbid(unsafe_code)]

mod check;
mod checks;
mod faults;
mod finding;
mod new_server;
mod report;
mod run;
mod sample;
mod stage;
mod sweep;
mod world;

pub use check::{Check, all as all_checks};
pub use faults::{Fault, Faults, HostCall};
pub use new_server::{NewServer, NewServerError, ServerPlan};
pub use report::{CheckReport, FaultCount, Report, Subject, Verdict};
pub use run::{Budget, Plan, run};
pub use sample::{Rules, Sample};
pub use sweep::{Sweep, all as all_sweeps};
pub use world::{Holdings, World, WorldError};
