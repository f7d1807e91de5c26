//! An array with a command line, in this process: it runs execs, and has a shell with a prompt and a pager.

use crate::keys;
use russh::keys::PrivateKey;
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Response, Session, run_stream};
use russh::{Channel, ChannelId, Pty};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const PROMPT: &str = "array::> ";
pub(crate) const PAGER: &str = "--More--";

/// What the array was asked, for all its connections together.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) lines: Mutex<Vec<String>>,
    pub(crate) connections: AtomicUsize,
    pub(crate) running: AtomicUsize,
    pub(crate) most_running: AtomicUsize,
    /// Connections that nobody has closed.
    pub(crate) open: AtomicUsize,
    /// While it is at its limit of sessions, it answers no request for one.
    pub(crate) at_its_limit: AtomicBool,
    /// Those that it did not answer.
    unanswered: Mutex<Vec<ChannelOpenHandle>>,
}

pub(crate) struct Array {
    pub(crate) port: u16,
    pub(crate) host_key: String,
    pub(crate) seen: Arc<Seen>,
}

impl Array {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (private, host_key) = keys::make(folder.path(), "host");
        let config = Arc::new(Config {
            keys: vec![PrivateKey::from_openssh(private.as_bytes()).expect("a key")],
            auth_rejection_time: Duration::from_millis(1),
            // Small, so that whoever sends has to wait for it.
            window_size: 64 << 10,
            ..Config::default()
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let client = Client { seen: Arc::clone(&shared), ..Client::default() };
                let (config, seen) = (Arc::clone(&config), Arc::clone(&shared));
                tokio::spawn(async move {
                    seen.open.fetch_add(1, Ordering::SeqCst);
                    if let Ok(session) = run_stream(config, stream, client).await {
                        let _ended = session.await.is_err();
                    }
                    seen.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { port, host_key, seen }
    }
}

#[derive(Default)]
struct Client {
    seen: Arc<Seen>,
    /// What a command was given on standard input, in bytes.
    given: usize,
    has_shell: bool,
    /// Whether the shell writes without end.
    floods: Arc<AtomicBool>,
    /// What was typed into the shell and is no line yet.
    typed: Vec<u8>,
    /// Pages that wait for somebody to go on.
    left: Vec<String>,
}

impl Client {
    fn answer(line: &str) -> (String, u32) {
        match line.split_whitespace().map(|word| word.trim_matches('\'')).collect::<Vec<_>>().as_slice() {
            ["volume", "create", name, rest @ ..] => (format!("created {name} {}\n", rest.join(" ")), 0),
            ["volume", "delete", ..] => ("Error: no such volume\n".to_owned(), 7),
            ["volume", "show"] => ((1..=30).map(|row| format!("row {row}\n")).collect(), 0),
            _ => ("Error: unknown command\n".to_owned(), 127),
        }
    }

    /// The next page with what stands behind it.
    fn page(&mut self) -> String {
        match self.left.pop() {
            Some(page) if self.left.is_empty() => format!("{page}{PROMPT}"),
            Some(page) => format!("{page}{PAGER}"),
            None => PROMPT.to_owned(),
        }
    }

    fn take_line(&mut self) -> Option<String> {
        let end = self.typed.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.typed.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line).trim().to_owned())
    }
}

impl Handler for Client {
    type Error = russh::Error;

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let Some(mut answers) = response else {
            return Ok(Auth::Partial {
                name: "".into(),
                instructions: "Two questions".into(),
                prompts: vec![("Domain: ".into(), true), ("Password: ".into(), false)].into(),
            });
        };
        let (domain, password) = (answers.next(), answers.next());
        let right = domain.is_some_and(|domain| domain.is_empty())
            && password.is_some_and(|password| password == PASSWORD.as_bytes());
        Ok(if right { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.seen.at_its_limit.load(Ordering::SeqCst) {
            self.seen.unanswered.lock().expect("a list").push(reply);
        } else {
            reply.accept().await;
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let line = String::from_utf8_lossy(data).into_owned();
        self.seen.lines.lock().expect("a list").push(line.clone());
        session.channel_success(channel)?;
        if line == "volume take" {
            // Ends with its standard input, and has much to say before.
            return session.data(channel, vec![b'x'; 6 << 20]);
        }
        let (handle, seen) = (session.handle(), Arc::clone(&self.seen));
        tokio::spawn(async move {
            let running = seen.running.fetch_add(1, Ordering::SeqCst) + 1;
            seen.most_running.fetch_max(running, Ordering::SeqCst);
            match line.as_str() {
                "volume hang" => tokio::time::sleep(Duration::from_secs(60)).await,
                "volume slow" => tokio::time::sleep(Duration::from_millis(200)).await,
                "volume flood" => while handle.data(channel, vec![b'x'; 32_000]).await.is_ok() {},
                "volume vanish" => {
                    let _gone = handle
                        .disconnect(russh::Disconnect::ByApplication, String::new(), String::new())
                        .await
                        .is_err();
                    return;
                }
                "volume mute" => {
                    // Closed without an exit code.
                    let _gone = handle.close(channel).await.is_err();
                    return;
                }
                "volume linger" => {
                    // Says the rest behind its exit code, and leaves closing to the client.
                    let _gone = handle.data(channel, b"one\n".to_vec()).await.is_err();
                    let _gone = handle.exit_status_request(channel, 3).await.is_err();
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    let _gone = handle.data(channel, b"two\n".to_vec()).await.is_err();
                    return;
                }
                _ => {
                    let (said, code) = Self::answer(&line);
                    let _gone = handle.data(channel, said.into_bytes()).await.is_err();
                    let _gone = handle.exit_status_request(channel, code).await.is_err();
                }
            }
            seen.running.fetch_sub(1, Ordering::SeqCst);
            if line == "volume slow" {
                let _gone = handle.exit_status_request(channel, 0).await.is_err();
            }
            let _gone = handle.eof(channel).await.is_err() || handle.close(channel).await.is_err();
        });
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        session.channel_success(channel)?;
        self.has_shell = true;
        session.data(channel, format!("Welcome.\r\nLast login: never\r\n{PROMPT}").into_bytes())
    }

    async fn channel_eof(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        if self.given > 0 {
            self.seen.lines.lock().expect("a list").push(format!("given {}", self.given));
            session.exit_status_request(channel, 0)?;
            session.eof(channel)?;
            session.close(channel)?;
        }
        Ok(())
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if !self.has_shell {
            self.given += data.len();
            return Ok(());
        }
        if data == b"\x03" && self.floods.swap(false, Ordering::SeqCst) {
            return Ok(());
        }
        if !self.left.is_empty() {
            let page = self.page();
            return session.data(channel, page.into_bytes());
        }
        self.typed.extend(data);
        let Some(line) = self.take_line() else { return Ok(()) };
        self.seen.lines.lock().expect("a list").push(line.clone());
        if line == "volume vanish" {
            return session.close(channel);
        }
        if line == "volume flood" {
            // Until it is interrupted.
            let (handle, floods) = (session.handle(), Arc::clone(&self.floods));
            floods.store(true, Ordering::SeqCst);
            tokio::spawn(async move {
                while floods.load(Ordering::SeqCst)
                    && handle.data(channel, b"row of a flood\r\n".repeat(2_000)).await.is_ok()
                {
                }
                let _gone = handle.data(channel, format!("^C\r\n{PROMPT}").into_bytes()).await.is_err();
            });
            return Ok(());
        }
        let (said, _) = Self::answer(&line);
        let rows: Vec<&str> = said.lines().collect();
        self.left = rows.chunks(10).rev().map(|rows| format!("{}\r\n", rows.join("\r\n"))).collect();
        let page = self.page();
        // As a terminal does, the line is shown again.
        session.data(channel, format!("{line}\r\n{page}").into_bytes())
    }
}
