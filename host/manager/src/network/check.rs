//! Whether the share servers of a network could follow a change of it: asked of their drivers before anything is changed.
//!
//! The answer takes its time, so the first question begins the asking and says that nothing is known yet; the same question asked again
//! tells what is known by then. It is kept in memory alone: it reads only and promises nothing for later, and after a restart it is asked
//! anew.

use super::in_use::NetworkChange;
use crate::context::RequestContext;
use crate::denial::Denial;
use crate::error::ManagerError;
use crate::manager::{Inner, Manager};
use crate::share_server::network_change::{addition_of, service_change_of};
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::id::{BackendName, ShareNetworkId, ShareServerId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::{Instrument as _, instrument};

/// The most questions about one network that are kept. Beyond it those that were answered are forgotten, and asked anew when somebody needs
/// it; while as many are being asked, no other one is.
const MOST_CHECKS: usize = 16;

const NOT_ASKED: &str = "was not asked: check it first (the same action with `_check`, or `--check-only`)";
const BEING_ASKED: &str = "is still being asked: wait until the check says so";
const COULD_NOT: &str = "was denied by one: ask for something else, or check again (`reset_operation`, `--restart-check`) once it could";

/// What is known of whether a change could be made: of each backend that has share servers in the network, none as long as it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NetworkCheck {
    /// Of each backend.
    pub backends: BTreeMap<BackendName, Option<bool>>,
}

impl NetworkCheck {
    /// Whether all could follow; none as long as that is not known.
    #[must_use]
    pub fn is_compatible(&self) -> Option<bool> {
        if self.backends.values().any(|one| *one == Some(false)) {
            return Some(false);
        }
        self.backends.values().all(Option::is_some).then_some(true)
    }
}

/// Whether what is known already is asked anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recheck {
    /// It is.
    Yes,
    /// It is told.
    No,
}

/// A question: which network, and what would change.
type Question = (ShareNetworkId, NetworkChange);

/// The servers that a question is about, by backend.
type Servers = BTreeMap<BackendName, Vec<ShareServerId>>;

/// What is known, of which servers, and which asking says so: an older one that answers late is not heard.
#[derive(Debug)]
struct Known {
    asking: u64,
    check: NetworkCheck,
    servers: BTreeSet<ShareServerId>,
}

impl Known {
    /// Whether it is about all of `servers`: one that came later was not asked.
    fn covers<'a>(&self, mut servers: impl Iterator<Item = &'a ShareServerId>) -> bool {
        servers.all(|server| self.servers.contains(server))
    }
}

/// What was asked since the daemon started.
#[derive(Debug, Default)]
pub(crate) struct NetworkChecks(Mutex<Asked>);

#[derive(Debug, Default)]
struct Asked {
    known: HashMap<Question, Known>,
    askings: u64,
    /// One question at a time for each backend: its statistics and the set-ups of others take the same way to the driver.
    turns: HashMap<BackendName, Arc<tokio::sync::Mutex<()>>>,
}

impl NetworkChecks {
    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known; or that asking the drivers of these servers begins now, as number so and so.
    fn begin(&self, question: &Question, servers: &Servers, recheck: Recheck) -> (NetworkCheck, Option<u64>) {
        let mut asked = self.lock();
        if let Some(known) = asked.known.get(question)
            && known.covers(servers.values().flatten())
            && (recheck == Recheck::No || known.check.is_compatible().is_none())
        {
            return (known.check.clone(), None);
        }
        let check = NetworkCheck { backends: servers.keys().map(|name| (name.clone(), None)).collect() };
        let network = question.0;
        let of_network = |asked: &Asked| asked.known.keys().filter(|(of, _)| *of == network).count();
        if of_network(&asked) >= MOST_CHECKS {
            asked.known.retain(|(of, _), known| *of != network || known.check.is_compatible().is_none());
        }
        if of_network(&asked) >= MOST_CHECKS {
            return (check, None);
        }
        asked.askings = asked.askings.wrapping_add(1);
        let asking = asked.askings;
        let servers = servers.values().flatten().copied().collect();
        asked.known.insert(question.clone(), Known { asking, check: check.clone(), servers });
        (check, Some(asking))
    }

    fn answer(&self, question: &Question, asking: u64, (backend, could): (&BackendName, bool)) {
        let mut asked = self.lock();
        if let Some(known) = asked.known.get_mut(question).filter(|known| known.asking == asking) {
            known.check.backends.insert(backend.clone(), Some(could));
        }
    }

