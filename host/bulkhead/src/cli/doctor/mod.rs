//! `bulkhead doctor`: what this machine lacks, for which driver. Looks, changes nothing.

mod networks;
mod place;
mod servers;

use super::printer::Printer;
use crate::config::{self, BackendConfiguration, Configuration};
use crate::daemon::helper_program;
use anyhow::bail;
use bulkhead_capability::http::{BoundEndpoint, Controller, EndpointPlace};
use bulkhead_helper::protocol::EndingMethod;
use bulkhead_model::grant::{Grant, Verification};
use bulkhead_model::id::{BackendName, Label};
use bulkhead_model::manifest::{Manifest, RootUse};
use bulkhead_package::{Package, mode, options};
use std::error::Error;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

/// Say what this machine lacks for which driver
#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {
    /// Look at every backend of this configuration
    #[arg(long, env = "BULKHEAD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Look at these packages
    drivers: Vec<PathBuf>,
}

/// What was found, line by line.
struct Findings<'a> {
    printer: &'a Printer,
    lacking: usize,
}

impl Findings<'_> {
    fn good(&self, what: &str) {
        self.printer.data(&format!("ok     {what}"));
    }

    fn worth_knowing(&self, what: &str) {
        self.printer.data(&format!("note   {what}"));
    }

    /// What works and protects nothing, in red where somebody looks.
    fn unprotected(&self, what: &str) {
        let line = format!("OPEN   {what}");
        if std::io::stdout().is_terminal() {
            self.printer.data(&format!("\x1b[1;31m{line}\x1b[0m"));
        } else {
            self.printer.data(&line);
        }
    }

    fn lacks(&mut self, what: &str, remedy: &str) {
        self.lacking += 1;
        self.printer.data(&format!("LACKS  {what}\n         {remedy}"));
    }
}

impl Doctor {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<()> {
        let mut findings = Findings { printer, lacking: 0 };
        let configuration = self.config.as_deref().map(config::load).transpose()?;
        let helper = configuration.as_ref().and_then(|configuration| configuration.helper.as_deref());
        look_at_helper(&mut findings, helper);
        for driver in &self.drivers {
            look_at_driver(&mut findings, driver);
        }
        if let Some(configuration) = &configuration {
            for (name, backend) in &configuration.backends {
                look_at_backend(&mut findings, name, (backend, configuration));
            }
        }
        if findings.lacking > 0 {
            bail!(
                "{} {} lacking",
                findings.lacking,
                if findings.lacking == 1 { "thing is" } else { "things are" }
            );
        }
        Ok(())
    }
}

fn look_at_helper(findings: &mut Findings<'_>, configured: Option<&Path>) {
    match helper_program(configured) {
        Ok(path) => {
            findings.good(&format!("the helper is {}", path.display()));
            findings.worth_knowing(&format!(
                "what a command leaves behind is ended by {}",
                bulkhead_helper::ending_method()
            ));
        }
        Err(error) => findings.lacks(
            &format!("the helper: {error:#}"),
            "install bulkhead-helper beside bulkhead, or set helper in the configuration",
        ),
    }
}

fn look_at_driver(findings: &mut Findings<'_>, path: &Path) {
    let package = match Package::open(path) {
        Ok(package) => package,
        Err(error) => {
            return findings.lacks(&format!("{}: {}", path.display(), reason(error)), remedy(path));
        }
    };
    findings.good(&format!(
        "{}: {} {}",
        path.display(),
        package.manifest.driver.name,
        package.manifest.driver.version
    ));
    look_at_groups(findings, &package);
    for program in package.manifest.programs() {
        match super::backend::installed(program) {
            Some(path) => findings.good(&format!("  {program} is {}", path.display())),
            None => findings
                .lacks(&format!("  the program {program}"), "install it, then bind it with grant.programs"),
        }
    }
}

/// An error with its causes on one line.
fn reason(error: impl Error + Send + Sync + 'static) -> String {
    format!("{:#}", anyhow::Error::new(error)).lines().next().unwrap_or_default().to_owned()
}

