//! The OpenStack shared-file-systems API, version 2, as far as shares, access rules, snapshots, replicas, share groups and share networks need it.

mod access_rules;
mod capabilities;
mod discovery;
mod experiment;
mod export_locations;
mod filters;
mod manage;
mod messages;
mod metadata;
mod pages;
mod security_services;
mod service;
mod share_actions;
mod share_group_snapshots;
mod share_group_types;
mod share_groups;
mod share_migration;
mod share_network_checks;
mod share_network_subnets;
mod share_networks;
mod share_replicas;
mod share_servers;
mod share_types;
mod shares;
mod snapshot_access;
mod snapshots;
mod view;

use crate::error::ApiError;
use axum::Router;
use bulkhead_manager::Manager;

pub(crate) use discovery::is_discovery;

/// The first parts of paths below `/v2`; anything else there is a project.
pub(crate) const COLLECTIONS: &[&str] = &[
    "availability-zones",
    "limits",
    "messages",
    "scheduler-stats",
    "security-services",
    "services",
    "share-access-rules",
    "share-group-snapshots",
    "share-group-types",
    "share-groups",
    "share-networks",
    "share-replicas",
    "share-servers",
    "shares",
    "snapshots",
    "types",
];

/// The answer where nothing is served.
pub(crate) fn no_route() -> ApiError {
    ApiError::NotFound(
        "nothing is served at this path; this server has shares, snapshots, access rules, replicas, share groups, share networks, share servers, security services, share types, messages, limits, pools and services"
            .to_owned(),
    )
}

pub(crate) fn routes(manager: Manager) -> Router {
    Router::new().merge(discovery::routes()).merge(
        Router::new()
            .merge(shares::routes())
            .merge(share_actions::routes())
            .merge(messages::routes())
            .merge(metadata::routes())
            .merge(export_locations::routes())
            .merge(access_rules::routes())
            .merge(snapshots::routes())
            .merge(snapshot_access::routes())
            .merge(manage::routes())
            .merge(share_types::routes())
            .merge(share_replicas::routes())
            .merge(share_groups::routes())
            .merge(share_group_snapshots::routes())
            .merge(share_group_types::routes())
            .merge(share_networks::routes())
            .merge(share_network_subnets::routes())
            .merge(security_services::routes())
            .merge(share_servers::routes())
            .merge(service::routes())
            .with_state(manager),
    )
}
