//! Between the generated export traits and a driver's own: each function converts, calls, converts back.

use crate::access::{AccessRule, AccessUpdate, RuleOutcome, SnapshotAccessRule};
use crate::bindings::base::bulkhead::driver::types as wit;
use crate::bindings::base::exports::bulkhead::driver::{lifecycle, shares};
use crate::bindings::{
    access, access_by_rule, extend, manage, manage_snapshots, metadata_updates, mountable_snapshots,
    periodic_hook, revert, share_from_snapshot, share_status, shrink, snapshots, usage,
};
use crate::driver::{Access, AccessByRule, Driver, Extend, Revert, ShareFromSnapshot, Shrink, Snapshots};
use crate::error::Error;
use crate::manage::{Manage, ManageSnapshots, ManagedShare, ManagedSnapshot};
use crate::metadata::MetadataUpdates;
use crate::mountable::{MountableSnapshots, SnapshotAccessUpdate};
use crate::network::{ShareNetwork, ShareNetworkSubnet};
use crate::pairs;
use crate::panic;
use crate::periodic_hook::{HookData, PeriodicHook};
use crate::share::{Creation, EnsuredShare, ExportLocation, Share};
use crate::share_server::ShareServer;
use crate::share_status::{ShareProgress, ShareStatus};
use crate::snapshot::{Reversion, Snapshot, SnapshotOutcome};
use crate::statistics::{IpVersion, Statistics};
use crate::usage::{ShareUsage, Usage};
use std::marker::PhantomData;

/// Exports what `D` implements. Only `export_driver!` names it.
#[derive(Debug)]
pub struct Glue<D>(PhantomData<D>);

/// Everything of a driver runs in here: what it panics with is logged, its error becomes the contract's.
pub(crate) fn run<T>(function: impl FnOnce() -> crate::error::Result<T>) -> Result<T, wit::Error> {
    panic::write_to_log();
    function().map_err(Error::into_wit)
}

impl<D: Driver> lifecycle::Guest for Glue<D> {
    fn setup() -> Result<(), wit::Error> {
        run(D::setup)
    }

    fn stats() -> Result<lifecycle::Statistics, wit::Error> {
        run(|| D::stats().map(Statistics::into_wit))
    }

    fn backend_info() -> Result<Vec<wit::KeyValue>, wit::Error> {
        run(|| D::backend_info().map(pairs::into_wit))
    }

    fn ip_versions() -> Result<Vec<lifecycle::IpVersion>, wit::Error> {
        run(|| D::ip_versions().map(|versions| versions.into_iter().map(IpVersion::into_wit).collect()))
    }

    fn default_filter_function() -> Result<Option<String>, wit::Error> {
        run(D::default_filter_function)
    }

    fn default_goodness_function() -> Result<Option<String>, wit::Error> {
        run(D::default_goodness_function)
    }

    fn pool_of(share: wit::Share) -> Result<Option<String>, wit::Error> {
        run(|| D::pool_of(&Share::from_wit(share, None)))
    }
}

impl<D: Driver> shares::Guest for Glue<D> {
    fn create_share(
        share: wit::Share,
        server: Option<wit::ShareServer>,
    ) -> Result<Vec<wit::ExportLocation>, wit::Error> {
        run(|| D::create_share(&Share::from_wit(share, server)).map(ExportLocation::list_into_wit))
    }

    fn delete_share(share: wit::Share, server: Option<wit::ShareServer>) -> Result<(), wit::Error> {
        run(|| D::delete_share(&Share::from_wit(share, server)))
    }

    fn ensure_shares(shares: Vec<wit::Share>) -> Result<Vec<shares::EnsuredShare>, wit::Error> {
        run(|| {
            let shares: Vec<Share> = shares.into_iter().map(|share| Share::from_wit(share, None)).collect();
            D::ensure_shares(&shares).map(|ensured| ensured.into_iter().map(EnsuredShare::into_wit).collect())
        })
    }
}

impl<D: Access> access::exports::bulkhead::driver::access::Guest for Glue<D> {
    fn update_access(
        share: wit::Share,
        update: access::exports::bulkhead::driver::access::AccessUpdate,
        server: Option<wit::ShareServer>,
    ) -> Result<Vec<access::exports::bulkhead::driver::access::RuleOutcome>, wit::Error> {
        run(|| {
            D::update_access(&Share::from_wit(share, server), &AccessUpdate::from_wit(update))
                .map(|outcomes| outcomes.into_iter().map(RuleOutcome::into_wit).collect())
        })
    }
}

