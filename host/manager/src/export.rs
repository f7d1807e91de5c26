//! Export locations: how a driver's list replaces the stored one (contract 2.3).

use bulkhead_model::export::{ExportLocation, StoredExportLocation};
use bulkhead_model::id::ExportLocationId;
use bulkhead_model::time::Timestamp;
use std::collections::BTreeSet;

/// The stored locations after a driver reported `reported`: by path, in the driver's order.
///
/// A path that stays keeps its id and whether only administrators see it; new metadata is merged in. An empty list changes nothing, as
/// in Manila: a share that lives has a location, and a driver that forgot to name it must not take it away from clients.
pub(crate) fn replace(
    stored: &[StoredExportLocation],
    reported: Vec<ExportLocation>,
) -> Vec<StoredExportLocation> {
    if reported.is_empty() {
        return stored.to_vec();
    }
    let now = Timestamp::now();
    let mut seen = BTreeSet::new();
    let mut replaced = Vec::with_capacity(reported.len());
    for location in reported {
        if !seen.insert(location.path.clone()) {
            continue;
        }
        let known = stored.iter().find(|known| known.location.path == location.path);
        replaced.push(match known {
            None => StoredExportLocation {
                id: ExportLocationId::random(),
                location,
                created_at: now,
                updated_at: now,
            },
            Some(known) => {
                let mut kept = known.clone();
                kept.location.metadata.extend(location.metadata);
                kept.location.preferred = location.preferred;
                kept.updated_at = now;
                kept
            }
        });
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn location(path: &str, key: &str) -> ExportLocation {
        ExportLocation {
            path: path.to_owned(),
            admin_only: false,
            preferred: false,
            metadata: BTreeMap::from([(key.to_owned(), String::new())]),
        }
    }

    #[test]
    fn a_path_that_stays_keeps_its_id_and_what_is_gone_goes() {
        let first = replace(&[], vec![location("a:/1", "x"), location("a:/2", "x")]);
        let mut changed = location("a:/2", "y");
        changed.admin_only = true;
        let second = replace(&first, vec![location("a:/3", "z"), changed]);
        let paths: Vec<_> = second.iter().map(|one| one.location.path.as_str()).collect();
        assert_eq!(paths, ["a:/3", "a:/2"]);
        assert_eq!(second[1].id, first[1].id);
        assert!(!second[1].location.admin_only);
        assert_eq!(second[1].location.metadata.len(), 2);
    }

    #[test]
    fn an_empty_list_changes_nothing_and_a_path_named_twice_counts_once() {
        let first = replace(&[], vec![location("a:/1", "x"), location("a:/1", "y")]);
        assert_eq!(first.len(), 1);
        assert_eq!(replace(&first, Vec::new()), first);
    }
}
