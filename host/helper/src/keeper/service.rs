//! One service, as its keeper sees it.
//!
//! ```text
//! Stopped --start--> Starting --ready--> Ready
//!    ^                   |  ^              |
//!    |                   v  |back-off      v
//!    +---- stop ------ Failed <--- ends by itself
//! ```

use super::message::Order;
use super::ready;
use crate::child::{self, ServiceStart};
use crate::protocol::{ServiceExit, ServiceState, ServiceStatus};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitStatus, kill_process_group, pidfd_open};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The first pause before a service that ended is started again; it doubles with each end.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Who has run for so long begins with the first pause again.
const SOUND_AFTER: Duration = Duration::from_secs(60);
/// Between two looks whether it is ready.
const LOOK_AGAIN: Duration = Duration::from_millis(25);
/// How much of what it writes is kept.
const KEPT: usize = 4096;

#[derive(Debug)]
struct Running {
    leader: Pid,
    held: OwnedFd,
    output: Option<OwnedFd>,
    since: Instant,
    started_at_ms: u64,
    is_ready: bool,
    /// Until when it must be ready.
    ready_by: Instant,
    /// When it is killed, once it was asked to end.
    kill_at: Option<Instant>,
}

/// A service that was started at least once.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) order: Order,
    program: OwnedFd,
    running: Option<Running>,
    kept: Vec<u8>,
    exit: Option<ServiceExit>,
    wanted: bool,
    pause: Duration,
    again_at: Option<Instant>,
    too_slow: bool,
}

impl Service {
    pub(super) fn new(order: Order, program: OwnedFd) -> Self {
        Self {
            order,
            program,
            running: None,
            kept: Vec::new(),
            exit: None,
            wanted: false,
            pause: FIRST_PAUSE,
            again_at: None,
            too_slow: false,
        }
    }

    /// Want it to run; start it unless it does.
    pub(super) fn start(&mut self) -> Result<(), String> {
        self.wanted = true;
        self.too_slow = false;
        if self.running.is_some() {
            return Ok(());
        }
        self.kept.clear();
        self.exit = None;
        self.again_at = None;
        if let Some(parent) =
            self.order.ready.socket.as_ref().and_then(|path| std::path::Path::new(path).parent())
        {
            super::namespace::make_directory(parent)
                .map_err(|error| format!("{}: {error}", parent.display()))?;
        }
        let started = child::start_service(ServiceStart {
            program: &self.program,
            name: &self.order.program,
            arguments: &self.order.arguments,
            environment: &self.order.environment,
            privilege: self.order.privilege,
        })
        .map_err(|refusal| refusal.message)?;
        let held = pidfd_open(started.leader, PidfdFlags::empty()).map_err(|error| {
            signal(started.leader, Signal::KILL);
            error.to_string()
        })?;
        let now = Instant::now();
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.running = Some(Running {
            leader: started.leader,
            held,
            output: started.output,
            since: now,
            started_at_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
            is_ready: false,
            ready_by: later(now, Duration::from_secs(self.order.ready.seconds)),
            kill_at: None,
        });
        Ok(())
    }

    /// Do not want it any more; ask it to end.
    pub(super) fn stop(&mut self) {
        self.wanted = false;
        self.again_at = None;
        let grace = Duration::from_secs(self.order.stop_seconds);
        if let Some(running) = &mut self.running
            && running.kill_at.is_none()
        {
            running.kill_at = Some(later(Instant::now(), grace));
            signal(running.leader, Signal::TERM);
        }
    }

