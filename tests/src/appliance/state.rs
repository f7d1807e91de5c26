//! What the array knows: sessions, volumes, snapshots and the work on them. No input or output here.

use super::{PASSWORD, USER};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// How an array is.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How old a session may become.
    pub session_age: Duration,
    /// How many sessions there are at most.
    pub most_sessions: usize,
    /// How long work on a volume takes.
    pub job_time: Duration,
    /// How many requests are answered in a second; none: all.
    pub most_requests: Option<usize>,
    /// Whether it speaks TLS.
    pub is_encrypted: bool,
    /// How much it holds, in GiB.
    pub total_gib: u64,
}

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Requests in all, logins among them.
    pub requests: usize,
    /// Logins that brought a session.
    pub logins: usize,
    /// Logouts.
    pub logouts: usize,
    /// Requests refused for want of a session.
    pub expired: usize,
    /// Requests that were told to wait.
    pub delayed: usize,
    /// Changes without the header that guards against forgery.
    pub forged: usize,
}

/// A request as the array reads it.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a [&'a str],
    pub(super) session: Option<&'a str>,
    pub(super) csrf: Option<&'a str>,
    pub(super) body: Value,
}

/// An answer before it is written.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) cookie: Option<String>,
    pub(super) retry_after: Option<u64>,
}

#[derive(Debug)]
struct Session {
    csrf: String,
    since: Instant,
}

#[derive(Debug)]
struct Volume {
    size_gib: u64,
    used_gib: u64,
    clients: Value,
    job: Job,
}

#[derive(Debug)]
struct Job {
    ends: Instant,
    deed: Deed,
    error: Option<&'static str>,
}

/// What work does to its volume when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Nothing,
    Remove,
    Resize(u64),
}

#[derive(Debug)]
struct Snapshot {
    volume: String,
    size_gib: u64,
    used_gib: u64,
}

#[derive(Debug)]
pub(super) struct State {
    plan: Plan,
    pub(super) counts: Counts,
    sessions: BTreeMap<String, Session>,
    volumes: BTreeMap<String, Volume>,
    snapshots: BTreeMap<String, Snapshot>,
    recent: VecDeque<Instant>,
    tokens: u64,
}

impl Answered {
    pub(super) fn new(status: u16, body: Value) -> Self {
        Self { status, body, cookie: None, retry_after: None }
    }

    pub(super) fn refused(status: u16, code: &str, message: &str) -> Self {
        Self::new(status, json!({ "code": code, "message": message }))
    }
}

