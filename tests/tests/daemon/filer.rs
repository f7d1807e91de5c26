//! Share servers that are each managed at an address of their own: the host finds them, logs into each, and leaves each.

use bulkhead_tests::daemon::{Daemon, gone};
use bulkhead_tests::http::Client;
use bulkhead_tests::lab::Lab;
use bulkhead_tests::programs;
use bulkhead_tests::verbs::{create_share, create_type, delete_share, location, text, until};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const PASSWORD: &str = "correct & horse";
/// Where the first two servers are managed; tenants reach them elsewhere.
const ADDRESSES: [&str; 2] = ["127.78.0.2", "127.78.0.3"];

/// What one server has, and what it was asked.
#[derive(Debug, Default)]
struct Server {
    volumes: Vec<String>,
    logins: usize,
    logouts: usize,
    /// Whether the newest session goes on.
    is_open: bool,
}

/// The servers at [`ADDRESSES`], all at one port, with one certificate for all.
struct Filer {
    servers: Vec<Arc<Mutex<Server>>>,
    port: u16,
    certificate: String,
}

impl Filer {
    async fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(ADDRESSES.map(str::to_owned)).expect("a certificate");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("a configuration");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let mut filer = Self { servers: Vec::new(), port: 0, certificate: made.cert.pem() };
        for address in ADDRESSES {
            let listener = TcpListener::bind((address, filer.port)).await.expect("a free port");
            filer.port = listener.local_addr().expect("an address").port();
            let server = Arc::new(Mutex::default());
            filer.servers.push(Arc::clone(&server));
            tokio::spawn(serve(listener, acceptor.clone(), server));
        }
        filer
    }

    fn server<T>(&self, number: usize, look: impl FnOnce(&mut Server) -> T) -> T {
        look(&mut self.servers[number].lock().expect("no panic"))
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, server: Arc<Mutex<Server>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, server) = (acceptor.clone(), Arc::clone(&server));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(|request| answer(request, Arc::clone(&server)));
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    server: Arc<Mutex<Server>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let mut server = server.lock().expect("no panic");
    let (status, text) = match (head.method.as_str(), head.uri.path()) {
        ("POST", "/login") => log_in(&mut server, &body),
        _ if !server.is_open || header("x-token") != Some(&token(&server)) => {
            (200, "<fault><code>session-ended</code></fault>".to_owned())
        }
        ("GET", "/system") => (200, "<system/>".to_owned()),
        _ if header("x-csrf") != Some(&csrf(&server)) => {
            (403, "<fault><code>forged</code></fault>".to_owned())
        }
        ("DELETE", "/login") => {
            server.is_open = false;
            server.logouts += 1;
            (200, String::new())
        }
        ("PUT", volume) => {
            server.volumes.push(volume.to_owned());
            (201, String::new())
        }
        ("DELETE", volume) => {
            server.volumes.retain(|known| known != volume);
            (200, String::new())
        }
        _ => (404, String::new()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status.try_into().expect("a status");
    Ok(response)
}

/// As it is told in XML: with letters that have to be escaped there.
fn token(server: &Server) -> String {
    format!("token<{}>", server.logins)
}

fn csrf(server: &Server) -> String {
    format!("csrf-&-{}", server.logins)
}

fn log_in(server: &mut Server, body: &[u8]) -> (u16, String) {
    let expected = "<login><user>admin</user><password>correct &amp; horse</password></login>";
    if body != expected.as_bytes() {
        return (403, "<fault><code>password</code></fault>".to_owned());
    }
    server.logins += 1;
    server.is_open = true;
    let number = server.logins;
    let text = format!(
        "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"urn:acme\"><s:Body><session token=\"token&lt;{number}&gt;\">\
         <csrf>csrf-&amp;-{number}</csrf></session></s:Body></s:Envelope>"
    );
    (200, text)
}

/// A daemon with a backend on these servers, and a share type for it.
async fn started(filer: &Filer) -> (Lab, Daemon) {
    let lab = Lab::new().expect("a lab");
    let lab = lab.with_main("[intervals]\nunused-share-server-seconds = 0\n");
    let (password, certificate) = (lab.path().join("password"), lab.path().join("servers.pem"));
    std::fs::write(&password, PASSWORD).expect("written");
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    std::fs::write(&certificate, &filer.certificate).expect("written");
    let options =
        format!("driver_handles_share_servers = true\npassword = \"secret://file{}\"\n", password.display());
    let text = lab
        .backend_text("nas1", &programs::guest("filer").expect("the driver"), &options, &[])
        .expect("a text");
    let networks = "[[grant.networks.user]]\ngateway = \"127.77.0.1\"\nmask = 28\n\
                    [[grant.networks.admin]]\ngateway = \"127.78.0.1\"\nmask = 28\n";
    let endpoint = format!(
        "[grant.endpoints]\nserver = {{ share-server = {{ network = \"admin\", port = {} }}, ca = {:?} }}\n",
        filer.port,
        certificate.display().to_string()
    );
    std::fs::write(lab.backend_file("nas1"), format!("{text}\n{networks}\n{endpoint}")).expect("written");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    daemon.ready().await.expect("a ready backend");
    let specs = json!({ "driver_handles_share_servers": "True" });
    create_type(&daemon.operator(), "served", specs).await.expect("a type");
    (lab, daemon)
}

async fn share_on_new_network(client: &Client) -> (String, String) {
    let made = client.post("/v2/share-networks", &json!({ "share_network": {} })).await.expect("made");
    let network = text(&made["share_network"]["id"]).expect("an id");
    (create_share(client, on(&network)).await.expect("a share"), network)
}

fn on(network: &str) -> Value {
    json!({ "share_proto": "NFS", "size": 1, "share_type": "served", "share_network_id": network })
}

#[tokio::test]
async fn each_share_server_is_managed_at_its_own_address_in_a_session_of_its_own_that_ends_with_it() {
    let filer = Filer::start().await;
    let (lab, daemon) = started(&filer).await;
    let (blue, red) = (daemon.tenant(), daemon.tenant().header("x-bulkhead-project", "red"));
    let (first, network) = share_on_new_network(&blue).await;
    let (foreign, of_red) = share_on_new_network(&red).await;
    for (client, share, address) in [(&blue, &first, "127.77.0.2:"), (&red, &foreign, "127.77.0.3:")] {
        let at = location(client, share).await.expect("a location");
        assert!(at.starts_with(address), "{at}");
    }
    for number in 0..2 {
        let seen = filer.server(number, |server| (server.volumes.len(), server.logins, server.logouts));
        assert_eq!(seen, (1, 1, 0), "server {number}: one volume, one login");
    }
    // The server of one tenant ends its session; that of the other goes on.
    filer.server(0, |server| server.is_open = false);
    create_share(&blue, on(&network)).await.expect("another share");
    let (volumes, logins) = filer.server(0, |server| (server.volumes.len(), server.logins));
    assert_eq!((volumes, logins), (2, 2), "logged in anew, once");

    let path = format!("/v2/share-servers?share_network_id={of_red}");
    let listed = daemon.operator().get(&path).await.expect("a list");
    let server = text(&listed["share_servers"][0]["id"]).expect("an id");
    delete_share(&red, &foreign).await.expect("gone");
    gone(&daemon.operator(), &format!("/v2/share-servers/{server}")).await.expect("the server is gone");
    until("its session is ended", Duration::from_secs(30), async || {
        Ok(filer.server(1, |server| server.logouts == 1))
    })
    .await
    .expect("logged out");
    assert_eq!(filer.server(1, |server| (server.volumes.len(), server.logins)), (0, 1));
    assert_eq!(filer.server(0, |server| server.logouts), 0, "the other's session goes on");
    assert_nothing_is_left(&lab.state());
}

/// Neither password nor token is written down.
fn assert_nothing_is_left(state: &Path) {
    for entry in std::fs::read_dir(state).expect("a state") {
        let content = std::fs::read(entry.expect("an entry").path()).unwrap_or_default();
        for secret in [PASSWORD, "token<1>", "csrf-&-1"] {
            let found = content.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} is in the state");
        }
    }
}

