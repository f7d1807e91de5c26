//! `lab.toml`: what `driver call` and `driver check` give a driver. Everything has a default.

mod place;

pub(super) use place::Far;

use super::function::Function;
use super::records::Handles;
use crate::config::SshConfiguration;
use anyhow::Context;
use bulkhead_model::ability::Capability;
use bulkhead_model::access::{AccessLevel, AccessRule, AccessTo};
use bulkhead_model::call::DriverLimits;
use bulkhead_model::grant::{Ceiling, EndpointGrant, Grant, RootGrant, Verification};
use bulkhead_model::id::{AccessMappingId, AccessRuleId, Label, ProjectId, ShareId, ShareInstanceId};
use bulkhead_model::manifest::{Manifest, OptionValue};
use bulkhead_model::network::{NetworkDeclaration, NetworkGrants};
use bulkhead_model::place::Place;
use bulkhead_model::share::{Protocol, ShareForDriver};
use bulkhead_model::size::Gibibytes;
use bulkhead_model::status::ReplicationType;
use bulkhead_model::target::ManagedName;
use bulkhead_package::toml_file::{Finding, Problem, Step, TomlFile};
use bulkhead_package::{Package, mode, options};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The size of a share that the file does not size, in GiB: it can be made larger and smaller.
const DEFAULT_SIZE_GIB: u64 = 2;

/// The file as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct LabFile {
    place: Place,
    ssh: BTreeMap<Label, SshConfiguration>,
    roots: BTreeMap<Label, PathBuf>,
    programs: BTreeMap<String, PathBuf>,
    endpoints: BTreeMap<Label, EndpointGrant>,
    networks: NetworkGrants,
    options: toml::Table,
    limits: DriverLimits,
    share: LabShare,
    /// What a tenant wrote on the subnet of the share server.
    subnet_metadata: BTreeMap<String, String>,
    new_size_gib: Option<Gibibytes>,
    #[serde(rename = "rule")]
    rules: Option<Vec<LabRule>>,
    before: Option<Vec<String>>,
    /// What manage-existing, manage-existing-snapshot and manage-server take over.
    managed: Option<ManagedName>,
    /// Where migrations go, `HOST@BACKEND#POOL`.
    destination: Option<String>,
    replication: Option<ReplicationType>,
    #[serde(rename = "answer")]
    answers: Vec<LabAnswer>,
    peer: Option<LabPeer>,
}

/// `[[answer]]`: what a fake lets a command or a request answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct LabAnswer {
    /// The name of the command's template.
    pub(super) command: Option<Label>,
    /// The name of the request's template.
    pub(super) request: Option<Label>,
    /// The status of a request's answer.
    #[serde(default = "two_hundred")]
    pub(super) status: u16,
    /// The body of a request's answer.
    #[serde(default)]
    pub(super) body: String,
    /// What a command writes.
    #[serde(default)]
    pub(super) stdout: String,
    /// Its exit code.
    #[serde(default)]
    pub(super) exit: i32,
}

const fn two_hundred() -> u16 {
    200
}

/// `[peer]`: a second backend on the same machine, for replicas. What is not given is as at the first.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct LabPeer {
    roots: BTreeMap<Label, PathBuf>,
    options: toml::Table,
}

