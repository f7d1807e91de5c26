//! Servers that are none: nothing they send is waited for or kept without bound.

use crate::keys;
use bulkhead_capability::execute::{Dial, DialError};
use bulkhead_ssh::{FarHelper, Target, Way};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What this process has in memory, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a figure");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") * 1024
}

/// Dial a server that does `serve` with each connection.
async fn dial<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let folder = tempfile::tempdir().expect("a folder");
    let (private, public) = keys::make(folder.path(), "key");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    let target = Target {
        connect_timeout: Duration::from_secs(2),
        ..keys::target(port, &public, vec![keys::key(&private)])
    };
    let helper = FarHelper { program: "/helper".to_owned(), runtime: "/runtime".to_owned(), policy: None };
    let way = Way::new(Arc::new(target), helper);
    let (begun, before) = (Instant::now(), resident());
    let error: DialError = way.dial().await.expect_err("it is no server");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(resident().saturating_sub(before) < 64 << 20, "memory grew");
    server.abort();
    error.to_string()
}

/// X18: a banner of a gigabyte, with and without ends of lines.
#[tokio::test]
async fn a_banner_without_end_is_cut() {
    for line in [b"x".repeat(65_536), b"banner line\r\n".repeat(5_000)] {
        let told = dial(move |mut stream| {
            let line = line.clone();
            async move {
                for _ in 0..16_384 {
                    if stream.write_all(&line).await.is_err() {
                        return;
                    }
                }
            }
        })
        .await;
        assert!(told.contains("ssh target 'array'"), "{told}");
    }
}

/// X18: lengths of 32 bits, and garbage.
#[tokio::test]
async fn lengths_that_lie_and_garbage_end_the_connection() {
    for bytes in [vec![0xff; 70_000], vec![0; 70_000], b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()] {
        let told = dial(move |mut stream| {
            let bytes = bytes.clone();
            async move {
                let _gone = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.is_err();
                let _gone = stream.write_all(&bytes).await.is_err();
                tokio::time::sleep(Duration::from_secs(20)).await;
            }
        })
        .await;
        assert!(told.contains("ssh target 'array'"), "{told}");
    }
}

/// X18: one that says nothing, and one that says a byte now and then.
#[tokio::test]
async fn a_server_that_takes_its_time_is_given_up() {
    let silent = dial(|mut stream| async move {
        let mut block = [0; 1024];
        while stream.read(&mut block).await.is_ok_and(|read| read > 0) {}
    })
    .await;
    assert!(silent.contains("within 2 s"), "{silent}");
    let slow = dial(|mut stream| async move {
        for byte in b"SSH-2.0-a-server-that-is-slow\r\n".iter().cycle() {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert!(slow.contains("ssh target 'array'"), "{slow}");
}

#[tokio::test]
async fn nobody_there_is_told_with_the_address() {
    let folder = tempfile::tempdir().expect("a folder");
    let (private, public) = keys::make(folder.path(), "key");
    let free =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port").local_addr().expect("it").port();
    let helper = FarHelper { program: "/helper".to_owned(), runtime: "/runtime".to_owned(), policy: None };
    let way = Way::new(Arc::new(keys::target(free, &public, vec![keys::key(&private)])), helper);
    let told = way.dial().await.expect_err("nobody").to_string();
    assert!(told.contains(&format!("127.0.0.1:{free}")), "{told}");
}
