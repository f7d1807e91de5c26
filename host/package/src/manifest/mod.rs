//! Reading `driver.toml`: its syntax, its shape and what has to hold between its parts.
//!
//! The vendor's build and every load read manifests through this one door. All problems of a manifest are told at once, each with
//! file, line, column and key.

mod command;
mod dbus;
mod driver;
mod file;
mod job;
mod option;
mod request;
mod root;
mod secret;
mod service;
mod session;
mod slot;

use crate::toml_file::{Finding, Problem, Step, TomlFile};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::Manifest;
use std::collections::BTreeMap;
use std::fmt;

/// The largest manifest, in bytes: a hundred times the largest one known.
pub const LARGEST_BYTES: usize = 256 * 1024;
/// How many problems are told at once: what fits on a screen.
const MOST_PROBLEMS: usize = 12;

/// A manifest that is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ManifestError {
    /// What is wrong, in the order of the file.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, problem) in self.problems.iter().take(MOST_PROBLEMS).enumerate() {
            let separator = if place == 0 { "" } else { "\n" };
            write!(formatter, "{separator}{problem}")?;
        }
        match self.problems.len().saturating_sub(MOST_PROBLEMS) {
            0 => Ok(()),
            more => write!(formatter, "\nand {more} more"),
        }
    }
}

/// Parse and check a manifest; `file` is what problems call it.
///
/// # Errors
/// It is no TOML, has not the shape of a manifest, or contradicts itself.
pub fn parse(text: &str, file: &str) -> Result<Manifest, ManifestError> {
    if text.len() > LARGEST_BYTES {
        let message = format!("a manifest has at most {LARGEST_BYTES} bytes, this one has {}", text.len());
        let problem =
            Problem { file: file.to_owned(), line: 1, column: 1, key: String::new(), message, hint: None };
        return Err(ManifestError { problems: vec![problem] });
    }
    let parsed = TomlFile::parse(text, file).map_err(|problems| ManifestError { problems })?;
    let placed = |findings: Vec<Finding>| {
        let mut problems: Vec<Problem> = findings.into_iter().map(|finding| parsed.place(finding)).collect();
        problems.sort_by_key(|problem| (problem.line, problem.column));
        ManifestError { problems }
    };
    let stray = slot::stray_keys(parsed.tree());
    if !stray.is_empty() {
        return Err(placed(stray));
    }
    let manifest: Manifest =
        parsed.deserialize().map_err(|problem| ManifestError { problems: vec![*problem] })?;
    let findings = check(&manifest);
    if findings.is_empty() { Ok(manifest) } else { Err(placed(findings)) }
}

/// What contradicts itself in a manifest; empty if nothing does.
#[must_use]
pub fn check(manifest: &Manifest) -> Vec<Finding> {
    let mut findings = Vec::new();
    driver::check(manifest, &mut findings);
    option::check(manifest, &mut findings);
    root::check(manifest, &mut findings);
    command::check(manifest, &mut findings);
    file::check(manifest, &mut findings);
    job::check(manifest, &mut findings);
    service::check(manifest, &mut findings);
    dbus::check(manifest, &mut findings);
    request::check(manifest, &mut findings);
    session::check(manifest, &mut findings);
    secret::check(manifest, &mut findings);
    template_names(manifest, &mut findings);
    findings
}

/// All templates share one name space: a grant pins each by name.
fn template_names(manifest: &Manifest, findings: &mut Vec<Finding>) {
    let mut seen = BTreeMap::new();
    let mut look = |table: &'static str, place: usize, name: &Label| {
        if let Some(first) = seen.insert(name.clone(), table) {
            findings.push(
                Finding::new(
                    steps!(table, place, "name"),
                    format!("a template '{name}' stands in [[{first}]] already"),
                )
                .hint("all tables share one name space, because a grant pins each template by name"),
            );
        }
    };
    manifest.commands.iter().enumerate().for_each(|(place, one)| look("execute", place, &one.name));
    manifest.files.iter().enumerate().for_each(|(place, one)| look("file", place, &one.name));
    manifest.pipelines.iter().enumerate().for_each(|(place, one)| look("pipeline", place, &one.name));
    manifest.jobs.iter().enumerate().for_each(|(place, one)| look("job", place, &one.name));
    manifest.groups.iter().enumerate().for_each(|(place, one)| look("group", place, &one.name));
    manifest.services.iter().enumerate().for_each(|(place, one)| look("service", place, &one.name));
    manifest.dbus_calls.iter().enumerate().for_each(|(place, one)| look("dbus", place, &one.name));
    manifest.endpoints.iter().enumerate().for_each(|(place, one)| look("endpoint", place, &one.name));
    manifest.requests.iter().enumerate().for_each(|(place, one)| look("request", place, &one.name));
    manifest.sessions.iter().enumerate().for_each(|(place, one)| look("session", place, &one.name));
    manifest.secrets.iter().enumerate().for_each(|(place, one)| look("secret", place, &one.name));
}

/// A reason that a reviewer can read.
fn reason(text: &str, path: Vec<Step>, findings: &mut Vec<Finding>) {
    if text.trim().is_empty() {
        findings.push(
            Finding::new(path, "a reason is missing").hint("say in one sentence why the driver needs this"),
        );
    } else {
        plain_text(text, path, findings);
    }
}

/// Text that neither steers a terminal nor hides what stands beside it.
fn plain_text(text: &str, path: Vec<Step>, findings: &mut Vec<Finding>) {
    if !text.chars().all(bulkhead_model::text::is_harmless) {
        findings.push(Finding::new(path, "control characters and direction marks are not allowed here"));
    }
}

/// The way to a key from the top of the file.
macro_rules! steps {
    ($($step:expr),* $(,)?) => { vec![$($crate::toml_file::Step::from($step)),*] };
}
use steps;

/// The way to a key below a table.
macro_rules! below {
    ($table:expr, $($step:expr),+ $(,)?) => {{
        let mut path = $table.to_vec();
        path.extend([$($crate::toml_file::Step::from($step)),+]);
        path
    }};
}
use below;

#[cfg(test)]
mod request_tests;
#[cfg(test)]
mod running_tests;
#[cfg(test)]
mod secret_tests;
#[cfg(test)]
mod tests;
