//! Extra specs: which there are, what they mean for backends and shares. Pure.
//!
//! Keys of a scope (`vendor:key`) are the drivers' to read and mean nothing here, except below `capabilities:`. A key without a scope that
//! is none of the standard ones names a capability that a backend or pool reports.
//!
//! Where we differ from Manila on purpose: a type that does not ask for snapshots finds backends that have them too; its shares offer none.
//! What this host cannot honour is refused when the type is made, not passed over: availability zones, for one.

use super::requirement::{self, boolean};
use crate::error::ManagerError;
use bulkhead_model::ability::{Abilities, Ability};
use bulkhead_model::share::ShareSupport;
use bulkhead_model::size::Gibibytes;
use bulkhead_model::statistics::Statistics;
use bulkhead_model::status::ReplicationType;
use bulkhead_model::text::is_harmless;
use std::collections::BTreeMap;

/// The one key that every type has.
pub(crate) const SHARE_SERVERS: &str = "driver_handles_share_servers";
const SNAPSHOTS: &str = "snapshot_support";
const FROM_SNAPSHOTS: &str = "create_share_from_snapshot_support";
const REVERT: &str = "revert_to_snapshot_support";
const MOUNT: &str = "mount_snapshot_support";
const REPLICATION: &str = "replication_type";
const LARGEST: &str = "provisioning:max_share_size";
const SMALLEST: &str = "provisioning:min_share_size";
const LARGEST_EXTENDED: &str = "provisioning:max_share_extend_size";

const SUPPORT: [&str; 4] = [SNAPSHOTS, FROM_SNAPSHOTS, REVERT, MOUNT];
const SIZES: [&str; 3] = [LARGEST, SMALLEST, LARGEST_EXTENDED];
/// Standard ones that nothing here can keep yet.
const UNSERVED: [&str; 6] = [
    "availability_zones",
    "mount_point_name_support",
    "snapshot_inherit_share_access_support",
    "encryption_support",
    "provisioning:mount_point_prefix",
    "default_qos_type",
];
const SCOPE: &str = "capabilities:";
const THIN: &str = "thin_provisioning";

/// The most extra specs of a type.
const MOST: usize = 64;
/// The longest key or value, in bytes.
const LONGEST: usize = 255;

type Specs = BTreeMap<String, String>;

fn is_set(specs: &Specs, key: &str) -> bool {
    specs.get(key).and_then(|text| boolean(text)).unwrap_or(false)
}

/// Check the extra specs of a type. Fails with the key and what would be right.
pub(crate) fn check(specs: &Specs) -> Result<(), ManagerError> {
    let refuse = |reason: String| Err(ManagerError::invalid("extra_specs", reason));
    if specs.len() > MOST {
        return refuse(format!("at most {MOST} of them"));
    }
    if !specs.contains_key(SHARE_SERVERS) {
        return refuse(format!("'{SHARE_SERVERS}' is missing; write True or False"));
    }
    for (key, value) in specs {
        let is_text = |text: &str| text.len() <= LONGEST && text.chars().all(is_harmless);
        if key.is_empty() || !is_text(key) || !is_text(value) {
            return refuse(format!(
                "a key is 1 to {LONGEST} bytes, a value at most that, without control characters"
            ));
        }
        if let Some(reason) = fault(key, value) {
            return refuse(reason);
        }
    }
    let snapshots = is_set(specs, SNAPSHOTS);
    let without = SUPPORT.iter().skip(1).find(|key| is_set(specs, key) && !snapshots);
    if let Some(key) = without {
        return refuse(format!("'{key}' needs '{SNAPSHOTS}' to be True"));
    }
    let size = |key| specs.get(key).and_then(|text| text.parse::<u64>().ok());
    if let (Some(smallest), Some(largest)) = (size(SMALLEST), size(LARGEST))
        && smallest > largest
    {
        return refuse(format!("'{SMALLEST}' is greater than '{LARGEST}'"));
    }
    Ok(())
}

fn fault(key: &str, value: &str) -> Option<String> {
    if (key == SHARE_SERVERS || SUPPORT.contains(&key)) && boolean(value).is_none() {
        return Some(format!("'{key}' is True or False"));
    }
    if key == REPLICATION && value.parse::<ReplicationType>().is_err() {
        let words: Vec<_> = ReplicationType::ALL.iter().map(|one| one.as_str()).collect();
        return Some(format!("'{key}' is one of {}", words.join(", ")));
    }
    if SIZES.contains(&key) && !value.parse().is_ok_and(|gib| Gibibytes::new(gib).is_ok()) {
        return Some(format!("'{key}' is a whole number of GiB from 1 up"));
    }
    if UNSERVED.contains(&key) {
        return Some(format!("'{key}' is not served here yet"));
    }
    None
}

