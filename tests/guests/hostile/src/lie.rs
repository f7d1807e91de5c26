//! Behaviours that answer what is not so, or too much of it.

use crate::behaviour::Told;
use bulkhead_sdk::{
    AfterEnsuring, Capacity, Creation, EnsuredShare, ExportLocation, Health, IpVersion, Pool, Reversion,
    RuleOutcome, RuleState, SnapshotOutcome, Statistics,
};

/// An id that no host ever gave out.
const NOBODY: &str = "ffffffff-ffff-4fff-8fff-ffffffffffff";

fn ten_megabytes() -> String {
    "x".repeat(10_000_000)
}

pub(crate) fn locations(told: &Told, honest: Vec<ExportLocation>) -> Vec<ExportLocation> {
    let at = |path: &str| vec![ExportLocation::new(path)];
    if told.is("many-locations") {
        return (0..100_000).map(|number| ExportLocation::new(format!("127.0.0.1:/{number}"))).collect();
    }
    if told.is("huge-location") {
        return vec![ExportLocation::new(format!("127.0.0.1:/{}", ten_megabytes()))];
    }
    if told.is("no-location") {
        return Vec::new();
    }
    if told.is("same-location-twice") {
        return honest.iter().chain(&honest).cloned().collect();
    }
    if told.is("foreign-address") {
        return at("203.0.113.66:/stolen");
    }
    if told.is("control-characters") {
        return at("127.0.0.1:/\u{1b}[31mred\u{7}\n\u{202e}");
    }
    if told.is("unlisted-metadata") {
        let metadata = vec![("password".to_owned(), "hunter2".to_owned())];
        return honest.into_iter().map(|one| ExportLocation { metadata: metadata.clone(), ..one }).collect();
    }
    honest
}

pub(crate) fn creation(told: &Told, honest: Creation) -> Creation {
    if told.is("pending") {
        return Creation::Pending;
    }
    match honest {
        Creation::Available(honest) => Creation::Available(locations(told, honest)),
        Creation::Pending => Creation::Pending,
    }
}

pub(crate) fn ensured(told: &Told, honest: Vec<EnsuredShare>) -> Vec<EnsuredShare> {
    let stranger = EnsuredShare {
        id: NOBODY.to_owned(),
        export_locations: None,
        access_rules: AfterEnsuring::KeepRules,
        health: Health::Broken,
    };
    if told.is("wrong-ids") {
        return vec![stranger];
    }
    if told.is("same-id-twice") {
        return honest.iter().chain(&honest).cloned().collect();
    }
    if told.is("many-answers") {
        return vec![stranger; 100_000];
    }
    let lied = |one: EnsuredShare| EnsuredShare {
        export_locations: one.export_locations.map(|honest| locations(told, honest)),
        ..one
    };
    honest.into_iter().map(lied).collect()
}

pub(crate) fn outcomes(told: &Told, honest: Vec<RuleOutcome>) -> Vec<RuleOutcome> {
    let outcome =
        |id: &str| RuleOutcome { rule_id: id.to_owned(), state: RuleState::Active, access_key: None };
    if told.is("wrong-ids") {
        return vec![outcome(NOBODY)];
    }
    if told.is("same-id-twice") {
        return honest.iter().chain(&honest).cloned().collect();
    }
    if told.is("many-answers") {
        return vec![outcome(NOBODY); 100_000];
    }
    if told.is("foreign-secret") {
        let key = Some("somebody-elses-key".to_owned());
        return honest.into_iter().map(|one| RuleOutcome { access_key: key.clone(), ..one }).collect();
    }
    if told.is("huge-id") {
        return vec![outcome(&ten_megabytes())];
    }
    honest
}

pub(crate) fn snapshot(told: &Told, honest: SnapshotOutcome) -> SnapshotOutcome {
    if told.is("huge-provider-location") {
        return SnapshotOutcome { provider_location: Some(ten_megabytes()), ..honest };
    }
    SnapshotOutcome { export_locations: locations(told, honest.export_locations), ..honest }
}

pub(crate) fn reversion(told: &Told, honest: Reversion) -> Reversion {
    if told.is("pending") {
        return Reversion::Pending;
    }
    if told.is("zero-size") {
        return Reversion::DoneWithSize(0);
    }
    if told.is("huge-size") {
        return Reversion::DoneWithSize(u64::MAX);
    }
    honest
}

pub(crate) fn statistics(told: &Told, honest: Statistics) -> Statistics {
    let with = |change: &dyn Fn(&mut Pool)| {
        let mut pools = honest.pools.clone();
        pools.iter_mut().for_each(change);
        Statistics { pools, ..honest.clone() }
    };
    if told.is("nan-capacity") {
        return with(&|pool| pool.total = Capacity::Gib(f64::NAN));
    }
    if told.is("infinite-capacity") {
        return with(&|pool| pool.free = Capacity::Gib(f64::INFINITY));
    }
    if told.is("negative-capacity") {
        return with(&|pool| pool.free = Capacity::Gib(-1.0));
    }
    if told.is("more-free-than-total") {
        return with(&|pool| pool.free = Capacity::Gib(1e300));
    }
    if told.is("bad-percentage") {
        return with(&|pool| pool.reserved_percentage = 1000);
    }
    if told.is("bad-ratio") {
        return with(&|pool| pool.max_over_subscription_ratio = Some(0.0));
    }
    if told.is("bad-pool-name") {
        return with(&|pool| pool.name = "a#b\u{1b}[31m".to_owned());
    }
    if told.is("duplicate-pools") {
        let pools = honest.pools.iter().chain(&honest.pools).cloned().collect();
        return Statistics { pools, ..honest };
    }
    if told.is("many-pools") {
        let pools = (0..100_000).map(|number| Pool::new(format!("pool-{number}"))).collect();
        return Statistics { pools, ..honest };
    }
    if told.is("no-pools") {
        return Statistics { pools: Vec::new(), ..honest };
    }
    if told.is("huge-capability") {
        return Statistics { capabilities: vec![("key".to_owned(), ten_megabytes())], ..honest };
    }
    honest
}

pub(crate) fn fingerprint(told: &Told, honest: Vec<(String, String)>) -> Vec<(String, String)> {
    if told.is("huge-fingerprint") { vec![("key".to_owned(), ten_megabytes())] } else { honest }
}

pub(crate) fn ip_versions(told: &Told, honest: Vec<IpVersion>) -> Vec<IpVersion> {
    if told.is("many-answers") {
        return vec![IpVersion::V6; 100_000];
    }
    if told.is("no-ip-version") { Vec::new() } else { honest }
}

pub(crate) fn function(told: &Told) -> Option<String> {
    told.is("huge-function").then(ten_megabytes)
}

pub(crate) fn pool(told: &Told) -> Option<String> {
    if told.is("bad-pool-name") {
        return Some("a#b\u{1b}[31m".to_owned());
    }
    told.is("huge-pool-name").then(ten_megabytes)
}
