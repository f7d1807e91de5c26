//! Why a backend cannot be loaded, in the words of `backend show`.

use bulkhead_capability::backend::GrantError;
use bulkhead_manager::{BackendFailure, ManagerError};
use bulkhead_model::error::Blame;
use bulkhead_package::PackageError;
use bulkhead_package::options::OptionsError;
use bulkhead_sandbox::LoadError;
use std::path::PathBuf;

/// What stands in the way. `Display` without the source; [`LoadFailure::told`] has the whole chain.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadFailure {
    /// The package's file cannot be read, or is none.
    #[error("the driver {} is not usable", path.display())]
    Package {
        path: PathBuf,
        #[source]
        source: PackageError,
    },
    /// The backend's options do not fit the driver's manifest.
    #[error("the backend's options do not fit the driver")]
    Options(#[source] OptionsError),
    /// The backend's generation could not be recorded.
    #[error("the backend's generation could not be recorded")]
    Generation(#[source] ManagerError),
    /// The engine refuses the component.
    #[error("the driver cannot be compiled or linked")]
    Component(#[source] LoadError),
    /// The grant does not fit the driver's manifest, or this machine.
    #[error("the backend's grant does not fit")]
    Grant(#[source] GrantError),
    /// The loading itself ended in the middle.
    #[error("loading was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
}

impl LoadFailure {
    /// For the manager and the operator.
    pub(super) fn told(self) -> BackendFailure {
        let (code, blame) = (self.code(), self.blame());
        BackendFailure { code: code.to_owned(), blame, message: format!("{:#}", anyhow::Error::new(self)) }
    }

    /// A stable word.
    const fn code(&self) -> &'static str {
        match self {
            Self::Package { source: PackageError::Read { .. }, .. } => "driver-unreadable",
            Self::Package { .. } => "driver-invalid",
            Self::Options(_) => "options-invalid",
            Self::Generation(_) | Self::Interrupted(_) => "host",
            Self::Component(_) => "driver-refused",
            Self::Grant(GrantError::Root { .. }) => "root-unusable",
            Self::Grant(_) => "grant-invalid",
        }
    }

    const fn blame(&self) -> Blame {
        match self {
            Self::Package { source: PackageError::Read { .. }, .. } | Self::Options(_) => Blame::Caller,
            Self::Package { .. } | Self::Component(_) => Blame::Driver,
            Self::Generation(_) | Self::Interrupted(_) => Blame::Host,
            // Not mounted yet, as a rule.
            Self::Grant(GrantError::Root { .. }) => Blame::Backend,
            Self::Grant(_) => Blame::Caller,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_chain_is_told_and_who_has_to_act() {
        let source = PackageError::Read {
            path: PathBuf::from("/d.wasm"),
            source: std::io::Error::other("the disk is gone"),
        };
        let told = LoadFailure::Package { path: PathBuf::from("/d.wasm"), source }.told();
        assert_eq!((told.code.as_str(), told.blame), ("driver-unreadable", Blame::Caller));
        assert_eq!(told.message, "the driver /d.wasm is not usable: cannot read /d.wasm: the disk is gone");
    }
}
