//! Secrets that options refer to, and places over SSH: what a backend needs before it is set up, as far as it can be told from here.

use super::{Findings, reason};
use crate::config::{BackendConfiguration, Configuration, environment};
use crate::daemon::check_place;
use bulkhead_capability::secret::{Redactor, SecretSource};
use bulkhead_model::manifest::{Manifest, OptionValue};
use bulkhead_model::place::Place;
use std::collections::BTreeMap;

fn source() -> SecretSource {
    SecretSource::new(Redactor::default(), environment())
}

/// Whether every secret that an option refers to can be read. None is shown.
pub(super) fn look_at_secrets(
    findings: &mut Findings<'_>,
    manifest: &Manifest,
    options: &BTreeMap<String, OptionValue>,
) {
    if let Err(error) = source().of_options(&manifest.options, options) {
        findings.lacks(&format!("  a secret: {}", reason(error)), "the backend is not set up without it");
    }
}

/// Whether what the backend has is on this machine; else whether its place could be reached.
pub(super) fn is_here(
    findings: &mut Findings<'_>,
    backend: &BackendConfiguration,
    configuration: &Configuration,
) -> bool {
    let (Place::Ssh(target) | Place::SshPlain(target)) = &backend.place else { return true };
    let place = &backend.place;
    let Some(declared) = configuration.ssh.get(target) else {
        let what = format!("  the target of place {place}");
        findings.lacks(&what, &format!("write [ssh.{target}] with host, user, host-keys and key"));
        return false;
    };
    match check_place(place, target, declared) {
        Ok(()) => findings.good(&format!(
            "  place {place} is {}@{}:{}; its programs and directories are looked for when the backend is set up",
            declared.user, declared.host, declared.port
        )),
        Err(error) => {
            findings.lacks(&format!("  place {place}: {}", reason(error)), &format!("correct [ssh.{target}]"));
        }
    }
    for reference in declared.key.iter().chain(&declared.password) {
        if let Err(error) = source().resolve(reference) {
            findings.lacks(
                &format!("  the login of place {place}: {}", reason(error)),
                "nobody is logged in without it",
            );
        }
    }
    false
}