fn remedy(package: &Path) -> &'static str {
    if package.is_file() {
        "ask its vendor for a package built for this host"
    } else {
        "name the file of a driver's package"
    }
}

fn look_at_backend(
    findings: &mut Findings<'_>,
    name: &BackendName,
    (backend, configuration): (&BackendConfiguration, &Configuration),
) {
    let package = match Package::open(&backend.driver) {
        Ok(package) => package,
        Err(error) => {
            return findings.lacks(&format!("backend {name}: {}", reason(error)), remedy(&backend.driver));
        }
    };
    findings.good(&format!(
        "backend {name}: {} {}",
        package.manifest.driver.name, package.manifest.driver.version
    ));
    let checked = options::validate(&package.manifest.options, &backend.options)
        .and_then(|options| mode::share_servers(&package.manifest.driver.dhss, &options));
    if let Err(error) = checked {
        findings.lacks(&format!("  sound options: {error}"), "correct [options]");
    }
    if let Ok(options) = options::validate(&package.manifest.options, &backend.options) {
        place::look_at_secrets(findings, &package.manifest, &options);
        servers::look_at_addresses(findings, &package.manifest, (backend, &options));
    }
    for (name, digest) in package.manifest.templates() {
        let granted = backend.grant.templates.get(name);
        look_at_pin(findings, "template", name.as_str(), granted.map(|granted| *granted == digest));
    }
    for endpoint in &package.manifest.endpoints {
        look_at_endpoint(findings, &endpoint.name, &package.manifest, &backend.grant);
    }
    networks::look_at_plugs(findings, &package, backend);
    if place::is_here(findings, backend, configuration) {
        look_at_what_is_here(findings, &package, backend);
    }
}

/// Programs, services, bridges and directories of this machine.
fn look_at_what_is_here(findings: &mut Findings<'_>, package: &Package, backend: &BackendConfiguration) {
    for program in package.manifest.programs() {
        look_at_program(findings, program, backend.grant.programs.get(program));
    }
    look_at_groups(findings, package);
    networks::look_at_networks(findings, backend);
    let wants_pool = package.manifest.programs().contains("btrfs");
    for root in &package.manifest.roots {
        match backend.grant.roots.get(&root.name) {
            Some(granted) => {
                look_at_pin(findings, "root", root.name.as_str(), Some(granted.pin == root.digest()));
                let is_pool = wants_pool && root.root_use == RootUse::Data;
                if is_pool {
                    look_at_pool(findings, root.name.as_str(), &granted.path);
                }
                if is_pool && !granted.path.is_dir() {
                    continue;
                }
                look_at_root(findings, root.name.as_str(), root.root_use, &granted.path);
            }
            None => findings.worth_knowing(&format!("  root {} is not granted", root.name)),
        }
    }
}

/// Whether this machine can keep the driver's services together, apart from everybody else, and end them for certain.
fn look_at_groups(findings: &mut Findings<'_>, package: &Package) {
    if package.manifest.groups.is_empty() {
        return;
    }
    match bulkhead_helper::try_namespaces() {
        Ok(()) => findings.good("  services can have namespaces of their own"),
        Err(error) => findings.lacks(
            &format!("  namespaces for services: {error}"),
            "run bulkhead as root, in a container with CAP_SYS_ADMIN, on a kernel with mount and process namespaces",
        ),
    }
    match bulkhead_helper::ending_method() {
        EndingMethod::ControlGroup => {
            findings.good("  a group of services has a cgroup, which ends all of it")
        }
        EndingMethod::MarkAndSweep => findings.worth_knowing(
            "  no cgroup of version 2 can be written: a group of services ends with its process namespace",
        ),
    }
}

