//! What drivers tell the operator's periodic hooks.

use super::{Breach, check_count, pairs_from_wit};
use crate::bindings::v0_1::bulkhead::driver::periodic_hook::HookData as WitHookData;
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::share::{HookAnswer, HookData, ShareForDriver};
use std::collections::BTreeSet;

/// The most pairs about one share.
const MOST_PAIRS: usize = 64;

/// What is said of the shares that were asked about. What is said of another one, or of one a second time, is left out and counted.
pub(crate) fn hook_answer_from_wit(
    asked: &[ShareForDriver],
    answer: Vec<WitHookData>,
) -> Result<HookAnswer, Breach> {
    check_count("the answer of periodic-hook-data", &answer, asked.len())?;
    let mut open: BTreeSet<ShareInstanceId> = asked.iter().map(|share| share.id).collect();
    let mut kept = HookAnswer::default();
    for told in answer {
        let data = pairs_from_wit("hook-data.data", told.data, MOST_PAIRS)?;
        match told.share_id.parse::<ShareInstanceId>().ok().filter(|id| open.remove(id)) {
            Some(id) => kept.shares.push(HookData { id, data }),
            None => kept.dropped += 1,
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::v0_1::bulkhead::driver::types::KeyValue;
    use crate::fixture;

    fn told(share_id: &str, key: &str) -> WitHookData {
        let data = vec![KeyValue { key: key.to_owned(), value: "x".to_owned() }];
        WitHookData { share_id: share_id.to_owned(), data }
    }

    #[test]
    fn what_is_said_of_shares_that_were_not_asked_about_is_left_out_and_counted() {
        let asked = [fixture::share(), fixture::share()];
        let [one, foreign] = [asked[0].id.to_string(), ShareInstanceId::random().to_string()];
        let check = |answer| hook_answer_from_wit(&asked, answer);
        let kept = check(vec![told(&one, "a"), told(&foreign, "a")]).expect("sound");
        assert_eq!(kept.shares.iter().map(|told| told.id).collect::<Vec<_>>(), [asked[0].id]);
        assert_eq!(kept.dropped, 1);
        assert_eq!(check(vec![told(&one, "a"), told(&one, "b")]).map(|kept| kept.dropped), Ok(1));
        assert_eq!(check(vec![told("../../etc", "a")]).map(|kept| kept.dropped), Ok(1));
    }

    #[test]
    fn an_answer_without_bounds_is_refused() {
        let asked = [fixture::share()];
        let id = asked[0].id.to_string();
        assert!(hook_answer_from_wit(&asked, vec![told(&id, ""); 1]).is_err());
        assert!(hook_answer_from_wit(&asked, vec![told(&id, "a"); 2]).is_err());
        assert!(hook_answer_from_wit(&asked, vec![told(&id, "\u{1b}[31m")]).is_err());
    }
}
