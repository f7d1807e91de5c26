//! What the kit makes shares of.

use bulkhead_model::access::{AccessLevel, AccessRule, AccessTo, InvalidAccess};
use bulkhead_model::id::{AccessMappingId, AccessRuleId, ProjectId};
use bulkhead_model::share::Protocol;
use bulkhead_model::size::Gibibytes;
use bulkhead_model::status::ReplicationType;
use std::collections::BTreeMap;
use uuid::Uuid;

/// How rules name who may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// By address, out of 198.51.100.0/24, which no network uses.
    Ip,
    /// By user.
    User,
}

/// What every share of a run has in common.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Distinguishes the ids of this run from those of others on the same array; the same number gives the same ids.
    pub seed: u32,
    /// Whose they are.
    pub project: ProjectId,
    /// How they are exported.
    pub protocol: Protocol,
    /// A protocol that the driver does not serve; none if it serves all.
    pub foreign_protocol: Option<Protocol>,
    /// How large they are.
    pub size: Gibibytes,
    /// The pool they go to; none takes the first that the driver reports.
    pub pool: Option<String>,
    /// The extra specs of their type.
    pub extra_specs: BTreeMap<String, String>,
    /// The tenant's metadata.
    pub metadata: BTreeMap<String, String>,
    /// How rules name who may come in.
    pub rules: Rules,
    /// Whether shares live on servers that the driver makes.
    pub on_servers: bool,
    /// How shares are replicated.
    pub replication: ReplicationType,
    /// The names of the backend under test and of its peer.
    pub hosts: [String; 2],
}

impl Sample {
    /// The id `number` of a kind of things.
    pub(crate) const fn id(&self, kind: u16, number: u64) -> Uuid {
        // Version 4 and variant 1 by their bits; the rest tells run, kind and number apart.
        let high = ((self.seed as u64) << 32) | ((kind as u64 & 0xffff) << 16) | 0x4000;
        Uuid::from_u64_pair(high, 0x8000_0000_0000_0000 | (number & 0x3fff_ffff_ffff_ffff))
    }

    /// A rule that lets somebody in who is nobody else's.
    pub(crate) fn rule(&self, number: u64, level: AccessLevel) -> Result<AccessRule, InvalidAccess> {
        let access_to = match self.rules {
            Rules::Ip => AccessTo::parse("ip", &format!("198.51.100.{}", number % 150 + 100))?,
            Rules::User => AccessTo::parse("user", &format!("conformance-{number}"))?,
        };
        Ok(AccessRule {
            id: AccessRuleId::from_uuid(self.id(5, number)),
            mapping_id: AccessMappingId::from_uuid(self.id(6, number)),
            access_to,
            level,
        })
    }
}