/// The second backend.
#[derive(Debug)]
pub(super) struct Peer {
    /// As [`Lab::grant`].
    pub(super) grant: Grant,
    /// As [`Lab::options`].
    pub(super) options: BTreeMap<String, OptionValue>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct LabShare {
    size_gib: Option<Gibibytes>,
    protocol: Option<Protocol>,
    project: Option<ProjectId>,
    pool: Option<String>,
    extra_specs: BTreeMap<String, String>,
    metadata: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LabRule {
    #[serde(rename = "type")]
    access_type: String,
    to: String,
    level: AccessLevel,
}

/// What a driver is given, checked against its manifest.
#[derive(Debug)]
pub(super) struct Lab {
    /// Everything the manifest asks for, bound to directories and files of this machine.
    pub(super) grant: Grant,
    /// What the site allows at most.
    pub(super) ceiling: Ceiling,
    /// The options that are set.
    pub(super) options: BTreeMap<String, OptionValue>,
    /// What bounds each call.
    pub(super) limits: DriverLimits,
    /// What has to be called before; none for the usual.
    pub(super) before: Option<Vec<Function>>,
    /// The share that calls are about.
    pub(super) share: ShareForDriver,
    /// A share to be made from a snapshot of it.
    pub(super) second_share: ShareForDriver,
    /// Whether shares live on share servers that the driver makes.
    pub(super) on_servers: bool,
    /// What a tenant wrote on the subnet of the share server.
    pub(super) subnet_metadata: BTreeMap<String, String>,
    /// Its size after extend-share.
    pub(super) larger: Gibibytes,
    /// Its size after shrink-share.
    pub(super) smaller: Gibibytes,
    /// What stands at the array and is taken over.
    pub(super) managed: ManagedName,
    /// Where migrations go, `HOST@BACKEND#POOL`.
    pub(super) destination: String,
    /// The rules that shall be in force.
    pub(super) rules: Vec<AccessRule>,
    /// How shares are replicated; none where the file does not say.
    pub(super) replication: Option<ReplicationType>,
    /// What the driver has said of snapshots so far.
    pub(super) handles: Handles,
    /// What a fake lets commands answer.
    pub(super) answers: Vec<LabAnswer>,
    /// Where it all is, if that is another machine; none: here.
    pub(super) far: Option<Far>,
    /// The second backend; none where the file has none.
    pub(super) peer: Option<Peer>,
}

impl Lab {
    /// Read the file, or take the defaults; `scratch` is an empty directory for the roots that the file does not name.
    pub(super) fn load(file: Option<&Path>, package: &Package, scratch: &Path) -> anyhow::Result<Self> {
        Self::read(file, &package.manifest, package.imports.keys().copied().collect(), scratch)
    }

    fn read(
        file: Option<&Path>,
        manifest: &Manifest,
        capabilities: BTreeSet<Capability>,
        scratch: &Path,
    ) -> anyhow::Result<Self> {
        let (text, name) = match file {
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("cannot read {}", file.display()))?;
                (text, file.display().to_string())
            }
            None => (String::new(), "lab.toml".to_owned()),
        };
        let folder = file.and_then(Path::parent).unwrap_or(Path::new("."));
        let parsed = TomlFile::parse(&text, &name).map_err(|problems| told(&problems))?;
        let written: LabFile = parsed.deserialize().map_err(|problem| told(&[*problem]))?;
        let mut findings = Vec::new();
        let options = checked_options(&written.options, "options", manifest, &mut findings);
        let mut peer_options = written.options.clone();
        peer_options.extend(written.peer.clone().unwrap_or_default().options);
        let peer_options = checked_options(&peer_options, "peer", manifest, &mut findings);
        let rules = checked_rules(&written, &mut findings);
        let before = checked_before(&written, &mut findings);
        let far = place::checked(&written, &mut findings);
        unknown_names(&written, manifest, &mut findings);
        if !findings.is_empty() {
            let problems: Vec<Problem> = findings.into_iter().map(|finding| parsed.place(finding)).collect();
            return Err(told(&problems));
        }
        let grant = Grant { capabilities, ..grant(&written, manifest, folder, scratch)? };
        let peer = match &written.peer {
            None => None,
            Some(peer) => {
                let mut given = written.roots.clone();
                given.extend(peer.roots.clone());
                let own = scratch.join("peer");
                std::fs::create_dir(&own).with_context(|| format!("cannot make {}", own.display()))?;
                let roots = place::roots(&written.place, &given, manifest, (folder, &own))?;
                Some(Peer { grant: Grant { roots, ..grant.clone() }, options: peer_options })
            }
        };
        let size = written.share.size_gib.map_or_else(|| Gibibytes::new(DEFAULT_SIZE_GIB), Ok)?;
        let larger = written.new_size_gib.map_or_else(|| Gibibytes::new(size.get().saturating_mul(2)), Ok)?;
        let smaller = written.new_size_gib.map_or_else(|| Gibibytes::new((size.get() / 2).max(1)), Ok)?;
        Ok(Self {
            ceiling: place::ceiling(&written.place, &grant),
            on_servers: mode::share_servers(&manifest.driver.dhss, &options)?,
            subnet_metadata: written.subnet_metadata.clone(),
            grant,
            options,
            limits: written.limits.clone(),
            before,
            handles: Handles::default(),
            share: share(&written.share, manifest, 1, size)?,
            second_share: share(&written.share, manifest, 2, size)?,
            larger,
            smaller,
            managed: written.managed.clone().map_or_else(|| "unmanaged".parse(), Ok)?,
            destination: written.destination.clone().unwrap_or_else(|| "lab@lab#other".to_owned()),
            rules,
            replication: written.replication,
            answers: written.answers.clone(),
            far,
            peer,
        })
    }
}