impl<D: AccessByRule> access_by_rule::exports::bulkhead::driver::access_by_rule::Guest for Glue<D> {
    fn allow_access(
        share: wit::Share,
        rule: wit::AccessRule,
        server: Option<wit::ShareServer>,
    ) -> Result<(), wit::Error> {
        run(|| D::allow_access(&Share::from_wit(share, server), &AccessRule::from_wit(rule)))
    }

    fn deny_access(
        share: wit::Share,
        rule: wit::AccessRule,
        server: Option<wit::ShareServer>,
    ) -> Result<(), wit::Error> {
        run(|| D::deny_access(&Share::from_wit(share, server), &AccessRule::from_wit(rule)))
    }
}

impl<D: Snapshots> snapshots::exports::bulkhead::driver::snapshots::Guest for Glue<D> {
    fn create_snapshot(
        snapshot: wit::Snapshot,
        server: Option<wit::ShareServer>,
    ) -> Result<snapshots::exports::bulkhead::driver::snapshots::SnapshotOutcome, wit::Error> {
        run(|| {
            Snapshot::from_wit(snapshot, server)
                .and_then(|snapshot| D::create_snapshot(&snapshot))
                .map(SnapshotOutcome::into_wit)
        })
    }

    fn delete_snapshot(snapshot: wit::Snapshot, server: Option<wit::ShareServer>) -> Result<(), wit::Error> {
        run(|| Snapshot::from_wit(snapshot, server).and_then(|snapshot| D::delete_snapshot(&snapshot)))
    }
}

impl<D: ShareFromSnapshot> share_from_snapshot::exports::bulkhead::driver::share_from_snapshot::Guest
    for Glue<D>
{
    fn create_share_from_snapshot(
        share: wit::Share,
        source: wit::Snapshot,
        server: Option<wit::ShareServer>,
    ) -> Result<share_from_snapshot::exports::bulkhead::driver::share_from_snapshot::Creation, wit::Error>
    {
        run(|| {
            // The server is the new share's: the source may live on another one.
            Snapshot::from_wit(source, None)
                .and_then(|source| D::create_share_from_snapshot(&Share::from_wit(share, server), &source))
                .map(Creation::into_wit)
        })
    }
}

impl<D: Revert> revert::exports::bulkhead::driver::revert::Guest for Glue<D> {
    fn revert_to_snapshot(
        snapshot: wit::Snapshot,
        share_rules: Vec<wit::AccessRule>,
        snapshot_rules: Vec<wit::SnapshotAccessRule>,
        server: Option<wit::ShareServer>,
    ) -> Result<revert::exports::bulkhead::driver::revert::Reversion, wit::Error> {
        run(|| {
            let share_rules = AccessRule::list_from_wit(share_rules);
            let snapshot_rules: Vec<SnapshotAccessRule> =
                snapshot_rules.into_iter().map(SnapshotAccessRule::from_wit).collect();
            Snapshot::from_wit(snapshot, server)
                .and_then(|snapshot| D::revert_to_snapshot(&snapshot, &share_rules, &snapshot_rules))
                .map(Reversion::into_wit)
        })
    }
}

impl<D: Extend> extend::exports::bulkhead::driver::extend::Guest for Glue<D> {
    fn extend_share(
        share: wit::Share,
        new_size_gib: u64,
        server: Option<wit::ShareServer>,
    ) -> Result<(), wit::Error> {
        run(|| D::extend_share(&Share::from_wit(share, server), new_size_gib))
    }
}

impl<D: Shrink> shrink::exports::bulkhead::driver::shrink::Guest for Glue<D> {
    fn shrink_share(
        share: wit::Share,
        new_size_gib: u64,
        server: Option<wit::ShareServer>,
    ) -> Result<(), wit::Error> {
        run(|| D::shrink_share(&Share::from_wit(share, server), new_size_gib))
    }
}

impl<D: Manage> manage::exports::bulkhead::driver::manage::Guest for Glue<D> {
    fn manage_existing(
        share: wit::Share,
        driver_options: Vec<wit::KeyValue>,
        server: Option<wit::ShareServer>,
    ) -> Result<manage::exports::bulkhead::driver::manage::ManagedShare, wit::Error> {
        run(|| {
            D::manage_existing(&Share::from_wit(share, server), &pairs::from_wit(driver_options))
                .map(ManagedShare::into_wit)
        })
    }

    fn unmanage(share: wit::Share, server: Option<wit::ShareServer>) -> Result<(), wit::Error> {
        run(|| D::unmanage(&Share::from_wit(share, server)))
    }
}

