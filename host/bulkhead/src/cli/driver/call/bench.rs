//! A backend of the driver with everything in memory but its roots, and the calls that can be made of it.

use super::super::answer;
use super::super::function::Function;
use super::super::lab::{Lab, trial_networks};
use crate::{config, daemon};
use anyhow::Context;
use async_trait::async_trait;
use bulkhead_capability::backend::{Backend, BackendParts};
use bulkhead_capability::execute::{
    Abandoned, CommandRequest, CommandRunner, HelperClient, HelperPlace, RunError,
};
use bulkhead_capability::http::Network;
use bulkhead_capability::lock::Locks;
use bulkhead_capability::network_allocation::AddressBook;
use bulkhead_capability::secret::{Redactor, SecretSource, Vault};
use bulkhead_helper::protocol::Finished;
use bulkhead_ledger::{Ledger, LedgerKey};
use bulkhead_model::ability::Ability;
use bulkhead_model::access::AccessUpdate;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::id::{BackendName, GenerationNumber, OperationId, RequestId};
use bulkhead_model::manifest::Manifest;
use bulkhead_model::replica::{InstanceStatus, SnapshotUpdate};
use bulkhead_model::share::RevertRules;
use bulkhead_model::snapshot::SnapshotAccessUpdate;
use bulkhead_package::Package;
use bulkhead_sandbox::{Driver, Engine, Generation};
use bulkhead_store::{MemoryStore, Store};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A backend with everything in memory but its roots.
pub(super) struct Bench {
    pub(super) lab: Lab,
    pub(super) name: BackendName,
    pub(super) ledger: Ledger,
    pub(super) locks: Arc<Locks>,
    pub(super) driver: Generation,
}

impl Bench {
    pub(super) async fn set_up(
        engine: &Arc<Engine>,
        package: Package,
        mut lab: Lab,
        scratch: &Path,
    ) -> anyhow::Result<Self> {
        if lab.grant.networks.is_unsaid() {
            lab.grant.networks = trial_networks()?;
        }
        let name: BackendName = "lab".parse()?;
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        // Nothing of it outlives this process: the keys protect nothing.
        let ledger = Ledger::open(Arc::clone(&store), LedgerKey::new([0; 32])).await?;
        let (secrets, machine) = secrets();
        let helper = runner(&package.manifest, &lab, scratch, &machine).await?;
        let secrets = secrets.of_options(&package.manifest.options, &lab.options)?;
        let secrets = secrets.served_from(machine.redactor());
        let locks = Arc::new(Locks::default());
        let parts = BackendParts {
            name: name.clone(),
            generation: GenerationNumber(1),
            manifest: Arc::new(package.manifest),
            grant: lab.grant.clone(),
            ceiling: lab.ceiling.clone(),
            options: lab.options.clone(),
            secrets,
            limits: lab.limits.clone(),
            addresses: AddressBook::open(Arc::clone(&store), ledger.clone()).await?,
            store,
            ledger: ledger.clone(),
            helper,
            http: Arc::new(Network),
            locks: Arc::clone(&locks),
            tenure: None,
        };
        let backend = Backend::reach(parts, None).await?;
        let component = engine.load(package.digest, &package.bytes)?;
        let driver = Generation::new(engine, component, backend)?;
        Ok(Self { lab, name, ledger, locks, driver })
    }

    /// Call `function` about the lab's share and what is made of it.
    pub(super) async fn call(&mut self, function: Function) -> Result<Value, CallError> {
        let reason = &CallReason {
            request: RequestId::random(),
            operation: Some(OperationId::next()),
            earlier_attempts: 0,
        };
        if function.is_about_servers() {
            return self.call_about_server(function, reason).await;
        }
        match function.interface() {
            Ability::Lifecycle => self.call_about_backend(function, reason).await,
            Ability::Migration => self.call_about_migration(function, reason).await,
            Ability::ShareGroups | Ability::GroupSnapshots => self.call_about_group(function, reason).await,
            Ability::Replication | Ability::ReplicatedSnapshots | Ability::ReplicatedRevert => {
                self.call_about_replica(function, reason).await
            }
            Ability::Snapshots
            | Ability::ShareFromSnapshot
            | Ability::Revert
            | Ability::MountableSnapshots
            | Ability::ManageSnapshots
            | Ability::ShareStatus => self.call_about_snapshot(function, reason).await,
            _ => self.call_about_share(function, reason).await,
        }
    }

    async fn call_about_backend(&self, function: Function, reason: &CallReason) -> Result<Value, CallError> {
        let driver = &self.driver;
        Ok(match function {
            Function::Stats => json!(driver.stats(reason).await?),
            Function::BackendInfo => json!(driver.backend_info(reason).await?),
            Function::IpVersions => json!(driver.ip_versions(reason).await?),
            Function::DefaultFilter => json!(driver.default_filter_function(reason).await?),
            Function::DefaultGoodness => json!(driver.default_goodness_function(reason).await?),
            Function::PoolOf => json!(driver.pool_of(reason, &self.lab.share).await?),
            _ => json!(driver.setup(reason).await?),
        })
    }

