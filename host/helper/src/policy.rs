//! The helper's own policy, for a daemon that has fewer rights than its helper: a file of root's that names what may be run at all.
//!
//! Without one the helper trusts its daemon's grants; with one, both must allow a command. The file is JSON:
//! `{"programs": {"cp": "/usr/bin/cp"}, "roots": ["/srv/shares"], "unreviewed-programs": [], "bridges": ["br0", "blue/br0"]}`; a bridge in a
//! network namespace stands behind that one's name.

use crate::protocol::{Refusal, RootBinding, RunRequest, StartService, Unreviewed};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::{CommandTemplate, ServiceTemplate};
use bulkhead_model::network::NetworkPlug;
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::process::geteuid;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The largest policy file, in bytes.
const LARGEST: u64 = 1 << 20;

/// What may be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy(Option<Rules>);

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Rules {
    programs: BTreeMap<String, String>,
    roots: BTreeSet<String>,
    #[serde(default)]
    unreviewed_programs: BTreeSet<String>,
    #[serde(default)]
    bridges: BTreeSet<String>,
}

/// Why a policy file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// It cannot be read.
    #[error("the policy file cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// Others could change it.
    #[error(
        "the policy file must be a file of root, or of the helper's user, that no other may write: chmod go-w it"
    )]
    Exposed,
    /// It is not a policy.
    #[error("the policy file is not a policy")]
    Malformed(#[source] serde_json::Error),
}

impl Policy {
    /// Whatever the daemon has checked.
    #[must_use]
    pub const fn of_the_daemon() -> Self {
        Self(None)
    }

    /// Read the file at `path`.
    pub fn read(path: &Path) -> Result<Self, PolicyError> {
        let unreadable = |error: rustix::io::Errno| PolicyError::Unreadable(error.into());
        let file = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty());
        let file = file.map_err(unreadable)?;
        let status = fstat(&file).map_err(unreadable)?;
        let owned = status.st_uid == 0 || status.st_uid == geteuid().as_raw();
        if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile
            || !owned
            || status.st_mode & 0o022 != 0
        {
            return Err(PolicyError::Exposed);
        }
        let mut text = String::new();
        File::from(file).take(LARGEST).read_to_string(&mut text).map_err(PolicyError::Unreadable)?;
        serde_json::from_str(&text).map(|rules| Self(Some(rules))).map_err(PolicyError::Malformed)
    }

    /// Denied unless the policy names every one of these roots.
    pub(crate) fn check_roots(&self, roots: &BTreeMap<Label, RootBinding>) -> Result<(), Refusal> {
        let Self(Some(rules)) = self else { return Ok(()) };
        for (root, binding) in roots {
            if !rules.roots.contains(&binding.path) {
                return Err(Refusal::denied(
                    format!("root '{root}' at '{}'", binding.path),
                    format!("\"roots\": [\"{}\"] in the helper's policy file", binding.path),
                ));
            }
        }
        Ok(())
    }

    /// Denied unless the policy names the bridge.
    pub(crate) fn check_bridge(&self, plug: &NetworkPlug) -> Result<(), Refusal> {
        let Self(Some(rules)) = self else { return Ok(()) };
        let name = match &plug.namespace {
            Some(namespace) => format!("{namespace}/{}", plug.bridge),
            None => plug.bridge.clone(),
        };
        if rules.bridges.contains(&name) {
            return Ok(());
        }
        let line = format!("\"bridges\": [\"{name}\"] in the helper's policy file");
        Err(Refusal::denied(plug.to_string(), line))
    }

    /// Denied unless the policy names the service's program as this file, and every root.
    pub(crate) fn check_service(
        &self,
        service: &StartService,
        template: &ServiceTemplate,
    ) -> Result<(), Refusal> {
        let Self(Some(rules)) = self else { return Ok(()) };
        rules.check_program(&template.program, &service.program)?;
        self.check_roots(&service.roots)?;
        if service.unreviewed == Unreviewed::Allowed
            && !crate::program::is_reviewed_service(&template.program)
        {
            rules.check_unreviewed(&template.program)?;
        }
        Ok(())
    }

    /// Each request with its template, if the policy allows them all.
    pub(crate) fn read_stages(
        &self,
        stages: Vec<RunRequest>,
    ) -> Result<Vec<(RunRequest, CommandTemplate)>, Refusal> {
        stages
            .into_iter()
            .map(|request| {
                let template = request.parse_template()?;
                self.check(&request, &template)?;
                Ok((request, template))
            })
            .collect()
    }

    /// Denied unless the policy names the program's file and every root of the request.
    pub(crate) fn check(&self, request: &RunRequest, template: &CommandTemplate) -> Result<(), Refusal> {
        let Self(Some(rules)) = self else { return Ok(()) };
        let name = &template.program;
        rules.check_program(name, &request.program)?;
        self.check_roots(&request.roots)?;
        if request.unreviewed == Unreviewed::Allowed && crate::program::find(name).is_none() {
            rules.check_unreviewed(name)?;
        }
        Ok(())
    }
}

