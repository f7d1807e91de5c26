//! Share servers that run and that nobody reaches: what somebody took from their network is put back, and they go on.

use crate::share_servers::{BLUE, RED, mount, open_share, servers_are_gone};
use anyhow::{Context, ensure};
use bulkhead_tests::daemon::SETTLE;
use bulkhead_tests::ganesha::{keeper_of, kill};
use bulkhead_tests::leftovers::processes_of;
use bulkhead_tests::machine::isolated;
use bulkhead_tests::tenants::{Network, Tenants, ip};
use bulkhead_tests::verbs::{delete_share, until};
use std::process::Command;
use std::time::Duration;

/// The address of the first server in a network, with its prefix.
fn address_of(network: &Network) -> (&str, String) {
    let (address, _) = network.range.split_once('-').unwrap_or((network.range, ""));
    (address, format!("{address}/{}", network.prefix))
}

/// Whether the client in a network reaches the first server there.
fn is_reached(network: &Network) -> anyhow::Result<bool> {
    let connect = format!("exec 3<>/dev/tcp/{}/2049", address_of(network).0);
    let output = Command::new("ip")
        .args(["netns", "exec", &network.client_namespace(), "timeout", "2", "bash", "-c", &connect])
        .output()?;
    Ok(output.status.success())
}

fn remove_bridge(network: &Network) -> anyhow::Result<()> {
    ip(&["-n", &network.bridge_namespace(), "link", "del", "br0"])
}

/// Make the bridge again, with the client at it.
fn make_bridge(network: &Network) -> anyhow::Result<()> {
    let net = network.bridge_namespace();
    ip(&["-n", &net, "link", "add", "br0", "type", "bridge"])?;
    ip(&["-n", &net, "link", "set", "br0", "up"])?;
    ip(&["-n", &net, "link", "set", "client", "master", "br0"])
}

/// Take the address away in the network namespace of a server.
fn take_address(server: u32, network: &Network) -> anyhow::Result<()> {
    let output = Command::new("nsenter")
        .arg(format!("--net=/proc/{server}/ns/net"))
        .args(["ip", "address", "del", &address_of(network).1, "dev", "eth0"])
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

async fn is_served_again(
    site: &Tenants,
    (share, network): (&str, &Network),
    what: &str,
) -> anyhow::Result<()> {
    ensure!(!is_reached(network)?, "{what}: it is cut off");
    site.ensure(network).await?;
    until(&format!("{what}: it is reached again"), SETTLE, async || is_reached(network)).await?;
    ensure!(mount(site, share, network).await?.read("letter").await? == b"dear", "{what}");
    ensure!(network.ports()?.len() == 1, "{what}: {:?}", network.ports()?);
    Ok(())
}

#[test]
fn ensuring_brings_servers_that_were_cut_off_back_without_starting_them_anew() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Tenants::start(&folder).await?;
        for network in [BLUE, RED] {
            let share = open_share(&site, network).await?;
            mount(&site, &share, network).await?.write("letter", b"dear").await?;
            let running = processes_of("ganesha.nfsd");
            let server = *running.first().context("it runs")?;
            remove_bridge(network)?;
            make_bridge(network)?;
            is_served_again(&site, (&share, network), "the bridge was made again").await?;
            take_address(server, network)?;
            is_served_again(&site, (&share, network), "the address was taken").await?;
            let port = network.ports()?.pop().context("a port")?;
            ip(&["-n", &network.bridge_namespace(), "link", "del", &port])?;
            is_served_again(&site, (&share, network), "the device was removed").await?;
            ensure!(processes_of("ganesha.nfsd") == running, "it was started anew");
            delete_share(&site.tenant(network), &share).await?;
            servers_are_gone(&site).await?;
        }
        site.expect_nothing_left().await
    })
}

#[test]
fn servers_come_back_by_themselves_after_a_start_of_the_machine_though_the_bridge_comes_up_late()
-> anyhow::Result<()> {
    isolated(async |folder| {
        let mut site = Tenants::start(&folder).await?;
        let share = open_share(&site, BLUE).await?;
        mount(&site, &share, BLUE).await?.write("letter", b"dear").await?;
        kill(keeper_of(*processes_of("ganesha.nfsd").first().context("it runs")?)?)?;
        remove_bridge(BLUE)?;
        site.restart_daemon().await?;
        // Later than the first round, which is due after ten seconds.
        tokio::time::sleep(Duration::from_secs(12)).await;
        ensure!(processes_of("ganesha.nfsd").is_empty(), "without a bridge it is not started");
        make_bridge(BLUE)?;
        let soon = Duration::from_secs(60);
        until("it is reached again", soon, async || is_reached(BLUE)).await?;
        ensure!(mount(&site, &share, BLUE).await?.read("letter").await? == b"dear");
        Ok(())
    })
}