    async fn call_about_share(&self, function: Function, reason: &CallReason) -> Result<Value, CallError> {
        let (lab, driver) = (&self.lab, &self.driver);
        let shares = std::slice::from_ref(&lab.share);
        Ok(match function {
            Function::DeleteShare => json!(driver.delete_share(reason, &lab.share).await?),
            Function::EnsureShares => answer::ensured(&driver.ensure_shares(reason, shares).await?),
            Function::UpdateAccess => {
                let (rules, add) = (lab.rules.clone(), lab.rules.clone());
                let update = AccessUpdate { rules, add, ..AccessUpdate::default() };
                answer::outcomes(&driver.update_access(reason, &lab.share, &update).await?)
            }
            Function::ExtendShare => json!(driver.extend_share(reason, &lab.share, lab.larger).await?),
            Function::ShrinkShare => json!(driver.shrink_share(reason, &lab.share, lab.smaller).await?),
            Function::ShareUsageSizes => answer::usage(&driver.share_usage_sizes(reason, shares).await?),
            Function::ManageExisting => {
                let options = BTreeMap::new();
                let share = lab.unmanaged_share();
                answer::managed(&driver.manage_existing(reason, &share, &lab.managed, &options).await?)
            }
            Function::Unmanage => json!(driver.unmanage(reason, &lab.share).await?),
            Function::PeriodicHookData => answer::hook(&driver.periodic_hook_data(reason, shares).await?),
            Function::ShareCreationMetadata => {
                answer::supplied(&driver.share_creation_metadata(reason, &lab.share).await?)
            }
            Function::UpdateShareFromMetadata => {
                let metadata = &lab.share.metadata;
                json!(driver.update_share_from_metadata(reason, &lab.share, metadata).await?)
            }
            _ => json!(driver.create_share(reason, &lab.share).await?),
        })
    }

    async fn call_about_snapshot(&self, function: Function, reason: &CallReason) -> Result<Value, CallError> {
        let (lab, driver, snapshot) = (&self.lab, &self.driver, self.lab.snapshot());
        Ok(match function {
            Function::DeleteSnapshot => json!(driver.delete_snapshot(reason, &snapshot).await?),
            Function::CreateShareFromSnapshot => answer::creation(
                &driver.create_share_from_snapshot(reason, &lab.second_share, &snapshot).await?,
            ),
            Function::RevertToSnapshot => {
                let rules = RevertRules { share: lab.rules.clone(), snapshot: Vec::new() };
                answer::reversion(driver.revert_to_snapshot(reason, &snapshot, &rules).await?)
            }
            Function::SnapshotUpdateAccess => {
                let (rules, add) = (lab.rules.clone(), lab.rules.clone());
                let update = SnapshotAccessUpdate { rules, add, remove: Vec::new() };
                json!(driver.snapshot_update_access(reason, &snapshot, &update).await?)
            }
            Function::ManageExistingSnapshot => {
                let (options, managed) = (BTreeMap::new(), &lab.managed);
                let snapshot = lab.unmanaged_snapshot();
                let found = driver.manage_existing_snapshot(reason, &snapshot, managed, &options).await?;
                answer::managed_snapshot(&found)
            }
            Function::UnmanageSnapshot => json!(driver.unmanage_snapshot(reason, &snapshot).await?),
            Function::ShareStatus => {
                let work = lab.pending_work();
                answer::progress(&driver.share_status(reason, &lab.second_share, &work).await?)
            }
            _ => {
                let taken = driver.create_snapshot(reason, &snapshot).await?;
                lab.handles.keep(snapshot.id, taken.provider_location.as_ref());
                answer::snapshot(&taken)
            }
        })
    }

    async fn call_about_migration(
        &self,
        function: Function,
        reason: &CallReason,
    ) -> Result<Value, CallError> {
        let (driver, way) = (&self.driver, &self.lab.migration());
        Ok(match function {
            Function::MigrationStart => json!(driver.migration_start(reason, way).await?),
            Function::MigrationContinue => answer::first_phase(driver.migration_continue(reason, way).await?),
            Function::MigrationProgress => json!(driver.migration_progress(reason, way).await?),
            Function::MigrationCancel => json!(driver.migration_cancel(reason, way).await?),
            Function::MigrationComplete => answer::migrated(&driver.migration_complete(reason, way).await?),
            Function::ConnectionInfo => {
                answer::connection(&driver.connection_info(reason, &self.lab.share).await?)
            }
            _ => answer::compatibility(driver.migration_check_compatibility(reason, way).await?),
        })
    }