    /// What was asked could not be answered now: it is asked anew when somebody wants to know.
    fn withdraw(&self, question: &Question, asking: u64) {
        self.lock().known.retain(|of, known| of != question || known.asking != asking);
    }

    fn turn(&self, backend: &BackendName) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.lock().turns.entry(backend.clone()).or_default())
    }

    /// Fail unless it is known that all of `servers` could follow.
    pub(super) fn require<'a>(
        &self,
        network: ShareNetworkId,
        change: &NetworkChange,
        servers: impl Iterator<Item = &'a ShareServerId>,
    ) -> Result<(), Denial> {
        let asked = self.lock();
        let known = asked.known.get(&(network, change.clone())).filter(|known| known.covers(servers));
        match known.map(|known| known.check.is_compatible()) {
            Some(Some(true)) => Ok(()),
            Some(Some(false)) => Err(Denial::NotChecked { found: COULD_NOT }),
            Some(None) => Err(Denial::NotChecked { found: BEING_ASKED }),
            None => Err(Denial::NotChecked { found: NOT_ASKED }),
        }
    }

    /// What was known of a network holds no more: it is being changed.
    pub(super) fn forget(&self, network: ShareNetworkId) {
        self.lock().known.retain(|(of, _), _| *of != network);
    }
}

impl Manager {
    /// Ask whether the share servers of a network could follow a change of it, or what is known of that. Where nothing is on the network
    /// there is nobody to ask, and the change can be made.
    ///
    /// Fails as the change itself would, but for not having been checked: with [`ManagerError::Conflict`] for a network that is not at rest
    /// with everything on it, [`ManagerError::Unsupported`] where a driver changes no servers in service, and with
    /// [`ManagerError::BackendUnreachable`].
    pub async fn check_share_network_change(
        &self,
        context: &RequestContext,
        network: ShareNetworkId,
        change: NetworkChange,
        recheck: Recheck,
    ) -> Result<NetworkCheck, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| check(&inner, &context, (network, change), recheck)).await
    }
}

#[instrument(name = "share_network.check", skip_all, fields(request.id = %context.request, share_network.id = %question.0))]
fn check(
    inner: &Arc<Inner>,
    context: &RequestContext,
    question: Question,
    recheck: Recheck,
) -> Result<NetworkCheck, ManagerError> {
    context.require_change()?;
    question.1.check_words()?;
    let mut servers = Servers::new();
    for server in question.1.servers(inner, &inner.records.read(), context, question.0)? {
        servers.entry(server.backend.clone()).or_default().push(server.id);
    }
    if servers.is_empty() {
        return Ok(NetworkCheck::default());
    }
    let (check, begun) = inner.network_checks.begin(&question, &servers, recheck);
    let Some(asking) = begun else { return Ok(check) };
    for (backend, servers) in servers {
        let (inner, question) = (Arc::clone(inner), question.clone());
        let reason = CallReason { request: context.request.clone(), operation: None, earlier_attempts: 0 };
        tokio::spawn(
            async move {
                let turn = inner.network_checks.turn(&backend);
                let _alone = turn.lock().await;
                match all_could(&inner, &reason, &question, &backend, &servers).await {
                    Some(could) => inner.network_checks.answer(&question, asking, (&backend, could)),
                    None => inner.network_checks.withdraw(&question, asking),
                }
            }
            .in_current_span(),
        );
    }
    Ok(check)
}

/// Whether all these servers of a backend could follow. One whose driver was asked and does not answer could not; none if one could not be
/// asked now.
async fn all_could(
    inner: &Inner,
    reason: &CallReason,
    (_, change): &Question,
    backend: &BackendName,
    servers: &[ShareServerId],
) -> Option<bool> {
    for server in servers {
        match could(inner, reason, change, backend, *server).await {
            Ok(true) => {}
            Ok(false) => return Some(false),
            Err(error) => {
                tracing::warn!(
                    share_server.id = %server, backend.name = %backend,
                    "whether the share server could follow a change of its network is not known: {error}"
                );
                return if matches!(error, CallError::Host { .. }) { None } else { Some(false) };
            }
        }
    }
    Some(true)
}

