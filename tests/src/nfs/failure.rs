//! What a server answers instead of doing it, in the words of the protocol.

use nfs3_client::nfs3_types::mount::mountstat3;
use nfs3_client::nfs3_types::nfs3::nfsstat3;
use nfs3_client::{MountError, RpcError};
use std::fmt;

/// What a server answers instead of doing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// `ROFS`: this client may only read.
    ReadOnly,
    /// `DQUOT`: the share has no room left.
    QuotaExceeded,
    /// `NOSPC`: the filesystem has no room left.
    NoSpace,
    /// `ACCES`, or a refused credential: this client may not, at mounting or later.
    AccessDenied,
    /// `STALE`: what the handle named is gone, or is exported no more.
    Stale,
    /// `NOENT`: there is no such name; at mounting, no such export.
    NotFound,
    /// Another status of the protocol.
    Status(String),
    /// Nobody answers, or what was answered is no NFS.
    Broken(String),
}

impl Failure {
    /// Whether the server could not be asked at all.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        matches!(self, Self::Broken(_))
    }

    pub(super) fn of(status: nfsstat3) -> Self {
        match status {
            nfsstat3::NFS3ERR_ROFS => Self::ReadOnly,
            nfsstat3::NFS3ERR_DQUOT => Self::QuotaExceeded,
            nfsstat3::NFS3ERR_NOSPC => Self::NoSpace,
            nfsstat3::NFS3ERR_ACCES => Self::AccessDenied,
            nfsstat3::NFS3ERR_STALE | nfsstat3::NFS3ERR_BADHANDLE => Self::Stale,
            nfsstat3::NFS3ERR_NOENT => Self::NotFound,
            other => Self::Status(other.to_string()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadOnly => formatter.write_str("ROFS"),
            Self::QuotaExceeded => formatter.write_str("DQUOT"),
            Self::NoSpace => formatter.write_str("NOSPC"),
            Self::AccessDenied => formatter.write_str("ACCES"),
            Self::Stale => formatter.write_str("STALE"),
            Self::NotFound => formatter.write_str("NOENT"),
            Self::Status(status) => formatter.write_str(status),
            Self::Broken(reason) => write!(formatter, "no answer: {reason}"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<RpcError> for Failure {
    fn from(error: RpcError) -> Self {
        match error {
            // What Ganesha answers to a client that no rule of a mounted export names any more.
            RpcError::Auth(_) => Self::AccessDenied,
            other => Self::Broken(other.to_string()),
        }
    }
}

impl From<MountError> for Failure {
    fn from(error: MountError) -> Self {
        match error {
            MountError::Rpc(error) => error.into(),
            MountError::Denied(mountstat3::MNT3ERR_ACCES | mountstat3::MNT3ERR_PERM) => Self::AccessDenied,
            MountError::Denied(mountstat3::MNT3ERR_NOENT) => Self::NotFound,
            MountError::Denied(status) => Self::Status(status.to_string()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}
