//! What an operator allows a backend, and the ceiling a site sets for all.

use crate::ability::Capability;
use crate::id::{Digest, Label};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What the operator allows one backend. Empty by default: nothing is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Grant {
    /// The capabilities the component may import beside `log`, `clock` and `config`.
    pub capabilities: BTreeSet<Capability>,
    /// Roots by name, each an absolute directory.
    pub roots: BTreeMap<Label, PathBuf>,
    /// Programs by name, each an absolute file.
    pub programs: BTreeMap<String, PathBuf>,
    /// Command and file templates by name, each pinned by the hash of its canonical form: the same name with other words is another
    /// template.
    pub templates: BTreeMap<Label, Digest>,
    /// Addresses and host names that export locations may name. Empty: whatever the option named by the manifest's
    /// `[export-addresses]` says.
    pub export_addresses: Vec<String>,
}

/// What no grant of this site may exceed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Ceiling {
    /// Capabilities that may be granted at all.
    pub capabilities: BTreeSet<Capability>,
    /// Programs that may be granted although the reviewed table does not know them.
    pub unreviewed_programs: BTreeSet<String>,
}

impl Default for Ceiling {
    fn default() -> Self {
        Self { capabilities: Capability::ALL.iter().copied().collect(), unreviewed_programs: BTreeSet::new() }
    }
}
