//! What a place answers, without secrets: commands and services print what they were handed, arrays echo what they were asked.

use super::redactor::Redactor;
use bulkhead_helper::protocol::{
    DbusReply, DbusValue, Finished, JobAnswer, JobEnd, JobState, ServiceAnswer, ServiceStatus,
};
use bulkhead_model::error::{CallError, CapabilityError, CommandExit};

impl Redactor {
    /// A failure without secrets.
    #[must_use]
    pub fn redact_error(&self, error: CapabilityError) -> CapabilityError {
        let exit = error.exit.map(|exit| CommandExit {
            stdout: self.redact_bytes(&exit.stdout).into_owned(),
            stderr: self.redact(&exit.stderr).into_owned(),
            ..exit
        });
        CapabilityError { message: self.redact(&error.message).into_owned(), exit, ..error }
    }

    /// Why a call failed, without secrets: a trap or a panic may name what it was about.
    #[must_use]
    pub fn redact_call_error(&self, error: CallError) -> CallError {
        let clean = |reason: String| self.redact(&reason).into_owned();
        match error {
            CallError::Trapped { function, reason } => CallError::Trapped { function, reason: clean(reason) },
            CallError::InvalidAnswer { function, reason } => {
                CallError::InvalidAnswer { function, reason: clean(reason) }
            }
            CallError::Host { reason } => CallError::Host { reason: clean(reason) },
            other @ (CallError::Answered(_)
            | CallError::NotExported { .. }
            | CallError::DeadlineExceeded { .. }
            | CallError::LimitExceeded { .. }) => other,
        }
    }

    /// The end of a command without secrets.
    pub(crate) fn redact_finished(&self, finished: Finished) -> Finished {
        let clean = |bytes: &[u8]| match finished.truncated {
            true => self.redact_cut_bytes(bytes).into_owned(),
            false => self.redact_bytes(bytes).into_owned(),
        };
        Finished { stdout: clean(&finished.stdout), stderr: clean(&finished.stderr), ..finished }
    }

    /// What is told of a service without secrets. Of its standard error only the end is kept, so it may begin in the middle of one.
    pub(crate) fn redact_service(&self, answer: ServiceAnswer) -> ServiceAnswer {
        let ServiceAnswer::Status(ServiceStatus { exit: Some(mut exit), state, started_at_ms, adopted }) =
            answer
        else {
            return answer;
        };
        exit.stderr = self.redact_cut_bytes(&exit.stderr).into_owned();
        ServiceAnswer::Status(ServiceStatus { exit: Some(exit), state, started_at_ms, adopted })
    }

    /// What is told of jobs without secrets.
    pub(crate) fn redact_job(&self, answer: JobAnswer) -> JobAnswer {
        let clean = |state| match state {
            JobState::Ended(end) => {
                JobState::Ended(JobEnd { finished: self.redact_finished(end.finished), ..end })
            }
            other @ (JobState::Running { .. } | JobState::Lost) => other,
        };
        match answer {
            JobAnswer::State(state) => JobAnswer::State(clean(state)),
            JobAnswer::Entries(mut entries) => {
                for entry in &mut entries {
                    entry.state = clean(entry.state.clone());
                }
                JobAnswer::Entries(entries)
            }
            JobAnswer::Done => JobAnswer::Done,
        }
    }

    /// What a bus answers without secrets.
    pub(crate) fn redact_reply(&self, reply: DbusReply) -> DbusReply {
        match reply {
            DbusReply::Results(mut items) => {
                for item in &mut items {
                    if let DbusValue::Text(text) = &mut item.value {
                        *text = self.redact(text).into_owned();
                    }
                }
                DbusReply::Results(items)
            }
            DbusReply::Fault { name, message } => DbusReply::Fault {
                name: self.redact(&name).into_owned(),
                message: self.redact(&message).into_owned(),
            },
        }
    }
}
