//! The two doors as listeners: a network address for tenants, a unix socket for the operator.

use axum::Router;
use axum::serve::Listener;
use std::future::Future;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::net::unix::SocketAddr;
use tokio::net::{TcpListener, UnixListener, UnixStream};

/// Serve `routes` at a network address until `stop` is ready and every request in work has its answer.
///
/// # Errors
/// The listener broke.
pub async fn serve_network(
    listener: TcpListener,
    routes: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, routes).with_graceful_shutdown(stop).await
}

/// Serve `routes` at the operator's socket until `stop` is ready and every request in work has its answer. The socket is removed then.
///
/// # Errors
/// The listener broke.
pub async fn serve_socket(
    socket: OperatorSocket,
    routes: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let path = socket.path.clone();
    axum::serve(socket, routes).with_graceful_shutdown(stop).await?;
    std::fs::remove_file(path)
}

/// The operator's socket: mode 0600, and only processes of the daemon's own user or root are heard.
#[derive(Debug)]
pub struct OperatorSocket {
    listener: UnixListener,
    path: PathBuf,
    user: u32,
}

impl OperatorSocket {
    /// Listen at `path`. A socket that an earlier daemon left there is replaced: the caller holds the lock on the state directory.
    ///
    /// # Errors
    /// The path is too long for a socket (107 bytes), or something else stands there.
    pub fn bind(path: &Path) -> io::Result<Self> {
        if path
            .symlink_metadata()
            .is_ok_and(|metadata| std::os::unix::fs::FileTypeExt::is_socket(&metadata.file_type()))
        {
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        let user = std::os::unix::fs::MetadataExt::uid(&path.symlink_metadata()?);
        Ok(Self { listener, path: path.to_owned(), user })
    }

    fn is_operator(&self, stream: &UnixStream) -> bool {
        // The file's mode keeps others out; the kernel's word on the peer holds even if somebody has changed that mode.
        stream.peer_cred().is_ok_and(|peer| peer.uid() == self.user || peer.uid() == 0)
    }
}

impl Listener for OperatorSocket {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            if self.is_operator(&stream) {
                return (stream, address);
            }
            tracing::warn!(
                "somebody who is not the operator reached for the operator's socket and was turned away"
            );
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