/// Whether a key asks for a capability that backends report.
fn is_capability(key: &str) -> bool {
    let is_standard = key == SHARE_SERVERS || key == REPLICATION || SUPPORT.contains(&key);
    !is_standard && (key.starts_with(SCOPE) || !key.contains(':'))
}

/// Whether shares of a type may take space only as they fill: unless it says otherwise.
pub(crate) fn may_be_thin(specs: &Specs) -> bool {
    let wanted = specs.get(THIN).or_else(|| specs.get(&format!("{SCOPE}{THIN}")));
    wanted.is_none_or(|text| boolean(text).unwrap_or(false))
}

/// How shares of a type may be replicated; none if they have no replicas.
pub(crate) fn replication_type(specs: &Specs) -> Option<ReplicationType> {
    specs.get(REPLICATION).and_then(|word| word.parse().ok())
}

/// What a share offers: what its type asks for, or all that its backend offers if that is the built-in one.
pub(crate) fn support(kept: &Specs, offered: ShareSupport) -> ShareSupport {
    if kept.is_empty() {
        return offered;
    }
    ShareSupport {
        snapshot: offered.snapshot && is_set(kept, SNAPSHOTS),
        create_share_from_snapshot: offered.create_share_from_snapshot && is_set(kept, FROM_SNAPSHOTS),
        revert_to_snapshot: offered.revert_to_snapshot && is_set(kept, REVERT),
        mount_snapshot: offered.mount_snapshot && is_set(kept, MOUNT),
    }
}

/// What a type asks of a backend.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Needs {
    share_servers: ServerMode,
    support: ShareSupport,
    replication_type: Option<ReplicationType>,
    capabilities: Vec<(String, String)>,
}

/// Whether a type with these extra specs asks for share servers.
pub(crate) fn wants_share_servers(specs: &Specs) -> bool {
    is_set(specs, SHARE_SERVERS)
}

/// What these extra specs ask of a backend; nothing for the built-in type, whose shares keep none.
pub(crate) fn needs(kept: &Specs) -> Needs {
    let capability = |(key, value): (&String, &String)| {
        is_capability(key).then(|| (key.trim_start_matches(SCOPE).to_owned(), value.clone()))
    };
    Needs {
        share_servers: is_set(kept, SHARE_SERVERS).into(),
        support: ShareSupport {
            snapshot: is_set(kept, SNAPSHOTS),
            create_share_from_snapshot: is_set(kept, FROM_SNAPSHOTS),
            revert_to_snapshot: is_set(kept, REVERT),
            mount_snapshot: is_set(kept, MOUNT),
        },
        replication_type: replication_type(kept),
        capabilities: kept.iter().filter_map(capability).collect(),
    }
}

/// Whether shares live on share servers (Manila: `driver_handles_share_servers`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ServerMode {
    /// Each on a server of its tenant's network.
    With,
    /// On what the backend is.
    #[default]
    Without,
}

impl From<bool> for ServerMode {
    fn from(handles_share_servers: bool) -> Self {
        if handles_share_servers { Self::With } else { Self::Without }
    }
}

impl Needs {
    /// The same, and a capability that a pool has to report beside them.
    pub(crate) fn with_capability(mut self, asked: Option<(String, String)>) -> Self {
        self.capabilities.extend(asked);
        self
    }

    /// Whether what is placed lives on a share server.
    pub(crate) const fn on_servers(mut self, mode: ServerMode) -> Self {
        self.share_servers = mode;
        self
    }

