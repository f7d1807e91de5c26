//! `[[pipeline]]` and `[[job]]`: commands that feed each other, and commands that outlive their call.

use crate::id::{Digest, Label};
use serde::{Deserialize, Serialize};

/// `[[pipeline]]`: commands joined without a shell: what one writes on standard output the next reads on standard input. It succeeds only
/// if all do. Its slots are those of its stages; one name is one value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PipelineTemplate {
    /// Its name.
    pub name: Label,
    /// Why the driver needs it.
    pub reason: String,
    /// The names of `[[execute]]` templates, first to last; at least two. Each is granted by itself as well.
    pub stages: Vec<Label>,
}

/// `[[job]]`: a command or pipeline that runs on when its call has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct JobTemplate {
    /// Its name.
    pub name: Label,
    /// Why the driver needs it.
    pub reason: String,
    /// The name of an `[[execute]]` template or a `[[pipeline]]`; granted by itself as well.
    pub runs: Label,
    /// Whether the bytes that pass between the stages of its pipeline are counted.
    #[serde(default)]
    pub counts_bytes: bool,
}

impl PipelineTemplate {
    /// The hash of its canonical form, by which a grant pins it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        crate::canonical::digest("bulkhead:template:pipeline", self)
    }
}

impl JobTemplate {
    /// The hash of its canonical form, by which a grant pins it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        crate::canonical::digest("bulkhead:template:job", self)
    }
}
