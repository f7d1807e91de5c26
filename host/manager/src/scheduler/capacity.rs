//! Whether a pool has room (contract 4.11, the capacity filter).

use bulkhead_model::statistics::{Capacity, Pool, Support};

/// What the room is for: each kind has its own reserve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    New,
    FromSnapshot,
    Extend,
}

/// What is asked of a pool.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Demand {
    pub(crate) gib: u64,
    pub(crate) purpose: Purpose,
    /// Given out since the pool reported.
    pub(crate) placed_gib: u64,
    /// The sum of promised sizes now.
    pub(crate) provisioned_gib: f64,
    /// For thin pools that report no ratio.
    pub(crate) max_over_subscription_ratio: f64,
    /// Whether space may be taken only as the share fills, where the pool can do either.
    pub(crate) may_be_thin: bool,
}

/// The room that `pool` has, in GiB, if that is enough for `demand`; none if it cannot tell. If it is not, why.
#[expect(clippy::cast_precision_loss, reason = "sizes in GiB are below 2^33")]
pub(crate) fn room(pool: &Pool, demand: &Demand) -> Result<Option<f64>, String> {
    let size = demand.gib as f64;
    let placed = demand.placed_gib as f64;
    let reserved = f64::from(match demand.purpose {
        Purpose::New => pool.reserved_percentage,
        Purpose::FromSnapshot => pool.reserved_snapshot_percentage,
        Purpose::Extend => pool.reserved_share_extend_percentage,
    }) / 100.0;
    let Capacity::Gib(free) = pool.free else { return Ok(None) };
    let free = free - placed;
    let Capacity::Gib(total) = pool.total else {
        return if reserved > 0.0 {
            Err("its total capacity is unknown, so the reserved share of it is too".to_owned())
        } else {
            fits(size, free).map(|()| None)
        };
    };
    if total <= 0.0 {
        return Err("it has no capacity at all".to_owned());
    }
    let usable = (free - total * reserved).floor();
    if pool.thin_provisioning == Support::No || !demand.may_be_thin {
        return fits(size, usable).map(|()| Some(usable));
    }
    let ratio = pool.max_over_subscription_ratio.unwrap_or(demand.max_over_subscription_ratio);
    if ratio < 1.0 {
        return Err(format!("its over-subscription ratio is {ratio}, less than 1"));
    }
    let promised = (demand.provisioned_gib + size) / total;
    if promised > ratio {
        return Err(format!("it would promise {promised:.2} times its capacity; at most {ratio} is allowed"));
    }
    fits(size, usable * ratio)?;
    Ok(Some((total * ratio - demand.provisioned_gib - total * reserved).floor()))
}

