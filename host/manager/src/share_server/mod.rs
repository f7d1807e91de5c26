//! Share servers: what a backend keeps for a tenant's network where it makes servers (contract 2.6, 3.8, 3.9, 4.4, 4.5).
//!
//! ```text
//!   share or group --provide--> a server that is there -----------------------------> its own operation goes on
//!                        \----> new server: creating --set-up--> active --wakes-----> its own operation goes on
//!                                               \--> error --wakes--> the share or group is in error too
//!
//!   nothing on it --clean-up or a person--> deleting --tear-down, then addresses back--> gone
//! ```
//!
//! Set-up and tear-down are operations of their own, which queue under the server's id ([`ShareServerId::queue`]); a share that needs a
//! server waits for it without holding a slot. `provide` chooses, under one lock for the subnet, and commits the choice; `setup` and
//! `teardown` make the driver's calls, `managing` those of servers that were made outside, `subnet_metadata` those by which they follow a
//! subnet; `cleanup` looks for servers that nothing is on;
//! `network_change` begins and ends what servers in service do when their network changes, `service_update` and `subnet_addition` call the
//! driver for that; `policy` says what is accepted when, `room` how much a server holds, `verbs` is what people ask for.
//!
//! Addresses: the record of a server is committed before any is allocated, and goes after all have been given back, so that none is ever
//! kept for a server that is not there. Once the driver may have been told of a server ([`ShareServer::may_exist`]) its addresses stay
//! with it until the driver has said that nothing of it is left, also after a set-up that failed. Manila gives them back before; here no
//! other tenant gets an address that a half-removed server may still answer at.
//!
//! Where we differ from Manila on purpose, beside that: the lock is held while a server is chosen, not while it is set up, so that one slow
//! set-up holds up only those who wait for that server; a server whose set-up was interrupted goes on with the addresses it has instead of
//! getting new ones; nothing waits for the next clean-up that is known to be needed now.

mod attempt;
mod carry;
mod cleanup;
mod managing;
pub(crate) mod network;
pub(crate) mod network_change;
mod policy;
pub(crate) mod provide;
pub(crate) mod recovery;
mod room;
mod service_update;
pub(crate) mod settle;
mod setup;
mod subnet_addition;
pub(crate) mod subnet_metadata;
mod teardown;
mod verbs;

pub(crate) use attempt::attempt;
pub(crate) use cleanup::{holds_unknown, left_alone, start};
pub use verbs::ManageServer;

use crate::error::ManagerError;
use crate::records::{Stored, Tables};
use bulkhead_model::id::ShareServerId;
use bulkhead_model::scope::Scope;
use bulkhead_model::share_server::ShareServer;
use policy::ServerFacts;

/// A share server inside `scope`.
fn find<'a>(
    tables: &'a Tables,
    scope: &Scope,
    id: ShareServerId,
) -> Result<&'a Stored<ShareServer>, ManagerError> {
    tables.server(scope, id).ok_or_else(|| ManagerError::not_found("share server", id))
}

/// What the policy needs to know of a share server.
fn facts(tables: &Tables, server: &ShareServer) -> ServerFacts {
    ServerFacts {
        status: server.status,
        shares: tables.instances_on_server(server.id).count(),
        groups: tables.groups_on_server(server.id).count(),
        in_flight: tables
            .unfinished_of_share(server.id.queue())
            .find(|one| !one.verb.runs_beside_others())
            .map(|one| one.verb.name()),
    }
}
