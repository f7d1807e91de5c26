//! The daemon: builds all parts from the configuration, serves, and ends in order.
//!
//! Start: state directory → store → ledger → doors bound → helper → engine → backends, each in a task of its own, on its recorded
//! generation → what their files say now → recovery, once the helper has confirmed that no command of an earlier daemon is left. A
//! backend that cannot be loaded shows why, is tried again, and stops nobody else.
//! End: no new request is taken, running operations get [`DRAIN`], the rest is in the journal and goes on at the next start.

mod backend;
mod files;
mod helper;
mod load_failure;
mod packages;
mod pins;
mod places;
mod secrets;
mod state;
mod switch;

pub(crate) use helper::program as helper_program;
pub(crate) use places::{check as check_place, make as make_place, undeclared};
pub(crate) use state::StateDirectory;

use crate::config::{self, Configuration};
use anyhow::Context;
use backend::{Loader, Parts};
use bulkhead_api::{AccessKeyReader, ApiSettings, Authentication, OperatorSocket, Token};
use bulkhead_capability::execute::{CommandRunner as _, HelperClient};
use bulkhead_capability::lock::Locks;
use bulkhead_capability::network_allocation::AddressBook;
use bulkhead_capability::secret::{Redactor, SecretSource};
use bulkhead_ledger::{Ledger, LedgerKey};
use bulkhead_manager::{Manager, ManagerError, ManagerSettings};
use bulkhead_model::scope::Actor;
use bulkhead_model::secret::Cleaner;
use bulkhead_sandbox::SealingKey;
use bulkhead_store::{SqliteStore, Store};
use files::BackendFiles;
use packages::Packages;
use places::Places;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// How long running operations may take to end after the daemon was told to.
const DRAIN: Duration = Duration::from_secs(30);

/// How long arrays get to end the sessions with them.
const LOGOUT: Duration = Duration::from_secs(5);

/// Between two looks at a helper that is not there.
const HELPER_PAUSE: Duration = Duration::from_secs(1);

/// Between two attempts at recovery.
const RECOVERY_PAUSE: Duration = Duration::from_secs(5);

/// Serve until `stop` is ready; `redactor` learns every secret.
pub(crate) async fn run(
    configuration: Configuration,
    redactor: Redactor,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    secrets::forbid_dumps()?;
    let state = StateDirectory::open(&configuration.state_directory)?;
    let vault = secrets::vault(&state)?;
    let access_keys = secrets::access_keys(Arc::clone(&vault));
    let settings = api_settings(&configuration, access_keys, redactor.cleaner())?;
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&state.store())?);
    let ledger = Ledger::open(Arc::clone(&store), LedgerKey::new(state.key("ledger")?))
        .await?
        .cleaned_by(redactor.cleaner());
    let listener = TcpListener::bind(configuration.listen).await.with_context(|| {
        format!("cannot listen on {}\nhint: if the address is in use, another daemon may be; choose another with listen", configuration.listen)
    })?;
    let socket = OperatorSocket::bind(&state.socket()).with_context(|| {
        format!(
            "cannot make the operator's socket {}; a socket's path has at most 107 bytes",
            state.socket().display()
        )
    })?;
    let manager = Manager::open(Arc::clone(&store), ledger.clone(), manager_settings(&configuration)).await?;
    manager.seal_with(SealingKey::new(&state.key("secrets")?)?);
    let locks = Arc::new(Locks::default());
    let helper = helper::start(configuration.helper.as_deref(), &state)?;
    let secrets = SecretSource::new(redactor, config::environment()).sealed_by(vault);
    let places = Arc::new(Places::new(Arc::<HelperClient>::clone(&helper), secrets.clone()));
    manager.load_drivers_with(Loader::new(Parts {
        engine: backend::start_engine(&state)?,
        addresses: AddressBook::open(Arc::clone(&store), ledger.clone()).await?,
        store,
        ledger: ledger.clone(),
        places: Arc::clone(&places),
        locks: Arc::clone(&locks),
        tenure: state.tenure()?,
        ceiling: configuration.ceiling.clone(),
        secrets,
        packages: Packages::open(state.packages()).context("the directory of packages cannot be made")?,
        main_file: configuration.file.clone(),
        backend_directory: configuration.backend_directory.clone(),
    }));
    start_backends(&configuration, &manager, places).await?;
    tokio::spawn(recover(manager.clone(), helper));
    tracing::info!(listen = %configuration.listen, state = %configuration.state_directory.display(), "serving");
    serve(settings, manager.clone(), (listener, socket), stop).await?;
    tracing::info!(
        "ending: running operations get {} s, the rest goes on at the next start",
        DRAIN.as_secs()
    );
    manager.drain(DRAIN).await;
    if tokio::time::timeout(LOGOUT, locks.end_sessions()).await.is_err() {
        tracing::warn!("an array did not answer in time: sessions with it are left to expire");
    }
    ledger.flush_all().await?;
    Ok(())
}

