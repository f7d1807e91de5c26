//! Faults in host calls: which call, and what happens to it. The kit arms them, whoever stands between guest and host asks for them.

use serde::Serialize;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What happens to a host call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// It is not done, and answered with `unavailable`.
    Fail,
    /// It is done, and answered with `timed-out`.
    TimeOut,
    /// It is done and never answered: the driver call ends there, as if the host had been killed.
    Cut,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fail, Self::TimeOut, Self::Cut];
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Fail => "failed",
            Self::TimeOut => "timed out after its effect",
            Self::Cut => "was the last one before the host was killed",
        })
    }
}

/// A host call as it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct HostCall {
    /// Capability and function, for example `files.remove`.
    pub capability: String,
    /// What it was about.
    pub subject: String,
}

impl fmt::Display for HostCall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.subject.is_empty() {
            return formatter.write_str(&self.capability);
        }
        write!(formatter, "{} {}", self.capability, self.subject)
    }
}

/// Counts the host calls of a driver call and strikes one of them. One for each world; driver calls are watched one after the other.
#[derive(Debug, Default)]
pub struct Faults {
    watch: Mutex<Watch>,
    cut: Notify,
}

#[derive(Debug, Default)]
struct Watch {
    calls: Vec<HostCall>,
    /// Which call is struck, counted from 0, and how.
    armed: Option<(usize, Fault)>,
}

impl Faults {
    /// Forget what was counted, and strike the host call `at`, counted from 0; none strikes nothing.
    pub fn arm(&self, at: Option<(usize, Fault)>) {
        *self.watch() = Watch { calls: Vec::new(), armed: at };
    }

    /// Strike nothing any more. Answers the host calls since [`Faults::arm`], in order.
    pub fn disarm(&self) -> Vec<HostCall> {
        std::mem::take(&mut *self.watch()).calls
    }

    /// What shall happen to the host call that is about to be done; none lets it be.
    pub fn next(&self, call: HostCall) -> Option<Fault> {
        let mut watch = self.watch();
        let number = watch.calls.len();
        watch.calls.push(call);
        watch.armed.filter(|(at, _)| *at == number).map(|(_, fault)| fault)
    }

    /// A host call that was to be cut has been done.
    pub fn has_cut(&self) {
        self.cut.notify_one();
    }

    /// Resolves once a host call has been cut.
    pub(crate) async fn cut(&self) {
        self.cut.notified().await;
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(number: usize) -> HostCall {
        HostCall { capability: "files.status".to_owned(), subject: number.to_string() }
    }

    #[test]
    fn the_armed_call_is_struck_and_no_other() {
        let faults = Faults::default();
        faults.arm(Some((1, Fault::Fail)));
        let struck: Vec<_> = (0..3).map(|number| faults.next(call(number))).collect();
        assert_eq!(struck, [None, Some(Fault::Fail), None]);
        assert_eq!(faults.disarm(), (0..3).map(call).collect::<Vec<_>>());
        assert_eq!(faults.next(call(9)), None);
    }
}
