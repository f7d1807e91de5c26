//! Ids and names. An id is a UUID that the host made; a name is text with a small alphabet.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Text that is not the id or name it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a {expected}")]
pub struct InvalidId {
    text: String,
    expected: &'static str,
}

impl InvalidId {
    pub(crate) fn new(text: &str, expected: &'static str) -> Self {
        Self { text: text.chars().take(64).collect(), expected }
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh random id (version 4), as Manila's API hands out.
            #[must_use]
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }

            /// The id behind this UUID.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID itself.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(formatter)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                // Only the form that the API prints: 36 characters, so that one id has one spelling.
                if text.len() != 36 {
                    return Err(InvalidId::new(text, $expected));
                }
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId::new(text, $expected))
            }
        }
    };
}

uuid_id!(
    /// A share as tenants see it.
    ShareId,
    "share id"
);
uuid_id!(
    /// A share instance: what drivers call "the share". Backend names derive from it.
    ShareInstanceId,
    "share instance id"
);
uuid_id!(
    /// A snapshot as tenants see it.
    SnapshotId,
    "snapshot id"
);
uuid_id!(
    /// A snapshot instance: what drivers call "the snapshot".
    SnapshotInstanceId,
    "snapshot instance id"
);
uuid_id!(
    /// An access rule of a share.
    AccessRuleId,
    "access rule id"
);
uuid_id!(
    /// An access rule on one share instance. Manila's mapping id.
    AccessMappingId,
    "access mapping id"
);
uuid_id!(
    /// A share type.
    ShareTypeId,
    "share type id"
);
uuid_id!(
    /// A group of shares.
    ShareGroupId,
    "share group id"
);
uuid_id!(
    /// A snapshot of all shares of a group.
    ShareGroupSnapshotId,
    "share group snapshot id"
);
uuid_id!(
    /// A type of share groups.
    ShareGroupTypeId,
    "share group type id"
);
uuid_id!(
    /// A server at a backend that serves one tenant's network.
    ShareServerId,
    "share server id"
);
uuid_id!(
    /// A tenant's network.
    ShareNetworkId,
    "share network id"
);
uuid_id!(
    /// A part of a share network in one availability zone.
    ShareNetworkSubnetId,
    "share network subnet id"
);
uuid_id!(
    /// A directory that a tenant's share servers join.
    SecurityServiceId,
    "security service id"
);
uuid_id!(
    /// An address kept for a share server.
    AllocationId,
    "network allocation id"
);
uuid_id!(
    /// An export location.
    ExportLocationId,
    "export location id"
);
uuid_id!(
    /// A journalled change of a resource. Version 7, so that ids sort by time.
    OperationId,
    "operation id"
);
uuid_id!(
    /// One call of a driver function.
    CallId,
    "call id"
);

impl ShareGroupId {
    /// Under which id operations about the group queue, where those about a share have the share's.
    #[must_use]
    pub const fn queue(self) -> ShareId {
        ShareId(self.0)
    }
}

impl ShareServerId {
    /// Under which id operations about the server queue, where those about a share have the share's.
    #[must_use]
    pub const fn queue(self) -> ShareId {
        ShareId(self.0)
    }
}

impl ShareGroupSnapshotId {
    /// The snapshot that drivers are told a member belongs to.
    #[must_use]
    pub const fn of_members(self) -> SnapshotId {
        SnapshotId(self.0)
    }
}

impl OperationId {
    /// A fresh id that sorts after every earlier one.
    #[must_use]
    pub fn next() -> Self {
        Self(Uuid::now_v7())
    }
}

impl CallId {
    /// A fresh id that sorts after every earlier one.
    #[must_use]
    pub fn next() -> Self {
        Self(Uuid::now_v7())
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $longest:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let allowed: fn(char) -> bool = $allowed;
                let sound = !text.is_empty()
                    && text.len() <= $longest
                    && text.chars().all(allowed)
                    && text.starts_with(|first: char| first.is_ascii_alphanumeric());
                if sound { Ok(Self(text.to_owned())) } else { Err(InvalidId::new(text, $expected)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

name!(
    /// A backend: one configured use of a driver. At most 63 of `a-z A-Z 0-9 - _`; it stands in host strings and store keys.
    BackendName,
    "backend name (1 to 63 of letters, digits, '-', '_', beginning with a letter or digit)",
    63,
    |letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_'
);
name!(
    /// A driver, as its manifest calls it.
    DriverName,
    "driver name (1 to 63 of letters, digits, '-', '_', beginning with a letter or digit)",
    63,
    |letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_'
);
name!(
    /// A project: the tenant of everything it owns.
    ProjectId,
    "project id (1 to 255 of letters, digits, '-', '_', '.')",
    255,
    |letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.')
);
name!(
    /// A user, as the token names them.
    UserId,
    "user id (1 to 255 of letters, digits, '-', '_', '.', '@')",
    255,
    |letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '@')
);
name!(
    /// A name inside a manifest: of a template, a slot, a root, an option, a counter.
    Label,
    "label (1 to 63 of letters, digits, '-', '_')",
    63,
    |letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_'
);

/// One request from outside, in logs, ledger and answers: `req-` and a UUID.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(String);

impl RequestId {
    /// A fresh request id.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("req-{}", Uuid::new_v4()))
    }

    /// The id of the host's own doings: recovery and periodic tasks.
    #[must_use]
    pub fn internal(task: &str) -> Self {
        Self(format!("internal-{task}"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The sha256 digest of a package's bytes: which driver exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("sha256:")?;
        for byte in self.0 {
            write!(formatter, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for Digest {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidId::new(text, "digest (sha256: and 64 hexadecimal digits)");
        let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64).ok_or_else(invalid)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| invalid())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| invalid())?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

/// Which configuration of a backend: a number that grows with every swap, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GenerationNumber(pub u64);

impl fmt::Display for GenerationNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = ShareId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.uuid().simple().to_string().parse::<ShareId>().is_err());
        assert!(format!("{{{id}}}").parse::<ShareId>().is_err());
    }

    #[test]
    fn operation_ids_sort_by_time() {
        let ids: Vec<_> = (0..100).map(|_| OperationId::next()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn a_backend_name_never_carries_a_separator() {
        for text in ["", "a/b", "a#b", "a@b", "-a", "a b", "ä", &"a".repeat(64)] {
            assert!(text.parse::<BackendName>().is_err(), "{text}");
        }
        assert!("nas-1_b".parse::<BackendName>().is_ok());
    }

    #[test]
    fn a_digest_prints_as_it_parses() {
        let digest = Digest::from_bytes([0xab; 32]);
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert!("sha256:zz".parse::<Digest>().is_err());
        assert!(format!("sha256:{}", "é".repeat(32)).parse::<Digest>().is_err());
    }
}
