//! What filter and goodness functions see of a pool, and what they decide.

use super::*;
use crate::view::ServerLimits;
use bulkhead_model::ability::{Abilities, Ability};
use bulkhead_model::call::DriverLimits;
use bulkhead_model::id::{Digest, GenerationNumber, ShareTypeId};
use bulkhead_model::place::Place;
use bulkhead_model::share::Protocol;
use bulkhead_model::size::Gibibytes;
use bulkhead_model::statistics::{Capacity, IpVersion, Support};
use std::collections::{BTreeMap, BTreeSet};

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// What a share of 5 GiB is asked for, and a backend that exports with some versions and reports some capabilities.
struct Scene {
    asked: AskedShare,
    description: BackendDescription,
    abilities: Abilities,
    ip_versions: BTreeSet<IpVersion>,
    statistics: Statistics,
    pool: Pool,
}

impl Scene {
    fn new(ip_versions: &[IpVersion], capabilities: &[(&str, &str)]) -> Self {
        Self {
            asked: AskedShare {
                size: Gibibytes::new(5).expect("a size"),
                protocol: Some(Protocol::Nfs),
                project: "alpha".parse().expect("a project"),
                user: "alice".parse().expect("a user"),
                share_type: ShareTypeId::random(),
                source_snapshot: None,
                extra_specs: texts(&[("var", "7")]),
            },
            description: BackendDescription {
                name: "nas".parse().expect("a name"),
                driver: "fake".parse().expect("a name"),
                driver_version: "1.0.0".to_owned(),
                vendor: "nobody".to_owned(),
                place: Place::Local,
                digest: Digest::from_bytes([1; 32]),
                generation: GenerationNumber(1),
                protocols: vec![Protocol::Nfs],
                limits: DriverLimits::default(),
                replication_domain: None,
                max_over_subscription_ratio: 20.0,
                filter_function: None,
                goodness_function: None,
                handles_share_servers: false,
                server_limits: ServerLimits::default(),
            },
            abilities: Abilities([Ability::Snapshots].into()),
            ip_versions: ip_versions.iter().copied().collect(),
            statistics: Statistics { capabilities: texts(capabilities), ..Statistics::default() },
            pool: Pool {
                name: "pool".to_owned(),
                total: Capacity::Gib(500.0),
                free: Capacity::Gib(100.0),
                allocated_gib: None,
                provisioned_gib: None,
                reserved_percentage: 0,
                reserved_snapshot_percentage: 0,
                reserved_share_extend_percentage: 0,
                max_over_subscription_ratio: None,
                thin_provisioning: Support::No,
                dedupe: Support::No,
                compression: Support::No,
                qos: false,
                capabilities: texts(&[("foo", "50")]),
            },
        }
    }

    fn seen(&self) -> Seen<'_> {
        Seen {
            asked: &self.asked,
            description: &self.description,
            abilities: &self.abilities,
            ip_versions: &self.ip_versions,
            statistics: &self.statistics,
            pool: &self.pool,
            placed_gib: 0.0,
            provisioned_gib: 0.0,
        }
    }
}

fn filter(text: &str) -> Functions {
    Functions { filter: Some(text.parse()), goodness: None }
}

fn goodness(text: &str) -> Functions {
    Functions { filter: None, goodness: Some(text.parse().expect("a function")) }
}

/// Contract G-01.
#[test]
fn a_filter_function_lets_through_what_it_does_in_manila() {
    let scene = Scene::new(&[IpVersion::V4], &[]);
    for (text, passes) in [
        ("1 == 1", true),
        ("1 == 2", false),
        ("1 / 0 == 0", false),
        ("capabilities.missing == 1", false),
        ("extra.var == 7", true),
        ("extra.other == 7", false),
        ("stats.total_capacity_gb < 1000", true),
        ("stats.total_capacity_gb < 400", false),
        ("capabilities.foo == 50", true),
        ("share.size == 5", true),
    ] {
        assert_eq!(let_through(&filter(text), &scene.seen()).is_ok(), passes, "{text}");
    }
    assert!(let_through(&Functions::default(), &scene.seen()).is_ok(), "without a function");
}

/// Contract G-02.
#[test]
fn a_goodness_function_scores_as_in_manila() {
    let scene = Scene::new(&[IpVersion::V4], &[]);
    for (text, points) in [
        ("100", 100.0),
        ("100 / 2", 50.0),
        ("10 + capabilities.foo", 60.0),
        ("1 == 1", 100.0),
        ("1 == 2", 0.0),
        ("10 + capabilities.bar", 0.0),
        ("-10", 0.0),
        ("200", 0.0),
        ("50 / 0", 0.0),
    ] {
        assert_eq!(score(&goodness(text), &scene.seen()), points, "{text}");
    }
    assert_eq!(score(&Functions::default(), &scene.seen()), 0.0, "without a function");
}

/// Contract D-44, D-52.
#[test]
fn ip_versions_are_those_that_the_driver_exports_with_whatever_it_reports() {
    let lies = [("ipv4_support", "False"), ("ipv6_support", "True"), ("consistent_snapshot_support", "pool")];
    for (versions, has_ipv4, has_ipv6) in [
        (&[IpVersion::V4][..], true, false),
        (&[IpVersion::V6], false, true),
        (&[IpVersion::V4, IpVersion::V6], true, true),
    ] {
        let scene = Scene::new(versions, &lies);
        let seen = scene.seen();
        for (key, has) in [("ipv4_support", has_ipv4), ("ipv6_support", has_ipv6)] {
            assert_eq!(seen.reported(key), [has.to_string()], "{versions:?}");
            let asks = format!("capabilities.{key} and stats.{key}");
            assert_eq!(let_through(&filter(&asks), &seen).is_ok(), has, "{asks} {versions:?}");
        }
        assert!(
            seen.reported("sg_consistent_snapshot_support").is_empty(),
            "the driver's export says it alone"
        );
    }
}
