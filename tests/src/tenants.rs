//! A site with share servers: a pool, and for each tenant a network with a bridge and a client in namespaces of their own, and a backend of
//! `btrfs-netns` that is plugged into it. Only inside a machine of [`crate::machine`].

use crate::daemon::Daemon;
use crate::http;
use crate::lab::Lab;
use crate::leftovers::Inventory;
use crate::nfs::{Client, Failure, Place};
use crate::pool::Pool;
use crate::programs;
use crate::verbs::{create_share, create_type, location, text};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The driver.
pub const DRIVER: &str = "btrfs-netns";
/// Directories of a pool.
pub const DIRECTORIES: &[&str] = &["shares", "snapshots"];
/// The ports that every share server serves at.
const PORTS: (u16, u16) = (2049, 20048);

/// A tenant's network.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    /// What its namespaces, its backend and its share type are called.
    pub name: &'static str,
    /// The project of who is in it.
    pub project: &'static str,
    /// The gateway's address; nobody has it.
    pub gateway: &'static str,
    /// The length of its prefix.
    pub prefix: u8,
    /// Where its client is: no address that is given out.
    pub client: &'static str,
    /// An address of its client of the other version of IP, with its prefix: from there it tries what is not in its network.
    pub elsewhere: (&'static str, u8),
    /// What is given out.
    pub range: &'static str,
}

/// Two networks, one for each version of IP.
pub const NETWORKS: [Network; 2] = [
    Network {
        name: "blue",
        project: "blue",
        gateway: "10.91.0.1",
        prefix: 24,
        client: "10.91.0.200",
        elsewhere: ("fd91::200", 64),
        range: "10.91.0.10-10.91.0.60",
    },
    Network {
        name: "red",
        project: "red",
        gateway: "fd92::1",
        prefix: 64,
        client: "fd92::200",
        elsewhere: ("10.92.0.200", 24),
        range: "fd92::10-fd92::60",
    },
];

impl Network {
    /// The network namespace that its bridge is in.
    #[must_use]
    pub fn bridge_namespace(&self) -> String {
        format!("{}-net", self.name)
    }

    /// The network namespace that its client is in.
    #[must_use]
    pub fn client_namespace(&self) -> String {
        format!("{}-client", self.name)
    }

    /// Make bridge and client.
    pub fn make(&self) -> anyhow::Result<()> {
        let (net, client) = (self.bridge_namespace(), self.client_namespace());
        for namespace in [&net, &client] {
            ip(&["netns", "add", namespace])?;
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        }
        ip(&["-n", &net, "link", "add", "br0", "type", "bridge"])?;
        ip(&["-n", &net, "link", "set", "br0", "up"])?;
        ip(&["-n", &net, "link", "add", "client", "type", "veth", "peer", "name", "eth0", "netns", &client])?;
        ip(&["-n", &net, "link", "set", "client", "master", "br0", "up"])?;
        for (address, prefix) in [(self.client, self.prefix), self.elsewhere] {
            let with_prefix = format!("{address}/{prefix}");
            let duplicates: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
            ip(&[&["-n", &client, "address", "add", &with_prefix, "dev", "eth0"], duplicates].concat())?;
        }
        ip(&["-n", &client, "link", "set", "eth0", "up"])?;
        // It looks for everybody in its own network.
        ip(&["-n", &client, "-4", "route", "add", "default", "dev", "eth0"])?;
        ip(&["-n", &client, "-6", "route", "add", "default", "dev", "eth0"])
    }

    /// Its client's address of the version that an export location has.
    fn source_for(&self, location: &str) -> &'static str {
        let is_6 = |address: &str| address.contains(':');
        if is_6(self.client) == location.starts_with('[') { self.client } else { self.elsewhere.0 }
    }

    /// The ends of share servers at its bridge.
    pub fn ports(&self) -> anyhow::Result<Vec<String>> {
        let words = ["-n", &self.bridge_namespace(), "-o", "link", "show", "type", "veth"];
        let output = Command::new("ip").args(words).output()?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let name = |line: &str| line.split(": ").nth(1)?.split('@').next().map(str::to_owned);
        Ok(told.lines().filter_map(name).filter(|name| name != "client").collect())
    }

    /// What stands in the grant of a backend that is plugged into it.
    #[must_use]
    pub fn grant(&self) -> String {
        format!(
            "\n[[grant.networks.user]]\ngateway = \"{}\"\nmask = {}\nallowed-ip-ranges = [\"{}\"]\nbridge = \"br0\"\nnamespace = \"{}\"\n",
            self.gateway,
            self.prefix,
            self.range,
            self.bridge_namespace()
        )
    }
}

