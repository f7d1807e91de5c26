//! `btrfs-ganesha` unchanged on a machine that is reached over SSH: pool, configuration and servers are there, and the daemon sees none.

use crate::small_share;
use anyhow::{Context, ensure};
use bulkhead_tests::daemon::{Daemon, gone, settle};
use bulkhead_tests::far::Far;
use bulkhead_tests::lab::Lab;
use bulkhead_tests::leftovers::processes_of;
use bulkhead_tests::machine::{CLIENTS, SERVER, SERVER_V6, isolated};
use bulkhead_tests::nfs::{Client, Place};
use bulkhead_tests::programs;
use bulkhead_tests::site::{DRIVER, ports};
use bulkhead_tests::verbs::{act, allow, create_share, create_snapshot, location, share_path, text, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const DIRECTORIES: &[&str] = &["shares", "snapshots", "replication"];

/// A lab whose only backend is on `far`.
fn lab_on(far: &Far, host_key: Option<&str>) -> anyhow::Result<Lab> {
    let intervals = "[intervals]\nstatistics-seconds = 2\n";
    let lab = Lab::new()?.with_main(&far.table(host_key)?).with_main(intervals);
    let bound = [
        ("pool", Some(far.directory("pool"))),
        ("kernel", Some(far.kernel()?)),
        ("config", Some(far.directory("config"))),
        ("peer", None),
    ];
    let options = format!("export_addresses = [\"{SERVER}\", \"{SERVER_V6}\"]\n");
    let text = lab.backend_text("nas1", &programs::guest(DRIVER)?, &options, &bound)?;
    fs::write(lab.backend_file("nas1"), format!("place = \"ssh:far\"\n{text}"))?;
    Ok(lab)
}

/// Mount a share, as its tenant does: the server is the far machine's, on the network that both share.
async fn mount(daemon: &Daemon, share: &str) -> anyhow::Result<Client> {
    let at = location(&daemon.operator(), share).await?;
    let place = Place::of(&at, ports(1), CLIENTS[0])?;
    Client::mount(place).await.map_err(|failure| anyhow::anyhow!("{share} cannot be mounted: {failure:?}"))
}

#[test]
fn shares_are_served_from_a_machine_that_the_daemon_sees_nothing_of() -> anyhow::Result<()> {
    isolated(async |folder| {
        let Some(far) = Far::start(&folder, 8, DIRECTORIES)? else { return Ok(()) };
        let lab = lab_on(&far, None)?;
        let mut daemon = Daemon::start(&lab).await?;
        daemon.ready().await?;
        let share = small_share(&daemon.tenant()).await?;
        allow(&daemon.tenant(), &share, CLIENTS[0], "rw").await?;
        let mut client = mount(&daemon, &share).await?;
        client.write("letter", b"over there").await?;
        ensure!(far.shell("cat $AT/pool/shares/*/letter")? == "over there", "the bytes are on its pool");
        ensure!(!far.directory("pool").join("shares").exists(), "the pool is not here");
        let snapshot = create_snapshot(&daemon.tenant(), &share).await?;
        client.write("letter", b"overwritten").await?;
        act(&daemon.tenant(), &share, json!({ "revert": { "snapshot_id": snapshot } })).await?;
        let mut client = mount(&daemon, &share).await?;
        ensure!(client.read("letter").await? == b"over there");

        // The server outlives the link and the daemon, and is taken over by the next one.
        far.cut()?;
        ensure!(client.read("letter").await? == b"over there", "nobody told the server");
        daemon.kill()?;
        ensure!(client.read("letter").await? == b"over there", "the daemon is not needed for that");
        daemon = Daemon::start(&lab).await?;
        daemon.ready().await?;
        let servers = processes_of("ganesha.nfsd").len();
        ensure!(servers == 1, "{servers} servers");
        let copy = json!({ "share_proto": "NFS", "size": 1, "snapshot_id": snapshot });
        let copy = create_share(&daemon.tenant(), copy).await?;
        daemon.tenant().delete(&share_path(&copy)).await?;
        gone(&daemon.tenant(), &share_path(&copy)).await?;
        daemon.tenant().delete(&format!("/v2/snapshots/{snapshot}")).await?;
        gone(&daemon.tenant(), &format!("/v2/snapshots/{snapshot}")).await?;
        daemon.tenant().delete(&share_path(&share)).await?;
        gone(&daemon.tenant(), &share_path(&share)).await?;
        ensure!(far.shell("ls $AT/pool/shares $AT/config/exports | grep share- || true")? == "");
        Ok(())
    })
}

/// A link that is lost in mid-command is reconciled, never reported as failed.
#[test]
fn operations_converge_while_the_link_is_cut_in_their_middle() -> anyhow::Result<()> {
    isolated(async |folder| converge(&folder, 6).await)
}

#[test]
#[ignore = "takes minutes: `cargo xtask soak` runs it"]
fn operations_converge_while_the_link_is_cut_a_hundred_times_in_their_middle() -> anyhow::Result<()> {
    isolated(async |folder| converge(&folder, 100).await)
}

/// Make and remove shares until the link was cut so often while an operation ran; each has to come to its end.
#[expect(clippy::print_stdout, reason = "how long it took is of interest")]
async fn converge(folder: &Path, cuts: u64) -> anyhow::Result<()> {
    let Some(far) = Far::start(folder, 8, DIRECTORIES)? else { return Ok(()) };
    let lab = lab_on(&far, None)?;
    let daemon = Daemon::start(&lab).await?;
    daemon.ready().await?;
    let tenant = daemon.tenant();
    let began = Instant::now();
    let (mut done, mut round, mut met) = (0, 0_u64, 0);
    while done < cuts {
        let asked = json!({ "share": { "share_proto": "NFS", "size": 1 } });
        let share = text(&tenant.post("/v2/shares", &asked).await?["share"]["id"])?;
        let path = share_path(&share);
        for pause in [17 * (round % 9), 60 + 29 * (round % 7)] {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            met += u32::from(tenant.get(&path).await?["share"]["status"] == "creating");
            far.cut()?;
            done += 1;
        }
        settle(&tenant, &path, "share", &["available"]).await?;
        tenant.delete(&path).await?;
        tokio::time::sleep(Duration::from_millis(23 * (round % 11))).await;
        far.cut()?;
        done += 1;
        gone(&tenant, &path).await?;
        round += 1;
    }
    let left = far.shell("ls -A $AT/pool/shares $AT/pool/snapshots $AT/config/exports")?;
    ensure!(!left.contains("share-"), "{left}");
    let servers = processes_of("ganesha.nfsd").len();
    ensure!(servers == 1, "{servers} servers");
    println!(
        "{done} cuts, {met} of them while a share was being made, {round} shares, {:?}",
        began.elapsed()
    );
    Ok(())
}

/// What cannot be reached is waited for, and no clock turns it into an error.
#[test]
fn a_machine_that_stops_answering_is_waited_for_and_taken_up_again() -> anyhow::Result<()> {
    isolated(async |folder| {
        let Some(far) = Far::start(&folder, 4, DIRECTORIES)? else { return Ok(()) };
        let lab = lab_on(&far, None)?;
        let daemon = Daemon::start(&lab).await?;
        daemon.ready().await?;
        let (tenant, operator) = (daemon.tenant(), daemon.operator());
        let share = small_share(&tenant).await?;
        let path = share_path(&share);
        far.pause()?;
        far.cut()?;
        tenant.post(&format!("{path}/action"), &json!({ "extend": { "new_size": 2 } })).await?;
        until("the operation says why it waits", Duration::from_secs(120), async || {
            Ok(operator.get("/v1/operations").await?.to_string().contains("backend-unreachable"))
        })
        .await?;
        let status = tenant.get(&path).await?["share"]["status"].clone();
        ensure!(status == "extending", "{status}");
        far.resume()?;
        let extended = settle(&tenant, &path, "share", &["available"]).await?;
        ensure!(extended["size"] == 2, "{extended}");
        Ok(())
    })
}

/// Pin another key in the daemon's file, as its operator does, and tell the daemon.
fn pin(lab: &Lab, daemon: &Daemon, (from, to): (&str, &str)) -> anyhow::Result<()> {
    let file = lab.path().join("bulkhead.toml");
    let text = fs::read_to_string(&file)?;
    ensure!(text.contains(from), "{from} is not pinned");
    fs::write(&file, text.replace(from, to))?;
    let daemon = Pid::from_raw(daemon.id().try_into()?).context("no process")?;
    Ok(kill_process(daemon, Signal::HUP)?)
}

#[test]
fn a_changed_host_key_is_refused_until_it_is_pinned_also_while_the_backend_serves() -> anyhow::Result<()> {
    isolated(async |folder| {
        let Some(far) = Far::start(&folder, 4, DIRECTORIES)? else { return Ok(()) };
        let (own, another) = (far.host_key().to_owned(), far.another_key()?);
        let lab = lab_on(&far, Some(&another))?;
        let daemon = Daemon::start(&lab).await?;
        let line = format!("host-keys = [\"{own}\"]");
        let is_told = async || -> anyhow::Result<bool> {
            let shown = daemon.operator().get("/v1/backends/nas1").await?.to_string();
            Ok(shown.replace("\\\"", "\"").contains(&line))
        };
        until("the line to write is told", Duration::from_secs(60), &is_told).await?;
        pin(&lab, &daemon, (&another, &own))?;
        daemon.ready().await?;
        pin(&lab, &daemon, (&own, &another))?;
        far.cut()?;
        until("the line to write is told again", Duration::from_secs(120), &is_told).await?;
        pin(&lab, &daemon, (&another, &own))?;
        small_share(&daemon.tenant()).await?;
        Ok(())
    })
}

#[test]
fn btrfs_ganesha_keeps_the_contract_over_ssh() -> anyhow::Result<()> {
    isolated(async |folder| {
        let Some(far) = Far::start(&folder, 16, DIRECTORIES)? else { return Ok(()) };
        let [pool, kernel, config] = [far.directory("pool"), far.kernel()?, far.directory("config")];
        let text = format!(
            "place = \"ssh:far\"\n[options]\nexport_addresses = [\"{SERVER}\", \"{SERVER_V6}\"]\n[roots]\npool = {pool:?}\nkernel = {kernel:?}\nconfig = {config:?}\n{}",
            far.table(None)?
        );
        let lab = folder.join("lab.toml");
        fs::write(&lab, text)?;
        let report = check(&lab)?;
        let checks = report["checks"].as_array().context("no checks")?;
        let broken: Vec<&Value> = checks.iter().filter(|check| check["verdict"] == "broken").collect();
        ensure!(broken.is_empty(), "{broken:#?}");
        let held = |id: &str| checks.iter().any(|check| check["id"] == id && check["verdict"] == "held");
        for id in ["clone-content", "revert-content", "access-full-sync-removes"] {
            ensure!(held(id), "{id} did not hold: {report:#}");
        }
        ensure!(report["left-behind"].as_array().is_some_and(Vec::is_empty), "{}", report["left-behind"]);
        Ok(())
    })
}

fn check(lab: &Path) -> anyhow::Result<Value> {
    let mut command = Command::new(programs::program("bulkhead")?);
    command.args(["driver", "check"]).arg(programs::guest(DRIVER)?);
    let output = command.args(["--json", "--budget", "30", "--against"]).arg(lab).output()?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
}
