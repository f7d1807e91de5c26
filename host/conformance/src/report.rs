//! What came out, for people and for programs.

use serde::Serialize;
use std::fmt;

/// Whether a sentence of the contract holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// It does.
    Held,
    /// It does not.
    Broken {
        /// What was seen, one item for each time.
        findings: Vec<String>,
    },
    /// Nobody can tell.
    Skipped {
        /// Why not.
        reason: String,
    },
}

/// How many faults a function was put through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FaultCount {
    /// Host calls that the function makes when nothing fails.
    pub host_calls: usize,
    /// Faults that were tried: a host call and what happens to it.
    pub tried: usize,
    /// Faults for which the budget was too small.
    pub skipped: usize,
}

/// What came of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CheckReport {
    /// The check.
    pub id: &'static str,
    /// The function it is about.
    pub function: &'static str,
    /// The sentence of the contract.
    pub sentence: &'static str,
    /// Whether it holds.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// With checks that make host calls fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faults: Option<FaultCount>,
    /// How long it took.
    pub milliseconds: u64,
}

/// Which driver was checked, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Subject {
    /// The driver's name.
    pub driver: String,
    /// Its own version.
    pub version: String,
    /// Its package.
    pub digest: String,
    /// What it was tried on, in a few words.
    pub place: String,
}

/// What came of all checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// Which driver, and where.
    #[serde(flatten)]
    pub subject: Subject,
    /// One item a check, in the kit's order.
    pub checks: Vec<CheckReport>,
    /// What the kit made and could not delete again.
    pub left_behind: Vec<String>,
}

impl Report {
    /// The checks whose sentences do not hold.
    pub fn broken(&self) -> impl Iterator<Item = &CheckReport> {
        self.checks.iter().filter(|check| matches!(check.verdict, Verdict::Broken { .. }))
    }

    /// How many checks held, broke and were skipped.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        let broken = self.broken().count();
        let held = self.checks.iter().filter(|check| check.verdict == Verdict::Held).count();
        (held, broken, self.checks.len().saturating_sub(held).saturating_sub(broken))
    }

    /// All faults together; none where nothing was swept.
    #[must_use]
    pub fn faults(&self) -> Option<FaultCount> {
        let add = |sum: FaultCount, one: FaultCount| FaultCount {
            host_calls: sum.host_calls.saturating_add(one.host_calls),
            tried: sum.tried.saturating_add(one.tried),
            skipped: sum.skipped.saturating_add(one.skipped),
        };
        self.checks.iter().filter_map(|check| check.faults).reduce(add)
    }

    /// As JUnit XML, which CI systems read.
    #[must_use]
    pub fn junit(&self) -> String {
        let (_, broken, skipped) = self.counts();
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let name =
            escaped(&format!("{} {} on {}", self.subject.driver, self.subject.version, self.subject.place));
        let tests = self.checks.len();
        xml.push_str(&format!(
            "<testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{broken}\" skipped=\"{skipped}\">\n"
        ));
        for check in &self.checks {
            let seconds = check.milliseconds / 1000;
            let rest = check.milliseconds % 1000;
            xml.push_str(&format!(
                "  <testcase classname=\"{}\" name=\"{}: {}\" time=\"{seconds}.{rest:03}\">\n",
                escaped(check.function),
                escaped(check.id),
                escaped(check.sentence)
            ));
            match &check.verdict {
                Verdict::Held => {}
                Verdict::Broken { findings } => {
                    let first = findings.first().map(String::as_str).unwrap_or_default();
                    xml.push_str(&format!(
                        "    <failure message=\"{}\">{}</failure>\n",
                        escaped(first),
                        escaped(&findings.join("\n"))
                    ));
                }
                Verdict::Skipped { reason } => {
                    xml.push_str(&format!("    <skipped message=\"{}\"/>\n", escaped(reason)));
                }
            }
            xml.push_str("  </testcase>\n");
        }
        xml.push_str("</testsuite>\n");
        xml
    }
}