    async fn call_about_group(&self, function: Function, reason: &CallReason) -> Result<Value, CallError> {
        let (driver, group, snapshot) = (&self.driver, self.lab.group(), self.lab.group_snapshot());
        Ok(match function {
            Function::DeleteShareGroup => json!(driver.delete_share_group(reason, &group).await?),
            Function::ConsistencyUnit => json!(driver.consistency_unit(reason).await?),
            Function::CreateShareGroupSnapshot => {
                self.kept_handles(&driver.create_share_group_snapshot(reason, &snapshot).await?)
            }
            Function::DeleteShareGroupSnapshot => {
                json!(driver.delete_share_group_snapshot(reason, &snapshot).await?)
            }
            Function::CreateShareGroupFromSnapshot => {
                let (group, sources) = self.lab.group_from_snapshot();
                let made =
                    driver.create_share_group_from_snapshot(reason, &group, &snapshot, &sources).await?;
                answer::created(&made)
            }
            _ => json!(driver.create_share_group(reason, &group).await?),
        })
    }

    /// An answer about several snapshots, whose handles are kept.
    fn kept_handles(&self, updates: &[SnapshotUpdate]) -> Value {
        for update in updates {
            self.lab.handles.keep(update.id, update.provider_location.as_ref());
        }
        answer::updates(updates)
    }

    async fn call_about_replica(&self, function: Function, reason: &CallReason) -> Result<Value, CallError> {
        let (driver, lab) = (&self.driver, &self.lab);
        Ok(match function {
            Function::DeleteReplica => json!(driver.delete_replica(reason, &lab.replica_removal()).await?),
            Function::PromoteReplica => {
                answer::replicas(&driver.promote_replica(reason, &lab.promotion()).await?)
            }
            Function::UpdateReplicaState => {
                json!(driver.update_replica_state(reason, &lab.replica_view()).await?)
            }
            Function::CreateReplicatedSnapshot => {
                let snapshot = lab.replicated_snapshot([InstanceStatus::Creating; 2]);
                self.kept_handles(&driver.create_replicated_snapshot(reason, &snapshot).await?)
            }
            Function::DeleteReplicatedSnapshot => {
                let snapshot = lab.replicated_snapshot([InstanceStatus::Deleting; 2]);
                answer::updates(&driver.delete_replicated_snapshot(reason, &snapshot).await?)
            }
            Function::UpdateReplicatedSnapshot => {
                let statuses = [InstanceStatus::Available, InstanceStatus::Creating];
                let (replica, snapshot) = (lab.second_share.id, lab.replicated_snapshot(statuses));
                let update = driver.update_replicated_snapshot(reason, replica, &snapshot).await?;
                answer::updates(update.as_slice())
            }
            Function::RevertToReplicatedSnapshot => {
                json!(driver.revert_to_replicated_snapshot(reason, &lab.reversion()).await?)
            }
            _ => answer::replicas(&[driver.create_replica(reason, &lab.replica_view()).await?]),
        })
    }
}

/// Where secrets of options come from, and those of the place's logins. What is kept is sealed under a key that protects nothing: it does
/// not outlive this process.
pub(crate) fn secrets() -> (SecretSource, SecretSource) {
    let vault = Arc::new(Vault::new(&[0; 32]));
    let of_options = SecretSource::new(Redactor::default(), config::environment()).sealed_by(vault);
    let of_logins = of_options.telling(of_options.redactor().narrowed());
    (of_options, of_logins)
}

/// The place that the lab's file names, or the helper, for a driver that has commands; one without needs no helper on this machine.
pub(crate) async fn runner(
    manifest: &Manifest,
    lab: &Lab,
    scratch: &Path,
    logins: &SecretSource,
) -> anyhow::Result<Arc<dyn CommandRunner>> {
    if let Some(far) = &lab.far {
        let place = daemon::make_place(&far.place, &far.target, (&far.declared, logins))?;
        place.wait_until_swept().await?;
        return Ok(place);
    }
    if manifest.programs().is_empty() {
        return Ok(Arc::new(NoCommands));
    }
    let program = daemon::helper_program(None).context("the driver runs commands, which need the helper")?;
    let (lock, runtime) = (scratch.join("helper.lock"), scratch.join("helper"));
    let helper = HelperClient::start(HelperPlace::Beside { program, lock, runtime });
    helper.wait_until_swept().await?;
    Ok(Arc::new(helper))
}

/// Stands where nothing is ever run: the manifest has no command.
#[derive(Debug)]
struct NoCommands;

#[async_trait]
impl CommandRunner for NoCommands {
    async fn run(&self, _request: CommandRequest, _abandoned: Abandoned) -> Result<Finished, RunError> {
        Err(RunError::Unavailable { reason: "the driver declares no command".to_owned() })
    }

    async fn wait_until_swept(&self) -> Result<(), RunError> {
        Ok(())
    }
}
