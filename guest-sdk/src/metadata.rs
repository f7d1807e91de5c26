//! Metadata that the backend acts on or supplies.

use crate::driver::Driver;
use crate::error::{Error, Result};
use crate::network::{ShareNetwork, ShareNetworkSubnet};
use crate::share::Share;
use crate::share_server::ShareServer;

/// Metadata that the backend acts on or supplies. `driver.toml` lists the keys under `[metadata-keys]`: `supplied` are the driver's,
/// `updatable` those of the tenant's that it acts on, `updatable-subnet` those of a share network's subnet.
#[diagnostic::on_unimplemented(
    message = "`{Self}` exports `metadata_updates` but does not implement `MetadataUpdates`",
    note = "implement `bulkhead_sdk::MetadataUpdates` for it, or leave `metadata_updates` out of `export_driver!`"
)]
pub trait MetadataUpdates: Driver {
    /// Metadata that a new share shall carry, for example mount options; it is merged into the tenant's.
    ///
    /// Reads only; called after each creation. Keys that `supplied` does not list are dropped with a warning, and after a failure the
    /// share stays as it is. Never two calls at once for one share.
    fn share_creation_metadata(share: &Share) -> Result<Vec<(String, String)>>;

    /// Act on `metadata`: the keys of `updatable` that the tenant set or changed. `share.metadata` has all.
    ///
    /// Idempotent: what is so already is a success. Fail with [`Error::invalid_parameter`](crate::Error::invalid_parameter) if a value
    /// makes no sense to the backend: the metadata stay as the tenant wrote them, and the tenant is told that the backend did not
    /// follow. Never two calls at once for one share.
    fn update_share_from_metadata(share: &Share, metadata: &[(String, String)]) -> Result<()>;

    /// Act on `metadata`: the keys of `updatable-subnet` that the tenant set or changed on `subnet`, which `server` is in. Called for each
    /// share server of the subnet; only a driver that makes servers and lists keys has something to do.
    ///
    /// Idempotent, and fails as [`MetadataUpdates::update_share_from_metadata`]. Never two calls at once for one server.
    fn update_subnet_from_metadata(
        _network: &ShareNetwork,
        subnet: &ShareNetworkSubnet,
        _server: &ShareServer,
        _metadata: &[(String, String)],
    ) -> Result<()> {
        Err(Error::not_implemented(format!("this driver acts on no metadata of subnet {}", subnet.id)))
    }
}
