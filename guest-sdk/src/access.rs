//! Access rules, and what a driver answers about them.

use crate::bindings::access::exports::bulkhead::driver::access as wit_access;
use crate::bindings::base::bulkhead::driver::types as wit;
use crate::bindings::base::bulkhead::host::types::SecretRef;

/// How a rule names who may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessType {
    /// An IPv4 or IPv6 address or network; host bits are zero.
    Ip,
    /// A user or group name.
    User,
    /// The common name of a certificate.
    Cert,
    /// A Ceph client name.
    Cephx,
}

impl AccessType {
    pub(crate) fn from_wit(access_type: wit::AccessType) -> Self {
        match access_type {
            wit::AccessType::Ip => Self::Ip,
            wit::AccessType::User => Self::User,
            wit::AccessType::Cert => Self::Cert,
            wit::AccessType::Cephx => Self::Cephx,
        }
    }

    pub(crate) const fn into_wit(self) -> wit::AccessType {
        match self {
            Self::Ip => wit::AccessType::Ip,
            Self::User => wit::AccessType::User,
            Self::Cert => wit::AccessType::Cert,
            Self::Cephx => wit::AccessType::Cephx,
        }
    }
}

/// What a rule allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessLevel {
    /// Read and write.
    Rw,
    /// Read only.
    Ro,
}

impl AccessLevel {
    pub(crate) fn from_wit(level: wit::AccessLevel) -> Self {
        match level {
            wit::AccessLevel::Rw => Self::Rw,
            wit::AccessLevel::Ro => Self::Ro,
        }
    }
}

/// An access rule on a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRule {
    /// The rule's id: the key of the answer of `update_access`.
    pub id: String,
    /// The id of this rule on this share instance.
    pub mapping_id: String,
    /// What `access_to` is.
    pub access_type: AccessType,
    /// Who: an address, a network, a name. The host has checked it for its type.
    pub access_to: String,
    /// What it allows.
    pub access_level: AccessLevel,
}

impl AccessRule {
    pub(crate) fn from_wit(rule: wit::AccessRule) -> Self {
        Self {
            id: rule.id,
            mapping_id: rule.mapping_id,
            access_type: AccessType::from_wit(rule.access_type),
            access_to: rule.access_to,
            access_level: AccessLevel::from_wit(rule.access_level),
        }
    }

    pub(crate) fn list_from_wit(rules: Vec<wit::AccessRule>) -> Vec<Self> {
        rules.into_iter().map(Self::from_wit).collect()
    }
}

/// What is asked of `update_access`. With `add`, `remove` and `update` empty it is a full synchronisation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessUpdate {
    /// Everything that must be in force afterwards, `add` and `update` included, `remove` excluded.
    pub rules: Vec<AccessRule>,
    /// Rules that are new. They may be in force already.
    pub add: Vec<AccessRule>,
    /// Rules to take away. They may never have been in force.
    pub remove: Vec<AccessRule>,
    /// Rules whose level changed.
    pub update: Vec<AccessRule>,
}

impl AccessUpdate {
    pub(crate) fn from_wit(update: wit_access::AccessUpdate) -> Self {
        Self {
            rules: AccessRule::list_from_wit(update.rules),
            add: AccessRule::list_from_wit(update.add),
            remove: AccessRule::list_from_wit(update.remove),
            update: AccessRule::list_from_wit(update.update),
        }
    }
}

/// What became of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleState {
    /// It is in force.
    Active,
    /// It could not be applied.
    Error,
}

/// A driver's word on one rule. A rule without one is taken as active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleOutcome {
    /// The rule's id, not its mapping id.
    pub rule_id: String,
    /// What became of it.
    pub state: RuleState,
    /// The name of the credential that the backend made for this rule, as the host handed it out in this call; none if there is none.
    pub access_key: Option<String>,
}

impl RuleOutcome {
    /// The rule is in force.
    #[must_use]
    pub fn active(rule: &AccessRule) -> Self {
        Self { rule_id: rule.id.clone(), state: RuleState::Active, access_key: None }
    }

    /// The rule could not be applied.
    #[must_use]
    pub fn error(rule: &AccessRule) -> Self {
        Self { rule_id: rule.id.clone(), state: RuleState::Error, access_key: None }
    }

    pub(crate) fn into_wit(self) -> wit_access::RuleOutcome {
        wit_access::RuleOutcome {
            rule_id: self.rule_id,
            state: match self.state {
                RuleState::Active => wit_access::RuleState::Active,
                RuleState::Error => wit_access::RuleState::Error,
            },
            access_key: self.access_key.map(|name| SecretRef { name }),
        }
    }
}

/// An access rule on a mountable snapshot: always read only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotAccessRule {
    /// The rule's id.
    pub id: String,
    /// The id of this rule on this snapshot instance.
    pub mapping_id: String,
    /// What `access_to` is.
    pub access_type: AccessType,
    /// Who.
    pub access_to: String,
}

impl SnapshotAccessRule {
    pub(crate) fn from_wit(rule: wit::SnapshotAccessRule) -> Self {
        Self {
            id: rule.id,
            mapping_id: rule.mapping_id,
            access_type: AccessType::from_wit(rule.access_type),
            access_to: rule.access_to,
        }
    }
}
