//! The roots of a backend: directories the operator binds. At a place that is this machine they are opened once and held as
//! `cap_std::fs::Dir`: whoever has one reaches what lies below it and nothing else. At another machine the helper there opens them for each
//! request. Either way all paths are resolved by the kernel from the root's descriptor, never by comparing texts.

use crate::execute::{Abandoned, CommandRunner};
use bulkhead_helper::files::{Identity, OpenedRoots, facts, identity};
use bulkhead_helper::protocol::{FileReply, FileWork, FilesCall, RootBinding, RootFacts};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::{RootDeclaration, RootUse};
use bulkhead_model::tenure::Tenure;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rustix::fs::fstat;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long the place may take to say what a root is.
const OPENING: Duration = Duration::from_secs(30);

/// Why a root was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RootError {
    /// Not absolute, or of letters that a template could not write.
    #[error(
        "'{0}' is not an absolute path of the letters A-Z a-z 0-9 . _ @ - + and '/', without '.' or '..'"
    )]
    Text(String),
    /// The whole filesystem.
    #[error("'/' is no root for a driver; make a directory for it")]
    Everything,
    /// It cannot be opened.
    #[error("'{path}' cannot be opened as a directory: {reason}; make it, or correct the grant")]
    Open {
        /// The path.
        path: String,
        /// What the kernel says.
        reason: String,
    },
    /// The place cannot say.
    #[error("'{path}' cannot be used at the backend's place: {reason}")]
    Place {
        /// The path.
        path: String,
        /// What the place says.
        reason: String,
    },
    /// The place is out of reach: nothing is known of the path.
    #[error("the backend's place cannot be reached: {reason}")]
    Unreachable {
        /// Why, and what to do.
        reason: String,
    },
    /// A copy of this daemon's state was put back elsewhere, and serves it.
    #[error(
        "'{path}' is served by a restored copy of this daemon's state; let this backend be, or, if the other daemon has ended for good, \
         type: setfattr -x user.bulkhead.tenure {path}"
    )]
    Succeeded {
        /// The path.
        path: String,
    },
    /// A privileged program reads it, and anybody could write there.
    #[error(
        "'{path}' is written to by others (mode {mode:o}), and a privileged program reads it: chmod go-w '{path}'"
    )]
    WritableByOthers {
        /// The path.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
}

impl RootError {
    /// What the place has answered about `path`, or why it has not.
    pub(crate) fn of_place(path: &str, error: CapabilityError) -> Self {
        match error.code {
            CapabilityCode::Unavailable | CapabilityCode::OutcomeUnknown | CapabilityCode::TimedOut => {
                Self::Unreachable { reason: error.message }
            }
            _ => Self::Place { path: path.to_owned(), reason: error.message },
        }
    }
}

/// A root that can be used.
#[derive(Debug)]
pub struct Root {
    name: Label,
    path: String,
    root_use: RootUse,
    held: Held,
    ancestry: Vec<Identity>,
}

/// Who holds a root.
#[derive(Debug)]
enum Held {
    /// This process.
    Here(Arc<Dir>),
    /// The backend's place, which is asked.
    There(There),
}

#[derive(Debug, Clone)]
struct There {
    place: Arc<dyn CommandRunner>,
    tenure: Option<String>,
}

impl Root {
    /// Open the directory `path` of this machine as the root that `declaration` asks for.
    pub fn open(declaration: &RootDeclaration, path: &Path) -> Result<Self, RootError> {
        let text = check_text(path)?;
        let failed = |error: io::Error| RootError::Open { path: text.clone(), reason: error.to_string() };
        let directory = open_bound(path).map_err(failed)?;
        let facts = facts(&directory).map_err(failed)?;
        Self::checked(declaration, text, (facts, Held::Here(Arc::new(directory))))
    }

    /// Ask `place` for the directory `path` there, for the holder of `tenure`.
    pub async fn reach(
        declaration: &RootDeclaration,
        path: &Path,
        (place, tenure): (&Arc<dyn CommandRunner>, Option<Tenure>),
    ) -> Result<Self, RootError> {
        let text = check_text(path)?;
        let there = There { place: Arc::clone(place), tenure: tenure.map(|tenure| tenure.to_string()) };
        // Who has it is looked at when it is claimed, where it is told what to do about it.
        let binding = RootBinding { path: text.clone(), identity: None, tenure: None };
        let call = FilesCall {
            roots: BTreeMap::from([(declaration.name.clone(), binding)]),
            work: FileWork::OpenRoot { root: declaration.name.clone() },
            timeout_ms: u64::try_from(OPENING.as_millis()).unwrap_or(u64::MAX),
        };
        let (_waiting, abandoned) = Abandoned::pair();
        let failed = |error| RootError::of_place(&text, error);
        let facts = match place.files(call, abandoned).await {
            Ok(FileReply::Root(facts)) => facts,
            Ok(_) => return Err(failed(mistaken())),
            Err(error) => return Err(failed(error.into())),
        };
        Self::checked(declaration, text, (facts, Held::There(there)))
    }