/// Type `ip` with these words.
pub fn ip(words: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip").args(words).output().context("ip cannot be started")?;
    ensure!(output.status.success(), "ip {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// A site with two tenants. What is declared last goes last: the daemon, then its folder, then the pool.
#[derive(Debug)]
pub struct Tenants {
    /// The daemon.
    pub daemon: Daemon,
    /// Its place.
    pub lab: Lab,
    /// The pool that both backends use.
    pub pool: Pool,
    folder: PathBuf,
    before: Inventory,
}

impl Tenants {
    /// Make networks and pool, start the daemon, and wait until its backends serve. Share servers go with their last share.
    pub async fn start(folder: &Path) -> anyhow::Result<Self> {
        // Named namespaces are the machine's own.
        let output = Command::new("mount").args(["-t", "tmpfs", "tmpfs", "/run"]).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let pool = Pool::make(folder, "pool", 40, DIRECTORIES)?;
        let mut lab = Lab::new()?.with_main("[intervals]\nunused-share-server-seconds = 0\n");
        for network in &NETWORKS {
            network.make()?;
            lab = Self::with_backend(lab, network, &pool)?;
        }
        let before = Inventory::take(folder, &[&pool])?;
        let daemon = Daemon::start(&lab).await?;
        daemon.ready().await?;
        for network in &NETWORKS {
            let specs = json!({
                "driver_handles_share_servers": "True", "share_backend_name": network.name,
                "snapshot_support": "True", "create_share_from_snapshot_support": "True",
                "revert_to_snapshot_support": "True",
            });
            create_type(&daemon.operator(), network.name, specs).await?;
        }
        Ok(Self { daemon, lab, pool, folder: folder.to_owned(), before })
    }

    fn with_backend(lab: Lab, network: &Network, pool: &Pool) -> anyhow::Result<Lab> {
        let text = Self::backend_text(&lab, network.name, pool)? + &network.grant();
        std::fs::write(lab.backend_file(network.name), text)?;
        Ok(lab)
    }

    /// What stands in the file of a backend before its networks.
    pub fn backend_text(lab: &Lab, name: &str, pool: &Pool) -> anyhow::Result<String> {
        let bound = [("pool", Some(pool.path().to_owned())), ("kernel", Some(pool.kernel()?))];
        lab.backend_text(name, &programs::guest(DRIVER)?, "", &bound)
    }

    /// The door of a network's tenant.
    #[must_use]
    pub fn tenant(&self, network: &Network) -> http::Client {
        self.daemon.tenant().header("x-bulkhead-project", network.project)
    }

    /// The operator's door.
    #[must_use]
    pub fn operator(&self) -> http::Client {
        self.daemon.operator()
    }

    /// A share network of a tenant; its id.
    pub async fn share_network(&self, network: &Network) -> anyhow::Result<String> {
        let made = self.tenant(network).post("/v2/share-networks", &json!({ "share_network": {} })).await?;
        text(&made["share_network"]["id"])
    }

    /// A share of 1 GiB on a share server in this share network.
    pub async fn share(&self, network: &Network, share_network: &str) -> anyhow::Result<String> {
        create_share(&self.tenant(network), share_on(network, share_network)).await
    }

    /// Mount a share of the tenant `of` as the client in the network `from`.
    pub async fn mount(
        &self,
        share: &str,
        (of, from): (&Network, &Network),
    ) -> anyhow::Result<Result<Client, Failure>> {
        let at = location(&self.tenant(of), share).await?;
        let place = Place::of(&at, PORTS, from.source_for(&at))?.within(&from.client_namespace());
        Ok(Client::mount(place).await)
    }

    /// All share servers.
    pub async fn servers(&self) -> anyhow::Result<Vec<Value>> {
        let listed = self.operator().get("/v2/share-servers").await?;
        Ok(listed["share_servers"].as_array().cloned().unwrap_or_default())
    }

    /// Bring all shares of a backend in line, now.
    pub async fn ensure(&self, network: &Network) -> anyhow::Result<()> {
        self.operator().post(&format!("/v1/backends/{}/ensure", network.name), &json!({})).await.map(drop)
    }

    /// Kill the daemon as a power cut would, and start another.
    pub async fn restart_daemon(&mut self) -> anyhow::Result<()> {
        self.daemon.kill()?;
        self.daemon = Daemon::start(&self.lab).await?;
        self.daemon.ready().await
    }

    /// Wait until nothing is left of any share server on the machine: process, namespace, mount, cgroup, subvolume, device, file.
    pub async fn expect_nothing_left(&self) -> anyhow::Result<()> {
        for network in &NETWORKS {
            ensure!(network.ports()?.is_empty(), "ports are left at the bridge: {:?}", network.ports()?);
            let left: Vec<_> = self
                .lab
                .root(network.name, "config")
                .read_dir()?
                .flatten()
                .map(|entry| entry.file_name())
                .filter(|name| name.to_string_lossy().starts_with("share-server-"))
                .collect();
            ensure!(left.is_empty(), "files are left: {left:?}");
        }
        Inventory::expect_nothing_but(is_of_daemon, &self.before, &self.folder, &[&self.pool]).await
    }

    /// Let the operator end it all, and fail if anything was left behind on the machine.
    pub async fn end(self) -> anyhow::Result<()> {
        for network in &NETWORKS {
            let path = format!("/v1/backends/{}/unload", network.name);
            self.operator().post(&path, &json!({})).await?;
        }
        drop(self.daemon);
        Inventory::expect_nothing_since(&self.before, &self.folder, &[&self.pool]).await
    }
}

/// Whether the daemon or its helper is this, rather than a keeper of services: that one has namespaces and a cgroup of other names.
fn is_of_daemon(line: &str) -> bool {
    let is_helpers = |group: &str| {
        group.split('/').any(|part| {
            let number = part.strip_prefix("bulkhead-").map(|rest| rest.chars().next());
            number.flatten().is_some_and(|first| first.is_ascii_digit())
        })
    };
    match line.split_once(' ') {
        Some(("process", rest)) => rest.ends_with(" bulkhead") || rest.ends_with(" bulkhead-helper"),
        Some(("cgroup", group)) => is_helpers(group),
        _ => false,
    }
}

/// What a tenant asks for.
#[must_use]
pub fn share_on(network: &Network, share_network: &str) -> Value {
    json!({ "share_proto": "NFS", "size": 1, "share_type": network.name, "share_network_id": share_network })
}
