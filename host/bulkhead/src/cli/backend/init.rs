//! `bulkhead backend init`: what a driver asks for, as a file that grants it.
//!
//! The file says every option and every right with the vendor's reason beside it. Nothing is granted by running this: the operator
//! reads it, changes it, and puts it where the daemon reads backends.

use crate::cli::printer::Printer;
use anyhow::{Context, bail};
use bulkhead_ledger::HOST_CHAIN;
use bulkhead_model::ability::{Ability, Capability};
use bulkhead_model::id::BackendName;
use bulkhead_model::manifest::{
    CommandEffect, GroupNetwork, Manifest, OptionDeclaration, RootUse, TemplateScope,
};
use bulkhead_model::network::AllocationLabel;
use bulkhead_model::pattern::Pattern;
use bulkhead_package::Package;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Where programs of the system stand, in the order they are looked for.
const PROGRAM_FOLDERS: [&str; 4] = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];

#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    /// The driver's package
    driver: PathBuf,
    /// The file to write, named like the backend: NAME.toml; the driver's name if missing
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The directory below which the backend's roots shall stand
    #[arg(long, default_value = "/srv/bulkhead", value_name = "DIRECTORY")]
    roots: PathBuf,
}

impl Init {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<()> {
        let package = Package::open(&self.driver)?;
        let output =
            self.output.unwrap_or_else(|| PathBuf::from(format!("{}.toml", package.manifest.driver.name)));
        let name = backend_name(&output)?;
        let driver = std::path::absolute(&self.driver)?;
        // A root in a backend's file is absolute: what is typed here is meant from here.
        let roots = std::path::absolute(self.roots.join(name.as_str()))?;
        let text = backend_file(&package, &driver, &roots)?;
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&output)
            .with_context(|| unwritable(&output))?;
        file.write_all(text.as_bytes())?;
        printer.note(&format!(
            "wrote {}: read it, change it, make the directories it names, then let the daemon read it",
            output.display()
        ));
        Ok(())
    }
}

/// The name of the backend that the daemon reads from this file.
fn backend_name(output: &Path) -> anyhow::Result<BackendName> {
    let name = output.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some(name) = name.strip_suffix(".toml") else {
        bail!("the daemon reads backends from NAME.toml, which '{name}' is not");
    };
    let name: BackendName = name.parse().context("the file's name is the backend's")?;
    if name.as_str() == HOST_CHAIN {
        bail!("the name '{name}' is the host's own\nhint: choose another one");
    }
    Ok(name)
}

fn unwritable(output: &Path) -> String {
    let hint = if output.exists() {
        "it is there already and left alone; remove it, or choose another with --output"
    } else {
        "its directory must be there; make it first"
    };
    format!("cannot write {}\nhint: {hint}", output.display())
}

/// The text of a backend's file.
pub(crate) fn backend_file(package: &Package, driver: &Path, roots: &Path) -> anyhow::Result<String> {
    let manifest = &package.manifest;
    let identity = &manifest.driver;
    let mut text = format!("# {} {} by {}\n", identity.name, identity.version, identity.vendor);
    writeln!(text, "driver = {}\n\n[options]", quoted(&driver.display().to_string()))?;
    for option in &manifest.options {
        write_option(&mut text, option)?;
    }
    write_capabilities(&mut text, package)?;
    write_networks(&mut text, package)?;
    write_roots(&mut text, manifest, roots)?;
    write_programs(&mut text, manifest)?;
    write_endpoints(&mut text, manifest)?;
    write_templates(&mut text, manifest)?;
    Ok(text)
}

fn write_option(text: &mut String, option: &OptionDeclaration) -> anyhow::Result<()> {
    for line in option.help.lines() {
        writeln!(text, "# {line}")?;
    }
    match &option.default {
        _ if option.required => writeln!(text, "{} = \"\" # required", option.name)?,
        Some(default) => writeln!(text, "# {} = {}", option.name, toml::Value::try_from(default)?)?,
        None => writeln!(text, "# {} =", option.name)?,
    }
    Ok(())
}

fn write_capabilities(text: &mut String, package: &Package) -> anyhow::Result<()> {
    let wanted: Vec<_> = package
        .imports
        .keys()
        .filter(|one| !one.is_always_granted())
        .map(|one| quoted(one.interface()))
        .collect();
    writeln!(text, "\n[grant]\ncapabilities = [{}]", wanted.join(", "))?;
    Ok(())
}

