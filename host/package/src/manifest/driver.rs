//! `[driver]`, `[private-data]`, `[export-addresses]`, `[metadata-keys]`.

use super::{plain_text, reason, steps};
use crate::toml_file::Finding;
use bulkhead_model::ability::CONTRACT_VERSION;
use bulkhead_model::manifest::{Manifest, OptionType};
use bulkhead_model::suggestion::nearest;
use std::collections::BTreeSet;

pub(super) fn check(manifest: &Manifest, findings: &mut Vec<Finding>) {
    identity(manifest, findings);
    private_data(manifest, findings);
    returned_values(manifest, findings);
    metadata_keys(manifest, findings);
}

fn identity(manifest: &Manifest, findings: &mut Vec<Finding>) {
    let driver = &manifest.driver;
    let spoken = contract_line();
    if driver.contract != spoken {
        findings.push(
            Finding::new(
                steps!("driver", "contract"),
                format!("this is for contract '{}', this host speaks '{spoken}'", driver.contract),
            )
            .hint(format!("contract = \"{spoken}\"")),
        );
    }
    if driver.vendor.trim().is_empty() {
        findings.push(Finding::new(steps!("driver", "vendor"), "say who publishes this driver"));
    }
    plain_text(&driver.vendor, steps!("driver", "vendor"), findings);
    if driver.dhss.is_empty() || driver.dhss.len() > 2 || driver.dhss.first() == driver.dhss.get(1) {
        findings.push(Finding::new(steps!("driver", "dhss"), "use [false], [true] or [false, true]"));
    }
    let mut protocols = BTreeSet::new();
    if driver.protocols.is_empty() || !driver.protocols.iter().all(|protocol| protocols.insert(protocol)) {
        findings
            .push(Finding::new(steps!("driver", "protocols"), "name at least one protocol, and each once"));
    }
    if driver.private_data_schema == 0 {
        findings.push(Finding::new(steps!("driver", "private-data-schema"), "schemas count from 1"));
    }
    if driver.max_concurrency == Some(0) {
        findings
            .push(Finding::new(steps!("driver", "max-concurrency"), "at least one call has to be possible"));
    }
}

/// The first two numbers of the contract's version, as manifests spell it.
fn contract_line() -> &'static str {
    CONTRACT_VERSION.rsplit_once('.').map_or(CONTRACT_VERSION, |(line, _)| line)
}

fn private_data(manifest: &Manifest, findings: &mut Vec<Finding>) {
    let Some(declaration) = &manifest.private_data else { return };
    if let Some(text) = &declaration.backend_scope {
        reason(text, steps!("private-data", "backend-scope"), findings);
    }
    let mut seen = BTreeSet::new();
    for (place, counter) in declaration.counters.iter().enumerate() {
        if !seen.insert(counter) {
            let path = steps!("private-data", "counters", place);
            findings.push(Finding::new(path, format!("the counter '{counter}' is named twice")));
        }
    }
}

fn returned_values(manifest: &Manifest, findings: &mut Vec<Finding>) {
    if let Some(declaration) = &manifest.export_addresses {
        let name = declaration.from_option.as_str();
        let path = steps!("export-addresses", "from-option");
        match manifest.options.iter().find(|option| option.name == name) {
            None => {
                let finding = Finding::new(path, format!("no [[option]] is named '{name}'"));
                let near = nearest(name, manifest.options.iter().map(|option| option.name.as_str()));
                findings.push(match near {
                    Some(near) => finding.hint(format!("did you mean '{near}'?")),
                    None => finding,
                });
            }
            Some(option) if !matches!(option.option_type, OptionType::String | OptionType::List) => {
                findings
                    .push(Finding::new(path, format!("the option '{name}' is neither a string nor a list")));
            }
            Some(_) => {}
        }
    }
}

fn metadata_keys(manifest: &Manifest, findings: &mut Vec<Finding>) {
    let Some(declaration) = &manifest.metadata_keys else { return };
    keys("export-location", &declaration.export_location, findings);
    keys("supplied", &declaration.supplied, findings);
    keys("updatable", &declaration.updatable, findings);
    keys("updatable-subnet", &declaration.updatable_subnet, findings);
}

fn keys(list: &'static str, keys: &[String], findings: &mut Vec<Finding>) {
    let mut seen = BTreeSet::new();
    for (place, key) in keys.iter().enumerate() {
        let path = || steps!("metadata-keys", list, place);
        if key.is_empty() || key.len() > 255 {
            findings.push(Finding::new(path(), "a metadata key is 1 to 255 bytes long"));
        }
        if !seen.insert(key) {
            findings.push(Finding::new(path(), format!("'{key}' is listed twice")));
        }
        plain_text(key, path(), findings);
    }
}