/// Where the addresses of share servers come from if the file does not say it: nobody is reached there. 198.18.0.0/15 is for trials
/// (RFC 2544).
pub(super) fn trial_networks() -> anyhow::Result<NetworkGrants> {
    let of = |gateway: &str| -> anyhow::Result<Vec<NetworkDeclaration>> {
        Ok(vec![serde_json::from_value(serde_json::json!({ "gateway": gateway, "mask": 16 }))?])
    };
    let most = usize::MAX;
    Ok(NetworkGrants {
        most_addresses: most,
        most_addresses_per_project: most,
        user: of("198.18.0.1")?,
        admin: of("198.19.0.1")?,
    })
}

fn told(problems: &[Problem]) -> anyhow::Error {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    anyhow::anyhow!("the lab's file is not accepted\n{}", lines.join("\n"))
}

/// The same ids in every call, so that what a driver left in a directory of one's own is found again.
pub(super) const fn id(kind: u64, number: u64) -> Uuid {
    Uuid::from_u64_pair((number << 32) | 0x4000, 0x8000_0000_0000_0000 | kind)
}

fn share(
    written: &LabShare,
    manifest: &Manifest,
    number: u64,
    size: Gibibytes,
) -> anyhow::Result<ShareForDriver> {
    let protocol =
        written.protocol.or_else(|| manifest.driver.protocols.first().copied()).unwrap_or(Protocol::Nfs);
    let project = written.project.clone().map_or_else(|| "lab".parse(), Ok)?;
    Ok(ShareForDriver {
        id: ShareInstanceId::from_uuid(id(1, number)),
        share: ShareId::from_uuid(id(2, number)),
        project,
        size,
        protocol,
        pool: written.pool.clone(),
        source_snapshot: None,
        server: None,
        group: None,
        replica_state: None,
        mount_snapshot_support: false,
        export_locations: Vec::new(),
        extra_specs: written.extra_specs.clone(),
        metadata: written.metadata.clone(),
    })
}

fn checked_options(
    written: &toml::Table,
    table: &str,
    manifest: &Manifest,
    findings: &mut Vec<Finding>,
) -> BTreeMap<String, OptionValue> {
    options::validate(&manifest.options, written).unwrap_or_else(|error| {
        findings.extend(error.problems.into_iter().map(|problem| {
            let path = vec![Step::from(table), Step::from(problem.key.as_str())];
            Finding { path, message: problem.message, hint: problem.hint }
        }));
        BTreeMap::new()
    })
}

fn checked_rules(written: &LabFile, findings: &mut Vec<Finding>) -> Vec<AccessRule> {
    let mut rules = Vec::new();
    let usual =
        vec![LabRule { access_type: "ip".to_owned(), to: "10.0.0.0/24".to_owned(), level: AccessLevel::Rw }];
    let written = written.rules.as_ref().unwrap_or(&usual);
    for ((place, rule), number) in written.iter().enumerate().zip(1..) {
        match AccessTo::parse(&rule.access_type, &rule.to) {
            Ok(access_to) => rules.push(AccessRule {
                id: AccessRuleId::from_uuid(id(5, number)),
                mapping_id: AccessMappingId::from_uuid(id(6, number)),
                access_to,
                level: rule.level,
            }),
            Err(error) => {
                findings.push(Finding::new(vec![Step::from("rule"), Step::from(place)], error.to_string()));
            }
        }
    }
    rules
}

