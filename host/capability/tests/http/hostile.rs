//! The real transport, against servers that send too much, too little, too slowly, or are somebody else.

use crate::lab::{Lab, code};
use bulkhead_capability::http::HttpResponse;
use bulkhead_capability::testing::origin;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::grant::EndpointGrant;
use bulkhead_model::id::Digest;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use sha2::{Digest as _, Sha256};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::Instant;

const HEAD: &str = "HTTP/1.1 200 OK\r\n";

/// A server that reads a request, sends `first`, then `again` and again, with a pause before each.
async fn server(first: &'static str, again: &'static str, pause: Duration) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    // Timers tick in milliseconds: what shall flood comes in larger pieces.
    let again = if pause.is_zero() { again.repeat(200) } else { again.to_owned() };
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            if stream.read(&mut request).await.is_err() || stream.write_all(first.as_bytes()).await.is_err() {
                continue;
            }
            while !again.is_empty() {
                tokio::time::sleep(pause).await;
                if stream.write_all(again.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    });
    format!("http://{address}")
}

async fn asked(first: &'static str, again: &'static str) -> Result<HttpResponse, CapabilityError> {
    let lab = Lab::real(server(first, again, Duration::ZERO).await).await;
    lab.call().http().send("small", &[]).await
}

#[tokio::test]
async fn a_body_without_end_is_cut() {
    for (first, again) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n", "0123456789"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "a\r\n0123456789\r\n"),
        ("HTTP/1.1 200 OK\r\n\r\n", "0123456789"),
    ] {
        let answer = asked(first, again).await.expect("an answer");
        assert_eq!((answer.body.as_slice(), answer.truncated), (b"01234567".as_slice(), true));
    }
}

#[tokio::test]
async fn heads_without_end_are_refused() {
    for (first, again) in [
        (HEAD, "x-flood: 0123456789012345678901234567890123456789\r\n"),
        (HEAD, "x"),
        ("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("HTTP/1.1 103 Early Hints\r\n", "link: </x>\r\n"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", "extension"),
    ] {
        let error = asked(first, again).await.expect_err("too much");
        assert!(
            matches!(error.code, CapabilityCode::LimitExceeded | CapabilityCode::OutcomeUnknown),
            "{first:?} then {again:?}: {error}"
        );
    }
}

#[tokio::test]
async fn what_is_no_answer_leaves_open_whether_it_was_done() {
    for first in [
        "",
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort",
        "HTTP/1.1 99999 X\r\n\r\n",
    ] {
        let lab = Lab::real(server(first, "", Duration::ZERO).await).await;
        let failed = lab.call().http().send("list", &[]).await;
        assert_eq!(code(failed), CapabilityCode::OutcomeUnknown, "{first:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_packed_is_not_shown_for_nobody_sees_the_secrets_in_it() {
    for packed in [
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1fzz",
        "HTTP/1.1 500 No\r\ncontent-encoding: identity, BR\r\ncontent-length: 3\r\n\r\nzzz",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n3\r\nzzz\r\n0\r\n\r\n",
    ] {
        let error = asked(packed, "").await.expect_err("packed");
        assert_eq!(error.code, CapabilityCode::Io, "{packed:?}: {error}");
        assert!(error.message.contains("switch that off there"), "{error}");
    }
    for plain in [
        "HTTP/1.1 200 OK\r\ncontent-encoding: identity\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 204 None\r\ncontent-encoding: gzip\r\n\r\n",
    ] {
        assert!(asked(plain, "").await.is_ok(), "{plain:?}");
    }
}

#[tokio::test]
async fn an_answer_that_drips_ends_with_the_time_of_the_call() {
    let lab = Lab::real(server(HEAD, "x", Duration::from_millis(50)).await).await;
    let begun = Instant::now();
    let call = lab.call_until(origin("lifecycle.stats"), begun + Duration::from_millis(700));
    assert_eq!(code(call.http().send("list", &[]).await), CapabilityCode::TimedOut);
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn nobody_who_listens_is_unavailable_and_a_redirect_is_not_followed() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let lab = Lab::real(format!("http://{address}")).await;
    assert_eq!(code(lab.call().http().send("list", &[]).await), CapabilityCode::Unavailable);
    let trap = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "", Duration::ZERO).await;
    let redirect = format!("HTTP/1.1 307 Moved\r\nlocation: {trap}/\r\ncontent-length: 0\r\n\r\n");
    let lab = Lab::real(server(redirect.leak(), "", Duration::ZERO).await).await;
    assert_eq!(lab.call().http().send("list", &[]).await.map(|answer| answer.status), Ok(307));
}

/// A server over TLS that answers every request, its certificate in PEM, and the hash of it.
async fn encrypted(name: &str) -> (String, String, Digest) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a configuration");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let answered = match stream.read(&mut request).await {
                Ok(_) => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await,
                Err(error) => Err(error),
            };
            if answered.is_ok() && stream.shutdown().await.is_err() {
                continue;
            }
        }
    });
    let digest = Digest::from_bytes(Sha256::digest(made.cert.der()).into());
    (format!("https://{address}"), made.cert.pem(), digest)
}

