//! Share servers in network namespaces of their own: each tenant's shares are served in that tenant's network, and nowhere else.

use anyhow::{Context, ensure};
use bulkhead_tests::daemon::{SETTLE, gone, settle};
use bulkhead_tests::ganesha::{keeper_of, kill};
use bulkhead_tests::leftovers::processes_of;
use bulkhead_tests::machine::isolated;
use bulkhead_tests::nfs::{Client, Patience, Writer};
use bulkhead_tests::programs;
use bulkhead_tests::tenants::{NETWORKS, Network, Tenants, share_on};
use bulkhead_tests::verbs::{
    act, allow, create_snapshot, delete_share, delete_snapshot, location, newest_failure, share_path, text,
    until,
};
use serde_json::json;
use std::process::Command;
use std::time::Duration;

pub(crate) const BLUE: &Network = &NETWORKS[0];
pub(crate) const RED: &Network = &NETWORKS[1];
/// How long a client waits for a server that was killed.
const HARD: Patience = Patience::Hard(Duration::from_secs(60));

/// A share on a server of its tenant's own, which everybody who reaches it may write to.
pub(crate) async fn open_share(site: &Tenants, of: &Network) -> anyhow::Result<String> {
    let share_network = site.share_network(of).await?;
    let share = site.share(of, &share_network).await?;
    let everybody = if of.gateway.contains(':') { "::/0" } else { "0.0.0.0/0" };
    allow(&site.tenant(of), &share, everybody, "rw").await?;
    Ok(share)
}

pub(crate) async fn mount(site: &Tenants, share: &str, of: &Network) -> anyhow::Result<Client> {
    site.mount(share, (of, of)).await?.with_context(|| format!("{} cannot mount {share}", of.client))
}

pub(crate) async fn servers_are_gone(site: &Tenants) -> anyhow::Result<()> {
    until("all share servers are gone", SETTLE, async || Ok(site.servers().await?.is_empty())).await
}

/// Whether what runs in the network namespace of a process reaches an address.
fn reaches(process: u32, address: &str) -> anyhow::Result<bool> {
    let connect = format!("exec 3<>/dev/tcp/{address}/2049");
    let output = Command::new("nsenter")
        .arg(format!("--net=/proc/{process}/ns/net"))
        .args(["timeout", "2", "bash", "-c", &connect])
        .output()?;
    Ok(output.status.success())
}

#[test]
fn each_tenant_reaches_its_own_shares_and_no_others_and_nothing_is_left_of_them() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Tenants::start(&folder).await?;
        let (blue, red) = (open_share(&site, BLUE).await?, open_share(&site, RED).await?);
        ensure!(location(&site.tenant(BLUE), &blue).await?.starts_with("10.91.0.10:/"));
        ensure!(location(&site.tenant(RED), &red).await?.starts_with("[fd92::10]:/"));
        for (share, own, other) in [(&blue, BLUE, RED), (&red, RED, BLUE)] {
            let mut client = mount(&site, share, own).await?;
            client.write("letter", own.name.as_bytes()).await?;
            ensure!(client.read("letter").await? == own.name.as_bytes());
            let stranger = site.mount(share, (own, other)).await;
            ensure!(!matches!(stranger, Ok(Ok(_))), "{} reaches a share of {}", other.name, own.name);
            ensure!(own.ports()?.len() == 1, "{:?}", own.ports()?);
        }
        ensure!(processes_of("ganesha.nfsd").len() == 2 && site.servers().await?.len() == 2);
        // The machine itself is in none of these networks.
        ensure!(
            std::net::TcpStream::connect_timeout(&"10.91.0.10:2049".parse()?, Duration::from_secs(1))
                .is_err()
        );
        delete_share(&site.tenant(BLUE), &blue).await?;
        delete_share(&site.tenant(RED), &red).await?;
        servers_are_gone(&site).await?;
        site.expect_nothing_left().await?;
        site.end().await
    })
}