impl Rules {
    fn check_program(&self, name: &str, file: &str) -> Result<(), Refusal> {
        if self.programs.get(name).map(String::as_str) == Some(file) {
            return Ok(());
        }
        Err(Refusal::denied(
            format!("program '{name}' as '{file}'"),
            format!("\"programs\": {{\"{name}\": \"{file}\"}} in the helper's policy file"),
        ))
    }

    fn check_unreviewed(&self, name: &str) -> Result<(), Refusal> {
        if self.unreviewed_programs.contains(name) {
            return Ok(());
        }
        Err(Refusal::denied(
            format!("program '{name}', which is not in the reviewed table,"),
            format!("\"unreviewed-programs\": [\"{name}\"] in the helper's policy file"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn written(text: &str, mode: u32) -> (tempfile::TempDir, Result<Policy, PolicyError>) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("policy.json");
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        let policy = Policy::read(&path);
        (directory, policy)
    }

    fn request(program: &str, root: &str) -> RunRequest {
        let binding = RootBinding { path: root.to_owned(), identity: None, tenure: None };
        RunRequest {
            id: 1,
            template: String::new(),
            program: program.to_owned(),
            unreviewed: Unreviewed::Allowed,
            roots: BTreeMap::from([("pool".parse().expect("a label"), binding)]),
            slots: BTreeMap::new(),
            inside: None,
            timeout_ms: 1,
        }
    }

    fn template(program: &str) -> CommandTemplate {
        serde_json::from_value(serde_json::json!({
            "name": "tried", "reason": "a test", "effect": "read", "repeat": "safe", "program": program,
        }))
        .expect("a template")
    }

    #[test]
    fn only_what_the_file_names_may_run() {
        let text = r#"{"programs": {"cp": "/usr/bin/cp", "tool": "/usr/bin/tool"}, "roots": ["/srv/pool"]}"#;
        let (_directory, policy) = written(text, 0o644);
        let policy = policy.expect("it is a policy");
        assert_eq!(policy.check(&request("/usr/bin/cp", "/srv/pool"), &template("cp")), Ok(()));
        for (program, root, name) in [
            ("/tmp/cp", "/srv/pool", "cp"),
            ("/usr/bin/cp", "/srv/other", "cp"),
            ("/usr/bin/rm", "/srv/pool", "rm"),
            ("/usr/bin/tool", "/srv/pool", "tool"),
        ] {
            let found = policy.check(&request(program, root), &template(name)).expect_err("it is denied");
            assert!(found.message.contains("policy file"), "{found}");
        }
    }

    #[test]
    fn a_network_is_plugged_only_into_a_bridge_that_the_file_names() {
        let text = r#"{"programs": {}, "roots": [], "bridges": ["br0", "blue/br1"]}"#;
        let (_directory, policy) = written(text, 0o644);
        let policy = policy.expect("it is a policy");
        let plug = |namespace: Option<&str>, bridge: &str| NetworkPlug {
            bridge: bridge.to_owned(),
            namespace: namespace.map(str::to_owned),
        };
        assert_eq!(policy.check_bridge(&plug(None, "br0")), Ok(()));
        assert_eq!(policy.check_bridge(&plug(Some("blue"), "br1")), Ok(()));
        for (namespace, bridge) in [(None, "br1"), (Some("blue"), "br0"), (Some("red"), "br1")] {
            let found = policy.check_bridge(&plug(namespace, bridge)).expect_err("it is denied");
            assert!(found.message.contains("policy file"), "{found}");
        }
        assert_eq!(Policy::of_the_daemon().check_bridge(&plug(None, "br9")), Ok(()));
    }

    #[test]
    fn a_file_that_others_may_write_or_that_says_more_is_refused() {
        let text = r#"{"programs": {}, "roots": []}"#;
        assert!(matches!(written(text, 0o666).1, Err(PolicyError::Exposed)));
        assert!(matches!(
            written(r#"{"programs": {}, "roots": [], "shell": true}"#, 0o600).1,
            Err(PolicyError::Malformed(_))
        ));
        assert!(matches!(Policy::read(Path::new("/nonexistent/policy")), Err(PolicyError::Unreadable(_))));
    }
}
