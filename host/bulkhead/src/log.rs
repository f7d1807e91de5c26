//! The log of this process: every line passes the redactor on its way out, whoever wrote it.

use crate::config::LogFormat;
use anyhow::Context;
use bulkhead_capability::secret::Redactor;
use std::io::{self, Write};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Write log lines to standard error from now on, and the last words of a thread that panics with them.
pub(crate) fn start(format: LogFormat, filter: &str, redactor: &Redactor) -> anyhow::Result<()> {
    let filter =
        EnvFilter::builder().parse(filter).context("log-filter is not understood; 'info' is a good start")?;
    let lines = CleanLines { redactor: redactor.clone(), to: io::stderr };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines);
    match format {
        LogFormat::Text => subscriber.with_ansi(false).init(),
        LogFormat::Json => subscriber.json().init(),
    }
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    Ok(())
}

/// Makes writers that take secrets out.
struct CleanLines<T> {
    redactor: Redactor,
    to: T,
}

/// Takes secrets out of what is written to `to`. Whoever writes hands over whole lines.
struct Clean<T> {
    redactor: Redactor,
    to: T,
}

impl<'line, W: Write, T: Fn() -> W> MakeWriter<'line> for CleanLines<T> {
    type Writer = Clean<W>;

    fn make_writer(&'line self) -> Self::Writer {
        Clean { redactor: self.redactor.clone(), to: (self.to)() }
    }
}

impl<W: Write> Write for Clean<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.to.write_all(&self.redactor.redact_bytes(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
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

    #[test]
    fn a_line_tells_no_secret_whatever_field_it_stands_in() {
        let redactor = Redactor::default();
        let _secret = redactor.secret(b"pass\"word\\1".to_vec()).expect("a secret");
        let kept = Kept::default();
        let to = kept.clone();
        let lines = CleanLines { redactor, to: move || to.clone() };
        let subscriber = tracing_subscriber::fmt().json().with_writer(lines).finish();
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("call", password = "pass\"word\\1");
            span.in_scope(|| tracing::info!(text = ?"pass\"word\\1", "it is pass\"word\\1"));
        });
        let bytes = kept.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let text = String::from_utf8(bytes).expect("text");
        assert_eq!(text.matches("[secret]").count(), 4, "the span stands there twice: {text}");
        assert!(!text.contains("pass") || text.contains("\"password\""), "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).expect("one line of JSON");
        assert_eq!(line["fields"]["message"], "it is [secret]");
    }
}