fn checked_before(written: &LabFile, findings: &mut Vec<Finding>) -> Option<Vec<Function>> {
    let mut functions = Vec::new();
    for (place, name) in written.before.as_ref()?.iter().enumerate() {
        match name.parse() {
            Ok(function) => functions.push(function),
            Err(message) => {
                findings.push(Finding::new(vec![Step::from("before"), Step::from(place)], message))
            }
        }
    }
    Some(functions)
}

/// Roots, programs and commands that the driver does not ask for.
fn unknown_names(written: &LabFile, manifest: &Manifest, findings: &mut Vec<Finding>) {
    let roots: Vec<&str> = manifest.roots.iter().map(|root| root.name.as_str()).collect();
    let programs: Vec<&str> = manifest.programs().into_iter().collect();
    let requests: Vec<&str> = manifest.requests.iter().map(|request| request.name.as_str()).collect();
    let mut neither = Vec::new();
    let commands: Vec<&str> = manifest.commands.iter().map(|command| command.name.as_str()).collect();
    let mut require = |path: Vec<Step>, (table, name): (&str, &str), known: &[&str]| {
        if !known.contains(&name) {
            let finding = Finding::new(path, format!("the driver asks for no '{name}' among its {table}"));
            findings.push(finding.hint(format!("it asks for: {}", known.join(", "))));
        }
    };
    for name in written.roots.keys().map(Label::as_str) {
        require(vec![Step::from("roots"), Step::from(name)], ("roots", name), &roots);
    }
    for name in written.programs.keys().map(String::as_str) {
        require(vec![Step::from("programs"), Step::from(name)], ("programs", name), &programs);
    }
    let endpoints: Vec<&str> = manifest.endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
    for name in written.endpoints.keys().map(Label::as_str) {
        require(vec![Step::from("endpoints"), Step::from(name)], ("endpoints", name), &endpoints);
    }
    for name in written.peer.iter().flat_map(|peer| peer.roots.keys()).map(Label::as_str) {
        let path = vec![Step::from("peer"), Step::from("roots"), Step::from(name)];
        require(path, ("roots", name), &roots);
    }
    for (place, answer) in written.answers.iter().enumerate() {
        let path = vec![Step::from("answer"), Step::from(place)];
        match (&answer.command, &answer.request) {
            (Some(command), None) => require(path, ("commands", command.as_str()), &commands),
            (None, Some(request)) => require(path, ("requests", request.as_str()), &requests),
            _ => neither.push(Finding::new(path, "an answer is that of a command or of a request")),
        }
    }
    findings.extend(neither);
}

/// Every root, program, endpoint and template the manifest asks for.
fn grant(written: &LabFile, manifest: &Manifest, folder: &Path, scratch: &Path) -> anyhow::Result<Grant> {
    let roots = place::roots(&written.place, &written.roots, manifest, (folder, scratch))?;
    let mut grant = Grant { roots, networks: written.networks.clone(), ..Grant::default() };
    for program in manifest.programs() {
        let path = match written.programs.get(program) {
            Some(path) => Some(std::path::absolute(folder.join(path))?),
            None => place::program(&written.place, program),
        };
        // A program that is missing is told when the driver wants to run it.
        grant.programs.extend(path.map(|path| (program.to_owned(), path)));
    }
    for endpoint in &manifest.endpoints {
        // Nobody is there: what is sent to it without a controller of the file's is told as unreachable, or answered by a fake.
        let nowhere = || EndpointGrant {
            verify: Verification::Off,
            ..EndpointGrant::at(["http://127.0.0.1:1".to_owned()])
        };
        let mut bound = written.endpoints.get(&endpoint.name).cloned().unwrap_or_else(nowhere);
        for file in
            [&mut bound.ca, &mut bound.client_certificate, &mut bound.client_key].into_iter().flatten()
        {
            *file = std::path::absolute(folder.join(&*file))?;
        }
        grant.endpoints.insert(endpoint.name.clone(), bound);
    }
    grant.templates.extend(manifest.templates().map(|(name, digest)| (name.clone(), digest)));
    Ok(grant)
}

