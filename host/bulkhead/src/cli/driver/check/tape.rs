//! A recording of what a place answered: every answer of a host call, and everything the kit saw beside it, in order. Played, it stands for
//! the place, which need not be there.

use anyhow::{Context, bail};
use bulkhead_capability::intercept::TapedAnswer;
use bulkhead_conformance::WorldError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The form of the file.
const FORMAT: u32 = 1;

/// The first line of a tape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Header {
    format: u32,
    /// The driver that was recorded, and its package.
    driver: String,
    digest: String,
    /// What it was tried on.
    place: String,
    /// What the ids of the run were made of.
    pub(super) seed: u32,
    /// How many backends there were: two where there was one for replicas.
    pub(super) backends: usize,
    /// How many faults were tried.
    pub(super) faults: usize,
}

impl Header {
    pub(super) fn new(subject: &bulkhead_conformance::Subject, seed: u32, backends: usize) -> Self {
        let (driver, digest) = (subject.driver.clone(), subject.digest.clone());
        Self { format: FORMAT, driver, digest, place: subject.place.clone(), seed, backends, faults: 0 }
    }

    /// What was recorded, in a few words.
    pub(super) fn place(&self) -> String {
        format!("a recording of {}", self.place)
    }
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Entry {
    /// The host call, or what the kit looked at.
    what: String,
    /// What it was about.
    about: String,
    /// What came of it.
    answer: TapedAnswer,
}

/// Whether answers are recorded, played, or neither.
#[derive(Debug, Default)]
pub(super) enum Tape {
    /// Neither.
    #[default]
    Off,
    /// Recorded.
    Recording(Mutex<Vec<Entry>>),
    /// Played.
    Playing(Mutex<Played>),
}

/// What is left of a tape.
#[derive(Debug, Default)]
pub(super) struct Played {
    left: VecDeque<Entry>,
    /// Where the run left the recording; everything after it is worth nothing.
    misfit: Option<String>,
}

impl Tape {
    pub(super) fn recording() -> Self {
        Self::Recording(Mutex::default())
    }

    /// Read a tape.
    pub(super) fn open(path: &Path) -> anyhow::Result<(Header, Self)> {
        let named = || format!("cannot read the recording {}", path.display());
        let mut lines = BufReader::new(File::open(path).with_context(named)?).lines();
        let first = lines.next().transpose().with_context(named)?.unwrap_or_default();
        let header: Header = serde_json::from_str(&first).with_context(named)?;
        if header.format != FORMAT {
            bail!("{} is of another form ({}); record it again", path.display(), header.format);
        }
        let mut left = VecDeque::new();
        for line in lines {
            left.push_back(serde_json::from_str(&line.with_context(named)?).with_context(named)?);
        }
        Ok((header, Self::Playing(Mutex::new(Played { left, misfit: None }))))
    }

    /// Write what was recorded.
    pub(super) fn save(&self, path: &Path, header: &Header) -> anyhow::Result<()> {
        let Self::Recording(entries) = self else { return Ok(()) };
        let named = || format!("cannot write the recording {}", path.display());
        let mut file = BufWriter::new(File::create(path).with_context(named)?);
        writeln!(file, "{}", serde_json::to_string(header)?).with_context(named)?;
        for entry in locked(entries).iter() {
            writeln!(file, "{}", serde_json::to_string(entry)?).with_context(named)?;
        }
        file.flush().with_context(named)
    }

    /// Fails if the run that was played asked for something else than was recorded.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let Self::Playing(played) = self else { return Ok(()) };
        match &locked(played).misfit {
            Some(misfit) => bail!(
                "the recording does not fit: {misfit}\nhint: the driver asks its host for other things than when it was recorded; \
                 record it again with --record"
            ),
            None => Ok(()),
        }
    }

    pub(super) const fn keeps(&self) -> bool {
        matches!(self, Self::Recording(_))
    }

    pub(super) const fn plays(&self) -> bool {
        matches!(self, Self::Playing(_))
    }

    pub(super) fn keep(&self, (what, about): (&str, &str), answer: TapedAnswer) {
        if let Self::Recording(entries) = self {
            locked(entries).push(Entry { what: what.to_owned(), about: about.to_owned(), answer });
        }
    }

    /// The recorded answer; none unless a tape is played.
    pub(super) fn play(&self, (what, about): (&str, &str)) -> Option<TapedAnswer> {
        let Self::Playing(played) = self else { return None };
        let mut played = locked(played);
        if played.misfit.is_none() {
            match played.left.pop_front() {
                Some(entry) if entry.what == what && entry.about == about => return Some(entry.answer),
                Some(entry) => {
                    let recorded = format!("{} {}", entry.what, entry.about);
                    played.misfit =
                        Some(format!("'{what} {about}' was asked where '{recorded}' was recorded"));
                }
                None => played.misfit = Some(format!("'{what} {about}' was asked after its end")),
            }
        }
        Some(Err(off_the_tape()))
    }

    /// Look at something, and record it; or tell what was seen when it was recorded.
    pub(super) async fn seen<T: Serialize + DeserializeOwned>(
        &self,
        (what, about): (&str, &str),
        look: impl Future<Output = Result<T, WorldError>>,
    ) -> Result<T, WorldError> {
        if let Some(answer) = self.play((what, about)) {
            let value = answer.map_err(|error| WorldError::new("the recording", error))?;
            return serde_json::from_value(value).map_err(|error| WorldError::new("the recording", error));
        }
        let seen = look.await;
        if self.keeps() {
            let answer = match &seen {
                Ok(seen) => serde_json::to_value(seen).map_err(|error| failed(&error.to_string())),
                Err(error) => Err(failed(&error.to_string())),
            };
            self.keep((what, about), answer);
        }
        seen
    }
}

fn failed(what: &str) -> bulkhead_model::error::CapabilityError {
    bulkhead_model::error::CapabilityError::new(bulkhead_model::error::CapabilityCode::Io, what)
}

fn off_the_tape() -> bulkhead_model::error::CapabilityError {
    failed("the recording says nothing about this")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn header() -> Header {
        let subject = bulkhead_conformance::Subject {
            driver: "x".to_owned(),
            version: "1.0.0".to_owned(),
            digest: "sha256:0".to_owned(),
            place: "lab.toml".to_owned(),
        };
        Header::new(&subject, 7, 2)
    }

    #[test]
    fn what_was_recorded_is_played_in_order() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let tape = Tape::recording();
        tape.keep(("files.status", "a"), Ok(Value::from(1)));
        tape.keep(("files.status", "b"), Err(failed("full")));
        tape.save(file.path(), &header()).expect("written");
        let (read, played) = Tape::open(file.path()).expect("read");
        assert_eq!(read, header());
        assert_eq!(played.play(("files.status", "a")), Some(Ok(Value::from(1))));
        assert_eq!(played.play(("files.status", "b")), Some(Err(failed("full"))));
        assert!(played.check().is_ok());
    }

    #[test]
    fn who_asks_for_something_else_is_told_what_was_recorded() {
        let played = Played { left: VecDeque::new(), misfit: None };
        let tape = Tape::Playing(Mutex::new(played));
        assert!(tape.play(("files.status", "a")).is_some_and(|answer| answer.is_err()));
        let told = tape.check().expect_err("a misfit").to_string();
        assert!(
            told.contains("'files.status a' was asked after its end") && told.contains("--record"),
            "{told}"
        );
    }
}