impl State {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            plan,
            counts: Counts::default(),
            sessions: BTreeMap::new(),
            volumes: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            recent: VecDeque::new(),
            tokens: 0,
        }
    }

    pub(super) fn end_sessions(&mut self) {
        self.sessions.clear();
    }

    pub(super) fn sessions(&self) -> usize {
        self.sessions.values().filter(|session| session.since.elapsed() < self.plan.session_age).count()
    }

    pub(super) fn objects(&self) -> Vec<String> {
        self.volumes.keys().chain(self.snapshots.keys()).cloned().collect()
    }

    pub(super) fn fill(&mut self, volume: &str, gib: u64) {
        if let Some(volume) = self.volumes.get_mut(volume) {
            volume.used_gib = gib;
        }
    }

    pub(super) fn answer(&mut self, asked: &Asked<'_>) -> Answered {
        self.counts.requests += 1;
        let now = Instant::now();
        if let Some(most) = self.plan.most_requests {
            self.recent.retain(|at| now.duration_since(*at) < Duration::from_secs(1));
            if self.recent.len() >= most {
                self.counts.delayed += 1;
                let mut answer = Answered::refused(429, "busy", "too many requests");
                answer.retry_after = Some(1);
                return answer;
            }
            self.recent.push_back(now);
        }
        self.sessions.retain(|_, session| now.duration_since(session.since) < self.plan.session_age);
        self.settle(now);
        if let ("POST", ["api", "session"]) = (asked.method, asked.path) {
            return self.log_in(asked, now);
        }
        let session = asked.session.and_then(|session| self.sessions.get(session));
        let Some(session) = session else {
            self.counts.expired += 1;
            return Answered::refused(401, "no-session", "log in first");
        };
        if asked.method != "GET" && asked.csrf != Some(&session.csrf) {
            self.counts.forged += 1;
            return Answered::refused(403, "forged", "the header is missing");
        }
        if let ("DELETE", ["api", "session"]) = (asked.method, asked.path) {
            self.counts.logouts += 1;
            self.sessions.remove(asked.session.unwrap_or_default());
            return Answered::new(204, Value::Null);
        }
        self.serve(asked, now)
    }

    fn log_in(&mut self, asked: &Asked<'_>, now: Instant) -> Answered {
        if asked.body["user"] != USER || asked.body["password"] != PASSWORD {
            return Answered::refused(403, "refused", "no such account");
        }
        if self.sessions.len() >= self.plan.most_sessions {
            let mut answer = Answered::refused(503, "sessions", "all sessions are taken");
            answer.retry_after = Some(1);
            return answer;
        }
        self.counts.logins += 1;
        self.tokens += 1;
        let (session, csrf) = (format!("session-{:08}", self.tokens), format!("csrf-{:08}", self.tokens));
        self.sessions.insert(session.clone(), Session { csrf: csrf.clone(), since: now });
        let mut answer = Answered::new(201, json!({ "csrf": csrf }));
        answer.cookie = Some(format!("sid={session}; Path=/; HttpOnly"));
        answer
    }

    /// End the work whose time has come.
    fn settle(&mut self, now: Instant) {
        self.volumes.retain(|_, volume| {
            if volume.job.ends <= now {
                match std::mem::replace(&mut volume.job.deed, Deed::Nothing) {
                    Deed::Nothing => {}
                    Deed::Remove => return false,
                    Deed::Resize(size_gib) => volume.size_gib = size_gib,
                }
            }
            true
        });
    }

    fn serve(&mut self, asked: &Asked<'_>, now: Instant) -> Answered {
        let Asked { method, path, body, .. } = asked;
        match (*method, *path) {
            ("GET", ["api", "system"]) => self.system(),
            ("POST", ["api", "volumes"]) => self.create(body, now),
            ("GET", ["api", "volumes", name]) => self.show(name),
            ("GET", ["api", "volumes", name, "job"]) => self.job(name, now),
            ("DELETE", ["api", "volumes", name]) => self.work(name, now, |_| Ok(Deed::Remove)),
            ("PATCH", ["api", "volumes", name]) => {
                let size_gib = body["size_gib"].as_u64().unwrap_or_default();
                self.work(name, now, |volume| {
                    if size_gib < volume.used_gib {
                        return Err(Answered::refused(409, "in-use", "more is used"));
                    }
                    Ok(Deed::Resize(size_gib))
                })
            }
            ("PUT", ["api", "volumes", name, "clients"]) => match self.volumes.get_mut(*name) {
                None => no_volume(),
                Some(volume) => {
                    volume.clients = body["clients"].clone();
                    Answered::new(200, json!({}))
                }
            },
            ("POST", ["api", "volumes", name, "revert"]) => self.revert(name, body, now),
            ("POST", ["api", "snapshots"]) => self.snapshot(body, now),
            ("GET", ["api", "snapshots", name]) => match self.snapshots.get(*name) {
                None => Answered::refused(404, "no-snapshot", "no such snapshot"),
                Some(snapshot) => Answered::new(200, json!({ "volume": snapshot.volume })),
            },
            ("DELETE", ["api", "snapshots", name]) => match self.snapshots.remove(*name) {
                None => Answered::refused(404, "no-snapshot", "no such snapshot"),
                Some(_) => Answered::new(202, json!({})),
            },
            _ => Answered::refused(404, "unknown", "no such thing"),
        }
    }

    fn system(&self) -> Answered {
        let used: u64 = self.volumes.values().map(|volume| volume.used_gib).sum();
        let free = self.plan.total_gib.saturating_sub(used);
        Answered::new(
            200,
            json!({ "model": "appliance", "version": "7.2", "total_gib": self.plan.total_gib, "free_gib": free }),
        )
    }

    fn create(&mut self, body: &Value, now: Instant) -> Answered {
        let name = body["name"].as_str().unwrap_or_default().to_owned();
        let size_gib = body["size_gib"].as_u64().unwrap_or_default();
        if name.is_empty() || size_gib == 0 {
            return Answered::refused(400, "invalid", "a volume has a name and a size");
        }
        if self.volumes.contains_key(&name) {
            return Answered::refused(409, "exists", "the volume is there already");
        }
        if size_gib > self.plan.total_gib {
            return Answered::refused(507, "no-space", "the array is not so large");
        }
        let used_gib = match body["source"].as_str() {
            None => 0,
            Some(source) => match self.snapshots.get(source) {
                None => return Answered::refused(404, "no-snapshot", "no such snapshot"),
                Some(snapshot) => snapshot.used_gib,
            },
        };
        let job = Job { ends: now + self.plan.job_time, deed: Deed::Nothing, error: None };
        self.volumes.insert(name, Volume { size_gib, used_gib, clients: json!([]), job });
        Answered::new(202, json!({}))
    }

    fn show(&self, name: &str) -> Answered {
        match self.volumes.get(name) {
            None => no_volume(),
            Some(volume) => Answered::new(
                200,
                json!({ "name": name, "size_gib": volume.size_gib, "export": format!("/vol/{name}"), "clients": volume.clients }),
            ),
        }
    }

    fn job(&self, name: &str, now: Instant) -> Answered {
        let Some(volume) = self.volumes.get(name) else { return no_volume() };
        let state = match (volume.job.ends > now, volume.job.error) {
            (true, _) => "running",
            (false, None) => "done",
            (false, Some(_)) => "failed",
        };
        Answered::new(200, json!({ "state": state, "error": volume.job.error.unwrap_or_default() }))
    }

    /// Take on work on a volume; one thing at a time.
    fn work(
        &mut self,
        name: &str,
        now: Instant,
        deed: impl FnOnce(&Volume) -> Result<Deed, Answered>,
    ) -> Answered {
        let ends = now + self.plan.job_time;
        let Some(volume) = self.volumes.get_mut(name) else { return no_volume() };
        if volume.job.ends > now {
            return Answered::refused(409, "busy", "the volume is being worked on");
        }
        match deed(volume) {
            Err(refused) => refused,
            Ok(deed) => {
                volume.job = Job { ends, deed, error: None };
                Answered::new(202, json!({}))
            }
        }
    }

    fn revert(&mut self, name: &str, body: &Value, now: Instant) -> Answered {
        let found = body["snapshot"].as_str().and_then(|snapshot| self.snapshots.get(snapshot));
        match found.filter(|snapshot| snapshot.volume == name) {
            None => Answered::refused(404, "no-snapshot", "no such snapshot of the volume"),
            Some(snapshot) => {
                let size_gib = snapshot.size_gib;
                self.work(name, now, |_| Ok(Deed::Resize(size_gib)))
            }
        }
    }

    fn snapshot(&mut self, body: &Value, now: Instant) -> Answered {
        let (name, of) =
            (body["name"].as_str().unwrap_or_default(), body["volume"].as_str().unwrap_or_default());
        if self.snapshots.contains_key(name) {
            return Answered::refused(409, "exists", "the snapshot is there already");
        }
        let Some(volume) = self.volumes.get(of) else { return no_volume() };
        let snapshot =
            Snapshot { volume: of.to_owned(), size_gib: volume.size_gib, used_gib: volume.used_gib };
        let answer = self.work(of, now, |_| Ok(Deed::Nothing));
        if answer.status == 202 {
            self.snapshots.insert(name.to_owned(), snapshot);
        }
        answer
    }
}

fn no_volume() -> Answered {
    Answered::refused(404, "no-volume", "no such volume")
}
