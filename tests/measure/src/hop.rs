//! The peer as the container storage interface has it: a driver in a process of its own, called with gRPC over a unix socket.

use crate::record::{Answer, Request, serve};
use anyhow::Context;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::task::{self, Poll};
use std::time::{Duration, Instant};
use tokio::net::{UnixListener, UnixStream};
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codegen::http::{self, uri::PathAndQuery};
use tonic::server::UnaryService;
use tonic::transport::{Channel, Endpoint, Server};
use tonic_prost::ProstCodec;

const METHOD: &str = "/measure.Driver/UpdateAccess";
const START: Duration = Duration::from_secs(10);

/// The other process and a connection to it.
pub(crate) struct Hop {
    child: Child,
    client: Grpc<Channel>,
}

impl Hop {
    /// Start the process and connect.
    pub(crate) async fn start(folder: &Path) -> anyhow::Result<Self> {
        let socket = folder.join("hop.sock");
        let child = Command::new(std::env::current_exe()?)
            .arg("serve-hop")
            .arg(&socket)
            .stdin(Stdio::null())
            .spawn()
            .context("the peer cannot be started")?;
        let started = Instant::now();
        while !socket.exists() && started.elapsed() < START {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let connect = move |_: http::Uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        };
        let endpoint = Endpoint::from_static("http://peer");
        let channel = endpoint.connect_with_connector(tower::service_fn(connect)).await?;
        Ok(Self { child, client: Grpc::new(channel) })
    }

    /// One call.
    pub(crate) async fn call(&mut self, request: Request) -> anyhow::Result<Answer> {
        self.client.ready().await?;
        let codec = ProstCodec::<Request, Answer>::default();
        let path = PathAndQuery::from_static(METHOD);
        Ok(self.client.unary(tonic::Request::new(request), path, codec).await?.into_inner())
    }
}

impl Drop for Hop {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Serve at `socket` until killed.
pub(crate) async fn serve_at(socket: PathBuf) -> anyhow::Result<()> {
    let listener = UnixListener::bind(socket)?;
    let incoming = Incoming(listener);
    Ok(Server::builder().serve_with_incoming(Driver, incoming).await?)
}

/// The connections that come.
struct Incoming(UnixListener);

impl tonic::codegen::tokio_stream::Stream for Incoming {
    type Item = std::io::Result<UnixStream>;

    fn poll_next(self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_accept(context).map(|accepted| Some(accepted.map(|(stream, _)| stream)))
    }
}

/// The service, written down as generated code would.
#[derive(Clone)]
struct Driver;

impl tower::Service<http::Request<Body>> for Driver {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<Answer, Request>::default());
            Ok(grpc.unary(UpdateAccess, request).await)
        })
    }
}

struct UpdateAccess;

impl UnaryService<Request> for UpdateAccess {
    type Response = Answer;
    type Future = Ready<Result<tonic::Response<Answer>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<Request>) -> Self::Future {
        ready(Ok(tonic::Response::new(serve(request.get_ref()))))
    }
}
