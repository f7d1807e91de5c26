//! P7: from POST to `available` on a real daemon, beside what one durable write costs on the same disk.

use crate::table::{Line, Samples, render};
use anyhow::{Context, ensure};
use bulkhead_tests::daemon::Daemon;
use bulkhead_tests::lab::Lab;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// How much one durable write of the floor is, in bytes.
const RECORD: usize = 1024;
/// How many ask at once, to see whether commits are shared.
const WAITERS: [u32; 3] = [1, 8, 64];
const SETTLE: Duration = Duration::from_secs(30);

/// Create `rounds` shares one by one, then as many again by several waiters at once.
pub(crate) async fn measure(rounds: u32) -> anyhow::Result<String> {
    let lab = Lab::new()?.with_backend("array", "memory", "")?;
    let daemon = Daemon::start(&lab).await?;
    daemon.ready().await?;
    let mut connection = Connection::open(daemon.address()).await?;
    let (mut floor, mut answered, mut available) =
        (Samples::default(), Samples::default(), Samples::default());
    let mut disk = Disk::new(lab.path())?;
    for _ in 0..rounds {
        floor.add(disk.write()?);
        let began = Instant::now();
        let id = connection.create().await?;
        answered.add(began.elapsed());
        connection.wait_until_available(&id).await?;
        available.add(began.elapsed());
    }
    let peer = floor.median();
    let lines = [
        Line::new("peer: 1 KiB written and fdatasync, the state's disk", floor),
        Line::new("POST answered: the share and its operation are durable", answered),
        Line::new("POST to available: the driver called, its result durable", available).with_goal("P7", 5.0),
    ];
    let mut text = render("POST /v2/shares, driver memory", peer, &lines);
    write!(text, "\n\nshares made by several waiters at once:")?;
    for waiters in WAITERS {
        let each = (rounds / waiters).max(1);
        let began = Instant::now();
        let tasks: Vec<_> = (0..waiters).map(|_| tokio::spawn(create_some(daemon.address(), each))).collect();
        for task in tasks {
            task.await??;
        }
        let made = f64::from(waiters * each);
        write!(text, " {waiters}: {:.0}/s", made / began.elapsed().as_secs_f64())?;
    }
    Ok(text)
}

async fn create_some(address: SocketAddr, count: u32) -> anyhow::Result<()> {
    let mut connection = Connection::open(address).await?;
    for _ in 0..count {
        let id = connection.create().await?;
        connection.wait_until_available(&id).await?;
    }
    Ok(())
}

/// A file beside the state.
struct Disk(File);

impl Disk {
    fn new(folder: &Path) -> anyhow::Result<Self> {
        Ok(Self(File::create(folder.join("floor"))?))
    }

    fn write(&mut self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        self.0.write_all(&[7; RECORD])?;
        self.0.sync_data()?;
        Ok(began.elapsed())
    }
}

/// One connection of a tenant, kept open.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl Connection {
    async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, host: address.to_string() })
    }

    async fn send(&mut self, method: &str, path: &str, body: Vec<u8>) -> anyhow::Result<Value> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.host)
            .header("content-type", "application/json")
            .header("x-openstack-manila-api-version", "2.51")
            .body(Full::new(Bytes::from(body)))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let bytes = response.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "{method} {path}: {status} {}", String::from_utf8_lossy(&bytes));
        Ok(serde_json::from_slice(&bytes)?)
    }

    async fn create(&mut self) -> anyhow::Result<String> {
        let body = json!({ "share": { "share_proto": "NFS", "size": 1 } });
        let answer = self.send("POST", "/v2/shares", serde_json::to_vec(&body)?).await?;
        let id = answer.pointer("/share/id").and_then(Value::as_str);
        Ok(id.context("the id of the new share")?.to_owned())
    }

    async fn wait_until_available(&mut self, id: &str) -> anyhow::Result<()> {
        let began = Instant::now();
        while began.elapsed() < SETTLE {
            let answer = self.send("GET", &format!("/v2/shares/{id}"), Vec::new()).await?;
            match answer.pointer("/share/status").and_then(Value::as_str) {
                Some("available") => return Ok(()),
                Some("creating") => {}
                other => anyhow::bail!("the share came to rest as {other:?}"),
            }
        }
        anyhow::bail!("the share is not available after {SETTLE:?}")
    }
}
