//! The record that every contender carries: a share with a dozen texts, two export locations and ten access rules, about 2.4 kB as JSON.

use anyhow::Context;
use bulkhead_model::access::{AccessLevel, AccessRule, AccessTo, AccessUpdate};
use bulkhead_model::call::CallReason;
use bulkhead_model::export::ExportLocation;
use bulkhead_model::id::{AccessMappingId, AccessRuleId, OperationId, RequestId, ShareId, ShareInstanceId};
use bulkhead_model::share::{Protocol, ShareForDriver};
use bulkhead_model::size::Gibibytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many access rules there are.
const RULES: u8 = 10;

/// The record in our own words.
pub(crate) fn ours() -> anyhow::Result<(ShareForDriver, AccessUpdate)> {
    let location = |path: &str, preferred| ExportLocation {
        path: path.to_owned(),
        admin_only: false,
        preferred,
        metadata: BTreeMap::new(),
    };
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let share = ShareForDriver {
        id: ShareInstanceId::random(),
        share: ShareId::random(),
        project: "engineering".parse()?,
        size: Gibibytes::new(100).context("a size")?,
        protocol: Protocol::Nfs,
        pool: Some("pool1".to_owned()),
        source_snapshot: None,
        server: None,
        group: None,
        replica_state: None,
        mount_snapshot_support: false,
        export_locations: vec![
            location("192.0.2.10:/shares/share-0001", true),
            location("192.0.2.11:/shares/share-0001", false),
        ],
        extra_specs: pairs(&[("driver_handles_share_servers", "False"), ("thin_provisioning", "True")]),
        metadata: pairs(&[("owner", "alice"), ("purpose", "build results")]),
    };
    let rule = |number: u8| -> anyhow::Result<AccessRule> {
        Ok(AccessRule {
            id: AccessRuleId::random(),
            mapping_id: AccessMappingId::random(),
            access_to: AccessTo::parse("ip", &format!("198.51.100.{number}"))?,
            level: AccessLevel::Rw,
        })
    };
    let rules = (1..=RULES).map(rule).collect::<anyhow::Result<_>>()?;
    Ok((share, AccessUpdate { rules, ..AccessUpdate::default() }))
}

/// Why a call is made.
pub(crate) fn reason() -> CallReason {
    CallReason { request: RequestId::random(), operation: Some(OperationId::next()), earlier_attempts: 0 }
}

/// The same record as a message of the peers.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
pub(crate) struct Request {
    #[prost(message, optional, tag = "1")]
    pub(crate) share: Option<Share>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) rules: Vec<Rule>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
pub(crate) struct Share {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    share: String,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    project: String,
    #[prost(uint64, tag = "5")]
    size_gib: u64,
    #[prost(string, tag = "6")]
    protocol: String,
    #[prost(string, optional, tag = "7")]
    pool: Option<String>,
    #[prost(message, repeated, tag = "8")]
    export_locations: Vec<Location>,
    #[prost(btree_map = "string, string", tag = "9")]
    extra_specs: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "10")]
    metadata: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
pub(crate) struct Location {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(bool, tag = "2")]
    admin_only: bool,
    #[prost(bool, tag = "3")]
    preferred: bool,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
pub(crate) struct Rule {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    mapping_id: String,
    #[prost(string, tag = "3")]
    access_to: String,
    #[prost(string, tag = "4")]
    level: String,
}

/// What a peer answers: a refused rule and why, if there is one.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
pub(crate) struct Answer {
    #[prost(string, repeated, tag = "1")]
    pub(crate) refused: Vec<String>,
}

/// The record in the peers' words, made anew for each call as ours is.
pub(crate) fn peers(share: &ShareForDriver, update: &AccessUpdate) -> Request {
    let location = |location: &ExportLocation| Location {
        path: location.path.clone(),
        admin_only: location.admin_only,
        preferred: location.preferred,
    };
    let rule = |rule: &AccessRule| Rule {
        id: rule.id.to_string(),
        mapping_id: rule.mapping_id.to_string(),
        access_to: rule.access_to.to_string(),
        level: "rw".to_owned(),
    };
    Request {
        share: Some(Share {
            id: share.id.to_string(),
            share: share.share.to_string(),
            name: format!("share-{}", share.id),
            project: share.project.to_string(),
            size_gib: share.size.get(),
            protocol: share.protocol.to_string(),
            pool: share.pool.clone(),
            export_locations: share.export_locations.iter().map(location).collect(),
            extra_specs: share.extra_specs.clone(),
            metadata: share.metadata.clone(),
        }),
        rules: update.rules.iter().map(rule).collect(),
    }
}

/// What every peer does with it, and the measured driver too: look at every rule.
pub(crate) fn serve(request: &Request) -> Answer {
    let nobody = request.rules.iter().filter(|rule| rule.access_to.is_empty());
    Answer { refused: nobody.map(|rule| rule.id.clone()).collect() }
}