/// Each root of the manifest bound to the directory that `given` names beside `folder`, or else to a new one in `scratch`.
pub(super) fn bind_roots(
    given: &BTreeMap<Label, PathBuf>,
    manifest: &Manifest,
    folder: &Path,
    scratch: &Path,
) -> anyhow::Result<BTreeMap<Label, RootGrant>> {
    let mut roots = BTreeMap::new();
    for root in &manifest.roots {
        let path = match given.get(&root.name) {
            Some(path) => std::path::absolute(folder.join(path))?,
            None => {
                let path = scratch.join(root.name.as_str());
                // Whatever the umask says: a root of configuration that others may write is refused.
                let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
                made.with_context(|| format!("cannot make {}", path.display()))?;
                path
            }
        };
        roots.insert(root.name.clone(), RootGrant { path, pin: root.digest() });
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
        [driver]
        name = "x"
        vendor = "y"
        version = "1.0.0"
        contract = "0.1"
        dhss = [false]
        protocols = ["CIFS"]

        [[option]]
        name = "depth"
        type = "integer"
        help = "how deep"

        [[root]]
        name = "shares"
        use = "data"
        reason = "every share is a directory in it"

        [[execute]]
        name = "flush"
        reason = "nothing is lost"
        effect = "read"
        repeat = "safe"
        program = "sync"
    "#;

    fn lab(text: &str) -> Result<Lab, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let scratch = folder.path().join("scratch");
        std::fs::create_dir(&scratch).expect("made");
        let file = folder.path().join("lab.toml");
        std::fs::write(&file, text).expect("written");
        let manifest = bulkhead_package::manifest::parse(MANIFEST, "driver.toml").expect("a sound manifest");
        let imports = std::collections::BTreeSet::from([bulkhead_model::ability::Capability::Execute]);
        Lab::read(Some(&file), &manifest, imports, &scratch).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn an_empty_file_grants_everything_that_the_manifest_asks_for() {
        let lab = lab("").expect("defaults");
        let scratch = |root: &RootGrant| root.path.is_absolute() && root.path.ends_with("scratch/shares");
        assert!(lab.grant.roots.len() == 1 && lab.grant.roots.values().all(scratch));
        assert!(lab.grant.programs.contains_key("sync") && lab.grant.templates.len() == 1);
        assert_eq!((lab.share.size.get(), lab.larger.get(), lab.smaller.get()), (2, 4, 1));
        assert_eq!(lab.share.protocol, Protocol::Cifs);
        assert_ne!(lab.share.id, lab.second_share.id);
    }

    #[test]
    fn what_the_file_says_holds() {
        let text = "before = ['setup']\nnew-size-gib = 7\n[roots]\nshares = 'mine'\n[options]\ndepth = 3\n\
                    [share]\nsize-gib = 5\n[[rule]]\ntype = 'ip'\nto = '10.0.0.0/24'\nlevel = 'ro'\n";
        let lab = lab(text).expect("sound");
        assert_eq!(lab.before, Some(vec![Function::Setup]));
        assert_eq!((lab.share.size.get(), lab.larger.get()), (5, 7));
        assert!(lab.grant.roots.values().all(|root| root.path.ends_with("mine")));
        assert_eq!(lab.rules.len(), 1);
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let text = "before = ['creat-share']\n[roots]\nshare = 'x'\n[options]\ndept = 3\n[[rule]]\ntype = 'ip'\nto = 'nas'\nlevel = 'rw'\n";
        let told = lab(text).expect_err("mistakes");
        for line in ["lab.toml:1:", "lab.toml:3:1: roots.share", "lab.toml:5:1: options.dept", "lab.toml:6:"]
        {
            assert!(told.contains(line), "{line} in {told}");
        }
        assert!(lab("[share]\nsize-gib = 0\n").expect_err("no size").contains("lab.toml:2:"));
        assert!(lab("[shares]\n").expect_err("unknown").contains("did you mean 'share'?"));
    }
}
