//! What a guest gets of an answer: its secrets by reference, the headers that it may see, and nothing of what is nobody's business.

use super::exchange::WireResponse;
use super::policy::Prepared;
use super::{Done, Http, HttpResponse, milliseconds};
use crate::secret::{Output, Secret};
use bulkhead_model::error::CapabilityError;
use std::time::{Duration, SystemTime};

/// The longest that an endpoint may ask to wait: an answer beyond it is told as this.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// The longest value of a header that a guest sees, in bytes.
const LONGEST_HEADER: usize = 4096;

impl Http<'_> {
    /// Hold what an answer captured; nothing of one that is no success. Replaces what was captured before.
    ///
    /// Answers what the body holds, also of one that is no success: while that is alive the redactor knows it.
    pub(super) fn hold_captured(
        &self,
        prepared: &Prepared<'_>,
        answer: &WireResponse,
    ) -> Result<Vec<Secret>, CapabilityError> {
        let output = Output {
            template: &prepared.template.name,
            captures: &prepared.template.captures,
            bytes: &answer.body,
            truncated: answer.truncated,
        };
        let captured = match output.secrets(self.call.redactor()) {
            Err(error) if answer.is_success() => return Err(error),
            // What the endpoint refuses has to be told.
            found => found.unwrap_or_default(),
        };
        let alive = captured.iter().map(|(_, secret)| secret.clone()).collect();
        self.call.held_secrets().capture(if answer.is_success() { captured } else { Vec::new() })?;
        Ok(alive)
    }

    /// What the guest sees of an answer: the headers it may see, and no secret.
    pub(super) fn response(&self, prepared: &Prepared<'_>, done: Done) -> HttpResponse {
        let redactor = self.call.redactor();
        let answer = done.answer;
        let retry_after_ms = retry_after(&answer, SystemTime::now()).map(milliseconds);
        let mut headers = Vec::new();
        for name in &prepared.template.returns {
            for (_, value) in answer.headers.iter().filter(|(found, _)| found == name) {
                let printable = |byte: &u8| match *byte {
                    byte @ (b' ' | 0x21..=0x7e) => char::from(byte),
                    _ => '?',
                };
                // Before it is cut, and before letters become others: what is left of a secret is not found any more.
                let clean = redactor.redact_bytes(value);
                headers.push((name.clone(), clean.iter().take(LONGEST_HEADER).map(printable).collect()));
            }
        }
        let body = if answer.truncated {
            redactor.redact_cut_bytes(&answer.body)
        } else {
            redactor.redact_bytes(&answer.body)
        };
        HttpResponse {
            status: answer.status,
            headers,
            body: body.into_owned(),
            truncated: answer.truncated,
            controller: u32::try_from(done.controller).unwrap_or(u32::MAX),
            retry_after_ms,
            duration_ms: milliseconds(done.duration),
        }
    }
}

/// How long an answer asks to wait: seconds or a date (RFC 9110, 10.2.3). At most [`LONGEST_PAUSE`].
pub(super) fn retry_after(answer: &WireResponse, now: SystemTime) -> Option<Duration> {
    let text = answer.header("retry-after")?.trim();
    let pause = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(pause.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_seconds_or_a_date_and_never_longer_than_an_hour() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");
        let pause = |text: &str| {
            let headers = vec![("retry-after".to_owned(), text.as_bytes().to_vec())];
            let answer =
                WireResponse { status: 429, headers, body: Vec::new(), truncated: false, streamed: 0 };
            retry_after(&answer, now).map(|pause| pause.as_secs())
        };
        assert_eq!(pause("7"), Some(7));
        assert_eq!(pause("Sun, 06 Nov 1994 08:49:47 GMT"), Some(10));
        assert_eq!(pause("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(pause("99999999999"), Some(3600));
        for nonsense in ["soon", "-1", "1.5", "99999999999999999999999"] {
            assert_eq!(pause(nonsense), None, "{nonsense}");
        }
    }
}