    pub(super) const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// The address at which somebody else is ready already, so that this one cannot be started.
    pub(super) fn taken_address(&self) -> Option<SocketAddr> {
        if self.is_running() { None } else { ready::taken(&self.order.ready) }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.is_ready)
    }

    /// Whether it was asked to end and has not yet.
    pub(super) fn is_ending(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.kill_at.is_some())
    }

    /// Whether it was not ready in time, and is being stopped for it.
    pub(super) const fn was_too_slow(&self) -> bool {
        self.too_slow
    }

    /// `child` was reaped.
    pub(super) fn has_ended(&mut self, child: Pid, status: WaitStatus) {
        if self.running.as_ref().is_none_or(|running| running.leader != child) {
            return;
        }
        self.read_output();
        let Some(running) = self.running.take() else { return };
        // Whatever it left in its group ends with it.
        signal(running.leader, Signal::KILL);
        self.exit = Some(ServiceExit {
            code: status.exit_status(),
            signal: status.terminating_signal(),
            stderr: std::mem::take(&mut self.kept),
        });
        if self.wanted && self.order.restart && !self.too_slow {
            if running.since.elapsed() >= SOUND_AFTER {
                self.pause = FIRST_PAUSE;
            }
            self.again_at = Some(later(Instant::now(), self.pause));
            self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }

    /// Read what it wrote, look whether it is ready, start it again, kill it: whatever it is time for.
    pub(super) fn advance(&mut self) {
        self.read_output();
        let now = Instant::now();
        if self.again_at.is_some_and(|at| now >= at) {
            let exit = self.exit.clone();
            if self.taken_address().is_some() || self.start().is_err() {
                self.exit = exit;
                self.again_at = Some(later(now, self.pause));
            }
        }
        let Some(running) = &mut self.running else { return };
        if let Some(kill_at) = running.kill_at {
            if now >= kill_at {
                signal(running.leader, Signal::KILL);
            }
        } else if !running.is_ready {
            running.is_ready = ready::holds(&self.order.ready);
            if !running.is_ready && now >= running.ready_by {
                self.too_slow = true;
                self.stop();
            }
        }
    }

    /// When it must be looked at though nothing happens.
    pub(super) fn due(&self) -> Option<Instant> {
        let now = Instant::now();
        match &self.running {
            Some(running) => match running.kill_at {
                Some(at) => Some(at.max(later(now, LOOK_AGAIN))),
                None if running.is_ready => None,
                None => Some(later(now, LOOK_AGAIN)),
            },
            None => self.again_at,
        }
    }

    pub(super) fn watch<'service>(&'service self, list: &mut Vec<PollFd<'service>>) {
        if let Some(running) = &self.running {
            list.push(PollFd::new(&running.held, PollFlags::IN));
            if let Some(output) = &running.output {
                list.push(PollFd::new(output, PollFlags::IN));
            }
        }
    }

    pub(super) fn status(&self) -> ServiceStatus {
        let state = match &self.running {
            Some(running) if running.is_ready => ServiceState::Ready,
            Some(_) => ServiceState::Starting,
            None if self.exit.is_some() && (self.wanted || self.too_slow) => ServiceState::Failed,
            None => ServiceState::Stopped,
        };
        ServiceStatus {
            state,
            started_at_ms: self.running.as_ref().map(|running| running.started_at_ms),
            adopted: false,
            exit: self.exit.clone().filter(|_| state == ServiceState::Failed),
        }
    }

    /// What it writes never fills anything: the end is kept, the rest is passed over.
    fn read_output(&mut self) {
        let Some(running) = &mut self.running else { return };
        while let Some(output) = &running.output {
            let mut block = Vec::with_capacity(KEPT);
            match rustix::io::read(output, spare_capacity(&mut block)) {
                Ok(0) => running.output = None,
                Ok(_) => {
                    self.kept.extend(&block);
                    let surplus = self.kept.len().saturating_sub(KEPT);
                    self.kept.drain(..surplus);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => running.output = None,
            }
        }
    }
}

/// To the leader's group; a process that was stopped takes a signal once it goes on.
fn signal(leader: Pid, signal: Signal) {
    for one in [signal, Signal::CONT] {
        let _has_ended = kill_process_group(leader, one).is_err();
    }
}

pub(super) fn later(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait).unwrap_or(now)
}