async fn could(
    inner: &Inner,
    reason: &CallReason,
    change: &NetworkChange,
    backend: &BackendName,
    server: ShareServerId,
) -> Result<bool, CallError> {
    let none = || CallError::Host { reason: "the backend does not serve".to_owned() };
    let driver = Arc::clone(&inner.serving(backend).ok_or_else(none)?.driver);
    match change {
        NetworkChange::AddService { service } => {
            let wanted = inner.read(|tables| service_change_of(tables, (server, *service, None)))?;
            driver.check_security_service_update(reason, &wanted).await
        }
        NetworkChange::ReplaceService { current, new } => {
            let wanted = inner.read(|tables| service_change_of(tables, (server, *new, Some(*current))))?;
            driver.check_security_service_update(reason, &wanted).await
        }
        NetworkChange::AddSubnet { neutron_net_id, neutron_subnet_id } => {
            let neutron = (neutron_net_id.clone(), neutron_subnet_id.clone());
            let addition = inner.read(|tables| addition_of(tables, server, neutron))?;
            driver.check_network_allocations_update(reason, &addition).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        (ShareNetworkId::random(), NetworkChange::AddSubnet { neutron_net_id: None, neutron_subnet_id: None })
    }

    fn names() -> [BackendName; 2] {
        ["east", "west"].map(|name| name.parse().expect("a name"))
    }

    /// A server at each of these backends.
    fn servers_at(names: &[BackendName]) -> Servers {
        names.iter().map(|name| (name.clone(), vec![ShareServerId::random()])).collect()
    }

    #[test]
    fn a_change_can_be_made_once_every_backend_has_said_so_and_not_once_one_has_denied_it() {
        let (checks, question, [east, west]) = (NetworkChecks::default(), question(), names());
        let mut servers = servers_at(&names());
        let of = servers.clone();
        let require = || checks.require(question.0, &question.1, of.values().flatten());
        assert_eq!(require(), Err(Denial::NotChecked { found: NOT_ASKED }));
        let (check, begun) = checks.begin(&question, &servers, Recheck::No);
        let asking = begun.expect("it begins");
        assert_eq!(
            (check.is_compatible(), require()),
            (None, Err(Denial::NotChecked { found: BEING_ASKED }))
        );
        checks.answer(&question, asking, (&east, true));
        assert_eq!(require(), Err(Denial::NotChecked { found: BEING_ASKED }));
        checks.answer(&question, asking, (&west, true));
        assert_eq!(require(), Ok(()));
        servers.entry(west.clone()).or_default().push(ShareServerId::random());
        let later = checks.require(question.0, &question.1, servers.values().flatten());
        assert_eq!(later, Err(Denial::NotChecked { found: NOT_ASKED }), "a server came later");
        checks.answer(&question, asking, (&west, false));
        assert_eq!(require(), Err(Denial::NotChecked { found: COULD_NOT }));
        assert!(
            checks.begin(&question, &servers, Recheck::No).1.is_some(),
            "the one that came later is asked"
        );
        checks.forget(question.0);
        assert_eq!(require(), Err(Denial::NotChecked { found: NOT_ASKED }));
    }

    #[test]
    fn what_is_being_asked_is_not_asked_twice_and_an_older_asking_is_not_heard() {
        let (checks, question, [east, _]) = (NetworkChecks::default(), question(), names());
        let servers = servers_at(std::slice::from_ref(&east));
        let require = || checks.require(question.0, &question.1, servers.values().flatten());
        let begin = |recheck| checks.begin(&question, &servers, recheck).1;
        let first = begin(Recheck::No).expect("it begins");
        assert_eq!(begin(Recheck::Yes), None, "it is at work");
        checks.answer(&question, first, (&east, false));
        assert_eq!(begin(Recheck::No), None, "it is known");
        let second = begin(Recheck::Yes).expect("asked anew");
        checks.answer(&question, first, (&east, true));
        assert_eq!(require(), Err(Denial::NotChecked { found: BEING_ASKED }));
        checks.answer(&question, second, (&east, true));
        assert_eq!(require(), Ok(()));
    }

    #[test]
    fn one_network_has_few_questions_and_takes_nobody_elses_answers_away() {
        let (checks, [east, _]) = (NetworkChecks::default(), names());
        let servers = servers_at(std::slice::from_ref(&east));
        let elsewhere = question();
        let asking = checks.begin(&elsewhere, &servers, Recheck::No).1.expect("it begins");
        checks.answer(&elsewhere, asking, (&east, true));
        let network = ShareNetworkId::random();
        let numbered = |number: usize| {
            let id = Some(number.to_string());
            (network, NetworkChange::AddSubnet { neutron_net_id: id.clone(), neutron_subnet_id: id })
        };
        let begun =
            (0..100).filter(|number| checks.begin(&numbered(*number), &servers, Recheck::No).1.is_some());
        assert_eq!(begun.count(), MOST_CHECKS);
        assert_eq!(checks.require(elsewhere.0, &elsewhere.1, servers.values().flatten()), Ok(()));
    }
}
