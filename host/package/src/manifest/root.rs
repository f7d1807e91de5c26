//! `[[root]]`.

use super::{reason, steps};
use crate::toml_file::Finding;
use bulkhead_model::manifest::{Manifest, RootUse};
use bulkhead_model::pattern::Variable;
use std::collections::BTreeSet;

pub(super) fn check(manifest: &Manifest, findings: &mut Vec<Finding>) {
    let mut names = BTreeSet::new();
    for (place, root) in manifest.roots.iter().enumerate() {
        if !names.insert(&root.name) {
            let message = format!("a root '{}' is declared above", root.name);
            findings.push(Finding::new(steps!("root", place, "name"), message));
        }
        reason(&root.reason, steps!("root", place, "reason"), findings);
        let mut patterns = BTreeSet::new();
        for (number, pattern) in root.paths.iter().enumerate() {
            let path = || steps!("root", place, "paths", number);
            if !patterns.insert(pattern.as_str()) {
                findings.push(Finding::new(path(), format!("'{pattern}' is listed twice")));
            }
            let has_number = pattern.variables().any(|variable| variable == Variable::Number);
            if has_number && root.root_use != RootUse::Kernel {
                let message =
                    format!("'{pattern}' has a number, which stands only in a root with use = \"kernel\"");
                findings.push(Finding::new(path(), message));
            }
            if root.root_use == RootUse::Kernel && pattern.variables().any(|one| one != Variable::Number) {
                let message = format!("'{pattern}' has a name, but the kernel knows nothing of shares");
                findings.push(Finding::new(path(), message).hint("use {number}, which the driver fills in"));
            }
            if pattern.is_managed() && root.root_use != RootUse::Data {
                let message = format!("'{pattern}' names what the operator asks to take over: tenants' data");
                findings.push(Finding::new(path(), message).hint("use a root with use = \"data\""));
            }
            if root.root_use == RootUse::Data && pattern.is_backend_wide() {
                findings.push(
                    Finding::new(
                        path(),
                        format!("'{pattern}' is the same for every tenant, in a root of tenants' data"),
                    )
                    .hint("put {share} or {snapshot} into it, or keep it in a root with use = \"state\""),
                );
            }
        }
    }
}
