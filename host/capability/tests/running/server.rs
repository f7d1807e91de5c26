//! Groups of share servers: each call reaches those of its own servers, and gives them the addresses that the host keeps.

use crate::lab::{Lab, at_of, code, denial, label, pool_of};
use bulkhead_capability::backend::{Backend, BackendParts, GrantError};
use bulkhead_capability::call::Call;
use bulkhead_capability::network_allocation::{AddressRequest, Purpose, SubnetChoice};
use bulkhead_capability::seal::SealingKey;
use bulkhead_capability::secret::Vault;
use bulkhead_capability::service::ServiceInstance;
use bulkhead_capability::slot::Slot;
use bulkhead_capability::testing::{origin, subnet};
use bulkhead_helper::protocol::{
    ServiceAnswer, ServiceCall, ServiceExit, ServiceState, ServiceStatus, StartServices,
};
use bulkhead_model::call::CallReason;
use bulkhead_model::effect::EffectOutcome;
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::id::{RequestId, ShareInstanceId, ShareServerId};
use bulkhead_model::manifest::Manifest;
use bulkhead_model::network::{AllocationLabel, NetworkGrants};
use bulkhead_model::statistics::IpVersion;
use bulkhead_model::target::{CallTarget, Resource};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The lab's driver, with a group for each share server.
pub(crate) fn manifest() -> Manifest {
    let mut value = serde_json::to_value(crate::lab::manifest()).expect("a value");
    value["driver"]["dhss"] = json!([true]);
    let group = json!({
        "name": "tenant", "reason": "a server of a tenant", "instance": "share-server", "network": "own",
        "tmpfs": ["/run"], "bus": "/run/dbus/system_bus_socket",
        "bind": [{ "name": "share", "root": "pool", "pattern": ["shares/{share}"], "at": "/run/exports/{share}" }],
    });
    let service = json!({
        "name": "tenant-bus", "group": "tenant", "reason": "a bus", "program": "dbus-daemon",
        "args": ["--config-file={file}", "--nofork", "--nopidfile"],
        "slots": { "file": { "type": "path", "kind": "text", "root": "config", "pattern": ["{server}/bus.conf", "bus.conf"] } },
    });
    let dbus = json!({
        "name": "tell", "reason": "an export", "effect": "change", "repeat": "safe", "group": "tenant",
        "destination": "org.ganesha.nfsd", "path": "/", "interface": "org.ganesha.nfsd.exportmgr", "method": "AddExport",
        "args": [{ "type": "s", "value": "{file}" }],
        "slots": { "file": { "type": "path", "kind": "text", "root": "config", "pattern": ["{server}/exports/{share}.conf"] } },
    });
    for (table, one) in [("group", group), ("service", service), ("dbus", dbus)] {
        if let Some(Value::Array(all)) = value.get_mut(table) {
            all.push(one);
        }
    }
    let directories = json!(["{server}", "{server}/exports", "bus.conf"]);
    value["root"][1]["paths"] = directories;
    serde_json::from_value(value).expect("a manifest")
}

fn grants(networks: Value) -> NetworkGrants {
    serde_json::from_value(networks).expect("networks")
}

pub(crate) fn plugged() -> NetworkGrants {
    grants(json!({
        "user": [
            { "gateway": "10.9.0.1", "mask": 24, "mtu": 1400, "bridge": "br0", "namespace": "blue" },
            { "gateway": "fd09::1", "mask": 64, "bridge": "br0", "namespace": "blue" },
        ],
        "admin": [{ "gateway": "10.8.0.1", "mask": 24, "bridge": "br1" }],
    }))
}

pub(crate) fn change(parts: &mut BackendParts, networks: NetworkGrants) {
    let manifest = manifest();
    parts.grant.networks = networks;
    parts.grant.templates = manifest.templates().map(|(name, digest)| (name.clone(), digest)).collect();
    for root in &manifest.roots {
        if let Some(granted) = parts.grant.roots.get_mut(&root.name) {
            granted.pin = root.digest();
        }
    }
    parts.manifest = Arc::new(manifest);
}

pub(crate) async fn lab() -> Lab {
    Lab::with(|parts| change(parts, plugged())).await
}

