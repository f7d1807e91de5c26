//! Samples, and the table they become: medians, and each as a ratio of the peer it stands beside.

use comfy_table::{CellAlignment, Table, presets};
use std::time::Duration;

/// How long something took, again and again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn add(&mut self, one: Duration) {
        self.0.push(one);
    }

    /// The value that `share` of all stay below, in microseconds.
    fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index into thousands of samples"
        )]
        let index = ((sorted.len() as f64 - 1.0).max(0.0) * share) as usize;
        sorted.get(index).map_or(f64::NAN, |one| one.as_secs_f64() * 1e6)
    }

    /// The median, in microseconds.
    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }
}

/// What one line of the table says.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) what: String,
    pub(crate) samples: Samples,
    /// The goal this is, and the most it may be of the peer.
    pub(crate) goal: Option<(&'static str, f64)>,
}

impl Line {
    pub(crate) fn new(what: impl Into<String>, samples: Samples) -> Self {
        Self { what: what.into(), samples, goal: None }
    }

    pub(crate) fn with_goal(mut self, name: &'static str, most: f64) -> Self {
        self.goal = Some((name, most));
        self
    }
}

/// Lines beside one peer, whose time is `peer` microseconds.
pub(crate) fn render(title: &str, peer: f64, lines: &[Line]) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([title, "median µs", "p90 µs", "of the peer", "goal"]);
    for column in 1..4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for line in lines {
        let (median, ratio) = (line.samples.median(), line.samples.median() / peer);
        let goal = line.goal.map_or_else(String::new, |(name, most)| {
            let verdict = if ratio <= most { "held" } else { "MISSED" };
            format!("{name} ≤ {most}: {verdict}")
        });
        table.add_row([
            line.what.clone(),
            format!("{median:.1}"),
            format!("{:.1}", line.samples.quantile(0.9)),
            format!("{ratio:.2}"),
            goal,
        ]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_whether_its_goal_was_held_of_the_peer_in_the_same_run() {
        let samples =
            |micros: &[u64]| Samples(micros.iter().map(|one| Duration::from_micros(*one)).collect());
        let lines = [
            Line::new("quick", samples(&[30, 10, 20])).with_goal("P1", 0.5),
            Line::new("slow", samples(&[90])).with_goal("P2", 0.5),
        ];
        let text = render("call", 100.0, &lines);
        assert!(text.contains("20.0") && text.contains("0.20") && text.contains("P1 ≤ 0.5: held"), "{text}");
        assert!(text.contains("0.90") && text.contains("P2 ≤ 0.5: MISSED"), "{text}");
    }
}
