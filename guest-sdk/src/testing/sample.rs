//! Records as the host would hand them over. Equal numbers make equal ids.

use crate::access::{AccessLevel, AccessRule, AccessType};
use crate::group::{ShareGroup, ShareGroupSnapshot};
use crate::migration::{ShareMigration, SnapshotMapping};
use crate::network::{
    AllocationLabel, NetworkAllocation, SecurityService, SecurityServiceType, ShareNetworkSubnet,
};
use crate::replication::{AccessRulesStatus, InstanceStatus, Replica, ReplicationType};
use crate::share::{Protocol, ReplicaState, Share};
use crate::share_server::{NetworkInfo, ServerNetwork, ShareServer};
use crate::snapshot::Snapshot;
use crate::statistics::IpVersion;

fn id(kind: u8, number: u32) -> String {
    format!("{number:08x}-0000-4000-8000-{kind:012x}")
}

/// An NFS share of project `project` without export locations, extra specs or metadata.
#[must_use]
pub fn share(number: u32, size_gib: u64) -> Share {
    let instance = id(1, number);
    Share {
        name: format!("share-{instance}"),
        id: instance,
        share_id: id(2, number),
        project_id: "project".to_owned(),
        size_gib,
        protocol: Protocol::Nfs,
        pool: None,
        source_snapshot_id: None,
        share_group_id: None,
        replica_state: None,
        mount_snapshot_support: false,
        export_locations: Vec::new(),
        extra_specs: Vec::new(),
        metadata: Vec::new(),
        share_server_id: None,
        server: None,
    }
}

/// A snapshot of `share`, of its size.
#[must_use]
pub fn snapshot(number: u32, share: &Share) -> Snapshot {
    let instance = id(3, number);
    Snapshot {
        name: format!("share-snapshot-{instance}"),
        id: instance,
        snapshot_id: id(4, number),
        size_gib: share.size_gib,
        provider_location: None,
        share: share.clone(),
    }
}

/// A group of these shares, which then carry its id.
#[must_use]
pub fn share_group(number: u32, shares: &[Share]) -> ShareGroup {
    let group = id(7, number);
    let member = |share: &Share| Share { share_group_id: Some(group.clone()), ..share.clone() };
    ShareGroup {
        shares: shares.iter().map(member).collect(),
        name: None,
        project_id: "project".to_owned(),
        host: "bulkhead@nas#pool".to_owned(),
        share_network_id: None,
        server: None,
        share_group_type_id: id(8, 1),
        group_specs: Vec::new(),
        share_type_ids: vec![id(9, 1)],
        source_group_snapshot_id: None,
        consistent_snapshot_support: None,
        id: group,
    }
}

/// A snapshot of a group, with a member for each of its shares: snapshots with the numbers from `number` on.
#[must_use]
pub fn share_group_snapshot(number: u32, group: &ShareGroup) -> ShareGroupSnapshot {
    let snapshot_id = id(10, number);
    let members = (number..).zip(&group.shares);
    let member = |(number, share)| Snapshot { snapshot_id: snapshot_id.clone(), ..snapshot(number, share) };
    ShareGroupSnapshot {
        members: members.map(member).collect(),
        name: None,
        project_id: group.project_id.clone(),
        share_group: group.clone(),
        id: snapshot_id.clone(),
    }
}

/// A share server of share network `number`, without details.
#[must_use]
pub fn share_server(number: u32) -> ShareServer {
    let id = id(11, number);
    ShareServer {
        identifier: id.clone(),
        share_network_id: self::id(12, number),
        backend_details: Vec::new(),
        id,
    }
}

/// The share, as it lives on `server`.
#[must_use]
pub fn on_server(share: &Share, server: &ShareServer) -> Share {
    Share { share_server_id: Some(server.id.clone()), server: Some(server.clone()), ..share.clone() }
}

/// An Active Directory of a tenant, without a password.
#[must_use]
pub fn security_service(number: u32) -> SecurityService {
    SecurityService {
        id: id(16, number),
        service_type: SecurityServiceType::ActiveDirectory,
        project_id: "project".to_owned(),
        name: None,
        dns_ip: None,
        server: None,
        domain: Some(format!("ad{number}.example.org")),
        user: Some("joiner".to_owned()),
        password: None,
        organizational_unit: None,
        default_ad_site: None,
    }
}