#[tokio::test]
async fn a_controller_is_known_by_its_chain_or_by_its_own_certificate() {
    let (url, pem, digest) = encrypted("127.0.0.1").await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, pem).expect("written");
    let by_chain = EndpointGrant { ca: Some(file), ..EndpointGrant::at([url.clone()]) };
    let by_itself = EndpointGrant { fingerprints: vec![digest], ..EndpointGrant::at([url]) };
    let by_both = EndpointGrant { fingerprints: by_itself.fingerprints.clone(), ..by_chain.clone() };
    for grant in [by_chain, by_itself, by_both] {
        let lab = Lab::bound(grant).await;
        let answer = lab.call().http().send("list", &[]).await.expect("an answer");
        assert_eq!(answer.body, b"ok");
    }
}

#[tokio::test]
async fn somebody_else_is_denied_and_is_sent_nothing() {
    let (url, _, _) = encrypted("127.0.0.1").await;
    let (_, other, _) = encrypted("127.0.0.1").await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, other).expect("written");
    let by_chain = EndpointGrant { ca: Some(file.clone()), ..EndpointGrant::at([url.clone()]) };
    let by_itself =
        EndpointGrant { fingerprints: vec![Digest::from_bytes([7; 32])], ..EndpointGrant::at([url]) };
    let (misnamed, pem, _) = encrypted("array.example").await;
    std::fs::write(folder.path().join("misnamed.pem"), pem).expect("written");
    let by_name =
        EndpointGrant { ca: Some(folder.path().join("misnamed.pem")), ..EndpointGrant::at([misnamed]) };
    let (url, own, digest) = encrypted("127.0.0.1").await;
    std::fs::write(folder.path().join("own.pem"), own).expect("written");
    let own = Some(folder.path().join("own.pem"));
    let not_itself = EndpointGrant { ca: own, ..by_itself.clone() };
    let not_itself = EndpointGrant { controllers: vec![url.clone()], ..not_itself };
    let no_chain = EndpointGrant { ca: Some(file), fingerprints: vec![digest], ..EndpointGrant::at([url]) };
    for grant in [by_chain, by_itself, by_name, not_itself, no_chain] {
        let lab = Lab::bound(grant).await;
        let error = lab.call().http().send("in-session", &[]).await.expect_err("somebody else");
        assert_eq!(error.code, CapabilityCode::Denied, "{error}");
        assert!(error.message.contains("the certificate it is known by"), "{error}");
    }
}

#[tokio::test]
async fn more_requests_than_the_binding_allows_wait_for_each_other() {
    let url = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "", Duration::ZERO).await;
    let lab = Lab::bound(EndpointGrant {
        concurrency: 1,
        verify: bulkhead_model::grant::Verification::Off,
        ..EndpointGrant::at([url])
    })
    .await;
    let (one, other) = (lab.call(), lab.call());
    let (one, other) = (one.http(), other.http());
    let (first, second) = tokio::join!(one.send("list", &[]), other.send("list", &[]));
    assert!(first.is_ok() && second.is_ok());
}