fn look_at_pin(findings: &mut Findings<'_>, kind: &str, name: &str, granted_as_it_is: Option<bool>) {
    match granted_as_it_is {
        Some(true) => findings.good(&format!("  {kind} {name} is granted as the driver brings it")),
        Some(false) => findings.lacks(
            &format!("  {kind} {name} as it was granted: the driver brings another one"),
            "review it with 'bulkhead driver inspect', then pin the new digest",
        ),
        None => findings.worth_knowing(&format!("  {kind} {name} is not granted")),
    }
}

fn look_at_program(findings: &mut Findings<'_>, program: &str, bound: Option<&PathBuf>) {
    match bound {
        Some(path) if path.is_file() => findings.good(&format!("  {program} is {}", path.display())),
        Some(path) => findings.lacks(
            &format!("  {program} at {}", path.display()),
            "install it, or bind another file with grant.programs",
        ),
        None => findings.worth_knowing(&format!("  program {program} is not granted")),
    }
}

/// Whether an endpoint's binding is sound, and how its controllers are known. Nobody is connected to.
fn look_at_endpoint(findings: &mut Findings<'_>, name: &Label, manifest: &Manifest, grant: &Grant) {
    let Some(granted) = grant.endpoints.get(name) else {
        return findings.worth_knowing(&format!("  endpoint {name} is not granted"));
    };
    let bound = BoundEndpoint::new(granted);
    match bound.and_then(|bound| bound.check_fits(manifest, &grant.networks).map(|()| bound)) {
        Ok(bound) => {
            let place = match &bound.place {
                EndpointPlace::Controllers(controllers) => {
                    controllers.iter().map(Controller::url).collect::<Vec<_>>().join(", ")
                }
                EndpointPlace::ShareServer(at) => format!("at {at}"),
            };
            findings.good(&format!("  endpoint {name} is {place}"));
        }
        Err(error) => findings.lacks(&format!("  endpoint {name}: {error}"), "correct grant.endpoints"),
    }
    if granted.verify == Verification::Off {
        findings.unprotected(&format!(
            "  endpoint {name} is not verified: whoever is on the way to it reads the password and changes what is asked"
        ));
    }
}

fn look_at_root(findings: &mut Findings<'_>, name: &str, root_use: RootUse, path: &Path) {
    if !path.is_dir() {
        let remedy = match root_use {
            RootUse::Kernel => {
                "bind what the kernel has: of a btrfs pool /sys/fs/btrfs/UUID, which btrfs filesystem show POOL tells"
            }
            _ => "make it, owned by the daemon's user",
        };
        return findings.lacks(&format!("  root {name}: the directory {}", path.display()), remedy);
    }
    if root_use == RootUse::Kernel {
        return findings.good(&format!("  root {name} is {}", path.display()));
    }
    if rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_err() {
        return findings.lacks(
            &format!("  root {name}: {} cannot be written", path.display()),
            "make it the daemon's user's own",
        );
    }
    findings.good(&format!("  root {name} is {}", path.display()));
    if root_use == RootUse::Data && !shares_blocks(path) {
        findings.worth_knowing(&format!(
            "  root {name}: its filesystem shares no blocks, so copies take their full size and time"
        ));
    }
}

const BTRFS: i64 = 0x9123_683e;

/// A driver that runs btrfs wants its data on one.
fn look_at_pool(findings: &mut Findings<'_>, name: &str, path: &Path) {
    if !rustix::fs::statfs(path).is_ok_and(|filesystem| filesystem.f_type == BTRFS) {
        findings.lacks(
            &format!("  root {name}: {} is on no btrfs filesystem", path.display()),
            &format!(
                "mount one there, or make one: bulkhead backend make-pool /var/lib/bulkhead/{name}.img --at {}",
                path.display()
            ),
        );
    }
}

/// Whether copies on this filesystem can share blocks: btrfs and XFS can.
fn shares_blocks(path: &Path) -> bool {
    const XFS: i64 = 0x5846_5342;
    rustix::fs::statfs(path).is_ok_and(|filesystem| matches!(filesystem.f_type, BTRFS | XFS))
}