/// The network of `server`: one subnet `10.NUMBER.0.0/24`, where it has `addresses` addresses from `.10` on, and as many of administrators
/// in `10.255.0.0/16` as `admin_addresses` says. At most 200 of either, and `number` at most 254.
#[must_use]
pub fn server_network(number: u8, server: &ShareServer, addresses: u8, admin_addresses: u8) -> ServerNetwork {
    let subnet = ShareNetworkSubnet {
        id: id(13, u32::from(number)),
        share_network_id: server.share_network_id.clone(),
        neutron_net_id: None,
        neutron_subnet_id: None,
        network_type: None,
        segmentation_id: None,
        cidr: Some(format!("10.{number}.0.0/24")),
        gateway: Some(format!("10.{number}.0.1")),
        mtu: Some(1500),
        ip_version: Some(IpVersion::V4),
        availability_zone: None,
        metadata: Vec::new(),
    };
    let allocation = |label, last: u8| {
        let (network, prefix, kind) = match label {
            AllocationLabel::User => (format!("10.{number}.0"), 24, 14),
            AllocationLabel::Admin => (format!("10.255.{number}"), 16, 15),
        };
        NetworkAllocation {
            id: id(kind, u32::from(number) << 8 | u32::from(last)),
            label,
            ip_address: format!("{network}.{}", last.saturating_add(10)),
            ip_version: IpVersion::V4,
            cidr: if prefix == 24 { format!("{network}.0/24") } else { "10.255.0.0/16".to_owned() },
            gateway: None,
            mtu: 1500,
            network_type: None,
            segmentation_id: None,
            mac_address: None,
            share_server_id: server.id.clone(),
            subnet_id: (label == AllocationLabel::User).then(|| subnet.id.clone()),
        }
    };
    ServerNetwork {
        server_id: server.id.clone(),
        admin_network_allocations: (0..admin_addresses)
            .map(|last| allocation(AllocationLabel::Admin, last))
            .collect(),
        networks: vec![NetworkInfo {
            network_allocations: (0..addresses).map(|last| allocation(AllocationLabel::User, last)).collect(),
            subnet: subnet.clone(),
        }],
        security_services: Vec::new(),
        backend_details: server.backend_details.clone(),
    }
}

/// An access rule.
#[must_use]
pub fn access_rule(
    number: u32,
    access_type: AccessType,
    access_to: &str,
    access_level: AccessLevel,
) -> AccessRule {
    AccessRule {
        id: id(5, number),
        mapping_id: id(6, number),
        access_type,
        access_to: access_to.to_owned(),
        access_level,
    }
}

/// An available replica of type `dr` on `host`; `share` is its instance.
#[must_use]
pub fn replica(share: &Share, host: &str, state: ReplicaState) -> Replica {
    Replica {
        share: Share { replica_state: Some(state), ..share.clone() },
        host: host.to_owned(),
        availability_zone: None,
        replication_type: ReplicationType::Dr,
        status: InstanceStatus::Available,
        access_rules_status: AccessRulesStatus::Active,
    }
}

/// The migration of `share` to `host`, with these snapshots of it: the destination's instances have the numbers of `number` and on.
#[must_use]
pub fn migration(number: u32, share: &Share, host: &str, snapshots: &[Snapshot]) -> ShareMigration {
    let pool = host.split_once('#').map(|(_, pool)| pool.to_owned());
    let destination_share =
        Share { share_id: share.share_id.clone(), pool, ..self::share(number, share.size_gib) };
    let mapping = |(number, source): (u32, &Snapshot)| SnapshotMapping {
        source: source.clone(),
        destination: Snapshot {
            snapshot_id: source.snapshot_id.clone(),
            size_gib: source.size_gib,
            ..snapshot(number, &destination_share)
        },
    };
    ShareMigration {
        snapshots: (number..).zip(snapshots).map(mapping).collect(),
        source_share: share.clone(),
        destination_host: host.to_owned(),
        destination_share,
    }
}