/// The networks that a backend with share servers takes addresses from: an example that grants nothing.
fn write_networks(text: &mut String, package: &Package) -> anyhow::Result<()> {
    let takes_addresses = package.abilities.has(Ability::ShareServers)
        || package.imports.contains_key(&Capability::NetworkAllocation);
    if !takes_addresses {
        return Ok(());
    }
    text.push_str("\n# Where its share servers get addresses: 'user' is where tenants reach them, 'admin' where administrators do.\n");
    let own = package.manifest.groups.iter().any(|group| group.network == GroupNetwork::Own);
    for label in AllocationLabel::ALL {
        writeln!(text, "# [[grant.networks.{label}]]\n# gateway = \"10.0.0.1\"\n# mask = 24")?;
        if own {
            text.push_str("# bridge = \"br0\"          # what share servers are plugged into: ip link add br0 type bridge\n");
            text.push_str("# namespace = \"blue\"      # the network namespace that the bridge is in, where it is in one\n");
        }
    }
    text.push_str("# allowed-ip-ranges = [\"10.0.0.100-10.0.0.199\"]\n");
    Ok(())
}

fn write_roots(text: &mut String, manifest: &Manifest, roots: &Path) -> anyhow::Result<()> {
    if manifest.roots.is_empty() {
        return Ok(());
    }
    text.push_str("\n[grant.roots]\n");
    for root in &manifest.roots {
        writeln!(text, "# {}{}: {}", root_use(root.root_use), paths(&root.paths), root.reason)?;
        let path = quoted(&roots.join(root.name.as_str()).display().to_string());
        writeln!(text, "{} = {{ path = {path}, pin = \"{}\" }}", root.name, root.digest())?;
    }
    Ok(())
}

const fn root_use(root_use: RootUse) -> &'static str {
    match root_use {
        RootUse::Data => "tenants' data",
        RootUse::Config => "read by a privileged program",
        RootUse::State => "the driver's own bytes",
        RootUse::Kernel => "what the kernel tells, below /sys or /proc",
    }
}

fn paths(paths: &[Pattern]) -> String {
    let paths: Vec<&str> = paths.iter().map(Pattern::as_str).collect();
    if paths.is_empty() { String::new() } else { format!(" at {}", paths.join(", ")) }
}

fn write_programs(text: &mut String, manifest: &Manifest) -> anyhow::Result<()> {
    let programs = manifest.programs();
    if programs.is_empty() {
        return Ok(());
    }
    text.push_str("\n[grant.programs]\n");
    for program in programs {
        match installed(program) {
            Some(path) => writeln!(text, "{} = {}", key(program), quoted(&path.display().to_string()))?,
            None => {
                writeln!(text, "{} = \"/usr/bin/{program}\" # not installed on this machine", key(program))?;
            }
        }
    }
    Ok(())
}

fn write_endpoints(text: &mut String, manifest: &Manifest) -> anyhow::Result<()> {
    if manifest.endpoints.is_empty() {
        return Ok(());
    }
    text.push_str("\n[grant.endpoints]\n");
    for endpoint in &manifest.endpoints {
        writeln!(text, "# {}", endpoint.reason)?;
        writeln!(
            text,
            "# its controllers in the order they are tried, and the certificates they are known by:"
        )?;
        writeln!(
            text,
            "# ca = \"/absolute/file.pem\", or fingerprints = [\"sha256:…\"] of the certificates themselves"
        )?;
        writeln!(
            text,
            "{} = {{ controllers = [\"https://array.example\"], ca = \"/etc/ssl/certs/ca-certificates.crt\" }}",
            endpoint.name
        )?;
        if manifest.driver.dhss.contains(&true) {
            writeln!(
                text,
                "# or, if each share server is managed at its own address in [[grant.networks.user]] or [[grant.networks.admin]]:"
            )?;
            writeln!(
                text,
                "# {} = {{ share-server = {{ network = \"admin\", port = 443 }}, ca = \"/absolute/file.pem\" }}",
                endpoint.name
            )?;
        }
    }
    Ok(())
}

