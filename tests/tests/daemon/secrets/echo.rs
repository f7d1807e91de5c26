//! An endpoint that answers every request with what it was sent, and refuses every login so.

use std::net::Ipv4Addr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Start one; its address.
pub(super) async fn start() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    format!("http://{address}")
}

async fn answer(mut stream: TcpStream) {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    while !is_whole(&request) {
        match stream.read(&mut piece).await {
            Ok(length) if length > 0 => request.extend_from_slice(&piece[..length]),
            _ => return,
        }
    }
    let text = String::from_utf8_lossy(&request);
    let status = if text.starts_with("POST /login") { "401 Unauthorized" } else { "200 OK" };
    let echo = header(&text, "x-password").map(|value| format!("x-echo: {value}\r\n")).unwrap_or_default();
    let head =
        format!("HTTP/1.1 {status}\r\n{echo}connection: close\r\ncontent-length: {}\r\n\r\n", request.len());
    // Whoever asked may have gone.
    if stream.write_all(head.as_bytes()).await.is_ok() {
        stream.write_all(&request).await.ok();
    }
}

fn header<'text>(request: &'text str, name: &str) -> Option<&'text str> {
    let lines = request.split("\r\n").filter_map(|line| line.split_once(':'));
    lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}

fn is_whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&request[..end]);
    let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    request.len() - end - 4 >= length
}
