//! What drivers answer about the usage of shares.

use super::{Breach, check_count, shown};
use crate::bindings::v0_1::bulkhead::driver::usage::ShareUsage as WitShareUsage;
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::share::{ShareForDriver, ShareUsage};
use bulkhead_model::time::Timestamp;
use std::collections::BTreeSet;

/// What shares use: only those that were asked about, each at most once, with figures that mean something.
pub(crate) fn usage_from_wit(
    asked: &[ShareForDriver],
    answer: &[WitShareUsage],
) -> Result<Vec<ShareUsage>, Breach> {
    check_count("the answer of share-usage-sizes", answer, asked.len())?;
    let mut open: BTreeSet<ShareInstanceId> = asked.iter().map(|share| share.id).collect();
    answer.iter().map(|usage| one(&mut open, usage)).collect()
}

fn one(open: &mut BTreeSet<ShareInstanceId>, usage: &WitShareUsage) -> Result<ShareUsage, Breach> {
    let id = usage.share_id.parse::<ShareInstanceId>().ok().filter(|id| open.remove(id));
    let id = id.ok_or_else(|| {
        Breach(format!(
            "share-usage.share-id is one of those asked about, each once, unlike '{}'",
            shown(&usage.share_id)
        ))
    })?;
    if !usage.used_gib.is_finite() || usage.used_gib < 0.0 {
        return Err(Breach(format!(
            "share-usage.used-gib is finite and not negative, unlike {}",
            usage.used_gib
        )));
    }
    let gathered_at = Timestamp::from_milliseconds(usage.gathered_at_ms)
        .ok_or_else(|| Breach::new("share-usage.gathered-at-ms is a moment within the calendar"))?;
    Ok(ShareUsage { id, used_gib: usage.used_gib, gathered_at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn figures_are_finite_not_negative_and_of_shares_that_were_asked_about() {
        let asked = [fixture::share()];
        let answer = |share_id: String, used_gib, gathered_at_ms| {
            usage_from_wit(&asked, &[WitShareUsage { share_id, used_gib, gathered_at_ms }])
        };
        let id = asked[0].id.to_string();
        assert!(answer(id.clone(), 0.0, 1).is_ok_and(|found| found[0].id == asked[0].id));
        for figure in [f64::NAN, f64::INFINITY, -0.5] {
            assert!(answer(id.clone(), figure, 1).is_err(), "{figure}");
        }
        assert!(answer(id.clone(), 1.0, u64::MAX).is_err());
        assert!(answer(ShareInstanceId::random().to_string(), 1.0, 1).is_err());
        let twice = WitShareUsage { share_id: id, used_gib: 1.0, gathered_at_ms: 1 };
        assert!(usage_from_wit(&[asked[0].clone(), fixture::share()], &[twice.clone(), twice]).is_err());
    }
}