impl<D: ManageSnapshots> manage_snapshots::exports::bulkhead::driver::manage_snapshots::Guest for Glue<D> {
    fn manage_existing_snapshot(
        snapshot: wit::Snapshot,
        driver_options: Vec<wit::KeyValue>,
        server: Option<wit::ShareServer>,
    ) -> Result<manage_snapshots::exports::bulkhead::driver::manage_snapshots::ManagedSnapshot, wit::Error>
    {
        run(|| {
            let driver_options = pairs::from_wit(driver_options);
            Snapshot::from_wit(snapshot, server)
                .and_then(|snapshot| D::manage_existing_snapshot(&snapshot, &driver_options))
                .map(ManagedSnapshot::into_wit)
        })
    }

    fn unmanage_snapshot(
        snapshot: wit::Snapshot,
        server: Option<wit::ShareServer>,
    ) -> Result<(), wit::Error> {
        run(|| Snapshot::from_wit(snapshot, server).and_then(|snapshot| D::unmanage_snapshot(&snapshot)))
    }
}

impl<D: MountableSnapshots> mountable_snapshots::exports::bulkhead::driver::mountable_snapshots::Guest
    for Glue<D>
{
    fn snapshot_update_access(
        snapshot: wit::Snapshot,
        update: mountable_snapshots::exports::bulkhead::driver::mountable_snapshots::SnapshotAccessUpdate,
        server: Option<wit::ShareServer>,
    ) -> Result<(), wit::Error> {
        run(|| {
            let update = SnapshotAccessUpdate::from_wit(update);
            Snapshot::from_wit(snapshot, server)
                .and_then(|snapshot| D::snapshot_update_access(&snapshot, &update))
        })
    }
}

impl<D: Usage> usage::exports::bulkhead::driver::usage::Guest for Glue<D> {
    fn share_usage_sizes(
        shares: Vec<wit::Share>,
    ) -> Result<Vec<usage::exports::bulkhead::driver::usage::ShareUsage>, wit::Error> {
        run(|| {
            let shares: Vec<Share> = shares.into_iter().map(|share| Share::from_wit(share, None)).collect();
            D::share_usage_sizes(&shares).map(|sizes| sizes.into_iter().map(ShareUsage::into_wit).collect())
        })
    }
}

impl<D: PeriodicHook> periodic_hook::exports::bulkhead::driver::periodic_hook::Guest for Glue<D> {
    fn periodic_hook_data(
        shares: Vec<wit::Share>,
    ) -> Result<Vec<periodic_hook::exports::bulkhead::driver::periodic_hook::HookData>, wit::Error> {
        run(|| {
            let shares: Vec<Share> = shares.into_iter().map(|share| Share::from_wit(share, None)).collect();
            D::periodic_hook_data(&shares).map(|data| data.into_iter().map(HookData::into_wit).collect())
        })
    }
}

impl<D: ShareStatus> share_status::exports::bulkhead::driver::share_status::Guest for Glue<D> {
    fn share_status(
        share: wit::Share,
        server: Option<wit::ShareServer>,
    ) -> Result<share_status::exports::bulkhead::driver::share_status::ShareProgress, wit::Error> {
        run(|| D::share_status(&Share::from_wit(share, server)).map(ShareProgress::into_wit))
    }
}

impl<D: MetadataUpdates> metadata_updates::exports::bulkhead::driver::metadata_updates::Guest for Glue<D> {
    fn share_creation_metadata(
        share: wit::Share,
        server: Option<wit::ShareServer>,
    ) -> Result<Vec<wit::KeyValue>, wit::Error> {
        run(|| D::share_creation_metadata(&Share::from_wit(share, server)).map(pairs::into_wit))
    }

    fn update_share_from_metadata(
        share: wit::Share,
        metadata: Vec<wit::KeyValue>,
        server: Option<wit::ShareServer>,
    ) -> Result<(), wit::Error> {
        run(|| D::update_share_from_metadata(&Share::from_wit(share, server), &pairs::from_wit(metadata)))
    }

    fn update_subnet_from_metadata(
        network: wit::ShareNetwork,
        subnet: wit::ShareNetworkSubnet,
        server: wit::ShareServer,
        metadata: Vec<wit::KeyValue>,
    ) -> Result<(), wit::Error> {
        run(|| {
            D::update_subnet_from_metadata(
                &ShareNetwork::from_wit(network),
                &ShareNetworkSubnet::from_wit(subnet),
                &ShareServer::from_wit(server),
                &pairs::from_wit(metadata),
            )
        })
    }
}