    fn checked(
        declaration: &RootDeclaration,
        path: String,
        (facts, held): (RootFacts, Held),
    ) -> Result<Self, RootError> {
        let RootFacts { mode, ancestry } = facts;
        if ancestry.first() == ancestry.last() {
            return Err(RootError::Everything);
        }
        if declaration.root_use == RootUse::Config && mode & 0o022 != 0 {
            return Err(RootError::WritableByOthers { path, mode });
        }
        Ok(Self { name: declaration.name.clone(), path, root_use: declaration.root_use, held, ancestry })
    }

    /// Its name in the manifest.
    #[must_use]
    pub const fn name(&self) -> &Label {
        &self.name
    }

    /// Its absolute path, as the grant spells it. For printing and for the helper; the daemon itself uses the descriptor.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What stands in it.
    #[must_use]
    pub const fn root_use(&self) -> RootUse {
        self.root_use
    }

    /// Its directory, a place to start from, itself neither read nor synced; none if it is on another machine.
    #[must_use]
    pub fn directory(&self) -> Option<&Dir> {
        match &self.held {
            Held::Here(directory) => Some(directory),
            Held::There(_) => None,
        }
    }

    /// As requests to a helper name it. Of a directory that this process holds the helper opens the path again, and compares.
    pub(crate) fn binding(&self) -> Result<RootBinding, CapabilityError> {
        let path = self.path.clone();
        match &self.held {
            Held::Here(directory) => {
                let status = fstat(directory).map_err(|error| {
                    CapabilityError::new(
                        CapabilityCode::Io,
                        format!("root '{}' cannot be looked at: {error}", self.name),
                    )
                })?;
                Ok(RootBinding { path, identity: Some(identity(&status)), tenure: None })
            }
            Held::There(there) => Ok(RootBinding { path, identity: None, tenure: there.tenure.clone() }),
        }
    }

    /// The identities of the directory and of everything above it, the filesystem's root last.
    pub(crate) fn ancestry(&self) -> &[Identity] {
        &self.ancestry
    }
}

/// The one place where an absolute path becomes a directory: the operator wrote it into the grant, no guest did.
#[expect(
    clippy::disallowed_methods,
    reason = "a root bound by the operator is where authority over files begins"
)]
fn open_bound(path: &Path) -> io::Result<Dir> {
    let directory = Dir::open_ambient_dir(path, ambient_authority())?;
    // To be told now rather than by the first call that the host's user may not read it.
    directory.entries().map(|_| directory)
}

/// Where the work of one call is done: all its roots lie at one place.
#[derive(Debug)]
pub(crate) enum Worksite {
    /// In this process.
    Here(OpenedRoots),
    /// At the place, which is asked.
    There(Arc<dyn CommandRunner>, BTreeMap<Label, RootBinding>),
}

impl Worksite {
    pub(crate) fn of(roots: &[&Root]) -> Result<Self, CapabilityError> {
        let there = roots.iter().find_map(|root| match &root.held {
            Held::There(there) => Some(Arc::clone(&there.place)),
            Held::Here(_) => None,
        });
        if let Some(place) = there {
            let bindings = roots.iter().map(|root| Ok((root.name.clone(), root.binding()?)));
            return Ok(Self::There(place, bindings.collect::<Result<_, CapabilityError>>()?));
        }
        let opened = roots.iter().filter_map(|root| match &root.held {
            Held::Here(directory) => Some((root.name.clone(), Arc::clone(directory))),
            Held::There(_) => None,
        });
        Ok(Self::Here(opened.collect()))
    }
}

/// An answer to something else than was asked.
pub(crate) fn mistaken() -> CapabilityError {
    CapabilityError::new(CapabilityCode::Io, "the place answered something else than it was asked")
}

/// A root's path is written into files and words, so that its alphabet is as small as theirs.
fn check_text(path: &Path) -> Result<String, RootError> {
    let refused = || RootError::Text(path.to_string_lossy().chars().take(256).collect());
    let text = path.to_str().ok_or_else(refused)?;
    let trimmed = text.trim_end_matches('/');
    if trimmed.is_empty() && !text.is_empty() {
        return Err(RootError::Everything);
    }
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._@-+/".contains(letter);
    let below = trimmed.strip_prefix('/').ok_or_else(refused)?;
    let sound = below.split('/').all(|component| !matches!(component, "" | "." | ".."));
    if sound && trimmed.chars().all(allowed) && trimmed.len() <= 1024 {
        Ok(trimmed.to_owned())
    } else {
        Err(refused())
    }
}
