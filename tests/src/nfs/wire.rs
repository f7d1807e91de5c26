//! Connections from a chosen address, and the one way a call is made: its answer or its failure, within a limit.

use super::{Failure, Place};
use nfs3_client::io::{AsyncRead, AsyncWrite};
use nfs3_client::nfs3_types::mount::dirpath;
use nfs3_client::nfs3_types::nfs3::{Nfs3Result, nfs_fh3};
use nfs3_client::nfs3_types::rpc::{auth_unix, opaque_auth};
use nfs3_client::nfs3_types::xdr_codec::Opaque;
use nfs3_client::{MountClient, Nfs3Client, RpcError};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// A server that takes a call and does not answer it within this is broken.
const ANSWER: Duration = Duration::from_secs(20);

/// A connection. The client library's own wrapper reads on for ever when the server has closed it; this one says so.
pub(super) struct Stream(TcpStream);

impl AsyncRead for Stream {
    async fn async_read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer).await
    }

    async fn async_read_exact(&mut self, buffer: &mut [u8]) -> std::io::Result<()> {
        self.0.read_exact(buffer).await.map(drop)
    }
}

impl AsyncWrite for Stream {
    async fn async_write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.0.write(buffer).await
    }

    async fn async_write_all(&mut self, buffer: &[u8]) -> std::io::Result<()> {
        self.0.write_all(buffer).await
    }
}

async fn connect(place: &Place, to: SocketAddr) -> Result<Stream, Failure> {
    let socket = match &place.namespace {
        None => socket_for(to)?,
        // A socket stays in the namespace it was made in, wherever its thread goes afterwards.
        Some(namespace) => std::thread::scope(|scope| {
            let made = scope.spawn(|| {
                let there = std::fs::File::open(Path::new("/run/netns").join(namespace))?;
                move_into_link_name_space(there.as_fd(), Some(LinkNameSpaceType::Network))?;
                socket_for(to)
            });
            made.join().unwrap_or_else(|_| Err(std::io::Error::other("no socket could be made")))
        })?,
    };
    // One that was connected a moment ago may still wait for late packets.
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(place.source, 0))?;
    let stream = limited(async { Ok(socket.connect(to).await?) }).await?;
    stream.set_nodelay(true)?;
    Ok(Stream(stream))
}

fn socket_for(to: SocketAddr) -> std::io::Result<TcpSocket> {
    if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }
}

/// Who we say we are: root, who may write wherever nobody squashes it.
fn credential() -> opaque_auth<'static> {
    opaque_auth::auth_unix(&auth_unix {
        stamp: 1,
        machinename: Opaque::borrowed(b"client"),
        ..auth_unix::default()
    })
}

/// A connection to the server's NFS.
pub(super) async fn nfs(place: &Place) -> Result<Nfs3Client<Stream>, Failure> {
    let stream = connect(place, place.nfs()).await?;
    Ok(Nfs3Client::new_with_auth(stream, credential(), opaque_auth::default()))
}

async fn mount_client(place: &Place) -> Result<MountClient<Stream>, Failure> {
    let stream = connect(place, place.mount()).await?;
    Ok(MountClient::new_with_auth(stream, credential(), opaque_auth::default()))
}

/// Ask for the root of an export.
pub(super) async fn mount(place: &Place) -> Result<nfs_fh3, Failure> {
    let mut client = mount_client(place).await?;
    let path = dirpath(Opaque::borrowed(place.path.as_bytes()));
    let mounted = limited(async { Ok(client.mnt(path).await?) }).await?;
    Ok(nfs_fh3 { data: mounted.fhandle.0 })
}

/// The paths of all exports that the server tells `place.source` about.
pub(super) async fn exports(place: &Place) -> Result<Vec<String>, Failure> {
    let mut client = mount_client(place).await?;
    let exports = limited(async { Ok(client.export().await?) }).await?;
    Ok(exports.into_inner().iter().map(|export| text(&export.ex_dir.0)).collect())
}

/// Bytes as text; what is no UTF-8 is replaced.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a call answered, or why not.
pub(super) async fn answer<T, E>(
    call: impl Future<Output = Result<Nfs3Result<T, E>, RpcError>>,
) -> Result<T, Failure> {
    match limited(async { Ok(call.await?) }).await? {
        Nfs3Result::Ok(answered) => Ok(answered),
        Nfs3Result::Err((status, _)) => Err(Failure::of(status)),
    }
}

async fn limited<T>(call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    match tokio::time::timeout(ANSWER, call).await {
        Ok(answered) => answered,
        Err(_) => Err(Failure::Broken(format!("none within {ANSWER:?}"))),
    }
}
