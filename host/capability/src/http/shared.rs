//! What all generations of a backend share of its endpoints: which controller is in use, which did not answer, how many requests are
//! under way, and the sessions. What is at share servers is kept for each of them, and ends with it. A session ends with the last
//! generation that used it: other credentials, controllers or templates leave none behind at an array that has room for few. In memory
//! only: a session is never written down.

use super::session::{Session, SessionKey};
use crate::lock::CommandSlots;
use crate::secret::Redactor;
use bulkhead_model::id::{Label, ShareServerId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long a controller that could not be reached is asked after the others.
const SICK_FOR: Duration = Duration::from_secs(30);
/// How long the end of a session may take, a login under way with it; what is not logged out of by then is left to expire.
const LONGEST_FAREWELL: Duration = Duration::from_secs(60);

/// The endpoints and sessions of one backend.
#[derive(Debug, Default)]
pub(crate) struct HttpShared {
    endpoints: Mutex<Endpoints>,
    sessions: Mutex<BTreeMap<SessionKey, Used>>,
    /// How many generations there were.
    users: AtomicU64,
    /// The ends of sessions that nobody waits for before the process ends.
    ending: Mutex<JoinSet<()>>,
    /// Who learns the tokens of sessions.
    redactor: OnceLock<Redactor>,
}

/// A session, and who uses it.
#[derive(Debug, Default)]
struct Used {
    session: Arc<Session>,
    by: BTreeSet<SessionUser>,
}

/// A generation that uses sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SessionUser(u64);

#[derive(Debug, Default)]
struct Endpoints {
    /// How many requests are under way at once, as the newest generation says.
    concurrency: BTreeMap<Label, u32>,
    /// Each endpoint; of one at share servers each of those.
    states: BTreeMap<(Label, Option<ShareServerId>), Arc<EndpointState>>,
}

impl HttpShared {
    /// The endpoint `name`, at `server` if it is at share servers.
    pub(super) fn endpoint(&self, name: &Label, server: Option<ShareServerId>) -> Arc<EndpointState> {
        let Endpoints { concurrency, states } = &mut *locked(&self.endpoints);
        let state = states.entry((name.clone(), server)).or_insert_with(|| {
            let state = EndpointState::default();
            state.slots.set_size(concurrency.get(name).copied().unwrap_or_default());
            Arc::new(state)
        });
        Arc::clone(state)
    }

    /// Who learns the tokens of sessions, for all generations: made with that of the first.
    pub(crate) fn redactor(&self, of_backend: &Redactor) -> &Redactor {
        self.redactor.get_or_init(|| of_backend.narrowed())
    }

    /// One more generation that may use sessions, until it [leaves](Self::leave).
    pub(crate) fn join(&self) -> SessionUser {
        SessionUser(self.users.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn session(&self, key: SessionKey, user: SessionUser) -> Arc<Session> {
        let mut sessions = locked(&self.sessions);
        let used = sessions.entry(key).or_default();
        used.by.insert(user);
        Arc::clone(&used.session)
    }

    /// Log out of what no other generation uses, without waiting for that: a login that is refused for a while is still not asked again
    /// before it is over.
    pub(crate) fn leave(&self, user: SessionUser) {
        let now = Instant::now();
        let is_left = |_: &SessionKey, used: &mut Used| {
            used.by.remove(&user);
            used.by.is_empty() && !used.session.is_refused(now)
        };
        let left: Vec<_> = locked(&self.sessions).extract_if(.., is_left).collect();
        self.end_later(left);
    }

    /// Log out of all sessions at once, so that one that does not answer holds up none. Best effort: what fails is left to expire.
    pub(crate) async fn end_sessions(&self) {
        let sessions = std::mem::take(&mut *locked(&self.sessions));
        let mut ending = std::mem::take(&mut *locked(&self.ending));
        for used in sessions.into_values() {
            ending.spawn(end(used.session));
        }
        while ending.join_next().await.is_some() {}
    }

    /// Forget what is at a share server that is gone or that nobody manages any more, and log out of it, without waiting for that. Best
    /// effort: what fails is left to expire.
    pub(crate) fn end_server(&self, server: ShareServerId) {
        locked(&self.endpoints).states.retain(|(_, of), _| *of != Some(server));
        let is_there = |key: &SessionKey, _: &mut Used| key.server == Some(server);
        let there: Vec<_> = locked(&self.sessions).extract_if(.., is_there).collect();
        self.end_later(there);
    }

    /// Where there is no runtime any more, all are left to expire.
    fn end_later(&self, sessions: Vec<(SessionKey, Used)>) {
        let Ok(runtime) = Handle::try_current() else { return };
        let mut ending = locked(&self.ending);
        while ending.try_join_next().is_some() {}
        for (_, used) in sessions {
            ending.spawn_on(end(used.session), &runtime);
        }
    }

    /// As many requests as the newest generation says, to each share server where the endpoint is at those.
    pub(crate) fn set_concurrency(&self, endpoint: &Label, concurrency: u32) {
        let mut endpoints = locked(&self.endpoints);
        endpoints.concurrency.insert(endpoint.clone(), concurrency);
        for ((name, _), state) in &endpoints.states {
            if name == endpoint {
                state.slots.set_size(concurrency);
            }
        }
    }
}

async fn end(session: Arc<Session>) {
    if tokio::time::timeout(LONGEST_FAREWELL, session.end()).await.is_err() {
        tracing::warn!("a session was not ended in {} s: it is left to expire", LONGEST_FAREWELL.as_secs());
    }
}

/// One endpoint.
#[derive(Debug, Default)]
pub(super) struct EndpointState {
    /// One permit for each request.
    pub(super) slots: CommandSlots,
    health: Mutex<Health>,
}

#[derive(Debug, Default)]
struct Health {
    /// The controller that answered last.
    current: Option<String>,
    /// Until when controllers that could not be reached are asked last.
    sick: BTreeMap<String, Instant>,
}

impl EndpointState {
    /// The order in which controllers are asked: the one that answered last, then the others from the beginning, and those that could
    /// not be reached a moment ago after all.
    pub(super) fn order(&self, urls: &[&str], now: Instant) -> Vec<usize> {
        let health = locked(&self.health);
        let is_sick = |url: &str| health.sick.get(url).is_some_and(|until| *until > now);
        let mut order: Vec<usize> = (0..urls.len()).collect();
        order.sort_by_key(|place| {
            let url = urls.get(*place).copied().unwrap_or_default();
            (is_sick(url), health.current.as_deref() != Some(url))
        });
        order
    }

    /// A controller answered: it is asked first from now on.
    pub(super) fn answered(&self, url: &str) {
        let mut health = locked(&self.health);
        health.sick.remove(url);
        if health.current.as_deref() != Some(url) {
            health.current = Some(url.to_owned());
        }
    }

    /// A controller could not be reached.
    pub(super) fn unreachable(&self, url: &str, now: Instant) {
        let mut health = locked(&self.health);
        health.sick.retain(|_, until| *until > now);
        if let Some(until) = now.checked_add(SICK_FOR) {
            health.sick.insert(url.to_owned(), until);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_controller_that_answered_stays_in_use_and_the_sick_are_asked_last() {
        let state = EndpointState::default();
        let urls = ["https://a", "https://b", "https://c"];
        let now = Instant::now();
        assert_eq!(state.order(&urls, now), [0, 1, 2]);
        state.unreachable("https://a", now);
        assert_eq!(state.order(&urls, now), [1, 2, 0]);
        state.answered("https://c");
        assert_eq!(state.order(&urls, now), [2, 1, 0]);
        let later = now + SICK_FOR + Duration::from_secs(1);
        assert_eq!(
            state.order(&urls, later),
            [2, 0, 1],
            "nothing is changed back before the one in use fails"
        );
        state.unreachable("https://c", later);
        assert_eq!(state.order(&urls, later), [0, 1, 2]);
    }

    #[tokio::test]
    async fn each_share_server_has_permits_of_its_own_as_many_as_the_newest_generation_says() {
        let (shared, name): (_, Label) = (HttpShared::default(), "array".parse().expect("a label"));
        let free = |state: &EndpointState| state.slots.permits().available_permits();
        shared.set_concurrency(&name, 2);
        let [one, other] = [(); 2].map(|()| ShareServerId::random());
        let state = shared.endpoint(&name, Some(one));
        let _busy = state.slots.permits().try_acquire().expect("a permit");
        assert_eq!((free(&state), free(&shared.endpoint(&name, Some(other)))), (1, 2));
        shared.set_concurrency(&name, 3);
        assert_eq!((free(&state), free(&shared.endpoint(&name, None))), (2, 3));
        shared.end_server(one);
        assert!(!Arc::ptr_eq(&state, &shared.endpoint(&name, Some(one))), "nothing is left of it");
    }
}
