//! A driver's lines in the host's log: always granted, never failing, bounded. Not recorded in the ledger: a line changes nothing.
//!
//! Guest text is cleaned, cut, and holds no secret; what is over the budget of a call is counted, and the count is one last line when the call ends.

use crate::backend::Backend;
use crate::call::Call;
use crate::secret::Redactor;
use bulkhead_model::call::CallOrigin;
use bulkhead_model::id::{BackendName, DriverName};
use bulkhead_model::text::GuestText;
use std::sync::{Mutex, PoisonError};

/// The longest line kept, in bytes.
pub const LINE_BYTES: usize = 4096;

/// What a line costs beside its text, in bytes: the host writes time, backend, function and request around it, so a flood of empty
/// lines fills a disk as well.
pub const LINE_COST_BYTES: usize = 256;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For the driver's author.
    Debug,
    /// A fact worth keeping.
    Info,
    /// Something unexpected that the driver coped with.
    Warning,
    /// Something failed.
    Error,
}

/// The `log` interface of one call.
#[derive(Debug, Clone, Copy)]
pub struct Log<'call> {
    call: &'call Call,
}

impl<'call> Log<'call> {
    pub(crate) const fn new(call: &'call Call) -> Self {
        Self { call }
    }

    /// Write one line.
    pub fn write(&self, level: Level, message: &str) {
        let budget = self.call.log_budget();
        if let Some(text) = budget.take(message) {
            budget.emit(level, &text);
        }
    }
}

/// What one call may still log, and who it is in the log. Says how many lines it left out when it is dropped.
#[derive(Debug)]
pub(crate) struct LogBudget {
    backend: BackendName,
    driver: DriverName,
    origin: CallOrigin,
    redactor: Redactor,
    state: Mutex<BudgetState>,
}

#[derive(Debug)]
struct BudgetState {
    left_bytes: usize,
    suppressed_lines: u64,
}

impl LogBudget {
    pub(crate) fn new(backend: &Backend, origin: &CallOrigin, redactor: Redactor) -> Self {
        let left_bytes = usize::try_from(backend.limits().log_kib.saturating_mul(1024)).unwrap_or(usize::MAX);
        Self {
            backend: backend.name().clone(),
            driver: backend.manifest().driver.name.clone(),
            origin: origin.clone(),
            redactor,
            state: Mutex::new(BudgetState { left_bytes, suppressed_lines: 0 }),
        }
    }

    /// The line to write; none once the budget is used up.
    pub(crate) fn take(&self, message: &str) -> Option<GuestText> {
        let text = GuestText::new(&self.redactor.redact(message), LINE_BYTES);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // After the first line left out none is let through: the log ends at one place.
        let cost = text.as_str().len() + LINE_COST_BYTES;
        if state.suppressed_lines == 0 && cost <= state.left_bytes {
            state.left_bytes -= cost;
            return Some(text);
        }
        state.suppressed_lines = state.suppressed_lines.saturating_add(1);
        None
    }

    pub(crate) fn suppressed_lines(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).suppressed_lines
    }

    fn emit(&self, level: Level, text: &GuestText) {
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "driver",
                    backend = %self.backend,
                    driver = %self.driver,
                    call = %self.origin.call,
                    function = %self.origin.function,
                    request = %self.origin.request,
                    "{text}"
                )
            };
        }
        match level {
            Level::Debug => line!(debug),
            Level::Info => line!(info),
            Level::Warning => line!(warn),
            Level::Error => line!(error),
        }
    }
}

impl Drop for LogBudget {
    fn drop(&mut self) {
        let lines = self.suppressed_lines();
        if lines > 0 {
            let text =
                format!("{lines} further lines of this call are left out: the limit log-kib is used up");
            self.emit(Level::Warning, &GuestText::new(&text, LINE_BYTES));
        }
    }
}
