//! A place for a daemon: its configuration, its state and its backends' directories, in a temporary folder.

use crate::{machine, programs};
use anyhow::Context;
use bulkhead_package::Package;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

/// A place for a daemon. It outlives the daemons that are started in it, and is removed when dropped.
#[derive(Debug)]
pub struct Lab {
    folder: tempfile::TempDir,
    address: SocketAddr,
    main: String,
    environment: Vec<(String, String)>,
}

impl Lab {
    /// An empty place, with a free port of the loopback address.
    pub fn new() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("bulkhead-test-").tempdir()?;
        std::fs::create_dir(folder.path().join("backends"))?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        Ok(Self {
            folder,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            main: String::new(),
            environment: Vec::new(),
        })
    }

    /// Further lines of the main configuration file, before any table.
    #[must_use]
    pub fn with_main(mut self, lines: &str) -> Self {
        self.main.push_str(lines);
        self
    }

    /// A variable in the environment of its daemons.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A backend of a guest built by `cargo xtask guests`, granted all it asks for, with a directory for each of its roots.
    pub fn with_backend(self, name: &str, guest: &str, options: &str) -> anyhow::Result<Self> {
        let driver = programs::guest(guest)?;
        self.with_package(name, &driver, options)
    }

    /// The same for any package.
    pub fn with_package(self, name: &str, driver: &Path, options: &str) -> anyhow::Result<Self> {
        let text = self.backend_text(name, driver, options, &[])?;
        std::fs::write(self.backend_file(name), text)?;
        Ok(self)
    }

    /// What stands in the file of such a backend, with some of its roots bound as the caller says: to a directory, or not at all. The
    /// others are made.
    pub fn backend_text(
        &self,
        name: &str,
        driver: &Path,
        options: &str,
        bound: &[(&str, Option<PathBuf>)],
    ) -> anyhow::Result<String> {
        let package = Package::open(driver)?;
        let mut text = format!(
            "driver = {:?}\n[options]\n{options}\n[grant]\ncapabilities = [",
            driver.display().to_string()
        );
        for capability in package.imports.keys() {
            if !capability.is_always_granted() {
                write!(text, "\"{capability}\", ")?;
            }
        }
        text.push_str("]\n[grant.roots]\n");
        for root in &package.manifest.roots {
            let given = bound.iter().find(|(root_name, _)| *root_name == root.name.as_str());
            let directory = match given {
                Some((_, None)) => continue,
                Some((_, Some(directory))) => directory.clone(),
                None => self.root(name, root.name.as_str()),
            };
            std::fs::create_dir_all(&directory)?;
            let (path, pin) = (directory.display().to_string(), root.digest());
            writeln!(text, "{} = {{ path = {path:?}, pin = \"{pin}\" }}", root.name)?;
        }
        text.push_str("[grant.programs]\n");
        for program in package.manifest.programs() {
            let file = machine::find(program).unwrap_or_else(|| Path::new("/usr/bin").join(program));
            writeln!(text, "\"{program}\" = {:?}", file.display().to_string())?;
        }
        text.push_str("[grant.templates]\n");
        for (template, digest) in package.manifest.templates() {
            writeln!(text, "{template} = \"{digest}\"")?;
        }
        Ok(text)
    }

    /// The configuration file, written anew.
    pub fn configuration(&self) -> anyhow::Result<PathBuf> {
        let file = self.path().join("bulkhead.toml");
        let text = format!(
            "listen = \"{}\"\nstate-directory = \"state\"\nbackend-directory = \"backends\"\n{}",
            self.address, self.main
        );
        std::fs::write(&file, text).context("the configuration cannot be written")?;
        Ok(file)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What its daemons find in their environment beside what the test has.
    #[must_use]
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// The tenants' address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The state directory.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    /// A root of a backend.
    #[must_use]
    pub fn root(&self, backend: &str, root: &str) -> PathBuf {
        self.path().join("roots").join(backend).join(root)
    }

    /// The file of a backend.
    #[must_use]
    pub fn backend_file(&self, name: &str) -> PathBuf {
        self.path().join("backends").join(format!("{name}.toml"))
    }
}
