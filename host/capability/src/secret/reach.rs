//! How far a secret reaches: whose texts it is taken out of.
//!
//! ```text
//! daemon             operators' secrets of all backends and machines     log, ledger, API
//!  `- backend, machine   its own: options, sessions, the login there     what returns to its guest, and what that answers
//!      `- call               passwords that tenants entrusted, what is    the same, and all that this call writes down
//!                            captured, made, kept
//! ```
//!
//! What an operator wrote the daemon's own redactor learns as well, because nobody else says what log, ledger and API must not tell. What
//! came with a call stays with the call: a tenant who chooses the password `available` would otherwise take that word out of other tenants'
//! answers, make other drivers' answers invalid, and learn by trying which texts are a neighbour's secrets. So a call's texts are clean
//! before they leave it: its effects, its lines, what its guest gets and answers, and whatever is told of its failure; what is kept of them
//! later is clean too.
//!
//! The log alone has lines that passed nobody. A line that is written in a call's own task is cleaned by what that call knows
//! ([`Redactor::during`], [`Redactor::and_current_call`]). Elsewhere, the code that carries secrets to helpers, arrays and files, and that of
//! others, may write what any call knows: its lines are cleaned by all of it ([`Redactor::and_all_calls`]). There a tenant's password can
//! take a word out of a line that is not his, and only while a call of his holds it. That is the price of no secret in the log.

use super::known::Known;
use super::redactor::{MOST_BYTES, MOST_BYTES_OF_CALL, Redactor};
use std::sync::Arc;

tokio::task_local! {
    /// Who cleans what the call says that runs in this task.
    static CURRENT: Redactor;
}

impl Default for Redactor {
    /// The daemon's: it learns what every narrower one learns, but for those of calls.
    fn default() -> Self {
        Self {
            own: Known::new(MOST_BYTES, None),
            beside: Arc::default(),
            of_calls: Known::new(MOST_BYTES, None),
        }
    }
}

impl Redactor {
    /// One for a backend, or for a machine: it takes out what it learns itself, and the daemon's learns that as well.
    #[must_use]
    pub fn narrowed(&self) -> Self {
        Self {
            own: Known::new(MOST_BYTES, Some(Arc::clone(self.own.widest()))),
            beside: Arc::default(),
            of_calls: Arc::clone(&self.of_calls),
        }
    }

    /// The same, taking out what `other` does as well.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let beside = self.beside.iter().chain([&other.own]).chain(&*other.beside).cloned().collect();
        Self { own: Arc::clone(&self.own), beside, of_calls: Arc::clone(&self.of_calls) }
    }

    /// One for a call: it takes out what this one does, and what it learns itself, which nobody else takes out.
    #[must_use]
    pub fn for_call(&self) -> Self {
        let own = Known::new(MOST_BYTES_OF_CALL, Some(Arc::clone(&self.of_calls)));
        Self { own, beside: Arc::default(), of_calls: Arc::clone(&self.of_calls) }.with(self)
    }

    /// Do `work`, which belongs to the call that this is the redactor of: what it writes to the log is cleaned by it.
    pub async fn during<F: Future>(&self, work: F) -> F::Output {
        CURRENT.scope(self.clone(), work).await
    }

    /// The same, taking out what the call knows that runs in this task, if one does.
    #[must_use]
    pub fn and_current_call(&self) -> Self {
        CURRENT.try_with(|call| self.with(call)).unwrap_or_else(|_| self.clone())
    }

    /// The same, taking out what any call knows.
    #[must_use]
    pub fn and_all_calls(&self) -> Self {
        let beside = self.beside.iter().chain([&self.of_calls]).cloned().collect();
        Self { own: Arc::clone(&self.own), beside, of_calls: Arc::clone(&self.of_calls) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Secret, SecretError};

    const TEXT: &str = "available, correct horse, battery staple";

    fn made(redactor: &Redactor, text: &str) -> Secret {
        redactor.secret(text.as_bytes().to_vec()).expect("a secret")
    }

    #[test]
    fn an_operators_secret_is_taken_out_by_its_backend_and_the_daemon_and_by_no_other_backend() {
        let daemon = Redactor::default();
        let (one, other) = (daemon.narrowed(), daemon.narrowed());
        let _secret = made(&one, "correct horse");
        for redactor in [&daemon, &one, &one.for_call()] {
            assert_eq!(redactor.redact(TEXT), "available, [secret], battery staple");
        }
        assert_eq!(other.redact(TEXT), TEXT);
        assert_eq!(other.for_call().redact(TEXT), TEXT);
        assert_eq!(other.with(&one).for_call().redact(TEXT), "available, [secret], battery staple");
    }

    #[test]
    fn what_a_call_learns_is_taken_out_of_nobody_elses_texts() {
        let daemon = Redactor::default();
        let backend = daemon.narrowed();
        let (call, another) = (backend.for_call(), backend.for_call());
        let secret = made(&call, "available");
        assert_eq!(call.redact(TEXT), "[secret], correct horse, battery staple");
        for redactor in [&daemon, &backend, &another, &daemon.narrowed().for_call()] {
            assert_eq!(redactor.redact(TEXT), TEXT);
        }
        assert_eq!(daemon.and_all_calls().redact(TEXT), "[secret], correct horse, battery staple");
        drop((call, secret));
        let _next = made(&another, "battery staple");
        assert_eq!(daemon.and_all_calls().redact(TEXT), "available, correct horse, [secret]");
    }

    #[tokio::test]
    async fn a_line_is_cleaned_by_the_call_in_whose_task_it_is_written() {
        let daemon = Redactor::default();
        let call = daemon.narrowed().for_call();
        let _secret = made(&call, "available");
        let inside = call.during(async { daemon.and_current_call().redact(TEXT).into_owned() }).await;
        assert_eq!(inside, "[secret], correct horse, battery staple");
        assert_eq!(daemon.and_current_call().redact(TEXT), TEXT);
    }

    #[test]
    fn one_call_with_many_secrets_leaves_room_for_others_and_for_the_operators() {
        let daemon = Redactor::default();
        let backend = daemon.narrowed();
        let large = |number: u8| vec![number; MOST_BYTES_OF_CALL / 2];
        let mut all = Vec::new();
        for number in 0..8 {
            let call = backend.for_call();
            all.push((call.secret(large(2 * number)).expect("room"), call.secret(large(2 * number + 1))));
            let refused = call.secret(b"one more".to_vec()).err();
            assert_eq!(refused, Some(SecretError::TooMany { most_bytes: MOST_BYTES_OF_CALL }));
        }
        let refused = backend.for_call().secret(b"one more".to_vec()).err();
        assert_eq!(refused, Some(SecretError::TooMany { most_bytes: MOST_BYTES }), "all calls together");
        let _own = made(&backend, "correct horse");
        all.truncate(7);
        let _again = made(&backend.for_call(), "one more");
    }
}
