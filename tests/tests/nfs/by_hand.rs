//! The laboratory itself: what the other tests stand on, shown with a Ganesha that was set up by hand, without the daemon.

use anyhow::{Context, ensure};
use bulkhead_tests::leftovers::{Inventory, processes_of};
use bulkhead_tests::machine::{self, CLIENTS, CLIENTS_V6, SERVER, SERVER_V6, isolated};
use bulkhead_tests::nfs::{Client, Failure, Place};
use bulkhead_tests::pool::Pool;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PORTS: (u16, u16) = (2049, 20048);

/// rpcbind and Ganesha with one export. Both end when it is dropped.
struct ByHand {
    processes: Vec<Child>,
}

impl ByHand {
    fn start(folder: &Path, exported: &Path) -> anyhow::Result<Self> {
        run(Command::new("mount").args(["-t", "tmpfs", "tmpfs", "/run"]))?;
        std::fs::create_dir_all("/run/ganesha")?;
        let configuration = folder.join("ganesha.conf");
        std::fs::write(&configuration, text(folder, exported))?;
        let mut hand = Self { processes: Vec::new() };
        hand.spawn(Command::new(program("rpcbind")?).arg("-f"))?;
        until(|| Path::new("/run/rpcbind.sock").exists())?;
        let mut ganesha = Command::new(program("ganesha.nfsd")?);
        ganesha.args(["-F", "-N", "EVENT", "-p", "/run/ganesha.pid", "-L"]).arg(folder.join("ganesha.log"));
        hand.spawn(ganesha.arg("-f").arg(configuration))?;
        until(|| TcpStream::connect((SERVER, PORTS.0)).is_ok())?;
        Ok(hand)
    }

    fn spawn(&mut self, command: &mut Command) -> anyhow::Result<()> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        self.processes.push(child);
        Ok(())
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        for process in &mut self.processes {
            process.kill().ok();
            process.wait().ok();
        }
    }
}

fn program(name: &str) -> anyhow::Result<PathBuf> {
    machine::find(name).with_context(|| format!("{name} is not installed"))
}

fn text(folder: &Path, exported: &Path) -> String {
    let [reader, folder, exported] =
        [CLIENTS[1].to_owned(), folder.display().to_string(), exported.display().to_string()];
    format!(
        r#"NFS_CORE_PARAM {{ NFS_Port = {}; MNT_Port = {}; mount_path_pseudo = true; Protocols = 3; Bind_addr = ::;
  Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = false; }}
NFSV4 {{ Graceless = true; RecoveryBackend = fs; RecoveryRoot = "{folder}"; }}
EXPORT_DEFAULTS {{ SecType = sys; Protocols = 3; Squash = none; Access_Type = NONE; }}
EXPORT {{ Export_Id = 11; Path = "{exported}"; Pseudo = "/s1";
  CLIENT {{ Clients = {}, fd77::/64; Access_Type = RW; Protocols = 3; }}
  CLIENT {{ Clients = {reader}; Access_Type = RO; Protocols = 3; }}
  FSAL {{ Name = VFS; }} }}
"#,
        PORTS.0, PORTS.1, CLIENTS[0]
    )
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn until(holds: impl Fn() -> bool) -> anyhow::Result<()> {
    let began = Instant::now();
    while !holds() {
        ensure!(began.elapsed() < Duration::from_secs(10), "it does not come up");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn place(server: &str, source: &str) -> anyhow::Result<Place> {
    let server = if server.contains(':') { format!("[{server}]") } else { server.to_owned() };
    Place::of(&format!("{server}:/s1"), PORTS, source)
}

#[test]
fn clients_of_either_family_are_told_apart_and_a_quota_reaches_them() -> anyhow::Result<()> {
    isolated(async |folder| {
        let pool = Pool::make(&folder, "pool", 2, &["shares"])?;
        let (share, exported) = (pool.directory("shares").join("s1"), folder.join("exported"));
        pool.btrfs(&["subvolume", "create"], &share)?;
        pool.btrfs(&["qgroup", "limit", "8M"], &share)?;
        std::fs::create_dir(&exported)?;
        run(Command::new("mount").arg("--bind").args([&share, &exported]))?;
        let hand = ByHand::start(&folder, &exported)?;

        let mut writer = Client::mount(place(SERVER, CLIENTS[0])?).await?;
        writer.write("letter", b"dear all").await?;
        let mut reader = Client::mount(place(SERVER, CLIENTS[1])?).await?;
        ensure!(reader.read("letter").await? == b"dear all");
        ensure!(reader.write("letter", b"no").await == Err(Failure::ReadOnly));
        let stranger = Client::mount(place(SERVER, CLIENTS[2])?).await;
        ensure!(stranger.as_ref().err() == Some(&Failure::AccessDenied), "{stranger:?}");
        let mut modern = Client::mount(place(SERVER_V6, CLIENTS_V6[0])?).await?;
        modern.write("letter6", &[7; 100_000]).await?;
        ensure!(modern.list().await? == ["letter", "letter6"]);
        let stranger = Client::mount(place(SERVER_V6, CLIENTS_V6[1])?).await;
        ensure!(stranger.as_ref().err() == Some(&Failure::AccessDenied), "{stranger:?}");

        let (written, stopped) = writer.fill("large", 32 << 20).await?;
        ensure!(stopped == Some(Failure::QuotaExceeded), "{written} bytes, then {stopped:?}");
        ensure!((4 << 20..=8 << 20).contains(&written), "{written} bytes of 8 MiB were taken");
        writer.remove("large").await?;
        drop(hand);
        let gone = writer.read("letter").await;
        ensure!(gone.as_ref().is_err_and(Failure::is_broken), "{gone:?}");
        Ok(())
    })
}

#[test]
fn what_is_left_behind_is_seen() -> anyhow::Result<()> {
    isolated(async |folder| {
        let pool = Pool::make(&folder, "pool", 1, &["shares"])?;
        let before = Inventory::take(&folder, &[&pool])?;
        let subvolume = pool.directory("shares").join("forgotten");
        pool.btrfs(&["subvolume", "create"], &subvolume)?;
        let mut sleeper = Command::new("unshare").args(["--mount", "sleep", "600"]).spawn()?;
        until(|| !processes_of("sleep").is_empty())?;
        let after = Inventory::take(&folder, &[&pool])?;
        let new = |kind: &str| {
            let known: Vec<&str> = before.of_kind(kind).collect();
            after.of_kind(kind).filter(|line| !known.contains(line)).count()
        };
        ensure!(
            new("subvolume ") == 1 && new("process ") == 1 && new("namespace ") == 1,
            "{before:?} {after:?}"
        );
        ensure!(new("mount ") > 0 && new("loop ") == 0, "{before:?} {after:?}");
        sleeper.kill()?;
        sleeper.wait()?;
        pool.btrfs(&["subvolume", "delete"], &subvolume)?;
        Inventory::expect_nothing_since(&before, &folder, &[&pool]).await
    })
}

#[test]
fn a_machine_ends_with_all_that_runs_on_it() -> anyhow::Result<()> {
    isolated(async |folder| {
        ensure!(std::process::id() > 1, "somebody else is process 1");
        ensure!(processes_of("ganesha.nfsd").is_empty(), "another machine's processes are seen");
        // Nobody waits for these, and nobody unmounts: the end of the machine does.
        let pool = Pool::make(&folder, "pool", 1, &[])?;
        Command::new("sleep").arg("600").current_dir(pool.path()).spawn()?;
        std::mem::forget(pool);
        Ok(())
    })
}
