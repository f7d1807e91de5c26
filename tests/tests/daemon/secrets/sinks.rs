//! Everything that a secret could have got into, and the search in it.

use super::canary::spellings;
use aho_corasick::AhoCorasick;
use bulkhead_tests::daemon::Daemon;
use bulkhead_tests::lab::Lab;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Where something may be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sink {
    Log,
    Ledger,
    Api,
    Store,
    Arguments,
    Environments,
    Temporary,
    GuestMemory,
    GuestFiles,
    Configuration,
}

/// What was found there, with where exactly.
#[derive(Debug, Default)]
pub(super) struct Sinks(pub(super) BTreeMap<Sink, Vec<(String, Vec<u8>)>>);

impl Sinks {
    pub(super) fn add(&mut self, sink: Sink, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.entry(sink).or_default().push((place.into(), bytes.into()));
    }

    /// How many bytes each sink holds.
    pub(super) fn sizes(&self) -> BTreeMap<Sink, usize> {
        let size = |places: &Vec<(String, Vec<u8>)>| places.iter().map(|(_, bytes)| bytes.len()).sum();
        self.0.iter().map(|(sink, places)| (*sink, size(places))).collect()
    }

    /// Every file of a lab, but for those where the operator keeps the secrets and where a program reads one.
    pub(super) fn add_files(&mut self, lab: &Lab) {
        for (folder, sink) in [
            ("state", Sink::Store),
            ("temporary", Sink::Temporary),
            ("roots/nas1/memory", Sink::GuestMemory),
            ("roots/nas1/notes", Sink::GuestFiles),
            ("backends", Sink::Configuration),
        ] {
            self.add_directory(sink, &lab.path().join(folder));
        }
        for (file, sink) in [("daemon.log", Sink::Log), ("bulkhead.toml", Sink::Configuration)] {
            self.add(sink, file, std::fs::read(lab.path().join(file)).expect("a file"));
        }
    }

    fn add_directory(&mut self, sink: Sink, directory: &Path) {
        for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
            let (path, kind) = (entry.path(), entry.file_type().expect("a type"));
            if kind.is_dir() {
                self.add_directory(sink, &path);
            } else if kind.is_file() {
                self.add(sink, path.display().to_string(), std::fs::read(&path).unwrap_or_default());
            }
        }
    }

    /// What the doors of a daemon tell of everything that happened.
    pub(super) async fn add_answers(&mut self, daemon: &Daemon, share: &str) {
        let (tenant, operator) = (daemon.tenant(), daemon.operator());
        for (client, path) in [
            (&tenant, format!("/v2/shares/{share}")),
            (&tenant, format!("/v2/shares/{share}/export_locations")),
            (&tenant, "/v2/messages".to_owned()),
            (&tenant, "/v2/scheduler-stats/pools/detail".to_owned()),
            (&operator, format!("/v2/shares/{share}")),
            (&operator, format!("/v2/share-access-rules?share_id={share}")),
            (&operator, "/v1/operations".to_owned()),
            (&operator, "/v1/backends".to_owned()),
            (&operator, "/v1/backends/nas1".to_owned()),
            (&operator, "/v1/backends/nas1/generations".to_owned()),
            (&operator, "/v1/drivers".to_owned()),
            (&operator, "/v1/ledger?backend=nas1&most=1000".to_owned()),
        ] {
            let answer = client.send("GET", &path, None).await.expect("an answer");
            let sink = if path.starts_with("/v1/ledger") { Sink::Ledger } else { Sink::Api };
            self.add(sink, format!("{path} {}", answer.status), answer.body.to_string());
        }
    }

    /// Arguments and environments of all processes, but the environment that the daemon itself was given.
    pub(super) fn add_processes(&mut self, daemon: u32) {
        let mut seen = Seen::default();
        seen.look(daemon);
        seen.into_sinks(self);
    }
}

/// What processes were seen to have.
#[derive(Debug, Default)]
struct Seen {
    arguments: BTreeSet<Vec<u8>>,
    environments: BTreeSet<Vec<u8>>,
}

impl Seen {
    fn look(&mut self, daemon: u32) {
        for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            // A process may have ended meanwhile.
            self.arguments.extend(std::fs::read(entry.path().join("cmdline")));
            if id != daemon {
                self.environments.extend(std::fs::read(entry.path().join("environ")));
            }
        }
    }

    fn into_sinks(self, sinks: &mut Sinks) {
        for bytes in self.arguments {
            sinks.add(Sink::Arguments, "a process", bytes);
        }
        for bytes in self.environments {
            sinks.add(Sink::Environments, "a process", bytes);
        }
    }
}

/// Looks at all processes again and again.
#[derive(Debug)]
pub(super) struct Watcher {
    is_ending: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

impl Watcher {
    pub(super) fn of(daemon: u32) -> Self {
        let is_ending = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_ending);
        let thread = std::thread::spawn(move || {
            let mut seen = Seen::default();
            while !told.load(Ordering::Relaxed) {
                seen.look(daemon);
                std::thread::sleep(Duration::from_millis(2));
            }
            seen
        });
        Self { is_ending, thread }
    }

    pub(super) fn end(self, sinks: &mut Sinks) {
        self.is_ending.store(true, Ordering::Relaxed);
        self.thread.join().expect("no panic").into_sinks(sinks);
    }
}

/// Looks for texts in every spelling.
#[derive(Debug)]
pub(super) struct Search {
    automaton: AhoCorasick,
    spellings: Vec<String>,
}

impl Search {
    pub(super) fn of<'text>(texts: impl IntoIterator<Item = &'text String>) -> Self {
        let spellings: Vec<String> = texts.into_iter().flat_map(|text| spellings(text)).collect();
        Self { automaton: AhoCorasick::new(&spellings).expect("a search"), spellings }
    }

    /// How many patterns it looks for.
    pub(super) fn patterns(&self) -> usize {
        self.spellings.len()
    }

    /// What it finds, by sink: where, and in which spelling.
    pub(super) fn hits(&self, sinks: &Sinks) -> BTreeMap<Sink, Vec<String>> {
        let mut hits: BTreeMap<Sink, Vec<String>> = BTreeMap::new();
        for (sink, places) in &sinks.0 {
            for (place, bytes) in places {
                for hit in self.automaton.find_iter(bytes) {
                    let spelling = &self.spellings[hit.pattern().as_usize()];
                    hits.entry(*sink).or_default().push(format!("{place}: {spelling}"));
                }
            }
        }
        hits
    }
}
