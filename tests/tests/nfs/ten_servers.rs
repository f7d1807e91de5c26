//! Ten share servers beside what a shell script takes for ten of the same: only the ratio counts, and it is of one run.

use anyhow::{Context, ensure};
use bulkhead_tests::daemon::{SETTLE, settle};
use bulkhead_tests::leftovers::processes_of;
use bulkhead_tests::machine::isolated;
use bulkhead_tests::tenants::{NETWORKS, Network, Tenants, share_on};
use bulkhead_tests::verbs::{share_path, text, until};
use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const BLUE: &Network = &NETWORKS[0];
const SERVERS: usize = 10;
/// How much longer than the script it may take: it also allocates, records, checks, and makes a share on each.
const RATIO: f64 = 2.5;

/// A share server as somebody with a shell makes one: a namespace with a device, a bus, a portmapper, Ganesha, a subvolume, an export.
const SCRIPT: &str = r#"
set -e
folder=$1 number=$2 pool=$3
name=by-hand-$number at=$folder/by-hand-$number address=10.91.0.$((100 + number))
mkdir -p $at/exports $at/shown
cat >$at/bus.conf <<END
<busconfig><type>session</type><listen>unix:path=$at/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>
END
cat >$at/ganesha.conf <<END
NFS_CORE_PARAM { Protocols = 3, 4; Bind_addr = $address; NFS_Port = 2049; MNT_Port = 20048; mount_path_pseudo = true;
  Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = false; }
NFSV4 { RecoveryBackend = fs; RecoveryRoot = "/run/ganesha"; Graceless = true; }
EXPORT_DEFAULTS { Access_Type = None; SecType = sys; Squash = None; Protocols = 3, 4; Transports = TCP; }
%dir "$at/exports"
END
btrfs subvolume create $pool/shares/$name >/dev/null
btrfs qgroup limit 1G $pool/shares/$name
ip netns add $name
ip -n blue-net link add by-hand$number type veth peer name eth0 netns $name
ip -n blue-net link set by-hand$number master br0 up
ip -n $name link set eth0 address $(printf '02:99:0a:5b:00:%02x' $((100 + number)))
ip -n $name link set lo up
ip -n $name address add $address/24 dev eth0
ip -n $name link set eth0 up
cat >$at/init.sh <<END
mount -t tmpfs tmpfs /run
mkdir -p /run/ganesha
rpcbind -f &
dbus-daemon --config-file=$at/bus.conf --nofork --nopidfile --nosyslog &
while ! [ -S $at/bus ] || ! [ -S /run/rpcbind.sock ]; do sleep 0.01; done
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$at/bus
exec ganesha.nfsd -F -f $at/ganesha.conf -L $at/log -p /run/ganesha.pid -N EVENT
END
setsid ip netns exec $name unshare -m -p --fork --kill-child --mount-proc --propagation private sh $at/init.sh >$at/out 2>&1 </dev/null &
top=$!
while ! ip netns exec $name bash -c "exec 3<>/dev/tcp/$address/2049" 2>/dev/null; do sleep 0.02; done
init=$(cat /proc/$top/task/$top/children); while [ -z "$init" ]; do init=$(cat /proc/$top/task/$top/children); done
nsenter -t $init -m mount --bind $pool/shares/$name $at/shown
echo "EXPORT { Export_Id = $((number + 1)); Path = \"$at/shown\"; Pseudo = \"/$name\"; FSAL { Name = VFS; } }" >$at/exports/share.conf
dbus-send --bus=unix:path=$at/bus --print-reply --dest=org.ganesha.nfsd /org/ganesha/nfsd/ExportMgr \
  org.ganesha.nfsd.exportmgr.AddExport string:$at/exports/share.conf "string:EXPORT(Export_Id=$((number + 1)))" >/dev/null
"#;

/// How long the script takes for all of them, one beside the other.
fn by_script(folder: &Path, pool: &Path) -> anyhow::Result<Duration> {
    let script = folder.join("by-hand.sh");
    std::fs::write(&script, SCRIPT)?;
    let began = Instant::now();
    let mut running = Vec::new();
    for number in 0..SERVERS {
        let mut command = Command::new("bash");
        command.arg(&script).arg(folder).arg(number.to_string()).arg(pool);
        running.push(command.spawn().context("bash cannot be started")?);
    }
    for mut child in running {
        ensure!(child.wait()?.success(), "the script failed");
    }
    Ok(began.elapsed())
}

/// How long the daemon takes until there is a share on each of as many share servers.
async fn by_daemon(site: &Tenants) -> anyhow::Result<Duration> {
    let tenant = site.tenant(BLUE);
    let mut networks = Vec::new();
    for _ in 0..SERVERS {
        networks.push(site.share_network(BLUE).await?);
    }
    let began = Instant::now();
    let mut shares = Vec::new();
    for network in &networks {
        let made = tenant.post("/v2/shares", &json!({ "share": share_on(BLUE, network) })).await?;
        shares.push(text(&made["share"]["id"])?);
    }
    for share in &shares {
        settle(&tenant, &share_path(share), "share", &["available"]).await?;
    }
    Ok(began.elapsed())
}

#[test]
#[ignore = "it measures, and wants a machine for itself: cargo xtask soak"]
fn ten_share_servers_take_at_most_two_and_a_half_times_what_a_script_takes_for_them() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Tenants::start(&folder).await?;
        let daemon = by_daemon(&site).await?;
        ensure!(processes_of("ganesha.nfsd").len() == SERVERS);
        let script = by_script(&folder, site.pool.path())?;
        let ratio = daemon.as_secs_f64() / script.as_secs_f64();
        say(&format!(
            "{SERVERS} share servers: {daemon:.2?}, by a script {script:.2?}: {ratio:.2} times as long"
        ));
        let began = Instant::now();
        let listed = site.tenant(BLUE).get("/v2/shares").await?;
        for share in listed["shares"].as_array().into_iter().flatten() {
            site.tenant(BLUE).delete(&share_path(&text(&share["id"])?)).await?;
        }
        until("all share servers are gone", SETTLE, async || Ok(site.servers().await?.is_empty())).await?;
        say(&format!("gone again in {:.2?}", began.elapsed()));
        ensure!(ratio <= RATIO, "{ratio:.2} times as long as a script");
        Ok(())
    })
}

#[expect(clippy::print_stderr, reason = "a measurement is read")]
fn say(text: &str) {
    eprintln!("{text}");
}