fn fits(size: f64, usable: f64) -> Result<(), String> {
    if usable >= size {
        Ok(())
    } else {
        Err(format!("{size} GiB are needed, {} are free after reserves", usable.max(0.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn pool(total: Capacity, free: Capacity) -> Pool {
        Pool {
            name: "p".to_owned(),
            total,
            free,
            allocated_gib: None,
            provisioned_gib: None,
            reserved_percentage: 10,
            reserved_snapshot_percentage: 0,
            reserved_share_extend_percentage: 50,
            max_over_subscription_ratio: None,
            thin_provisioning: Support::No,
            dedupe: Support::No,
            compression: Support::No,
            qos: false,
            capabilities: BTreeMap::new(),
        }
    }

    fn demand(gib: u64, purpose: Purpose) -> Demand {
        Demand {
            gib,
            purpose,
            placed_gib: 0,
            provisioned_gib: 0.0,
            max_over_subscription_ratio: 2.0,
            may_be_thin: true,
        }
    }

    #[test]
    fn each_purpose_has_its_own_reserve() {
        let pool = pool(Capacity::Gib(100.0), Capacity::Gib(60.0));
        assert!(room(&pool, &demand(50, Purpose::New)).is_ok());
        assert!(room(&pool, &demand(51, Purpose::New)).is_err());
        assert!(room(&pool, &demand(60, Purpose::FromSnapshot)).is_ok());
        assert!(room(&pool, &demand(11, Purpose::Extend)).is_err());
    }

    #[test]
    fn what_was_placed_since_the_report_is_gone() {
        let pool = pool(Capacity::Gib(100.0), Capacity::Gib(60.0));
        let after = Demand { placed_gib: 30, ..demand(21, Purpose::New) };
        assert!(room(&pool, &after).is_err());
        assert!(room(&pool, &Demand { gib: 20, ..after }).is_ok());
    }

    #[test]
    fn an_unknown_capacity_passes_unless_a_reserve_depends_on_it() {
        let sizes = demand(1_000_000, Purpose::New);
        assert!(room(&pool(Capacity::Unknown, Capacity::Unknown), &sizes).is_ok());
        assert!(room(&pool(Capacity::Unknown, Capacity::Gib(5.0)), &demand(5, Purpose::New)).is_err());
        assert!(
            room(&pool(Capacity::Unknown, Capacity::Gib(5.0)), &demand(5, Purpose::FromSnapshot)).is_ok()
        );
        assert!(room(&pool(Capacity::Gib(0.0), Capacity::Gib(0.0)), &demand(1, Purpose::New)).is_err());
    }

    /// Whether a share of this size fits into a pool with these capacities.
    fn fits_into(gib: u64, (free, total): (Capacity, Capacity), reserved_percentage: u8) -> bool {
        let pool = Pool { reserved_percentage, ..pool(total, free) };
        room(&pool, &demand(gib, Purpose::New)).is_ok()
    }

    /// Contract F-01, F-02, F-03, F-04, F-05.
    #[test]
    fn room_is_what_it_is_in_manila() {
        let (gib, unknown) = (Capacity::Gib, Capacity::Unknown);
        assert!(fits_into(100, (gib(200.0), gib(500.0)), 0), "F-01");
        assert!(!fits_into(100, (gib(120.0), gib(200.0)), 20), "F-02");
        assert!(fits_into(100, (unknown, gib(500.0)), 5), "F-03");
        assert!(fits_into(100, (gib(200.0), unknown), 0), "F-04");
        assert!(!fits_into(100, (gib(200.0), unknown), 5), "F-04, a reserve");
        assert!(!fits_into(100, (gib(50.0), unknown), 0), "F-04, too little");
        assert!(!fits_into(100, (gib(200.0), gib(0.0)), 0), "F-05");
    }

    /// Contract F-06, F-07, F-08, F-09, F-10, F-11, F-12, F-13, F-14.
    #[test]
    fn thin_pools_promise_what_they_do_in_manila() {
        for (id, is_thin, (gib, total, free, provisioned), ratio, reserved, fits) in [
            ("F-06", true, (100, 500.0, 200.0, 500.0), 2.0, 5, true),
            ("F-07", true, (3000, 500.0, 200.0, 7000.0), 20.0, 5, true),
            ("F-08", true, (100, 500.0, 80.0, 600.0), 2.0, 5, true),
            ("F-09", true, (100, 500.0, 100.0, 1000.0), 2.0, 5, false),
            ("F-10", true, (2000, 500.0, 30.0, 9000.0), 20.0, 0, false),
            ("F-11", true, (100, 500.0, 200.0, 500.0), 0.8, 5, false),
            ("F-12", true, (100, 500.0, 99.0, 1000.0), 2.0, 5, false),
            ("F-13", true, (400, 500.0, 200.0, 600.0), 2.0, 5, false),
            ("F-14", false, (100, 500.0, 200.0, 300.0), 1.0, 5, true),
            ("F-14", false, (100, 500.0, 100.0, 300.0), 1.0, 5, false),
        ] {
            let pool = Pool {
                reserved_percentage: reserved,
                max_over_subscription_ratio: Some(ratio),
                thin_provisioning: if is_thin { Support::Yes } else { Support::No },
                ..pool(Capacity::Gib(total), Capacity::Gib(free))
            };
            let asked = Demand { provisioned_gib: provisioned, ..demand(gib, Purpose::New) };
            assert_eq!(room(&pool, &asked).is_ok(), fits, "{id} {gib}");
        }
    }

    #[test]
    fn a_thick_share_takes_its_whole_size_of_a_pool_that_can_be_either() {
        let pool =
            Pool { thin_provisioning: Support::Both, ..pool(Capacity::Gib(500.0), Capacity::Gib(100.0)) };
        let thin = demand(100, Purpose::FromSnapshot);
        let thick = Demand { may_be_thin: false, ..thin };
        assert!(room(&pool, &Demand { gib: 150, ..thin }).is_ok());
        assert!(room(&pool, &Demand { gib: 150, ..thick }).is_err());
        assert!(room(&pool, &thick).is_ok());
    }

    #[test]
    fn a_thin_pool_promises_up_to_its_ratio() {
        let mut pool = pool(Capacity::Gib(100.0), Capacity::Gib(100.0));
        pool.thin_provisioning = Support::Both;
        let promised = Demand { provisioned_gib: 150.0, ..demand(50, Purpose::New) };
        assert!(room(&pool, &promised).is_ok());
        assert!(room(&pool, &Demand { gib: 51, ..promised }).is_err());
        pool.max_over_subscription_ratio = Some(0.5);
        assert!(room(&pool, &promised).is_err());
    }
}