/// A server with an address of each network.
pub(crate) async fn server(lab: &Lab) -> ShareServerId {
    let (server, subnet) = (ShareServerId::random(), Box::new(subnet()));
    let reason = CallReason { request: RequestId::random(), operation: None, earlier_attempts: 0 };
    for (label, version, purpose) in [
        (AllocationLabel::User, IpVersion::V4, Purpose::Host),
        (AllocationLabel::User, IpVersion::V6, Purpose::Driver("six".to_owned())),
        (AllocationLabel::Admin, IpVersion::V4, Purpose::Host),
    ] {
        let request = AddressRequest {
            server,
            project: Some("blue".parse().expect("a project")),
            label,
            version: Some(version),
            subnet: SubnetChoice::Given(subnet.clone()),
            count: 1,
            purpose,
        };
        lab.backend.networks().allocate(&request, &reason).await.expect("allocated");
    }
    server
}

pub(crate) fn call_of(lab: &Lab, servers: &[ShareServerId]) -> Call {
    lab.call_of(
        origin("share-servers.setup-server"),
        CallTarget { servers: servers.to_vec(), ..CallTarget::default() },
    )
}

pub(crate) const fn of(server: ShareServerId) -> ServiceInstance {
    ServiceInstance::Of(Resource::ShareServer(server))
}

pub(crate) fn own_file(server: ShareServerId) -> Vec<Slot> {
    vec![at_of("file", "{server}/bus.conf", Some(Resource::ShareServer(server)))]
}

