//! The real runner: a connection to `bulkhead-helper`, started again whenever it is lost.
//!
//! ```text
//! Connecting --hello, swept--> Up --lost, silent, garbage--> Down --back-off--> Connecting
//! ```
//!
//! `supervisor` owns the process and goes round; `link` is one connection, with who waits for which command. Commands in flight when a
//! connection is lost end as `outcome-unknown`: the helper ends them all, and the next one says `Swept` only when it has made sure.
//! Services and jobs run on; whoever asks about them asks the next helper.

mod link;
mod supervisor;

use super::dial::Dial;
use super::provider::{Abandoned, CommandRequest, CommandRunner, Directories, RunError};
use async_trait::async_trait;
use bulkhead_helper::protocol::{
    DbusReply, DbusRequest, EndingMethod, FileReply, FilesCall, Finished, JobAnswer, JobCall, PipeFinished,
    ServiceAnswer, ServiceCall,
};
use link::Link;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// How long a command waits for a helper that is being started again.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the helper is.
#[derive(Debug, Clone)]
pub enum HelperPlace {
    /// Started by this process, with one end of a pair of sockets as its standard input.
    Beside {
        /// The file `bulkhead-helper`.
        program: PathBuf,
        /// A file in the daemon's state directory: two helpers of one state never run commands at once.
        lock: PathBuf,
        /// A directory there, made if it is missing: what the helper writes down of groups and jobs, which outlive it.
        runtime: PathBuf,
    },
    /// Started by the operator, waiting at a socket.
    Socket {
        /// Its path.
        path: PathBuf,
    },
    /// On another machine, over whatever carries a connection there.
    Far(Arc<dyn Dial>),
}

#[derive(Debug, Clone)]
enum State {
    /// With why the last one was lost.
    Connecting {
        lost: Option<String>,
    },
    Up(Arc<Link>),
    Down {
        reason: String,
    },
}

/// A [`CommandRunner`]. Dropped, it closes its connection, and the helper ends its commands and itself.
#[derive(Debug)]
pub struct HelperClient {
    state: watch::Receiver<State>,
    directories: Directories,
    supervisor: AbortHandle,
}

impl HelperClient {
    /// Start or reach the helper, and keep doing so. Returns at once; must be called inside a runtime.
    #[must_use]
    pub fn start(place: HelperPlace) -> Self {
        let directories = match place {
            HelperPlace::Beside { .. } | HelperPlace::Socket { .. } => Directories::Here,
            HelperPlace::Far(_) => Directories::There,
        };
        let (told, state) = watch::channel(State::Connecting { lost: None });
        let supervisor = tokio::spawn(supervisor::supervise(place, told)).abort_handle();
        Self { state, directories, supervisor }
    }

    /// How the helper ends commands; none while it is not connected.
    #[must_use]
    pub fn ending_method(&self) -> Option<EndingMethod> {
        match &*self.state.borrow() {
            State::Up(link) => Some(link.ending_method()),
            State::Connecting { .. } | State::Down { .. } => None,
        }
    }

    /// The helper's process, as it says; none while it is not connected.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        match &*self.state.borrow() {
            State::Up(link) => Some(link.process()),
            State::Connecting { .. } | State::Down { .. } => None,
        }
    }

    async fn link_while_wanted(&self, abandoned: &mut Abandoned) -> Result<Arc<Link>, RunError> {
        tokio::select! {
            link = self.link() => link,
            () = abandoned.wait() => {
                Err(RunError::Unavailable { reason: "nobody waits for it any more".to_owned() })
            }
        }
    }

    async fn link(&self) -> Result<Arc<Link>, RunError> {
        let mut state = self.state.clone();
        let is_up = |state: &State| matches!(state, State::Up(_));
        let found = tokio::time::timeout(PATIENCE, state.wait_for(is_up)).await;
        if let Ok(Ok(state)) = &found
            && let State::Up(link) = &**state
        {
            return Ok(Arc::clone(link));
        }
        drop(found);
        let reason = match &*self.state.borrow() {
            State::Down { reason } | State::Connecting { lost: Some(reason) } => reason.clone(),
            _ if self.directories == Directories::There => {
                "the other machine has not let this host in yet, or still ends commands of an earlier daemon"
                    .to_owned()
            }
            _ => "commands of an earlier daemon are still being ended".to_owned(),
        };
        Err(RunError::Unavailable { reason })
    }
}

impl Drop for HelperClient {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

#[async_trait]
impl CommandRunner for HelperClient {
    async fn run(&self, request: CommandRequest, mut abandoned: Abandoned) -> Result<Finished, RunError> {
        let link = self.link_while_wanted(&mut abandoned).await?;
        link.run(&request, abandoned).await
    }

    async fn pipe(
        &self,
        stages: Vec<CommandRequest>,
        mut abandoned: Abandoned,
    ) -> Result<PipeFinished, RunError> {
        let link = self.link_while_wanted(&mut abandoned).await?;
        link.pipe(&stages, abandoned).await
    }

    async fn service(&self, call: ServiceCall) -> Result<ServiceAnswer, RunError> {
        self.link().await?.service(call).await
    }

    async fn job(&self, call: JobCall) -> Result<JobAnswer, RunError> {
        self.link().await?.job(call).await
    }

    async fn dbus(&self, call: DbusRequest) -> Result<DbusReply, RunError> {
        self.link().await?.dbus(call).await
    }

    fn directories(&self) -> Directories {
        self.directories
    }

    async fn files(&self, call: FilesCall, mut abandoned: Abandoned) -> Result<FileReply, RunError> {
        let link = self.link_while_wanted(&mut abandoned).await?;
        link.files(call, abandoned).await
    }

    async fn wait_until_swept(&self) -> Result<(), RunError> {
        let mut state = self.state.clone();
        let decided = state.wait_for(|state| !matches!(state, State::Connecting { .. })).await;
        let unavailable = |reason: &str| Err(RunError::Unavailable { reason: reason.to_owned() });
        match decided.as_deref() {
            Ok(State::Up(_)) => Ok(()),
            Ok(State::Down { reason }) => unavailable(reason),
            Ok(State::Connecting { .. }) | Err(_) => unavailable("the helper is no longer looked after"),
        }
    }
}
