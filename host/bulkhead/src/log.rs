//! The log of this process: every line passes the redactor on its way out, whoever wrote it.
//!
//! A line of ours that is written in a call's task is cleaned by what that call knows beside what the operators wrote. Lines of those parts of
//! ours that carry secrets, of other people's code, and of whoever panics, are cleaned by what any call knows, as
//! `bulkhead_capability::secret` says; the rest of ours gets only what a call has cleaned.

use crate::config::LogFormat;
use anyhow::Context;
use bulkhead_capability::secret::Redactor;
use serde_json::Value;
use std::borrow::Cow;
use std::io::{self, Write};
use tracing::Metadata;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Write log lines to standard error from now on, and the last words of a thread that panics with them.
pub(crate) fn start(format: LogFormat, filter: &str, redactor: &Redactor) -> anyhow::Result<()> {
    let filter =
        EnvFilter::builder().parse(filter).context("log-filter is not understood; 'info' is a good start")?;
    let lines = CleanLines { redactor: redactor.clone(), form: format, to: io::stderr };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines);
    match format {
        LogFormat::Text => subscriber.with_ansi(false).init(),
        LogFormat::Json => subscriber.json().init(),
    }
    std::panic::set_hook(Box::new(|panic| tracing::error!(target: PANIC, "{panic}")));
    Ok(())
}

/// Whose lines hold nothing but what a call has cleaned before, outside of calls: drivers, and the crates that get only what calls answer.
const CLEANED_BEFORE: [&str; 8] = [
    "driver",
    "bulkhead",
    "bulkhead_api",
    "bulkhead_ledger",
    "bulkhead_manager",
    "bulkhead_model",
    "bulkhead_sandbox",
    "bulkhead_store",
];

/// Who writes a panic's last words, whoever panicked.
const PANIC: &str = "bulkhead::panic";

/// Makes writers that take secrets out.
struct CleanLines<T> {
    redactor: Redactor,
    form: LogFormat,
    to: T,
}

/// Takes secrets out of what is written to `to`. Whoever writes hands over whole lines.
struct Clean<T> {
    redactor: Redactor,
    form: LogFormat,
    to: T,
}

impl<'line, W: Write, T: Fn() -> W> MakeWriter<'line> for CleanLines<T> {
    type Writer = Clean<W>;

    fn make_writer(&'line self) -> Self::Writer {
        Clean { redactor: self.redactor.and_all_calls(), form: self.form, to: (self.to)() }
    }

    fn make_writer_for(&'line self, line: &Metadata<'_>) -> Self::Writer {
        let author = line.target().split("::").next().unwrap_or_default();
        if line.target() == PANIC || !CLEANED_BEFORE.contains(&author) {
            return self.make_writer();
        }
        Clean { redactor: self.redactor.and_current_call(), form: self.form, to: (self.to)() }
    }
}

impl<W: Write> Write for Clean<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match (self.redactor.redact_bytes(line), self.form) {
            (Cow::Owned(_), LogFormat::Json) => self.to.write_all(&self.clean_values(line))?,
            (clean, _) => self.to.write_all(&clean)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl<T> Clean<T> {
    /// A line of JSON with its texts cleaned one by one, so that it stays one: a tenant's password may look like what stands between them.
    fn clean_values(&self, line: &[u8]) -> Vec<u8> {
        let Ok(mut value) = serde_json::from_slice(line) else {
            return self.redactor.redact_bytes(line).into_owned();
        };
        self.clean_texts(&mut value);
        format!("{value}\n").into_bytes()
    }

    fn clean_texts(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.redactor.redact(text).into_owned(),
            Value::Array(items) => items.iter_mut().for_each(|item| self.clean_texts(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.clean_texts(field)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex, PoisonError};

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written as `form` by `daemon` while `work` is done.
    fn written(daemon: &Redactor, form: LogFormat, work: impl FnOnce()) -> String {
        let kept = Kept::default();
        let to = kept.clone();
        let lines = CleanLines { redactor: daemon.clone(), form, to: move || to.clone() };
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(lines);
        match form {
            LogFormat::Text => tracing::subscriber::with_default(subscriber.finish(), work),
            LogFormat::Json => tracing::subscriber::with_default(subscriber.json().finish(), work),
        }
        let bytes = kept.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).expect("text")
    }

    /// A line of each author, outside of every call.
    fn lines() {
        tracing::info!(target: "bulkhead_manager::runner", "share is available");
        tracing::info!(target: "driver", "pool is available");
        tracing::info!(target: "bulkhead_ssh::session", "it said available");
        tracing::info!(target: "russh::client", "it read available");
        tracing::info!(target: PANIC, "panicked at available");
    }

    #[tokio::test]
    async fn a_tenants_password_is_taken_out_of_its_calls_lines_and_of_those_that_may_hold_it() {
        let daemon = Redactor::default();
        let call = daemon.narrowed().for_call();
        let _password = call.secret(b"available".to_vec()).expect("a secret");
        let outside = written(&daemon, LogFormat::Text, lines);
        for whole in ["share is available", "pool is available"] {
            assert!(outside.contains(whole), "{outside}");
        }
        for clean in ["it said [secret]", "it read [secret]", "panicked at [secret]"] {
            assert!(outside.contains(clean), "{outside}");
        }
        let inside = call.during(async { written(&daemon, LogFormat::Text, lines) }).await;
        assert!(inside.matches("[secret]").count() == 5 && !inside.contains("available"), "{inside}");
        let other = daemon.narrowed().for_call();
        let beside = other.during(async { written(&daemon, LogFormat::Text, lines) }).await;
        assert!(beside.contains("share is available"), "{beside}");
    }

    #[tokio::test]
    async fn a_password_that_looks_like_json_leaves_a_line_of_json_one() {
        let daemon = Redactor::default();
        let call = daemon.narrowed().for_call();
        for text in ["\"fields\":{\"message\":\"", "\",\"level\":\"", "message"] {
            let _password = call.secret(text.as_bytes().to_vec()).expect("a secret");
            let line = call
                .during(async {
                    written(&daemon, LogFormat::Json, || tracing::info!("the password is {text}"))
                })
                .await;
            let line: serde_json::Value = serde_json::from_str(&line).expect("one line of JSON");
            assert_eq!(line["fields"]["message"], "the password is [secret]");
        }
    }

    #[test]
    fn a_line_tells_no_secret_whatever_field_it_stands_in() {
        let redactor = Redactor::default();
        let _secret = redactor.secret(b"pass\"word\\1".to_vec()).expect("a secret");
        let text = written(&redactor, LogFormat::Json, || {
            let span = tracing::info_span!("call", password = "pass\"word\\1");
            span.in_scope(|| tracing::info!(text = ?"pass\"word\\1", "it is pass\"word\\1"));
        });
        assert_eq!(text.matches("[secret]").count(), 4, "the span stands there twice: {text}");
        assert!(!text.contains("pass") || text.contains("\"password\""), "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).expect("one line of JSON");
        assert_eq!(line["fields"]["message"], "it is [secret]");
    }
}
