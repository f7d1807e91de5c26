//! Keeps a helper there: starts or reaches it, greets it, waits for its sweep, listens, asks for signs of life, and goes round.

use super::super::dial::DialError;
use super::link::{Connection, Link, LinkError, Reading};
use super::{HelperPlace, State};
use bulkhead_helper::protocol::{EndingMethod, FromHelper, ToHelper, VERSION};
use rustix::fs::Mode;
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

/// The first wait after a failure; each further one in a row waits twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A helper that stayed so long has not failed at once.
const STEADY: Duration = Duration::from_secs(10);
/// How long a helper may take to say hello.
const HELLO: Duration = Duration::from_secs(10);
/// How often a sign of life is asked for; a helper that owes one that long is ended.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// Why a helper is not there.
#[derive(Debug, thiserror::Error)]
enum LostError {
    /// It could not be started.
    #[error(
        "'{program}' cannot be started: {reason}; install bulkhead-helper beside bulkhead, or set `helper` in the configuration"
    )]
    Start {
        /// The file.
        program: String,
        /// Why.
        reason: String,
    },
    /// The directory that it writes to could not be made.
    #[error("'{path}', where the helper writes down what outlives it, cannot be made: {reason}")]
    Runtime {
        /// The directory.
        path: String,
        /// Why.
        reason: String,
    },
    /// Its socket could not be reached.
    #[error("nothing answers at '{path}': {reason}; start bulkhead-helper there")]
    Connect {
        /// The socket.
        path: String,
        /// Why.
        reason: String,
    },
    /// There is no way to the machine that it is on.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// It speaks another version.
    #[error(
        "the helper speaks version {0} of the protocol, this daemon {VERSION}; install both from one release"
    )]
    Version(u32),
    /// It says nothing.
    #[error("the helper did not answer for {} s", .0.as_secs())]
    Silent(Duration),
    /// Its connection is over.
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// A helper that was reached, and its process if it is ours.
struct Helper {
    connection: Connection,
    process: Option<Child>,
}

/// Goes on until it is aborted.
pub(super) async fn supervise(place: HelperPlace, told: watch::Sender<State>) {
    let mut wait = FIRST_WAIT;
    loop {
        let begun = Instant::now();
        let (error, served) = serve_once(&place, &told).await;
        let reason = chain(&error);
        tracing::warn!(error = reason, "the helper is lost; it is started again");
        told.send_replace(State::Down { reason: reason.clone() });
        // The way to another machine is cut by others: that says nothing of the helper there.
        let is_steady = begun.elapsed() >= STEADY || (served && matches!(place, HelperPlace::Far(_)));
        wait = if is_steady { FIRST_WAIT } else { wait };
        tokio::time::sleep(wait).await;
        wait = wait.saturating_mul(2).min(LONGEST_WAIT);
        // Who asks now waits for the next helper; `Down` lasts as long as the pause.
        told.send_replace(State::Connecting { lost: Some(reason) });
    }
}

/// Why it is over, and whether there was a helper that served.
async fn serve_once(place: &HelperPlace, told: &watch::Sender<State>) -> (LostError, bool) {
    let mut helper = match reach(place).await {
        Ok(helper) => helper,
        Err(error) => return (error, false),
    };
    let (error, served) = match greet(&mut helper.connection).await {
        Ok(said) => {
            let (link, reading) = helper.connection.into_link(said);
            told.send_replace(State::Up(Arc::clone(&link)));
            tracing::info!(helper.process = said.0, helper.ending = %said.1, "the helper is there");
            let error = listen(&link, reading).await;
            link.give_up(&chain(&error));
            (error, true)
        }
        Err(error) => (error, false),
    };
    if let Some(process) = helper.process {
        tokio::spawn(see_off(process));
    }
    (error, served)
}

