//! Whether a grant pins what a driver declares: every line that has to change, at once, so that a person changes a file once.

use bulkhead_model::grant::Grant;
use bulkhead_model::id::Label;
use bulkhead_model::manifest::{Manifest, RootDeclaration};
use std::collections::BTreeMap;

/// The lines of the backend's file that do not fit the driver, each with what it should be. None: every pin holds.
pub(super) fn lines_to_change(manifest: &Manifest, grant: &Grant) -> Vec<String> {
    let declared: BTreeMap<_, _> = manifest.templates().collect();
    let templates = grant.templates.iter().filter_map(|(name, granted)| match declared.get(name) {
        Some(found) if found == granted => None,
        Some(found) => Some(format!("grant.templates.{name} = \"{found}\"  # pinned {granted}")),
        None => Some(format!("grant.templates.{name}  # take it out: the driver declares no such template")),
    });
    let roots = grant.roots.iter().filter_map(|(name, granted)| {
        let path = granted.path.display().to_string();
        match manifest.root(name).map(RootDeclaration::digest) {
            Some(found) if found == granted.pin => None,
            Some(found) => Some(format!(
                "grant.roots.{name} = {{ path = {path:?}, pin = \"{found}\" }}  # pinned {}",
                granted.pin
            )),
            None => Some(format!("grant.roots.{name}  # take it out: the driver declares no such root")),
        }
    });
    let unknown = |name: &&Label| manifest.endpoint(name.as_str()).is_none();
    let endpoints =
        grant.endpoints.keys().filter(unknown).map(|name| {
            format!("grant.endpoints.{name}  # take it out: the driver declares no such endpoint")
        });
    templates.chain(roots).chain(endpoints).collect()
}
