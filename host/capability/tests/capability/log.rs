use crate::lab::Lab;
use bulkhead_capability::log::{LINE_COST_BYTES, Level};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Keeps the text and the fields of every event.
#[derive(Clone, Default)]
struct Keeper(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{field}={value:?} ").expect("a String takes everything");
    }
}

impl Subscriber for Keeper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "driver"
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!("{} ", event.metadata().level()));
        event.record(&mut line);
        self.0.lock().expect("no panic").push(line.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn a_line_is_cleaned_cut_and_says_whose_it_is() {
    let lab = Lab::new().await;
    let keeper = Keeper::default();
    let guard = tracing::subscriber::set_default(keeper.clone());
    let call = lab.call();
    call.log().write(Level::Warning, "forged\n2026-01-01 ERROR host: \u{1b}[31mpanic");
    call.log().write(Level::Debug, &"x".repeat(10 << 20));
    drop(call);
    drop(guard);
    let lines = keeper.0.lock().expect("no panic").clone();
    assert_eq!(lines.len(), 2, "nothing was left out, so nothing is said about it");
    assert!(
        lines[0].starts_with("WARN ")
            && lines[0].contains("backend=lab ")
            && lines[0].contains("driver=lab ")
    );
    assert!(lines[0].contains("forged\\u{a}2026") && !lines[0].contains('\u{1b}'), "{}", lines[0]);
    assert!(lines[1].len() < 4096 + 512, "{} bytes", lines[1].len());
    assert!(lab.effects().await.is_empty(), "a line is no effect");
}

#[tokio::test]
async fn what_is_over_the_budget_of_a_call_is_counted_in_one_last_line() {
    let lab = Lab::new().await;
    let keeper = Keeper::default();
    let guard = tracing::subscriber::set_default(keeper.clone());
    let call = lab.call();
    for _ in 0..1000 {
        call.log().write(Level::Info, &"x".repeat(1024));
    }
    call.log().write(Level::Info, "");
    call.end().expect("ended");
    let next = lab.call();
    next.log().write(Level::Info, "the next call has a budget of its own");
    drop(next);
    drop(guard);
    let lines = keeper.0.lock().expect("no panic").clone();
    let written = (256 << 10) / (1024 + LINE_COST_BYTES);
    assert_eq!(lines.len(), written + 1 + 1);
    let left_out = format!("{} further lines of this call are left out", 1001 - written);
    assert!(lines[written].contains(&left_out), "{}", lines[written]);
    assert!(lines[written + 1].contains("the next call"));
}