/// What a check found, as lines beneath its name.
const MOST_FINDINGS: usize = 5;

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Subject { driver, version, place, .. } = &self.subject;
        writeln!(formatter, "{driver} {version} on {place}\n")?;
        for check in &self.checks {
            match &check.verdict {
                Verdict::Held => writeln!(formatter, "  holds   {}{}", check.id, swept(check.faults))?,
                Verdict::Skipped { reason } => {
                    writeln!(formatter, "  skipped {}: {reason}", check.id)?;
                }
                Verdict::Broken { findings } => {
                    writeln!(formatter, "  BROKEN  {}{}", check.id, swept(check.faults))?;
                    writeln!(formatter, "          {}: \"{}\"", check.function, check.sentence)?;
                    for finding in findings.iter().take(MOST_FINDINGS) {
                        writeln!(formatter, "          - {finding}")?;
                    }
                    if let Some(more) = findings.len().checked_sub(MOST_FINDINGS).filter(|more| *more > 0) {
                        writeln!(formatter, "          - and {more} more times; --json lists them")?;
                    }
                }
            }
        }
        let (held, broken, skipped) = self.counts();
        writeln!(formatter, "\n{held} hold, {broken} are broken, {skipped} skipped")?;
        if let Some(faults) = self.faults() {
            writeln!(
                formatter,
                "{} faults in host calls tried, {} beyond the budget skipped",
                faults.tried, faults.skipped
            )?;
        }
        for left in &self.left_behind {
            writeln!(formatter, "left behind: {left}")?;
        }
        Ok(())
    }
}

fn swept(faults: Option<FaultCount>) -> String {
    match faults {
        None => String::new(),
        Some(FaultCount { tried, skipped: 0, .. }) => format!(" ({tried} faults)"),
        Some(FaultCount { tried, skipped, .. }) => format!(" ({tried} faults, {skipped} skipped)"),
    }
}

/// Text as it may stand in an attribute or between tags of XML; what XML cannot hold is left out.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' => safe.push_str("&#10;"),
            letter if letter.is_control() => {}
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let check = |id, verdict, faults| CheckReport {
            id,
            function: "shares.create-share",
            sentence: "A <sentence>.",
            verdict,
            faults,
            milliseconds: 1234,
        };
        Report {
            subject: Subject {
                driver: "x".to_owned(),
                version: "1.0.0".to_owned(),
                digest: "sha256:0".to_owned(),
                place: "fakes".to_owned(),
            },
            checks: vec![
                check("one", Verdict::Held, Some(FaultCount { host_calls: 2, tried: 6, skipped: 1 })),
                check("two", Verdict::Broken { findings: vec!["\"seen\" & more".to_owned()] }, None),
                check("three", Verdict::Skipped { reason: "no export".to_owned() }, None),
            ],
            left_behind: Vec::new(),
        }
    }

    #[test]
    fn people_read_what_is_broken_with_its_sentence_and_what_was_skipped_with_its_reason() {
        let text = report().to_string();
        let lines = [
            "holds   one (6 faults, 1 skipped)",
            "BROKEN  two",
            "shares.create-share: \"A <sentence>.\"",
            "- \"seen\" & more",
            "skipped three: no export",
            "1 hold, 1 are broken, 1 skipped",
            "6 faults in host calls tried, 1 beyond the budget skipped",
        ];
        for line in lines {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn ci_reads_xml_in_which_nothing_ends_its_quotes() {
        let xml = report().junit();
        assert!(xml.contains("tests=\"3\" failures=\"1\" skipped=\"1\""), "{xml}");
        assert!(xml.contains("name=\"two: A &lt;sentence&gt;.\" time=\"1.234\""), "{xml}");
        assert!(xml.contains("<failure message=\"&quot;seen&quot; &amp; more\">"), "{xml}");
        assert!(xml.contains("<skipped message=\"no export\"/>"), "{xml}");
    }
}
