//! Where the file says that it all is, if that is not this machine.

use super::{LabFile, bind_roots};
use crate::cli::backend::installed;
use crate::config::SshConfiguration;
use bulkhead_model::grant::{Ceiling, Grant, RootGrant};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::Manifest;
use bulkhead_model::place::Place;
use bulkhead_package::toml_file::{Finding, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A place over SSH.
#[derive(Debug)]
pub(in crate::cli::driver) struct Far {
    /// Which.
    pub(in crate::cli::driver) place: Place,
    /// Its target.
    pub(in crate::cli::driver) target: Label,
    /// How the file declares it.
    pub(in crate::cli::driver) declared: SshConfiguration,
}

/// The place over SSH that the file names; none where it is this machine.
pub(super) fn checked(written: &LabFile, findings: &mut Vec<Finding>) -> Option<Far> {
    let place = written.place.clone();
    let (Place::Ssh(target) | Place::SshPlain(target)) = &place else { return None };
    match written.ssh.get(target) {
        Some(declared) => Some(Far { target: target.clone(), declared: declared.clone(), place }),
        None => {
            let finding = Finding::new(vec![Step::from("place")], format!("there is no target '{target}'"));
            findings.push(finding.hint(format!("write [ssh.{target}] with host, user, host-keys and key")));
            None
        }
    }
}

/// Nobody reviews an array's own commands but whoever writes the file: it allows them.
pub(super) fn ceiling(place: &Place, grant: &Grant) -> Ceiling {
    let unreviewed_programs = match place {
        Place::SshPlain(_) => grant.programs.keys().cloned().collect(),
        Place::Local | Place::Ssh(_) => BTreeSet::new(),
    };
    Ceiling { unreviewed_programs, ..Ceiling::default() }
}

/// The file of a program that the lab's file does not say; none where it is not installed. On an array the last part is a command's name.
pub(super) fn program(place: &Place, name: &str) -> Option<PathBuf> {
    match place {
        Place::SshPlain(_) => Some(Path::new("/").join(name)),
        Place::Local | Place::Ssh(_) => installed(name),
    }
}

/// As [`bind_roots`]; at another machine those that `given` names, and no others: none can be made there.
pub(super) fn roots(
    place: &Place,
    given: &BTreeMap<Label, PathBuf>,
    manifest: &Manifest,
    (folder, scratch): (&Path, &Path),
) -> anyhow::Result<BTreeMap<Label, RootGrant>> {
    let mut roots = bind_roots(given, manifest, folder, scratch)?;
    roots.retain(|name, _| place.is_local() || given.contains_key(name));
    Ok(roots)
}
