//! Why a backend cannot be loaded, in the words of `backend show`.

use super::places::PlaceError;
use crate::config::ConfigurationError;
use bulkhead_capability::backend::GrantError;
use bulkhead_capability::root::RootError;
use bulkhead_capability::secret::OptionSecretError;
use bulkhead_manager::{BackendFailure, ExpressionError};
use bulkhead_model::error::Blame;
use bulkhead_model::id::{BackendName, Digest};
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
    /// A secret that an option refers to cannot be had.
    #[error("the backend lacks a secret")]
    Secret(#[source] OptionSecretError),
    /// A filter or goodness function is no expression.
    #[error("the backend's {option} cannot be used: as an expression it")]
    Function {
        option: &'static str,
        #[source]
        source: ExpressionError,
    },
    /// The backend's file is not what it should be.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// Nothing says what the backend shall be.
    #[error(
        "no file says what backend {backend} shall be any more; write one, or name a package with --driver"
    )]
    NotConfigured { backend: BackendName },
    /// Settings that were recorded are not understood.
    #[error(
        "the recorded settings are not understood by this version; 'bulkhead backend swap' reads the backend's file"
    )]
    Settings(#[source] toml::de::Error),
    /// The driver declares other things than were granted.
    #[error(
        "the driver declares other things than the grant pins; review them with 'bulkhead driver inspect', then change in the backend's file:\n  {}",
        lines.join("\n  ")
    )]
    Pins { lines: Vec<String> },
    /// A package could not be kept for restarts and rollbacks.
    #[error("the package could not be kept at {}", path.display())]
    Keep {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A kept package is not there, or is not what it was.
    #[error("the kept package {digest} is lost or damaged; 'bulkhead backend swap' takes the vendor's file")]
    Kept {
        digest: Digest,
        #[source]
        source: Option<PackageError>,
    },
    /// The engine refuses the component.
    #[error("the driver cannot be compiled or linked")]
    Component(#[source] LoadError),
    /// The backend's place cannot be.
    #[error("the backend's place cannot be used")]
    Place(#[source] PlaceError),
    /// The backend's place is out of reach.
    #[error(transparent)]
    Unreachable(RootError),
    /// The grant does not fit the driver's manifest, or this machine.
    #[error("the backend's grant does not fit")]
    Grant(#[source] GrantError),
    /// The loading itself ended in the middle.
    #[error("loading was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
}

impl LoadFailure {
    /// Of what stands in the way of a grant; a place that is out of reach says nothing of it.
    pub(super) fn of_grant(error: GrantError) -> Self {
        match error {
            GrantError::Root { source: source @ RootError::Unreachable { .. }, .. } => {
                Self::Unreachable(source)
            }
            other => Self::Grant(other),
        }
    }

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
            Self::Options(_) | Self::Function { .. } => "options-invalid",
            Self::Secret(_) => "secret-unusable",
            Self::Configuration(_) => "configuration-invalid",
            Self::NotConfigured { .. } => "not-configured",
            Self::Settings(_) => "settings-unreadable",
            Self::Pins { .. } => "pins-changed",
            Self::Keep { .. } => "package-not-kept",
            Self::Kept { .. } => "package-lost",
            Self::Interrupted(_) => "host",
            Self::Component(_) => "driver-refused",
            Self::Place(_) => "place-unusable",
            Self::Unreachable(_) => "backend-unreachable",
            Self::Grant(GrantError::Root { .. }) => "root-unusable",
            Self::Grant(_) => "grant-invalid",
        }
    }

    const fn blame(&self) -> Blame {
        match self {
            Self::Package { source: PackageError::Read { .. }, .. }
            | Self::Options(_)
            | Self::Secret(_)
            | Self::Function { .. }
            | Self::Configuration(_)
            | Self::NotConfigured { .. }
            | Self::Place(_)
            | Self::Pins { .. } => Blame::Caller,
            Self::Package { .. } | Self::Component(_) => Blame::Driver,
            Self::Settings(_) | Self::Keep { .. } | Self::Kept { .. } | Self::Interrupted(_) => Blame::Host,
            // Not there yet, or not mounted, as a rule.
            Self::Unreachable(_) | Self::Grant(GrantError::Root { .. }) => Blame::Backend,
            Self::Grant(GrantError::Interrupted(_)) => Blame::Host,
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

    #[test]
    fn a_place_that_is_out_of_reach_is_no_fault_of_the_grant() {
        let of = |source| GrantError::Root { name: "pool".parse().expect("a name"), source };
        let gone = LoadFailure::of_grant(of(RootError::Unreachable { reason: "no route".to_owned() })).told();
        assert_eq!((gone.code.as_str(), gone.blame), ("backend-unreachable", Blame::Backend));
        assert_eq!(gone.message, "the backend's place cannot be reached: no route");
        let (path, reason) = ("/pool".to_owned(), "it is a file".to_owned());
        let unusable = LoadFailure::of_grant(of(RootError::Place { path, reason })).told();
        assert_eq!((unusable.code.as_str(), unusable.blame), ("root-unusable", Blame::Backend));
    }
}
