//! The two doors as listeners: a network address for tenants, a unix socket for the operator.
//!
//! A connection that sends its headers slowly, or reads its answers slowly, is closed after a bounded time: nobody can hold the
//! connections that others need, or keep the daemon from ending, by doing nothing.

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::unix::SocketAddr;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};

/// The most connections of one door at once; more wait until one ends. Half of what a process may usually have open.
const CONNECTIONS: u32 = 512;
/// How long clients are waited for. The stock client asks every 5 seconds at least while it waits for something.
const PATIENCE: Patience = Patience {
    headers: Duration::from_secs(15),
    connection: Duration::from_secs(300),
    closing: Duration::from_secs(5),
};

#[derive(Debug, Clone, Copy)]
struct Patience {
    /// The longest a connection may take to send the headers of a request, or rest between two.
    headers: Duration,
    /// How long a connection may live. Clients connect again by themselves.
    connection: Duration,
    /// How long a connection that is to end may take to finish the request in work.
    closing: Duration,
}

/// Serve `routes` at a network address until `stop` is ready and every request in work has its answer, or had 5 seconds for it.
///
/// # Errors
/// None at present: a listener that cannot accept tries again.
pub async fn serve_network(
    listener: TcpListener,
    routes: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    serve(listener, routes, PATIENCE, stop).await;
    Ok(())
}

/// Serve `routes` at the operator's socket, and end as [`serve_network`] does. The socket is removed then.
///
/// # Errors
/// The socket cannot be removed.
pub async fn serve_socket(
    socket: OperatorSocket,
    routes: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let path = socket.path.clone();
    serve(socket, routes, PATIENCE, stop).await;
    std::fs::remove_file(path)
}

async fn serve<L: Listener>(
    mut listener: L,
    routes: Router,
    patience: Patience,
    stop: impl Future<Output = ()>,
) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS.try_into().unwrap_or(Semaphore::MAX_PERMITS)));
    // Nothing is ever sent: the sender is dropped when the door closes.
    let (open, closing) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        let next = async {
            let permit = Arc::clone(&connections).acquire_owned().await;
            (listener.accept().await.0, permit)
        };
        let (stream, permit) = tokio::select! {
            () = &mut stop => break,
            next = next => next,
        };
        let (routes, closing) = (routes.clone(), closing.clone());
        tokio::spawn(async move {
            converse::<L>(stream, routes, patience, closing).await;
            drop(permit);
        });
    }
    drop(listener);
    drop(open);
    drop(connections.acquire_many(CONNECTIONS).await);
}

/// Serve one connection until its client leaves, its time is over or the door closes.
async fn converse<L: Listener>(
    stream: L::Io,
    routes: Router,
    patience: Patience,
    mut closing: watch::Receiver<()>,
) {
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(patience.headers)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = closing.changed() => None,
        () = tokio::time::sleep(patience.connection) => None,
    };
    let ended = match ended {
        Some(ended) => Ok(ended),
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(patience.closing, connection).await
        }
    };
    // What a client does with its connection is its own affair.
    if let Ok(Err(error)) = ended {
        tracing::debug!(error = %error, "a connection broke off");
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use std::future::pending;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(3600);

    async fn door() -> (TcpListener, std::net::SocketAddr, Router) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        (listener, address, Router::new().route("/", get(async || "served")))
    }

    async fn unfinished_request(address: std::net::SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n").await.expect("sent");
        stream
    }

    async fn closed(mut stream: TcpStream) {
        let mut rest = Vec::new();
        // A reset is as good as an end here.
        drop(stream.read_to_end(&mut rest).await);
        assert!(!String::from_utf8_lossy(&rest).contains("served"));
    }

    #[tokio::test]
    async fn a_connection_that_never_finishes_its_headers_is_closed() {
        let (listener, address, routes) = door().await;
        let patience = Patience { headers: SHORT, connection: LONG, closing: LONG };
        tokio::spawn(serve(listener, routes, patience, pending()));
        closed(unfinished_request(address).await).await;
    }

    #[tokio::test]
    async fn a_connection_does_not_live_for_ever() {
        let (listener, address, routes) = door().await;
        let patience = Patience { headers: LONG, connection: SHORT, closing: SHORT };
        tokio::spawn(serve(listener, routes, patience, pending()));
        closed(unfinished_request(address).await).await;
    }

    #[tokio::test]
    async fn an_unfinished_request_does_not_keep_the_door_open() {
        let (listener, address, routes) = door().await;
        let patience = Patience { headers: LONG, connection: LONG, closing: SHORT };
        let stream = unfinished_request(address).await;
        let stop = async {
            // Only once the connection is being served.
            let mut served = TcpStream::connect(address).await.expect("connected");
            served.write_all(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await.expect("sent");
            let mut answer = String::new();
            served.read_to_string(&mut answer).await.expect("an answer");
            assert!(answer.contains("served"));
        };
        serve(listener, routes, patience, stop).await;
        closed(stream).await;
    }
}
