//! Access rules: one exports(5) fragment a share, written anew whenever they change.

use crate::place::SHARE;
use bulkhead_sdk::files;
use bulkhead_sdk::{AccessRule, AccessType, AccessUpdate, Result, RuleOutcome, Slots};

const TEMPLATE: &str = "export";

/// Make the fragment say what `update.rules` says. The host itself fills in the addresses and levels.
///
/// NFS knows clients by address: every other rule is reported as an error, and changes nothing for the rest.
pub(crate) fn update(update: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
    if update.rules.iter().any(is_address) {
        files::write_template(TEMPLATE, slots())?;
    } else {
        withdraw()?;
    }
    let outcome = |rule| if is_address(rule) { RuleOutcome::active(rule) } else { RuleOutcome::error(rule) };
    Ok(update.rules.iter().map(outcome).collect())
}

fn is_address(rule: &AccessRule) -> bool {
    rule.access_type == AccessType::Ip
}

/// Let nobody mount the share. A fragment without clients would mean everybody, so there is none.
pub(crate) fn withdraw() -> Result<()> {
    Ok(files::remove_template(TEMPLATE, slots())?)
}

fn slots() -> Slots {
    Slots::new().path("path", SHARE)
}
