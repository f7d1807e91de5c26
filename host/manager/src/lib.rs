//! The share manager.
#![forbid(unsafe_code)]

mod context;
mod error;
mod manager;
mod operation;
mod request;
mod settings;
mod view;

pub use context::RequestContext;
pub use error::{ErrorKind, ManagerError};
pub use manager::{Event, Manager};
pub use operation::Denial;
pub use request::{
    Force, METADATA_KEY_LETTERS, METADATA_PAIRS, METADATA_VALUE_LETTERS, NewAccessRule, NewShare,
    NewSnapshot, TEXT_LETTERS, Update,
};
pub use settings::ManagerSettings;
pub use view::{
    BackendDescription, BackendFailure, BackendState, BackendView, ShareTypeView, ShareView, SnapshotView,
    StoredAccessRule,
};
