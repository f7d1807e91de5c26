//! Set-up, statistics and fingerprints.

use crate::check::{Check, check};
use crate::finding::{Found, Judge as _, require, unjudged};
use crate::stage::Stage;
use bulkhead_model::ability::Ability;
use bulkhead_model::error::CallError;
use bulkhead_model::network::AllocationLabel;
use bulkhead_model::statistics::{Capacity, IpVersion, Pool};
use std::net::{Ipv4Addr, Ipv6Addr};

const LIFECYCLE: [Ability; 1] = [Ability::Lifecycle];

pub(crate) const CHECKS: &[Check] = &[
    check!(
        "setup-again",
        "lifecycle.setup",
        [LIFECYCLE],
        setup_again,
        "Idempotent: called at start and at every swap, again after 2, 4, 8 … s (at most 600 s) until it succeeds."
    ),
    check!("stats", "lifecycle.stats", [LIFECYCLE], stats, "What a backend reports every 60 s."),
    check!("stats-capacity", "lifecycle.stats", [LIFECYCLE], stats_capacity, "How much is free."),
    check!("stats-read-only", "lifecycle.stats", [LIFECYCLE], stats_read_only, "Reads only, within 30 s."),
    check!(
        "backend-info-steady",
        "lifecycle.backend-info",
        [LIFECYCLE],
        backend_info_steady,
        "An answer equal to the stored one lets the host skip `ensure-shares` at start."
    ),
    check!(
        "ip-versions",
        "lifecycle.ip-versions",
        [LIFECYCLE],
        ip_versions,
        "For each version answered every share must get an export location of that version."
    ),
    check!(
        "default-filter-function",
        "lifecycle.default-filter-function",
        [LIFECYCLE],
        default_filter_function,
        "The filter function the scheduler uses where the operator set none; none lets everything pass."
    ),
    check!(
        "default-goodness-function",
        "lifecycle.default-goodness-function",
        [LIFECYCLE],
        default_goodness_function,
        "The goodness function the scheduler uses where the operator set none; none scores 0."
    ),
    check!(
        "pool-of",
        "lifecycle.pool-of",
        [LIFECYCLE],
        pool_of,
        "The pool a share lives in, for a share whose host string has none."
    ),
];

async fn setup_again(stage: &Stage) -> Found {
    for which in ["the first set-up", "a second set-up"] {
        stage.driver().setup(&stage.reason()).await.judge(which)?;
    }
    Ok(())
}

async fn stats(stage: &Stage) -> Found {
    let statistics = stage.driver().stats(&stage.reason()).await.judge("stats")?;
    require(!statistics.pools.is_empty(), || {
        "no pool is reported: the scheduler places no share here".to_owned()
    })
}

async fn stats_capacity(stage: &Stage) -> Found {
    let statistics = stage.driver().stats(&stage.reason()).await.prepare("stats")?;
    let beyond = |pool: &&Pool| match (pool.total, pool.free) {
        (Capacity::Gib(total), Capacity::Gib(free)) => free > total,
        _ => false,
    };
    let names: Vec<&str> = statistics.pools.iter().filter(beyond).map(|pool| pool.name.as_str()).collect();
    require(names.is_empty(), || format!("more is free than there is in all: pool {}", names.join(", ")))
}

async fn stats_read_only(stage: &Stage) -> Found {
    let before = stage.holdings().await?;
    stage.driver().stats(&stage.reason()).await.prepare("stats")?;
    let after = stage.holdings().await?;
    let changed = before.changes(&after);
    require(changed.is_empty(), || format!("stats changed {}", changed.join(", ")))
}

async fn backend_info_steady(stage: &Stage) -> Found {
    let first = stage.driver().backend_info(&stage.reason()).await;
    if first.as_ref().is_err_and(CallError::is_not_implemented) {
        return Ok(());
    }
    let first = first.judge("backend-info")?;
    let second = stage.driver().backend_info(&stage.reason()).await.judge("a second backend-info")?;
    let differs = |key: &&String| first.get(*key) != second.get(*key);
    let keys: Vec<&str> = first.keys().chain(second.keys()).filter(differs).map(String::as_str).collect();
    require(keys.is_empty(), || {
        format!("nothing happened between two calls, and yet they differ in {}", keys.join(", "))
    })
}

async fn ip_versions(stage: &Stage) -> Found {
    let answer = stage.driver().ip_versions(&stage.reason()).await;
    let mut versions = match answer {
        Err(error) if error.is_not_implemented() => std::collections::BTreeSet::from([IpVersion::V4]),
        other => other.judge("ip-versions")?,
    };
    if stage.sample.on_servers
        && let Some(networks) = stage.driver().networks()
    {
        // Servers are in the networks that are bound: the host promises no other version.
        let bound = networks.ip_versions(AllocationLabel::User);
        versions.retain(|version| bound.contains(version));
    }
    let share = stage.share().await?;
    let found: Vec<Option<IpVersion>> =
        share.export_locations.iter().map(|location| version_of(&location.path)).collect();
    if found.iter().any(Option::is_none) {
        return unjudged("the export locations name hosts, not addresses");
    }
    for version in versions {
        require(found.contains(&Some(version)), || {
            let paths: Vec<&str> =
                share.export_locations.iter().map(|location| location.path.as_str()).collect();
            format!("{version:?} is answered, but a share has only {}", paths.join(", "))
        })?;
    }
    Ok(())
}

/// The version of the address that an export location begins with; none if it begins with a name.
fn version_of(path: &str) -> Option<IpVersion> {
    let path = path.trim_start_matches('\\');
    if let Some(rest) = path.strip_prefix('[') {
        let address = rest.split(']').next()?;
        return address.parse::<Ipv6Addr>().ok().map(|_| IpVersion::V6);
    }
    let host = path.split([':', '/', '\\']).next()?;
    host.parse::<Ipv4Addr>().ok().map(|_| IpVersion::V4)
}

/// An answer that a driver need not have.
fn judge_if_implemented<T>(answer: Result<T, CallError>, name: &str) -> Found {
    match answer {
        Err(error) if error.is_not_implemented() => Ok(()),
        other => other.judge(name).map(drop),
    }
}

async fn default_filter_function(stage: &Stage) -> Found {
    let answer = stage.driver().default_filter_function(&stage.reason()).await;
    judge_if_implemented(answer, "default-filter-function")
}

async fn default_goodness_function(stage: &Stage) -> Found {
    let answer = stage.driver().default_goodness_function(&stage.reason()).await;
    judge_if_implemented(answer, "default-goodness-function")
}

async fn pool_of(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let answer = stage.driver().pool_of(&stage.reason(), &share).await;
    if answer.as_ref().is_err_and(CallError::is_not_implemented) {
        return Ok(());
    }
    let Some(pool) = answer.judge("pool-of")? else { return Ok(()) };
    let statistics = stage.driver().stats(&stage.reason()).await.prepare("stats")?;
    require(statistics.pools.iter().any(|one| one.name == pool), || {
        format!("the answer '{pool}' is none of the pools that stats reports")
    })?;
    require(share.pool.as_ref().is_none_or(|asked| *asked == pool), || {
        format!("the share was asked for in another pool than '{pool}'")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_location_tells_its_version_unless_it_names_a_host() {
        assert_eq!(version_of("10.0.0.5:/a"), Some(IpVersion::V4));
        assert_eq!(version_of("[2001:db8::1]:/a"), Some(IpVersion::V6));
        assert_eq!(version_of(r"\\10.0.0.5\a"), Some(IpVersion::V4));
        assert_eq!(version_of("nas.example.org:/a"), None);
    }
}
