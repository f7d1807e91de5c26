//! The slots of templates: what may stand in them, and how paths and access rules reach what reads them.

use crate::id::Label;
use crate::pattern::Pattern;
use serde::{Deserialize, Serialize};

/// How a path slot reaches the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathKind {
    /// As an open descriptor, `/proc/self/fd/N`: what is opened is what is used.
    Existing,
    /// Descriptor of the parent and one name that is not there yet.
    New,
    /// Descriptor of the parent alone: the program makes the one name in it, not there yet, by itself.
    NewInside,
    /// Descriptor of the parent and one name that is there.
    Remove,
    /// Descriptor of the parent and one name to mount on.
    MountTarget,
    /// As an absolute path that another process reads.
    Text,
}

impl PathKind {
    /// Whether the program makes, removes or mounts on the name itself, rather than using what stands there.
    #[must_use]
    pub const fn changes_its_name(self) -> bool {
        matches!(self, Self::New | Self::NewInside | Self::Remove | Self::MountTarget)
    }
}

/// How access rules are written into a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessRulesStyle {
    /// As exports(5) lists clients: `10.0.0.0/24(rw) 10.0.0.9(ro)`. Rules of another type than `ip` are left out; a list without any
    /// client names one that nobody is.
    Exports5,
    /// As `CLIENT` blocks of NFS-Ganesha, the longest prefix first, because the first that fits an address decides. Rules of another type
    /// than `ip` are left out, as are IPv6 networks of /100 to /127, which the server cannot read; without any rule there is no block.
    Ganesha,
    /// As a JSON array, for requests: `[{"type":"ip","to":"10.0.0.0/24","level":"rw"}]`. Every rule is in it.
    Json,
}

/// Where the rules of an `access-rules` slot come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessRulesOf {
    /// The rules this call carries.
    Call,
}

/// The type of a slot. Its alphabet excludes every separator of the places it may stand in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields, rename_all = "kebab-case")]
pub enum SlotType {
    /// A number of bytes.
    Bytes,
    /// A number of GiB.
    Gib,
    /// A whole number in a range.
    Integer {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// One of a few words.
    Enum {
        /// The words: letters, digits, `-`, `_`, `.`; never beginning with `-`.
        values: Vec<String>,
    },
    /// An IP address.
    Ip,
    /// An IP network.
    Cidr,
    /// A TCP or UDP port, 1 to 65,535.
    Port,
    /// A UUID.
    Uuid,
    /// The host-derived name of a resource.
    Name,
    /// A path below a root.
    Path {
        /// How it reaches the program.
        kind: PathKind,
        /// The root.
        root: Label,
        /// The paths it may be.
        pattern: Vec<Pattern>,
    },
    /// The access rules of the call.
    AccessRules {
        /// Where they come from.
        of: AccessRulesOf,
        /// How they are written.
        style: AccessRulesStyle,
    },
    /// Free text, only as a whole argument that is no option; printable, at most `max` bytes.
    Opaque {
        /// Longest, in bytes.
        max: u32,
    },
    /// A secret by reference: standard input, an encoded body or a 0600 file, never an argument.
    Secret {
        /// The options of type `secret`, and the purposes, that it may be of: what a secret is for stands here, and it goes nowhere else.
        of: Vec<String>,
    },
}