async fn reach(place: &HelperPlace) -> Result<Helper, LostError> {
    match place {
        HelperPlace::Socket { path } => {
            let failed = |error: std::io::Error| LostError::Connect {
                path: path.display().to_string(),
                reason: error.to_string(),
            };
            let stream = UnixStream::connect(path).await.map_err(failed)?;
            Ok(Helper { connection: Connection::new(Box::new(stream)), process: None })
        }
        HelperPlace::Far(way) => Ok(Helper { connection: Connection::new(way.dial().await?), process: None }),
        HelperPlace::Beside { program, lock, runtime } => {
            let failed = |error: std::io::Error| LostError::Start {
                program: program.display().to_string(),
                reason: error.to_string(),
            };
            make_runtime(runtime)?;
            let (ours, theirs) = StdUnixStream::pair().map_err(failed)?;
            ours.set_nonblocking(true).map_err(failed)?;
            let process = Command::new(program)
                .arg("--lock")
                .arg(lock)
                .arg("--runtime")
                .arg(runtime)
                .env_clear()
                .current_dir("/")
                .stdin(Stdio::from(OwnedFd::from(theirs)))
                .stdout(Stdio::null())
                // A key that ends the daemon at a terminal would end the helper before the daemon has drained.
                .process_group(0)
                .spawn()
                .map_err(failed)?;
            let connection = Connection::new(Box::new(UnixStream::from_std(ours).map_err(failed)?));
            Ok(Helper { connection, process: Some(process) })
        }
    }
}

/// A directory for this user alone, where the helper finds what an earlier one wrote down.
fn make_runtime(runtime: &Path) -> Result<(), LostError> {
    match rustix::fs::mkdir(runtime, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => {
            Err(LostError::Runtime { path: runtime.display().to_string(), reason: error.to_string() })
        }
    }
}

/// Say hello, and wait until nothing of an earlier daemon runs. The helper ends what it must, so that takes as long as it takes.
async fn greet(connection: &mut Connection) -> Result<(u32, EndingMethod), LostError> {
    connection.send(&ToHelper::Hello { version: VERSION }).await?;
    let hello = tokio::time::timeout(HELLO, connection.reading.next()).await;
    let said = match hello.map_err(|_| LostError::Silent(HELLO))?? {
        FromHelper::Hello { version: VERSION, process, ending } => (process, ending),
        FromHelper::Hello { version, .. } => return Err(LostError::Version(version)),
        _ => return Err(LinkError::OutOfTurn("something before hello".to_owned()).into()),
    };
    connection.send(&ToHelper::Sweep).await?;
    loop {
        match tokio::time::timeout(SIGN_OF_LIFE, connection.reading.next()).await {
            Ok(Ok(FromHelper::Swept)) => return Ok(said),
            Ok(Ok(FromHelper::Pong { .. })) => {}
            Ok(Ok(_)) => return Err(LinkError::OutOfTurn("something before swept".to_owned()).into()),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {
                tracing::warn!(
                    "commands of an earlier daemon are still being ended; nothing is run until they are"
                );
                // A helper on another machine takes silence for the end of its daemon.
                connection.send(&ToHelper::Ping { token: 0 }).await?;
            }
        }
    }
}

async fn listen(link: &Arc<Link>, mut reading: Reading) -> LostError {
    let mut signs = tokio::time::interval(SIGN_OF_LIFE);
    signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut asked, mut heard) = (0_u64, 0_u64);
    loop {
        tokio::select! {
            // First what has come: a sign of life that waits to be read was given.
            biased;
            message = reading.next() => {
                let delivered = message.and_then(|message| link.deliver(message));
                match delivered {
                    Ok(token) => heard = token.unwrap_or(heard),
                    Err(error) => return error.into(),
                }
            }
            _ = signs.tick() => {
                if heard != asked {
                    return LostError::Silent(SIGN_OF_LIFE);
                }
                asked = asked.saturating_add(1);
                link.ping(asked);
            }
        }
    }
}

/// The connection is closed by now: the process ends its commands and itself. One that hangs is killed, and the next one ends the rest.
async fn see_off(mut process: Child) {
    if tokio::time::timeout(SIGN_OF_LIFE, process.wait()).await.is_err() {
        tracing::warn!("the helper does not end by itself; it is killed");
        let _ended_meanwhile = process.kill().await.is_err();
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