#[tokio::test]
async fn doctor_tells_an_endpoint_at_share_servers_and_whether_any_can_be_there() {
    let filer = Filer::start().await;
    let lab = Lab::new().expect("a lab");
    let driver = programs::guest("filer").expect("the driver");
    let text = lab.backend_text("nas1", &driver, "", &[]).expect("a text");
    let endpoint = format!(
        "[grant.endpoints]\nserver = {{ share-server = {{ network = \"admin\", port = {}, scheme = \"http\" }}, verify = \"off\" }}\n",
        filer.port
    );
    std::fs::write(lab.backend_file("nas1"), format!("{text}\n{endpoint}")).expect("written");
    let configuration = lab.configuration().expect("a configuration");
    let doctor = || {
        let bulkhead = programs::program("bulkhead").expect("built");
        let found =
            std::process::Command::new(bulkhead).args(["doctor", "--config"]).arg(&configuration).output();
        String::from_utf8_lossy(&found.expect("started").stdout).into_owned()
    };
    let proposed = lab.path().join("proposed.toml");
    let mut init = std::process::Command::new(programs::program("bulkhead").expect("built"));
    let made =
        init.args(["backend", "init", "--output"]).args([&proposed, &driver]).output().expect("started");
    assert!(made.status.success(), "{made:?}");
    let proposal = std::fs::read_to_string(proposed).expect("a file");
    assert!(
        proposal.contains("# server = { share-server = { network = \"admin\", port = 443 }"),
        "{proposal}"
    );
    let found = doctor();
    assert!(
        found.contains("LACKS    endpoint server: no share server has an address of network 'admin'"),
        "{found}"
    );
    let networks = "[[grant.networks.admin]]\ngateway = \"127.78.0.1\"\nmask = 28\n";
    std::fs::write(lab.backend_file("nas1"), format!("{text}\n{networks}\n{endpoint}")).expect("written");
    let found = doctor();
    let at =
        format!("endpoint server is at each share server's admin addresses, http at port {}", filer.port);
    assert!(found.contains(&at) && found.contains("OPEN     endpoint server is not verified"), "{found}");
}
