//! Which function may touch what: by the use of the root and by whose the path is. Pure.
//!
//! | root use | look, list, usage | read | change | copy between | write free bytes | file templates |
//! |---|---|---|---|---|---|---|
//! | `data` | yes | no: tenants' bytes | yes | `data` only | no | yes |
//! | `config` | yes | yes | no: a privileged program reads it; but directories of a share server's own are made and removed | no | no | yes |
//! | `state` | yes | yes | yes | `state` only | yes | yes |
//!
//! A root of use `kernel` has no paths here: only `read-kernel` reaches it.

use crate::resolve::{ResolvedPath, managed_is_looked_at, source_is_read_only};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::manifest::RootUse;
use bulkhead_model::target::Resource;

/// What a function does to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Look at it: status, list, usage, source of a copy.
    Look,
    /// Hand its bytes to the guest.
    Read,
    /// Make a directory, remove what is owned.
    Arrange,
    /// Rename, exchange, destination of a copy.
    Change,
    /// Rename what the operator asked to manage.
    TakeOver,
    /// Put the guest's bytes there.
    Write,
    /// Write or remove a named file template.
    Template,
}

/// Denied unless the root's use allows `purpose`, and the path is not of the source of a new share where it would change.
pub(super) fn check(at: &ResolvedPath, purpose: Purpose) -> Result<(), CapabilityError> {
    let changes = matches!(purpose, Purpose::Arrange | Purpose::Change | Purpose::Write | Purpose::Template);
    if changes && at.is_source {
        return Err(source_is_read_only(at));
    }
    if changes && at.is_managed {
        return Err(managed_is_looked_at(at));
    }
    let (allowed, needed) = match (purpose, at.root.root_use()) {
        (Purpose::Look | Purpose::Template, _) => (true, ""),
        (Purpose::Read, root_use) => (root_use != RootUse::Data, "use = \"state\""),
        // What stands in such a directory came from a file template; that it is there, or no more, says nothing of the driver's.
        (Purpose::Arrange, root_use) => (root_use != RootUse::Config || is_of_server(at), "use = \"data\""),
        (Purpose::Change | Purpose::TakeOver, root_use) => (root_use != RootUse::Config, "use = \"data\""),
        (Purpose::Write, root_use) => (root_use == RootUse::State, "use = \"state\""),
    };
    if allowed {
        return Ok(());
    }
    let what = match purpose {
        Purpose::Read => "reading the bytes of",
        Purpose::Write => "writing free bytes to",
        Purpose::Look | Purpose::Arrange | Purpose::Change | Purpose::TakeOver | Purpose::Template => {
            "changing"
        }
    };
    Err(CapabilityError::denied(
        format!("{what} {}, in a root of use {},", at.subject(), use_name(at.root.root_use())),
        format!("[[root]] name = \"{}\" {needed} in the driver's manifest", at.root.name()),
    ))
}

fn is_of_server(at: &ResolvedPath) -> bool {
    matches!(at.owner, Some(Resource::ShareServer(_)))
}

/// Denied between roots of different use: a copy would hand tenants' bytes to the guest, or the guest's to tenants.
pub(super) fn check_copy(source: &ResolvedPath, destination: &ResolvedPath) -> Result<(), CapabilityError> {
    check(source, Purpose::Look)?;
    check(destination, Purpose::Change)?;
    let (from, to) = (source.root.root_use(), destination.root.root_use());
    if from == to {
        return Ok(());
    }
    Err(CapabilityError::denied(
        format!("a copy from a root of use {} to one of use {}", use_name(from), use_name(to)),
        format!(
            "[[root]] name = \"{}\" use = \"{}\" in the driver's manifest",
            destination.root.name(),
            use_name(from)
        ),
    ))
}

/// Names move inside one root only.
pub(super) fn check_one_root(first: &ResolvedPath, second: &ResolvedPath) -> Result<(), CapabilityError> {
    if first.root.name() == second.root.name() {
        return Ok(());
    }
    Err(CapabilityError::new(
        CapabilityCode::InvalidArgument,
        format!("{} and {} lie in two roots; name two paths of one root", first.subject(), second.subject()),
    ))
}

const fn use_name(root_use: RootUse) -> &'static str {
    match root_use {
        RootUse::Data => "data",
        RootUse::Config => "config",
        RootUse::State => "state",
        RootUse::Kernel => "kernel",
    }
}
