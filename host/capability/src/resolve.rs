//! From what a guest names to a path of the call's target below a granted root, or a denial. Used by `files` and `execute`.
//!
//! A guest names a root, a declared pattern and a resource; the text comes from the host. So there is nothing to sanitise: what is
//! not declared, or not of the target, has no path.

use crate::call::Call;
use crate::root::Root;
use crate::slot::{Path, PathChoice};
use bulkhead_model::error::CapabilityError;
use bulkhead_model::id::Label;
use bulkhead_model::manifest::{PathKind, RootUse};
use bulkhead_model::pattern::{Pattern, RelativePath};
use bulkhead_model::target::{Names, Resource};
use bulkhead_model::text::GuestText;
use std::sync::Arc;

const SHOWN: usize = 128;

/// A path that this call may name.
#[derive(Debug, Clone)]
pub struct ResolvedPath {
    /// The root it lies below.
    pub root: Arc<Root>,
    /// The way below that root.
    pub path: RelativePath,
    /// Whose it is; none: the backend's own.
    pub owner: Option<Resource>,
    /// Whether it is of the source of a new share: may be read, never changed.
    pub is_source: bool,
    /// Whether the operator named it in a manage call: may be looked at, and taken over by a rename while nobody owns it.
    pub is_managed: bool,
}

impl ResolvedPath {
    /// The absolute path at the backend's place. Of the letters `A-Z a-z 0-9 . _ @ - + /`.
    #[must_use]
    pub fn absolute(&self) -> String {
        format!("{}/{}", self.root.path(), self.path)
    }

    /// Root and path, as records name it: `shares/share-…`.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("{}/{}", self.root.name(), self.path)
    }
}

/// A path slot of a template.
#[derive(Debug, Clone, Copy)]
pub struct PathSlot<'manifest> {
    /// The slot.
    pub label: &'manifest Label,
    /// How it reaches the program.
    pub kind: PathKind,
    /// The root it lies below.
    pub root: &'manifest Label,
    /// What it may be.
    pub patterns: &'manifest [Pattern],
}

impl Call {
    /// The names of `resource`, or of the subject. Denied if it is not of this call's target.
    pub fn names(&self, resource: Option<Resource>) -> Result<Names, CapabilityError> {
        self.target().names(resource).map_err(|error| {
            CapabilityError::denied(error, "no line; a driver reaches only the resources it was called with")
        })
    }

    /// The path that `at` names for the `files` interface.
    pub fn resolve(&self, at: &Path) -> Result<ResolvedPath, CapabilityError> {
        let shown_root = GuestText::new(&at.root, SHOWN);
        let declared = self.backend().manifest().roots.iter().find(|root| root.name.as_str() == at.root);
        let Some(declared) = declared else {
            return Err(CapabilityError::denied(
                format!("root '{shown_root}'"),
                format!("[[root]] name = \"{shown_root}\" in the driver's manifest"),
            ));
        };
        let Some(pattern) = declared.paths.iter().find(|pattern| pattern.as_str() == at.pattern) else {
            return Err(undeclared_path(declared.name.as_str(), &at.pattern));
        };
        self.place(&declared.name, pattern, at.of)
    }

    /// The path that a guest chose for a path slot.
    pub fn resolve_slot(
        &self,
        slot: &PathSlot<'_>,
        choice: &PathChoice,
    ) -> Result<ResolvedPath, CapabilityError> {
        let Some(pattern) = slot.patterns.iter().find(|pattern| pattern.as_str() == choice.pattern) else {
            let shown = GuestText::new(&choice.pattern, SHOWN);
            return Err(CapabilityError::denied(
                format!("path '{shown}' in slot '{}'", slot.label),
                format!("slots.{} with pattern = [\"{shown}\"] in the driver's manifest", slot.label),
            ));
        };
        let at = self.place(slot.root, pattern, choice.of)?;
        if at.is_source && slot.kind.changes_its_name() {
            return Err(source_is_read_only(&at));
        }
        if at.is_managed && slot.kind != PathKind::Existing {
            return Err(managed_is_looked_at(&at));
        }
        if slot.kind == PathKind::Text && is_inside_tenants_tree(&at, pattern) {
            return Err(CapabilityError::denied(
                format!("the text of {}, whose tenant could lead its reader elsewhere,", at.subject()),
                format!("slots.{} with kind = \"existing\" in the driver's manifest", slot.label),
            ));
        }
        Ok(at)
    }

    /// The path of `pattern` below the root `root`, filled for `resource` or the subject.
    pub fn place(
        &self,
        root: &Label,
        pattern: &Pattern,
        resource: Option<Resource>,
    ) -> Result<ResolvedPath, CapabilityError> {
        let names = self.names_for(pattern, resource)?;
        let root = self.backend().root(root)?;
        if root.root_use() == RootUse::Kernel {
            return Err(kernel_only(&root));
        }
        let path = pattern.fill(&names).ok_or_else(|| {
            CapabilityError::denied(
                format!("path '{pattern}'"),
                "no line; this call has no resource that fills the pattern",
            )
        })?;
        Ok(ResolvedPath {
            root,
            path,
            owner: pattern.owner(&names),
            is_source: pattern.is_source(),
            is_managed: pattern.is_managed(),
        })
    }

    /// A pattern without names needs no subject: `setup` has none.
    fn names_for(&self, pattern: &Pattern, resource: Option<Resource>) -> Result<Names, CapabilityError> {
        if pattern.is_backend_wide() && resource.is_none() {
            return Ok(Names::default());
        }
        self.names(resource)
    }
}

/// Whether a directory above the path belongs to a tenant, who could put a link in its place before another process reads the text.
fn is_inside_tenants_tree(at: &ResolvedPath, pattern: &Pattern) -> bool {
    at.root.root_use() == RootUse::Data
        && pattern.as_str().rsplit_once('/').is_some_and(|(above, _)| above.contains('{'))
}

/// What the kernel tells is read by one function, and nothing else reaches it.
pub(crate) fn kernel_only(root: &Root) -> CapabilityError {
    CapabilityError::denied(
        format!("reaching root '{}', which is the kernel's,", root.name()),
        "no line; only files.read-kernel reads such a root",
    )
}

/// The denial of a path that no root declares.
#[must_use]
pub fn undeclared_path(root: &str, pattern: &str) -> CapabilityError {
    let (root, pattern) = (GuestText::new(root, SHOWN), GuestText::new(pattern, SHOWN));
    CapabilityError::denied(
        format!("path '{pattern}' in root '{root}'"),
        format!("[[root]] name = \"{root}\" paths = [\"{pattern}\"] in the driver's manifest"),
    )
}

/// The denial of everything but a look at what the operator asked to take over.
#[must_use]
pub fn managed_is_looked_at(at: &ResolvedPath) -> CapabilityError {
    CapabilityError::denied(
        format!("a change of {}, which nobody owns yet,", at.subject()),
        "no line; what is to be managed may be looked at, and renamed by files.rename",
    )
}

/// The denial of a change to the source of a new share.
#[must_use]
pub fn source_is_read_only(at: &ResolvedPath) -> CapabilityError {
    CapabilityError::denied(
        format!("a change of {}, which a share is being made from,", at.subject()),
        "no line; the source of a new share may only be read",
    )
}