/// The manager's figures, as far as the configuration says them.
fn manager_settings(configuration: &Configuration) -> ManagerSettings {
    let intervals = &configuration.intervals;
    let usual = ManagerSettings::default();
    ManagerSettings {
        statistics_period: intervals.statistics(),
        // Some readings may fail before statistics place nothing any more.
        statistics_stale_after: usual.statistics_stale_after.max(intervals.statistics() * 5),
        reconcile_period: intervals.reconcile(),
        replica_period: intervals.replica(),
        share_status_period: intervals.share_status(),
        migration_period: intervals.migration(),
        usage_period: intervals.usage(),
        unused_server_after: intervals.unused_share_server(),
        hook_period: intervals.hook(),
        unmanage_removes_access_rules: configuration.unmanage_removes_access_rules,
        ..usual
    }
}

/// Serve what is recorded, then take in what the files say now, and from now on.
async fn start_backends(
    configuration: &Configuration,
    manager: &Manager,
    places: Arc<Places>,
) -> anyhow::Result<()> {
    let hangups = signal(SignalKind::hangup())?;
    manager.resume_backends().await?;
    let (file, directory) = (configuration.file.clone(), configuration.backend_directory.clone());
    tokio::spawn(BackendFiles::begin((manager.clone(), places), file, directory).await.watch(hangups));
    Ok(())
}

/// Finish what an earlier daemon began, once nothing that it started runs any more.
async fn recover(manager: Manager, helper: Arc<HelperClient>) {
    while let Err(error) = helper.wait_until_swept().await {
        tracing::error!(error = format!("{:#}", anyhow::Error::new(error)), "recovery waits for the helper");
        tokio::time::sleep(HELPER_PAUSE).await;
    }
    while let Err(error) = manager.recover().await {
        if matches!(error, ManagerError::ShuttingDown) {
            return;
        }
        tracing::error!(
            error = format!("{:#}", anyhow::Error::new(error)),
            "recovery is not complete; operations wait, and it is tried again"
        );
        tokio::time::sleep(RECOVERY_PAUSE).await;
    }
}

async fn serve(
    settings: ApiSettings,
    manager: Manager,
    (listener, socket): (TcpListener, OperatorSocket),
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let (ending, ended) = tokio::sync::watch::channel(());
    let until = |mut ended: tokio::sync::watch::Receiver<()>| async move {
        // Nothing is ever sent: the sender is dropped when the daemon is told to end.
        while ended.changed().await.is_ok() {}
    };
    let operators = bulkhead_api::operator_router(manager.clone(), settings.cleaner.clone());
    let tenants = bulkhead_api::tenant_router(manager, settings);
    let tenants = bulkhead_api::serve_network(listener, tenants, until(ended.clone()));
    let operators = bulkhead_api::serve_socket(socket, operators, until(ended));
    tokio::spawn(async move {
        stop.await;
        drop(ending);
    });
    tokio::try_join!(tenants, operators)?;
    Ok(())
}

fn api_settings(
    configuration: &Configuration,
    access_keys: AccessKeyReader,
    cleaner: Cleaner,
) -> anyhow::Result<ApiSettings> {
    let mut host_names = vec!["localhost".to_owned(), configuration.listen.ip().to_string()];
    host_names.extend(configuration.host_names.iter().cloned());
    let mut tokens = Vec::new();
    for token in &configuration.tokens {
        let actor = Actor { user: token.user.clone(), project: token.project.clone(), role: token.role };
        tokens.push(Token { digest: token.sha256.parse()?, actor });
    }
    let authentication =
        if tokens.is_empty() { Authentication::None } else { Authentication::Tokens(tokens) };
    Ok(ApiSettings { authentication, host_names, access_keys, cleaner })
}
