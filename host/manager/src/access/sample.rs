//! Rules as the tests of this folder want them.

use super::list::RuleList;
use crate::records::Tables;
use crate::view::StoredAccessRule;
use bulkhead_model::access::{AccessLevel, AccessRule, AccessTo};
use bulkhead_model::id::{AccessMappingId, AccessRuleId, ShareId, ShareInstanceId};
use bulkhead_model::status::AccessRuleState;
use bulkhead_model::time::Timestamp;
use std::collections::BTreeMap;

pub(super) fn rule(address: &str, state: AccessRuleState) -> StoredAccessRule {
    StoredAccessRule {
        rule: AccessRule {
            id: AccessRuleId::random(),
            mapping_id: AccessMappingId::random(),
            access_to: AccessTo::parse("ip", address).expect("an address"),
            level: AccessLevel::Rw,
        },
        share: ShareId::random(),
        project: "alpha".parse().expect("a project"),
        state,
        access_key: None,
        failure: None,
        metadata: BTreeMap::new(),
        created_at: Timestamp::now(),
        updated_at: Timestamp::now(),
    }
}

pub(super) fn list(rules: impl IntoIterator<Item = StoredAccessRule>) -> RuleList {
    let mut list = RuleList::read(&Tables::default(), ShareInstanceId::random());
    rules.into_iter().for_each(|rule| list.push(rule));
    list
}

pub(super) fn states(rules: &RuleList) -> Vec<AccessRuleState> {
    rules.iter().map(|rule| rule.state).collect()
}
