//! Access rules: the array is handed all of them whenever they change.

use crate::array::{self, of_volume};
use bulkhead_sdk::{AccessRule, AccessType, AccessUpdate, Result, RuleOutcome, Share};

/// Make the array let in whom `update.rules` names, and nobody else. The host itself writes them into the request.
///
/// NFS knows clients by address: every other rule is reported as an error, and changes nothing for the rest.
pub(crate) fn update(share: &Share, update: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
    let request = "set-clients";
    let answer = array::send(request, of_volume(share))?;
    if !answer.is_success() {
        return Err(array::refused(request, &answer));
    }
    let outcome = |rule| if is_address(rule) { RuleOutcome::active(rule) } else { RuleOutcome::error(rule) };
    Ok(update.rules.iter().map(outcome).collect())
}

fn is_address(rule: &AccessRule) -> bool {
    rule.access_type == AccessType::Ip
}