    /// Whether a backend makes share servers where they are asked for, and none where they are not; if not, why.
    pub(crate) fn check_mode(&self, backend: ServerMode) -> Result<(), String> {
        match (self.share_servers, backend) {
            (ServerMode::With, ServerMode::Without) => {
                Err("it builds no share servers, which the share type asks for".to_owned())
            }
            (ServerMode::Without, ServerMode::With) => {
                Err("it builds share servers, which the share type does not ask for".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Whether a driver with these abilities that reports `statistics` can keep the promise; if not, why.
    pub(crate) fn check(&self, abilities: &Abilities, statistics: &Statistics) -> Result<(), String> {
        let (asked, offered) = (self.support, abilities.share_support());
        let missing = [
            (asked.snapshot && !offered.snapshot, SNAPSHOTS),
            (asked.create_share_from_snapshot && !offered.create_share_from_snapshot, FROM_SNAPSHOTS),
            (asked.revert_to_snapshot && !offered.revert_to_snapshot, REVERT),
            (asked.mount_snapshot && !offered.mount_snapshot, MOUNT),
        ];
        if let Some((_, key)) = missing.iter().find(|(is_missing, _)| *is_missing) {
            return Err(format!("its driver lacks {key}, which the share type asks for"));
        }
        if let Some(wanted) = self.replication_type {
            let is_offered = abilities.has(Ability::Replication)
                && statistics.replication_types.iter().any(|offered| offered == wanted.as_str());
            if !is_offered {
                return Err(format!("it does not offer replication of type {wanted}"));
            }
        }
        Ok(())
    }

    /// Whether a pool has the capabilities that are asked for; if not, why. `reported` are the values of a capability, none if it is not
    /// reported; one that fits is enough.
    pub(crate) fn check_pool(&self, reported: impl Fn(&str) -> Vec<String>) -> Result<(), String> {
        let lacks = |(key, wanted): &&(String, String)| {
            !reported(key).iter().any(|value| requirement::is_met(value, wanted))
        };
        match self.capabilities.iter().find(lacks) {
            None => Ok(()),
            Some((key, value)) => {
                Err(format!("it does not report {key} = {value}, which the share type asks for"))
            }
        }
    }
}

/// Whether a new share may have this size; if not, why.
pub(crate) fn check_size(kept: &Specs, size: Gibibytes) -> Result<(), ManagerError> {
    between(kept, size, limit(kept, LARGEST))
}

/// Whether a share may be extended to this size; if not, why.
pub(crate) fn check_extended_size(kept: &Specs, size: Gibibytes) -> Result<(), ManagerError> {
    between(kept, size, limit(kept, LARGEST_EXTENDED).or_else(|| limit(kept, LARGEST)))
}

fn limit(kept: &Specs, key: &str) -> Option<u64> {
    kept.get(key).and_then(|text| text.parse().ok())
}

fn between(kept: &Specs, size: Gibibytes, largest: Option<u64>) -> Result<(), ManagerError> {
    let smallest = limit(kept, SMALLEST).unwrap_or(1);
    if size.get() < smallest || largest.is_some_and(|largest| size.get() > largest) {
        let upper = largest.map_or_else(String::new, |largest| format!(" to {largest}"));
        let reason = format_args!("shares of this type have {smallest}{upper} GiB");
        return Err(ManagerError::invalid("size", reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn specs(pairs: &[(&str, &str)]) -> Specs {
        let all = [(SHARE_SERVERS, "False")].into_iter().chain(pairs.iter().copied());
        all.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    fn refused(pairs: &[(&str, &str)]) -> String {
        check(&specs(pairs)).expect_err("refused").to_string()
    }

    #[test]
    fn known_specs_are_checked_and_vendors_own_are_let_be() {
        assert!(check(&BTreeMap::new()).is_err());
        assert!(check(&specs(&[])).is_ok());
        assert!(check(&specs(&[(SNAPSHOTS, "<is> True"), (REVERT, "yes"), (REPLICATION, "dr")])).is_ok());
        assert!(check(&specs(&[("acme:tier", "<or> gold <or> silver")])).is_ok());
        assert!(refused(&[(SNAPSHOTS, "maybe")]).contains("True or False"));
        assert!(refused(&[(REPLICATION, "sync")]).contains("readable, writable, dr"));
        assert!(refused(&[(REVERT, "True")]).contains(SNAPSHOTS));
        assert!(refused(&[(LARGEST, "0")]).contains("from 1 up"));
        assert!(refused(&[(LARGEST, "5"), (SMALLEST, "6")]).contains("greater"));
        assert!(refused(&[("availability_zones", "a")]).contains("not served"));
        assert!(check(&specs(&[("iops", ">= 5")])).is_ok());
        assert!(refused(&[("a\u{1b}", "b")]).contains("control"));
    }

    #[test]
    fn a_share_offers_what_its_type_asks_for_and_of_the_built_in_type_everything() {
        let offered = ShareSupport {
            snapshot: true,
            create_share_from_snapshot: true,
            revert_to_snapshot: true,
            mount_snapshot: true,
        };
        assert_eq!(support(&BTreeMap::new(), offered), offered);
        let asked = support(&specs(&[(SNAPSHOTS, "True")]), offered);
        assert!(asked.snapshot && !asked.revert_to_snapshot && !asked.mount_snapshot);
        assert_eq!(support(&specs(&[]), offered), ShareSupport::default());
    }

    #[test]
    fn a_backend_has_to_offer_the_replication_and_the_support_asked_for() {
        let abilities = |all: &[Ability]| Abilities(BTreeSet::from_iter(all.iter().copied()));
        let statistics = Statistics { replication_types: vec!["dr".to_owned()], ..Statistics::default() };
        let dr = needs(&specs(&[(REPLICATION, "dr")]));
        assert!(dr.check(&abilities(&[Ability::Replication]), &statistics).is_ok());
        assert!(dr.check(&abilities(&[]), &statistics).is_err());
        assert!(dr.check(&abilities(&[Ability::Replication]), &Statistics::default()).is_err());
        let snapshots = needs(&specs(&[(SNAPSHOTS, "True")]));
        assert!(snapshots.check(&abilities(&[Ability::Snapshots]), &statistics).is_ok());
        assert!(snapshots.check(&abilities(&[]), &statistics).is_err());
        assert!(needs(&BTreeMap::new()).check(&abilities(&[]), &statistics).is_ok());
        let with_servers = BTreeMap::from([(SHARE_SERVERS.to_owned(), "True".to_owned())]);
        assert!(needs(&with_servers).check_mode(ServerMode::Without).is_err());
        assert!(needs(&with_servers).check_mode(ServerMode::With).is_ok());
    }

    #[test]
    fn shares_go_to_backends_of_their_types_mode_only() {
        let without = needs(&BTreeMap::new());
        assert_eq!(
            (without.check_mode(ServerMode::Without), without.check_mode(ServerMode::With).is_err()),
            (Ok(()), true)
        );
        let with = without.on_servers(ServerMode::With);
        assert_eq!(
            (with.check_mode(ServerMode::With), with.check_mode(ServerMode::Without).is_err()),
            (Ok(()), true)
        );
    }

    #[test]
    fn a_pool_has_to_report_every_capability_that_the_type_asks_for() {
        let asked =
            needs(&specs(&[("capabilities:tier", "gold"), ("dedupe", "<is> False"), ("acme:tier", "x")]));
        let reported = |key: &str| match key {
            "tier" => vec!["silver".to_owned(), "Gold".to_owned()],
            "dedupe" => vec!["True".to_owned(), "False".to_owned()],
            _ => Vec::new(),
        };
        assert_eq!(asked.check_pool(reported), Ok(()));
        let reason = asked.check_pool(|key| if key == "tier" { reported(key) } else { Vec::new() });
        assert!(reason.is_err_and(|reason| reason.contains("dedupe = <is> False")));
    }

    /// Contract F-15.
    #[test]
    fn a_type_that_says_nothing_of_thin_provisioning_may_be_thin() {
        assert!(may_be_thin(&BTreeMap::new()));
        for (value, thin) in
            [("True", true), ("<is> True", true), ("<is> False", false), ("false", false), ("<is> x", false)]
        {
            assert_eq!(may_be_thin(&specs(&[(THIN, value)])), thin, "{value}");
            assert_eq!(may_be_thin(&specs(&[("capabilities:thin_provisioning", value)])), thin, "{value}");
        }
    }

    /// Contract: what Manila finds in nested maps is one name here, and zones that nobody serves are refused, not ignored.
    #[test]
    fn keys_of_a_scope_ask_for_nothing_except_below_capabilities() {
        let asks = |key: &str, wanted: &str| needs(&specs(&[(key, wanted)]));
        let reported = |key: &str| match key {
            "a:b" => vec!["1".to_owned(), "2".to_owned()],
            _ => Vec::new(),
        };
        assert_eq!(asks("capabilities:a:b", "1").check_pool(reported), Ok(()));
        assert!(asks("capabilities:a:b", "3").check_pool(reported).is_err());
        assert!(asks("capabilities:a:c", "1").check_pool(reported).is_err());
        assert_eq!(asks("a:b", "3").check_pool(reported), Ok(()));
        assert!(asks("capabilities:a", "1").check_pool(reported).is_err());
        assert!(refused(&[("availability_zones", "one,two")]).contains("not served"));
    }

    #[test]
    fn sizes_keep_the_bounds_of_the_type() {
        let gib = |size| Gibibytes::new(size).expect("a size");
        let bounded = specs(&[(SMALLEST, "2"), (LARGEST, "10"), (LARGEST_EXTENDED, "20")]);
        assert!(check_size(&bounded, gib(2)).is_ok() && check_size(&bounded, gib(10)).is_ok());
        assert!(check_size(&bounded, gib(1)).is_err() && check_size(&bounded, gib(11)).is_err());
        assert!(check_extended_size(&bounded, gib(20)).is_ok());
        assert!(check_extended_size(&bounded, gib(21)).is_err());
        assert!(check_size(&BTreeMap::new(), gib(1_000_000)).is_ok());
    }
}
