//! A double of the host, so that a driver is tested without WebAssembly.
//!
//! A [`Lab`] reads the driver's own `driver.toml` and lays out each of its roots as a temporary directory. A driver's functions are
//! called through it; what the manifest does not declare, or what is not of the call's share or snapshot, is denied there as the real
//! host denies it. Commands, pipelines and jobs are recorded and answered by the test, or run for real; D-Bus calls and requests
//! are recorded and answered; services start nothing, and are ready until the test lets them end.
//!
//! ```
//! use bulkhead_sdk::testing::{Lab, sample};
//! # use bulkhead_sdk::files::{self, Path};
//! # use bulkhead_sdk::{Driver, ExportLocation, Result, Share, Statistics};
//! # struct Mine;
//! # impl Driver for Mine {
//! #     fn setup() -> Result<()> { Ok(()) }
//! #     fn stats() -> Result<Statistics> { Ok(Statistics::default()) }
//! #     fn create_share(share: &Share) -> Result<Vec<ExportLocation>> {
//! #         files::create_directory(&Path::new("shares", "{share}"))?;
//! #         Ok(Vec::new())
//! #     }
//! #     fn delete_share(_: &Share) -> Result<()> { Ok(()) }
//! # }
//!
//! let lab = Lab::new(r#"
//!     [[root]]
//!     name = "shares"
//!     use = "data"
//!     reason = "every share is a directory in it"
//!     paths = ["{share}"]
//! "#);
//! let share = sample::share(1, 10);
//! lab.create_share::<Mine>(&share).unwrap();
//! assert!(lab.root("shares").join(&share.name).is_dir());
//! ```
//!
//! [`interrupted_everywhere`] repeats an operation that failed at each of its host calls in turn: the test every driver needs.
//!
//! What a test of this crate does wrong itself (a manifest that does not parse, a root that is not declared) panics with a sentence.

mod calls;
mod command;
mod denial;
mod double;
mod execute;
mod fault;
mod files;
mod groups;
mod http;
mod lab;
mod manifest;
mod migration;
mod network_allocation;
mod place;
mod private_data;
mod replication;
pub mod sample;
mod secret;
mod server_updates;
mod servers;
mod service;
mod slots;
mod temporary;

pub use command::Command;
pub(crate) use double::Double;
pub use fault::{Fault, Moment, interrupted_everywhere};
pub use lab::Lab;
pub use service::Shown;