#[test]
fn what_a_share_can_do_it_can_do_on_a_share_server() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Tenants::start(&folder).await?;
        let tenant = site.tenant(BLUE);
        let share_network = site.share_network(BLUE).await?;
        let share = site.share(BLUE, &share_network).await?;
        let stranger = site.mount(&share, (BLUE, BLUE)).await?;
        ensure!(stranger.is_err(), "no rule lets anybody in");
        allow(&tenant, &share, BLUE.client, "rw").await?;
        let mut client = mount(&site, &share, BLUE).await?;
        client.write("letter", b"first").await?;
        let snapshot = create_snapshot(&tenant, &share).await?;
        client.write("letter", b"other").await?;
        act(&tenant, &share, json!({ "extend": { "new_size": 2 } })).await?;
        act(&tenant, &share, json!({ "shrink": { "new_size": 1 } })).await?;
        act(&tenant, &share, json!({ "revert": { "snapshot_id": snapshot } })).await?;
        client.remount().await?;
        ensure!(client.read("letter").await? == b"first");
        let mut asked = share_on(BLUE, &share_network);
        asked["snapshot_id"] = json!(snapshot);
        let copy = bulkhead_tests::verbs::create_share(&tenant, asked).await?;
        ensure!(site.servers().await?.len() == 1, "a copy lives where its origin does");
        allow(&tenant, &copy, BLUE.client, "ro").await?;
        let mut reader = mount(&site, &copy, BLUE).await?;
        ensure!(reader.read("letter").await? == b"first");
        ensure!(reader.write("letter", b"no").await.is_err());
        let (stopped, why) = client.fill("large", 3 << 30).await?;
        ensure!(stopped < 1 << 30, "{stopped} bytes of 1 GiB were taken: {why:?}");
        client.remove("large").await?;
        delete_share(&tenant, &copy).await?;
        delete_snapshot(&tenant, &snapshot).await?;
        delete_share(&tenant, &share).await?;
        servers_are_gone(&site).await?;
        site.expect_nothing_left().await
    })
}

#[test]
fn share_servers_of_one_network_do_not_reach_each_other() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Tenants::start(&folder).await?;
        // Two share networks of one project have two servers beside each other at one bridge.
        open_share(&site, BLUE).await?;
        open_share(&site, BLUE).await?;
        ensure!(BLUE.ports()?.len() == 2, "{:?}", BLUE.ports()?);
        for server in processes_of("ganesha.nfsd") {
            let seen = [reaches(server, "10.91.0.10")?, reaches(server, "10.91.0.11")?];
            ensure!(seen.iter().filter(|seen| **seen).count() == 1, "it reaches itself alone, not {seen:?}");
        }
        Ok(())
    })
}

#[test]
fn servers_go_on_while_the_daemon_is_killed_and_started_again() -> anyhow::Result<()> {
    isolated(async |folder| {
        let mut site = Tenants::start(&folder).await?;
        let share = open_share(&site, BLUE).await?;
        let running = processes_of("ganesha.nfsd");
        let writer = Writer::start(mount(&site, &share, BLUE).await?)?;
        for _ in 0..3 {
            writer.go_on(5).await?;
            site.restart_daemon().await?;
            writer.go_on(5).await?;
        }
        // What it adopted it also rules.
        let tenant = site.tenant(BLUE);
        let mut second = mount(&site, &open_share(&site, RED).await?, RED).await?;
        second.write("letter", b"red").await?;
        writer.stop().await?.expect_no_failure()?;
        ensure!(running.iter().all(|id| processes_of("ganesha.nfsd").contains(id)), "it was started anew");
        delete_share(&tenant, &share).await?;
        until("the server of blue is gone", SETTLE, async || Ok(BLUE.ports()?.is_empty())).await
    })
}

#[test]
fn a_server_that_is_killed_by_hand_is_made_again_with_its_address() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Tenants::start(&folder).await?;
        let share = open_share(&site, BLUE).await?;
        let at = location(&site.tenant(BLUE), &share).await?;
        let writer = Writer::start(mount(&site, &share, BLUE).await?.with_patience(HARD))?;
        writer.go_on(5).await?;
        // The server alone: its keeper starts it again.
        let server = *processes_of("ganesha.nfsd").first().context("it runs")?;
        kill(server)?;
        writer.go_on(5).await?;
        // All of it, with its namespaces.
        let server = *processes_of("ganesha.nfsd").first().context("it runs again")?;
        kill(keeper_of(server)?)?;
        until("its device goes with it", SETTLE, async || Ok(BLUE.ports()?.is_empty())).await?;
        ensure!(processes_of("ganesha.nfsd").is_empty());
        site.ensure(BLUE).await?;
        writer.go_on(5).await?;
        writer.stop().await?.expect_no_failure()?;
        ensure!(location(&site.tenant(BLUE), &share).await? == at, "it is where it was");
        ensure!(BLUE.ports()?.len() == 1);
        // And by the next call that meets it.
        let server = *processes_of("ganesha.nfsd").first().context("it runs again")?;
        kill(keeper_of(server)?)?;
        allow(&site.tenant(BLUE), &share, BLUE.client, "ro").await?;
        let mut client = mount(&site, &share, BLUE).await?;
        ensure!(client.write("letter", b"no").await.is_err(), "the narrower rule counts");
        delete_share(&site.tenant(BLUE), &share).await?;
        servers_are_gone(&site).await?;
        site.expect_nothing_left().await
    })
}