fn started(lab: &Lab) -> StartServices {
    let calls = lab.fake.service_calls();
    match calls.last() {
        Some(ServiceCall::Start(start)) => start.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_group_of_a_server_gets_the_addresses_that_the_host_keeps_on_the_operators_bridges() {
    let lab = lab().await;
    let server = server(&lab).await;
    call_of(&lab, &[server])
        .services()
        .start("tenant-bus", &of(server), &own_file(server))
        .await
        .expect("it starts");
    let start = started(&lab);
    assert_eq!(start.group.instance, Some(server.to_string()));
    let [user, admin] = start.interfaces.as_slice() else { panic!("{start:?}") };
    let texts = |addresses: &[ipnet::IpNet]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(texts(&user.addresses), ["10.9.0.2/24", "fd09::2/64"]);
    assert_eq!(
        (user.name.as_str(), user.mtu, user.hardware.to_string().as_str()),
        ("eth0", 1400, "02:62:0a:09:00:02")
    );
    assert_eq!(user.gateways.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.9.0.1", "fd09::1"]);
    assert_eq!(user.plug.to_string(), "bridge 'br0' of network namespace 'blue'");
    assert_eq!(texts(&admin.addresses), ["10.8.0.2/24"]);
    assert!(admin.gateways.is_empty(), "administrators reach it from their own network");
    assert_eq!((admin.name.as_str(), admin.plug.to_string().as_str()), ("eth1", "bridge 'br1'"));
    let effects = lab.effects().await;
    let done = effects.last().expect("an effect");
    assert!(
        done.detail.contains("eth0 10.9.0.2/24 fd09::2/64 02:62:0a:09:00:02 on bridge 'br0'"),
        "{}",
        done.detail
    );
    call_of(&lab, &[server])
        .services()
        .start("tenant-bus", &of(server), &own_file(server))
        .await
        .expect("again");
    assert_eq!(started(&lab).interfaces, start.interfaces, "the same, whenever it is started");
}

#[tokio::test]
async fn another_tenants_server_is_not_reached_and_the_attempt_is_recorded() {
    let lab = lab().await;
    let (own, foreign) = (server(&lab).await, server(&lab).await);
    let call = call_of(&lab, &[own]);
    let services = call.services();
    for denied in [
        denial(services.start("tenant-bus", &of(foreign), &own_file(foreign)).await),
        denial(services.start("tenant-bus", &of(foreign), &own_file(own)).await),
        denial(services.start("tenant-bus", &of(own), &own_file(foreign)).await),
        denial(services.status("tenant-bus", &of(foreign)).await),
        denial(services.stop("tenant-bus", &of(foreign)).await),
        denial(services.stop_group("tenant", &of(foreign)).await),
    ] {
        assert!(denied.contains("not what this call is about"), "{denied}");
    }
    lab.assert_untouched();
    let effects = lab.effects().await;
    assert!(effects.iter().all(|effect| effect.outcome == EffectOutcome::Denied) && effects.len() == 6);
}

#[tokio::test]
async fn a_call_about_many_tenants_shows_no_server_what_lives_on_another() {
    let lab = lab().await;
    let (here, there) = (server(&lab).await, server(&lab).await);
    let other = ShareInstanceId::random();
    let target = CallTarget {
        shares: vec![lab.share, other],
        servers: vec![here, there],
        hosts: BTreeMap::from([(lab.share, here), (other, there)]),
        ..CallTarget::default()
    };
    let call = lab.call_of(origin("shares.ensure-shares"), target);
    let own = |share| pool_of("shares/{share}", Some(Resource::Share(share)));
    for share in [lab.share, other] {
        call.files().create_directory(&own(share)).await.expect("made");
    }
    let services = call.services();
    services.bind(("tenant", "share"), &of(here), &own(lab.share)).await.expect("shown where it lives");
    let shown = denial(services.bind(("tenant", "share"), &of(there), &own(lab.share)).await);
    assert!(shown.contains("does not live"), "{shown}");
    let taken = denial(services.unbind(("tenant", "share"), &of(there), &own(lab.share)).await);
    assert!(taken.contains("does not live"), "{taken}");
    let crossed = denial(services.start("tenant-bus", &of(here), &own_file(there)).await);
    assert!(crossed.contains("does not live"), "{crossed}");
    let file = |share| vec![at_of("file", "{server}/exports/{share}.conf", Some(Resource::Share(share)))];
    call.dbus().call("tell", &of(here), &file(lab.share)).await.expect("told where it lives");
    let told = denial(call.dbus().call("tell", &of(there), &file(lab.share)).await);
    assert!(told.contains("does not live"), "{told}");
}

/// What was written into a service's file when its server was set up, the service may say whenever it ends.
#[tokio::test]
async fn what_a_servers_service_says_is_cleaned_of_the_passwords_that_server_was_set_up_with() {
    let lab = Lab::with(|parts| {
        change(parts, plugged());
        parts.secrets.vault = Some(Arc::new(Vault::new(&[7; 32])));
    })
    .await;
    let (here, there) = (server(&lab).await, server(&lab).await);
    let sealed = |text| SealingKey::new(&[7; 32]).and_then(|key| key.seal("domain", text)).expect("sealed");
    let passwords = |text| BTreeMap::from([("domain".to_owned(), sealed(text))]);
    let target = CallTarget {
        servers: vec![here, there],
        service_passwords: [(here, passwords("available")), (there, passwords("another"))].into(),
        ..CallTarget::share(lab.share)
    };
    let call = lab.call_of(origin("shares.ensure-shares"), target);
    for (server, wanted) in [(here, "[secret], another"), (there, "available, [secret]")] {
        let exit = ServiceExit { code: Some(1), signal: None, stderr: b"available, another".to_vec() };
        lab.fake.answer_service(Ok(ServiceAnswer::Status(ServiceStatus {
            state: ServiceState::Failed,
            started_at_ms: None,
            adopted: false,
            exit: Some(exit),
        })));
        let status = call.services().status("tenant-bus", &of(server)).await.expect("a status");
        assert_eq!(status.exit.expect("an exit").stderr, wanted, "of this server, and of no other");
    }
    let denied = code(call.secrets().is_set("domain").await);
    assert_eq!(denied, CapabilityCode::Denied, "nobody refers to them");
}

#[tokio::test]
async fn the_backend_has_no_instance_of_a_group_of_servers_and_servers_none_of_the_backends() {
    let lab = lab().await;
    let own = server(&lab).await;
    let call = call_of(&lab, &[own]);
    let services = call.services();
    let backend = ServiceInstance::Backend;
    assert!(denial(services.status("tenant-bus", &backend).await).contains("only share servers have"));
    assert!(
        denial(services.status("server", &of(own)).await).contains("one instance of a group of the backend")
    );
    lab.assert_untouched();
}

#[tokio::test]
async fn a_server_without_an_address_has_no_network_of_its_own() {
    let lab = lab().await;
    let server = ShareServerId::random();
    let call = call_of(&lab, &[server]);
    let answer = call.services().start("tenant-bus", &of(server), &own_file(server)).await;
    assert_eq!(code(answer), CapabilityCode::InvalidArgument);
    lab.assert_untouched();
}

#[tokio::test]
async fn a_network_that_is_bound_no_more_is_told_with_the_line_that_binds_it() {
    let lab = lab().await;
    let own = server(&lab).await;
    let other = lab.host.parts("nas1", manifest(), lab.backend.grant().clone()).map(|mut parts| {
        let elsewhere = json!({ "gateway": "10.7.0.1", "mask": 24, "bridge": "br0" });
        parts.grant.networks = grants(json!({ "user": [elsewhere] }));
        parts
    });
    let later = Backend::new(other.expect("parts")).expect("a backend");
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    let call = later.begin(origin("shares.create-share"), CallTarget::server(own), until, 0);
    let denied = denial(call.services().start("tenant-bus", &of(own), &own_file(own)).await);
    assert!(
        denied.contains("[[grant.networks.user]]") || denied.contains("[[grant.networks.admin]]"),
        "{denied}"
    );
    lab.assert_untouched();
}

/// A network that is full gets a wider mask: what lives in it is plugged in as before.
#[tokio::test]
async fn a_server_is_plugged_into_the_bridge_of_a_network_whose_mask_has_changed() {
    let lab = lab().await;
    let own = server(&lab).await;
    let wider = lab.host.parts("nas1", manifest(), lab.backend.grant().clone()).map(|mut parts| {
        parts.grant.networks = grants(json!({
            "user": [
                { "gateway": "10.9.0.1", "mask": 22, "bridge": "br7" },
                { "gateway": "fd09::1", "mask": 64, "bridge": "br0" },
            ],
            "admin": [{ "gateway": "10.8.0.1", "mask": 16, "bridge": "br8" }],
        }));
        parts
    });
    let later = Backend::new(wider.expect("parts")).expect("a backend");
    let kept = later.networks().allocations(own).await.expect("read");
    let plugs: Vec<_> = kept.iter().map(|kept| later.networks().plug(&kept.allocation)).collect();
    assert!(!plugs.is_empty() && plugs.iter().all(Option::is_some), "{plugs:?}");
}

#[tokio::test]
async fn a_network_without_a_bridge_keeps_such_a_driver_from_loading() {
    let lab = lab().await;
    let loaded = |networks: NetworkGrants, granted: bool| {
        let mut parts = lab.host.parts("nas2", manifest(), lab.backend.grant().clone()).expect("parts");
        parts.grant.networks = networks;
        if !granted {
            parts.grant.templates.remove(&label("tenant"));
        }
        Backend::new(parts).map(drop)
    };
    let bare = || grants(json!({ "user": [{ "gateway": "10.9.0.1", "mask": 24 }] }));
    let refused = loaded(bare(), true).expect_err("it is plugged in nowhere");
    assert!(matches!(refused, GrantError::Unplugged { position: 0, .. }), "{refused}");
    assert!(refused.to_string().contains("bridge = \"br0\""), "{refused}");
    loaded(bare(), false).expect("the group is not granted");
    loaded(NetworkGrants::default(), true).expect("there is nothing to plug in yet");
    let tagged = json!({ "gateway": "10.9.0.1", "mask": 24, "bridge": "br0", "network-type": "vlan", "segmentation-id": 7 });
    let admin = json!({ "gateway": "10.8.0.1", "mask": 24, "bridge": "br0" });
    let refused =
        loaded(grants(json!({ "user": [tagged], "admin": [admin] })), true).expect_err("one bridge");
    assert!(matches!(refused, GrantError::Network { .. }), "{refused}");
}

#[tokio::test]
async fn a_directory_of_a_servers_own_is_made_where_a_privileged_program_reads_and_no_other() {
    let lab = lab().await;
    let own = server(&lab).await;
    let call = call_of(&lab, &[own]);
    let at = |pattern: &str| bulkhead_capability::slot::Path {
        root: "config".to_owned(),
        pattern: pattern.to_owned(),
        of: None,
    };
    for pattern in ["{server}", "{server}/exports"] {
        call.files().create_directory(&at(pattern)).await.expect("made");
    }
    let made = lab.directory.path().join("config").join(format!("share-server-{own}/exports"));
    assert!(made.is_dir());
    let denied = denial(call.files().create_directory(&at("bus.conf")).await);
    assert!(denied.contains("use = \"data\""), "{denied}");
    let moved = denial(call.files().rename(&at("{server}/exports"), &at("{server}")).await);
    assert!(moved.contains("use = \"data\""), "{moved}");
    call.files().remove(&at("{server}")).await.expect("removed");
    assert!(!made.exists());
}