/// The file of a program of this system.
pub(crate) fn installed(program: &str) -> Option<PathBuf> {
    PROGRAM_FOLDERS.iter().map(|folder| Path::new(folder).join(program)).find(|path| path.is_file())
}

fn write_templates(text: &mut String, manifest: &Manifest) -> anyhow::Result<()> {
    if manifest.templates().next().is_none() {
        return Ok(());
    }
    text.push_str("\n[grant.templates]\n");
    for template in &manifest.commands {
        writeln!(text, "# runs: {} {}", template.program, template.args.join(" "))?;
        writeln!(text, "# {}: {}{}", effect(template.effect), template.reason, scope(template.scope))?;
        writeln!(text, "{} = \"{}\"", template.name, template.digest())?;
    }
    for template in &manifest.files {
        let reason = if template.reason.is_empty() { "" } else { ": " };
        writeln!(text, "# writes {} in {}{reason}{}", template.path, template.root, template.reason)?;
        writeln!(text, "{} = \"{}\"", template.name, template.digest())?;
    }
    write_running(text, manifest)?;
    write_requests(text, manifest)
}

/// What is sent to the management of the backend's storage.
fn write_requests(text: &mut String, manifest: &Manifest) -> anyhow::Result<()> {
    for template in &manifest.endpoints {
        writeln!(text, "# is sent requests: {}", template.reason)?;
        writeln!(text, "{} = \"{}\"", template.name, template.digest())?;
    }
    for template in &manifest.sessions {
        let line = format!("{} {}", template.login.method.as_str(), template.login.path);
        writeln!(text, "# logs in at {} with {line}: {}", template.endpoint, template.reason)?;
        writeln!(text, "{} = \"{}\"", template.name, template.digest())?;
    }
    for template in &manifest.requests {
        writeln!(text, "# sends: {} {}", template.method.as_str(), template.path)?;
        writeln!(text, "# {}: {}{}", effect(template.effect), template.reason, scope(template.scope))?;
        writeln!(text, "{} = \"{}\"", template.name, template.digest())?;
    }
    Ok(())
}

/// What runs beside and beyond a call.
fn write_running(text: &mut String, manifest: &Manifest) -> anyhow::Result<()> {
    for template in &manifest.pipelines {
        let stages: Vec<&str> = template.stages.iter().map(|stage| stage.as_str()).collect();
        writeln!(text, "# joins {}: {}", stages.join(" | "), template.reason)?;
        writeln!(text, "{} = \"{}\"", template.name, template.digest())?;
    }
    for template in &manifest.jobs {
        writeln!(text, "# runs {} beyond the call: {}", template.runs, template.reason)?;
        writeln!(text, "{} = \"{}\"", template.name, template.digest())?;
    }
    for template in &manifest.groups {
        writeln!(text, "# makes namespaces for services: {}", template.reason)?;
        for bind in &template.binds {
            writeln!(text, "# shows them {}{} at {}", bind.root, paths(&bind.pattern), bind.at)?;
        }
        writeln!(text, "{} = \"{}\"", template.name, template.digest())?;
    }
    for template in &manifest.services {
        writeln!(text, "# keeps running: {} {}", template.program, template.args.join(" "))?;
        writeln!(text, "# in group {}: {}", template.group, template.reason)?;
        writeln!(text, "{} = \"{}\"", template.name, template.digest())?;
    }
    for template in &manifest.dbus_calls {
        writeln!(text, "# calls {}.{} of {}", template.interface, template.method, template.destination)?;
        writeln!(text, "# {}: {}{}", effect(template.effect), template.reason, scope(template.scope))?;
        writeln!(text, "{} = \"{}\"", template.name, template.digest())?;
    }
    Ok(())
}

/// A key as TOML wants it: a dot would begin a table.
fn key(name: &str) -> String {
    let bare = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    if name.chars().all(bare) { name.to_owned() } else { quoted(name) }
}

const fn effect(effect: CommandEffect) -> &'static str {
    match effect {
        CommandEffect::Read => "reads",
        CommandEffect::Change => "changes",
        CommandEffect::Destroy => "DESTROYS",
    }
}

const fn scope(scope: TemplateScope) -> &'static str {
    match scope {
        TemplateScope::Target => "",
        TemplateScope::Backend => " (REACHES THE WHOLE BACKEND)",
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