#[test]
fn a_daemon_that_is_killed_while_it_sets_servers_up_leaves_nothing_of_them_in_the_end() -> anyhow::Result<()>
{
    isolated(async |folder| {
        let mut site = Tenants::start(&folder).await?;
        let mut shares = Vec::new();
        for milliseconds in [20, 60, 120, 180, 260, 340] {
            let share_network = site.share_network(BLUE).await?;
            let asked = json!({ "share": share_on(BLUE, &share_network) });
            let made = site.tenant(BLUE).post("/v2/shares", &asked).await?;
            shares.push(text(&made["share"]["id"])?);
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            site.restart_daemon().await?;
        }
        for share in &shares {
            settle(&site.tenant(BLUE), &share_path(share), "share", &["available"]).await?;
            allow(&site.tenant(BLUE), share, BLUE.client, "rw").await?;
            mount(&site, share, BLUE).await?.write("letter", b"all is well").await?;
        }
        ensure!(BLUE.ports()?.len() == shares.len(), "{:?}", BLUE.ports()?);
        ensure!(processes_of("ganesha.nfsd").len() == shares.len(), "one server each");
        for (share, milliseconds) in shares.iter().zip([5, 40, 90, 150, 220, 300]) {
            site.tenant(BLUE).delete(&share_path(share)).await?;
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            site.restart_daemon().await?;
            gone(&site.tenant(BLUE), &share_path(share)).await?;
        }
        servers_are_gone(&site).await?;
        site.expect_nothing_left().await
    })
}

#[test]
fn a_bridge_that_is_not_there_fails_the_share_and_tells_the_operator_what_to_type() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Tenants::start(&folder).await?;
        let told = async |share_network: String| {
            let asked = json!({ "share": share_on(BLUE, &share_network) });
            let made = site.tenant(BLUE).post("/v2/shares", &asked).await?;
            let share = text(&made["share"]["id"])?;
            settle(&site.tenant(BLUE), &share_path(&share), "share", &["error"]).await?;
            let failure = newest_failure(&site.operator()).await?.to_string();
            delete_share(&site.tenant(BLUE), &share).await?;
            anyhow::Ok(failure)
        };
        let share_network = site.share_network(BLUE).await?;
        bulkhead_tests::tenants::ip(&["-n", &BLUE.bridge_namespace(), "link", "del", "br0"])?;
        let failure = told(share_network.clone()).await?;
        ensure!(failure.contains("ip -n blue-net link add br0 type bridge"), "{failure}");
        bulkhead_tests::tenants::ip(&["netns", "del", &BLUE.bridge_namespace()])?;
        let failure = told(share_network).await?;
        ensure!(failure.contains("ip netns add blue-net"), "{failure}");
        servers_are_gone(&site).await?;
        bulkhead_tests::tenants::ip(&["netns", "del", &BLUE.client_namespace()])?;
        BLUE.make()?;
        open_share(&site, BLUE).await?;
        Ok(())
    })
}

#[test]
fn a_backend_that_is_plugged_in_nowhere_or_into_two_segments_does_not_load() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Tenants::start(&folder).await?;
        let plain = "\n[[grant.networks.user]]\ngateway = \"10.93.0.1\"\nmask = 24\n";
        let admin = "\n[[grant.networks.admin]]\ngateway = \"10.94.0.1\"\nmask = 24\nbridge = \"br0\"\n";
        let vlan = format!("{plain}bridge = \"br0\"\nnetwork-type = \"vlan\"\nsegmentation-id = 7\n");
        for (networks, words) in [
            (plain.to_owned(), "bridge = \"br0\""),
            (format!("{vlan}{admin}"), "a bridge of its own"),
            (
                format!("{plain}bridge = \"br0\"\nnetwork-type = \"vxlan\"\nsegmentation-id = 7\n"),
                "flat and vlan",
            ),
            (format!("{plain}bridge = \"../br0\"\n"), "no name of a network device"),
        ] {
            let text = Tenants::backend_text(&site.lab, "green", &site.pool)? + &networks;
            let file = site.lab.path().join("green.toml");
            std::fs::write(&file, text)?;
            let output = Command::new(programs::program("bulkhead")?)
                .args(["backend", "load", "green"])
                .arg(&file)
                .arg("--state")
                .arg(site.lab.state())
                .output()?;
            let told = String::from_utf8_lossy(&output.stderr);
            ensure!(!output.status.success() && told.contains(words), "{words}: {told}");
        }
        Ok(())
    })
}
