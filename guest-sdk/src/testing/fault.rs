//! Host calls that go wrong, and the test that lets each of them do so.

use super::denial::{Answer, fail};
use super::lab::Lab;
use crate::capability::CapabilityCode;
use crate::error::Result;
use std::cell::Cell;
use std::fmt::Debug;

/// What goes wrong at a host call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It does nothing and fails with this code.
    Refused(CapabilityCode),
    /// It does its work, but the answer is lost: `outcome-unknown`.
    AnswerLost,
    /// The daemon is gone: neither this call nor any later one does anything.
    Killed,
}

/// Which host call fails, and how many there were.
#[derive(Debug, Default)]
pub(super) struct FaultPlan {
    made: Cell<u32>,
    planned: Cell<Option<(u32, Fault)>>,
}

impl FaultPlan {
    pub(super) fn set(&self, at: u32, fault: Fault) {
        self.made.set(0);
        self.planned.set(Some((at, fault)));
    }

    pub(super) fn clear(&self) {
        self.made.set(0);
        self.planned.set(None);
    }

    pub(super) fn count(&self) -> u32 {
        self.made.get()
    }

    /// Make one host call, or let it go wrong.
    pub(super) fn apply<T>(&self, call: impl FnOnce() -> Answer<T>) -> Answer<T> {
        let number = self.made.get().saturating_add(1);
        self.made.set(number);
        match self.planned.get() {
            Some((at, Fault::Refused(code))) if at == number => fail(code, format!("injected: {code:?}")),
            Some((at, Fault::AnswerLost)) if at == number => {
                call()?;
                fail(CapabilityCode::OutcomeUnknown, "injected: the answer is lost")
            }
            Some((at, Fault::Killed)) if at <= number => {
                fail(CapabilityCode::Unavailable, "injected: the daemon is gone")
            }
            _ => call(),
        }
    }
}

/// When a check of [`interrupted_everywhere`] looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The operation was cut short and has not been repeated yet.
    Interrupted,
    /// The operation has been done, at the latest by its repetition.
    Done,
}

/// Does an operation converge? For each of its host calls and each way to go wrong: prepare a lab, let the operation fail there,
/// check, repeat the operation, check again.
///
/// `check` is also called after an operation that nothing disturbed, and after it has been repeated although it was done.
///
/// # Panics
///
/// If the operation fails undisturbed, or a repetition fails; `check` panics by itself. Before that the host call and the fault are
/// in the message.
#[expect(clippy::panic, reason = "this is an assertion for tests")]
pub fn interrupted_everywhere<T: Debug>(
    prepare: impl Fn() -> Lab,
    operation: impl Fn(&Lab) -> Result<T>,
    check: impl Fn(&Lab, Moment),
) {
    let lab = prepare();
    lab.heal();
    for attempt in ["done undisturbed", "repeated although it was done"] {
        if let Err(error) = operation(&lab) {
            panic!("the operation failed when {attempt}: {error}");
        }
        check(&lab, Moment::Done);
    }
    let fresh = prepare();
    fresh.heal();
    if let Err(error) = operation(&fresh) {
        panic!("the operation failed in another fresh lab: {error}");
    }
    for at in 1..=fresh.host_calls() {
        for fault in [Fault::Refused(CapabilityCode::Io), Fault::AnswerLost, Fault::Killed] {
            let lab = prepare();
            lab.inject(at, fault);
            let _context = Context(at, fault);
            let first = operation(&lab).err();
            lab.heal();
            check(&lab, Moment::Interrupted);
            if let Err(error) = operation(&lab) {
                panic!("host call {at}, {fault:?}: after {first:?} the repetition fails: {error}");
            }
            check(&lab, Moment::Done);
        }
    }
}

/// Says where a check panicked.
struct Context(u32, Fault);

impl Drop for Context {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("interrupted at host call {} by {:?}", self.0, self.1);
        }
    }
}
