//! Small guests made of text, and the records they are called with. No guest toolchain is needed.

use crate::{Engine, EngineConfig, Generation};
use async_trait::async_trait;
use bulkhead_capability::backend::{Backend, BackendParts};
use bulkhead_capability::execute::fake::FakeRunner;
use bulkhead_capability::testing::TestHost;
use bulkhead_model::access::{AccessLevel, AccessRule, AccessTo};
use bulkhead_model::call::{CallReason, DriverLimits};
use bulkhead_model::grant::Grant;
use bulkhead_model::id::{
    AccessMappingId, AccessRuleId, AllocationId, Digest, OperationId, RequestId, SecurityServiceId,
    ShareGroupId, ShareGroupSnapshotId, ShareGroupTypeId, ShareId, ShareInstanceId, ShareNetworkId,
    ShareNetworkSubnetId, ShareServerId, ShareTypeId, SnapshotId, SnapshotInstanceId,
};
use bulkhead_model::manifest::{DriverDeclaration, Manifest, OptionDeclaration, OptionType, OptionValue};
use bulkhead_model::migration::{ShareMigration, SnapshotMapping};
use bulkhead_model::network::{
    AllocationLabel, NetworkAllocation, NetworkInfo, SealedText, SecurityService, SecurityServiceType,
    ServerNetwork, ShareNetworkSubnet,
};
use bulkhead_model::replica::{
    InstanceStatus, Replica, ReplicaSnapshot, ReplicaSnapshotPair, ReplicaView, ReplicatedSnapshot,
};
use bulkhead_model::share::{Protocol, ShareForDriver};
use bulkhead_model::share_group::{GroupShareSource, ShareGroupForDriver, ShareGroupSnapshotForDriver};
use bulkhead_model::share_server::ServerForDriver;
use bulkhead_model::size::Gibibytes;
use bulkhead_model::snapshot::SnapshotForDriver;
use bulkhead_model::status::{AccessRulesStatus, ReplicaState, ReplicationType};
use bulkhead_model::time::Timestamp;
use bulkhead_store::{Key, KeyPrefix, Revision, Store, StoreError, Transaction, Versioned};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{Function, Resolve, SourceMap, WorldId, WorldItem};

/// Where a guest's answers lie that nobody wrote: zeros, which are success, none and empty lists.
pub(crate) const ZEROS: &str = "(i32.const 64)";

/// An engine without a cache.
pub(crate) fn engine() -> Arc<Engine> {
    Engine::new(EngineConfig { cache_directory: None, cache_key: [0; 32] }).expect("an engine")
}

/// A guest that exports the required interfaces and succeeds at everything, unless told otherwise.
pub(crate) struct Guest {
    exports: Vec<String>,
    imports: Vec<(&'static str, &'static str)>,
    bodies: BTreeMap<&'static str, String>,
    parts: String,
    pages: u32,
    changes: Vec<(&'static str, &'static str)>,
}

impl Default for Guest {
    fn default() -> Self {
        Self {
            exports: ["lifecycle", "shares", "access"].map(str::to_owned).to_vec(),
            imports: Vec::new(),
            bodies: BTreeMap::new(),
            parts: String::new(),
            pages: 2,
            changes: Vec::new(),
        }
    }
}

impl Guest {
    /// Export an interface too.
    pub(crate) fn export(mut self, interface: &str) -> Self {
        self.exports.push(interface.to_owned());
        self
    }

    /// Do not export an interface.
    pub(crate) fn without(mut self, interface: &str) -> Self {
        self.exports.retain(|one| one != interface);
        self
    }

    /// Import a function of `bulkhead:host`; it is called by its name with a dollar.
    pub(crate) fn import(mut self, interface: &'static str, function: &'static str) -> Self {
        self.imports.push((interface, function));
        self
    }

    /// What `interface.function` does: instructions that leave the address of its answer.
    pub(crate) fn body(mut self, label: &'static str, instructions: impl Into<String>) -> Self {
        self.bodies.insert(label, instructions.into());
        self
    }

    /// Further fields of the module: tables, data, functions.
    pub(crate) fn with(mut self, fields: &str) -> Self {
        self.parts.push_str(fields);
        self
    }

    /// Begin with a memory of so many pages of 64 KiB.
    pub(crate) fn pages(mut self, pages: u32) -> Self {
        self.pages = pages;
        self
    }

    /// Build it against a contract in which one text stands for another.
    pub(crate) fn contract(mut self, text: &'static str, replacement: &'static str) -> Self {
        self.changes.push((text, replacement));
        self
    }

    /// The component and its digest.
    pub(crate) fn build(&self) -> (Digest, Vec<u8>) {
        let (resolve, world) = self.world();
        let mut module = wat::parse_str(self.module(&resolve, world)).expect("the module's text");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("the world");
        let encoder = ComponentEncoder::default().module(&module).expect("the module").validate(true);
        let bytes = { encoder }.encode().expect("the component");
        (Digest::from_bytes(Sha256::digest(&bytes).into()), bytes)
    }

    /// The component, loaded and bound to a backend with these limits.
    pub(crate) async fn generation(&self, limits: DriverLimits) -> (TestHost, Generation) {
        let engine = engine();
        let (digest, bytes) = self.build();
        let component = engine.load(digest, &bytes).expect("the guest loads");
        let host = host().await;
        let backend = backend(&host, limits);
        (host, Generation::new(&engine, component, backend).expect("within its limits"))
    }

    fn world(&self) -> (Resolve, WorldId) {
        let mut resolve = Resolve::default();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        for directory in [wit.join("deps/host"), wit] {
            let mut sources = SourceMap::default();
            for entry in std::fs::read_dir(&directory).expect("the contract") {
                let path = entry.expect("an entry").path();
                if path.extension().is_some_and(|extension| extension == "wit") {
                    sources.push_str(&path.display().to_string(), self.changed(&path));
                }
            }
            resolve
                .push_group(sources.parse().map_err(|(_, error)| error).expect("parses"))
                .expect("resolves");
        }
        let version =
            self.changes.iter().find(|(text, _)| *text == "0.1.0").map_or("0.1.0", |(_, version)| version);
        let mut text = "package fixture:fixture; world guest {".to_owned();
        for (interface, _) in &self.imports {
            text.push_str(&format!("import {};", full(interface, "bulkhead:host", version)));
        }
        for interface in &self.exports {
            text.push_str(&format!("export {};", full(interface, "bulkhead:driver", version)));
        }
        text.push('}');
        let package = resolve.push_str("fixture.wit", &text).expect("the fixture's world");
        let world = resolve.select_world(&[package], Some("guest")).expect("the world");
        (resolve, world)
    }

    fn changed(&self, path: &Path) -> String {
        let text = std::fs::read_to_string(path).expect("a file of the contract");
        self.changes.iter().fold(text, |text, (from, to)| text.replace(from, to))
    }

    fn module(&self, resolve: &Resolve, world: WorldId) -> String {
        let mut imports = String::new();
        let mut exports = String::new();
        let world = &resolve.worlds[world];
        for (key, item) in &world.imports {
            let WorldItem::Interface { id, .. } = item else { continue };
            let module = resolve.name_world_key(key);
            for function in resolve.interfaces[*id].functions.values() {
                if self.imports.iter().any(|(_, name)| *name == function.name) {
                    let (name, signature) =
                        (&function.name, signature(resolve, function, AbiVariant::GuestImport));
                    imports.push_str(&format!("(import \"{module}\" \"{name}\" (func ${name} {signature}))"));
                }
            }
        }
        for (key, item) in &world.exports {
            let WorldItem::Interface { id, .. } = item else { continue };
            let interface = resolve.interfaces[*id].name.clone().unwrap_or_default();
            for function in resolve.interfaces[*id].functions.values() {
                let name = &function.name;
                let body = self.bodies.get(format!("{interface}.{name}").as_str());
                let body = body.map_or(ZEROS, String::as_str);
                let signature = signature(resolve, function, AbiVariant::GuestExport);
                let export = format!("{}#{name}", resolve.name_world_key(key));
                exports.push_str(&format!(
                    "(func $guest::{interface}::{name} (export \"{export}\") {signature} {body})"
                ));
            }
        }
        let (pages, parts) = (self.pages, &self.parts);
        format!("(module {imports} (memory (export \"memory\") {pages}) {parts} {exports} {REALLOC})")
    }
}

/// Gives out memory and takes nothing back.
const REALLOC: &str = r#"
    (global $next (mut i32) (i32.const 65536))
    (func (export "cabi_realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and
            (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
            (i32.xor (i32.sub (local.get $align) (i32.const 1)) (i32.const -1))))
        (global.set $next (i32.add (local.get $at) (local.get $new)))
        (local.get $at))
"#;

fn full(interface: &str, package: &str, version: &str) -> String {
    format!("{package}/{interface}@{version}")
}

fn signature(resolve: &Resolve, function: &Function, variant: AbiVariant) -> String {
    let signature = resolve.wasm_signature(variant, function);
    let list = |word: &str, types: &[WasmType]| {
        let types: Vec<&str> = types.iter().map(|one| core_type(*one)).collect();
        if types.is_empty() { String::new() } else { format!("({word} {})", types.join(" ")) }
    };
    format!("{} {}", list("param", &signature.params), list("result", &signature.results))
}

fn core_type(wasm_type: WasmType) -> &'static str {
    match wasm_type {
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
    }
}

/// A host with everything in memory.
pub(crate) async fn host() -> TestHost {
    TestHost::new(Arc::new(FakeRunner::default())).await.expect("a host")
}

/// A store with a fault.
#[derive(Debug)]
pub(crate) struct PanickingStore;

#[async_trait]
impl Store for PanickingStore {
    async fn get(&self, _key: &Key) -> Result<Option<Versioned>, StoreError> {
        panic!("the store has a fault");
    }

    async fn scan_page(
        &self,
        _prefix: &KeyPrefix,
        _after: Option<&Key>,
        _limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StoreError> {
        panic!("the store has a fault");
    }

    async fn commit(&self, _transaction: Transaction) -> Result<Revision, StoreError> {
        panic!("the store has a fault");
    }
}

/// A backend that is granted nothing.
pub(crate) fn backend(host: &TestHost, limits: DriverLimits) -> Arc<Backend> {
    backend_of(host, "nas", |parts| parts.limits = limits)
}

/// The backend `name` with nothing granted, made of changed parts.
pub(crate) fn backend_of(
    host: &TestHost,
    name: &str,
    change: impl FnOnce(&mut BackendParts),
) -> Arc<Backend> {
    let mut parts = host.parts(name, manifest(), Grant::default()).expect("the parts");
    change(&mut parts);
    Backend::new(parts).expect("a backend")
}

/// A manifest that declares nothing.
pub(crate) fn manifest() -> Manifest {
    Manifest {
        driver: DriverDeclaration {
            name: "guest".parse().expect("a name"),
            vendor: "acme".to_owned(),
            version: semver::Version::new(1, 0, 0),
            contract: "0.1".to_owned(),
            dhss: vec![false],
            protocols: vec![Protocol::Nfs],
            private_data_schema: 1,
            max_concurrency: None,
        },
        options: Vec::new(),
        secrets: Vec::new(),
        roots: Vec::new(),
        commands: Vec::new(),
        files: Vec::new(),
        pipelines: Vec::new(),
        jobs: Vec::new(),
        groups: Vec::new(),
        services: Vec::new(),
        dbus_calls: Vec::new(),
        endpoints: Vec::new(),
        requests: Vec::new(),
        sessions: Vec::new(),
        private_data: None,
        export_addresses: None,
        metadata_keys: None,
    }
}

/// An option of type `string`.
pub(crate) fn text_option(name: &str, default: &str) -> OptionDeclaration {
    OptionDeclaration {
        name: name.to_owned(),
        option_type: OptionType::String,
        default: Some(OptionValue::Text(default.to_owned())),
        min: None,
        max: None,
        choices: Vec::new(),
        required: false,
        peer: false,
        help: "a text".to_owned(),
        deprecated_names: Vec::new(),
    }
}

/// A share of 1 GiB.
pub(crate) fn share() -> ShareForDriver {
    ShareForDriver {
        id: ShareInstanceId::random(),
        share: ShareId::random(),
        project: "acme".parse().expect("a project"),
        size: Gibibytes::new(1).expect("a size"),
        protocol: Protocol::Nfs,
        pool: None,
        source_snapshot: None,
        server: None,
        group: None,
        replica_state: None,
        mount_snapshot_support: false,
        export_locations: Vec::new(),
        extra_specs: BTreeMap::new(),
        metadata: BTreeMap::new(),
    }
}

/// A snapshot of a share of 1 GiB.
pub(crate) fn snapshot() -> SnapshotForDriver {
    SnapshotForDriver {
        id: SnapshotInstanceId::random(),
        snapshot: SnapshotId::random(),
        size: Gibibytes::new(1).expect("a size"),
        provider_location: None,
        share: share(),
    }
}

/// An active replica and one that follows it.
pub(crate) fn replicas() -> [Replica; 2] {
    let active = share();
    let following = ShareForDriver { id: ShareInstanceId::random(), ..active.clone() };
    [(active, ReplicaState::Active), (following, ReplicaState::OutOfSync)].map(|(share, state)| Replica {
        share: ShareForDriver { replica_state: Some(state), ..share },
        host: "bulkhead@nas#pool".to_owned(),
        replication_type: ReplicationType::Dr,
        status: InstanceStatus::Available,
        access_rules_status: AccessRulesStatus::Active,
    })
}

/// The second of two replicas, with a rule and a snapshot.
pub(crate) fn replica_view() -> ReplicaView {
    let ReplicatedSnapshot { replicas, snapshots } = replicated_snapshot();
    let [active, replica] = [0, 1].map(|index: usize| snapshots[index].snapshot.clone());
    ReplicaView {
        replica: replicas[1].clone(),
        replicas,
        access_rules: vec![rule()],
        snapshots: vec![ReplicaSnapshotPair { active, replica }],
    }
}

/// A snapshot on an active replica and on one that follows it.
pub(crate) fn replicated_snapshot() -> ReplicatedSnapshot {
    let replicas = replicas().to_vec();
    let parent = snapshot();
    let snapshots = replicas.iter().map(|replica| ReplicaSnapshot {
        snapshot: SnapshotForDriver {
            id: SnapshotInstanceId::random(),
            share: replica.share.clone(),
            ..parent.clone()
        },
        status: InstanceStatus::Creating,
    });
    ReplicatedSnapshot { snapshots: snapshots.collect(), replicas }
}

/// A snapshot of a group of two shares.
pub(crate) fn group_snapshot() -> ShareGroupSnapshotForDriver {
    let group = ShareGroupId::random();
    let shares = [(); 2].map(|()| ShareForDriver { group: Some(group), ..share() });
    let id = ShareGroupSnapshotId::random();
    let members = shares.iter().map(|share| SnapshotForDriver {
        id: SnapshotInstanceId::random(),
        snapshot: id.of_members(),
        size: share.size,
        provider_location: None,
        share: share.clone(),
    });
    ShareGroupSnapshotForDriver {
        id,
        display_name: None,
        project: "acme".parse().expect("a project"),
        members: members.collect(),
        group: ShareGroupForDriver {
            id: group,
            display_name: Some("two".to_owned()),
            project: "acme".parse().expect("a project"),
            host: "bulkhead@nas#pool".to_owned(),
            share_network: None,
            server: None,
            group_type: ShareGroupTypeId::random(),
            group_specs: BTreeMap::new(),
            share_types: vec![ShareTypeId::random()],
            source_snapshot: None,
            asked_consistency: None,
            shares: shares.to_vec(),
        },
    }
}

/// A new share for each member of a group snapshot.
pub(crate) fn sources(snapshot: &ShareGroupSnapshotForDriver) -> Vec<GroupShareSource> {
    let source = |member: &SnapshotForDriver| GroupShareSource { share: share(), member: member.clone() };
    snapshot.members.iter().map(source).collect()
}

/// A server with one address, which no other server has.
pub(crate) fn server() -> ServerForDriver {
    let id = ShareServerId::random();
    // Documentation addresses, made unlike by the id: enough of them for a test.
    let [.., last] = *id.uuid().as_bytes();
    let [first, ..] = *id.uuid().as_bytes();
    ServerForDriver {
        id,
        identifier: id.to_string(),
        share_network: ShareNetworkId::random(),
        backend_details: BTreeMap::from([("vlan".to_owned(), "7".to_owned())]),
        addresses: BTreeSet::from([IpAddr::from([198, 18, first, last])]),
        passwords: BTreeMap::new(),
    }
}

/// The network of a server with one address and one security service.
pub(crate) fn server_network() -> ServerNetwork {
    let (server_id, now) = (ShareServerId::random(), Timestamp::now());
    let subnet = ShareNetworkSubnet {
        cidr: Some("10.1.0.0/24".parse().expect("a network")),
        mtu: Some(1500),
        ..ShareNetworkSubnet::new(ShareNetworkSubnetId::random(), ShareNetworkId::random())
    };
    let allocation = NetworkAllocation {
        id: AllocationId::random(),
        label: AllocationLabel::User,
        ip_address: IpAddr::from([10, 1, 0, 2]),
        cidr: "10.1.0.0/24".parse().expect("a network"),
        gateway: None,
        mtu: 1500,
        network_type: None,
        segmentation_id: None,
        mac_address: None,
        share_server_id: server_id,
        subnet_id: Some(subnet.id),
    };
    let service = SecurityService {
        id: SecurityServiceId::random(),
        service_type: SecurityServiceType::Ldap,
        project_id: "acme".parse().expect("a project"),
        name: None,
        description: None,
        dns_ip: None,
        server: None,
        domain: None,
        user: Some("joiner".to_owned()),
        password: Some(SealedText::new("sealed".to_owned())),
        organizational_unit: None,
        default_ad_site: None,
        created_at: now,
        updated_at: now,
    };
    ServerNetwork {
        server_id,
        networks: vec![NetworkInfo { subnet, network_allocations: vec![allocation] }],
        admin_network_allocations: Vec::new(),
        security_services: vec![service],
        backend_details: BTreeMap::new(),
    }
}

/// A rule for one address.
pub(crate) fn rule() -> AccessRule {
    AccessRule {
        id: AccessRuleId::random(),
        mapping_id: AccessMappingId::random(),
        access_to: AccessTo::parse("ip", "10.0.0.0/24").expect("a network"),
        level: AccessLevel::Rw,
    }
}

/// The reason of a call in a fresh operation.
pub(crate) fn reason() -> CallReason {
    CallReason { request: RequestId::random(), operation: Some(OperationId::next()), earlier_attempts: 0 }
}

/// A share with a snapshot, on its way to another pool.
pub(crate) fn migration() -> ShareMigration {
    let source = snapshot();
    let destination = ShareForDriver {
        id: ShareInstanceId::random(),
        pool: Some("other".to_owned()),
        ..source.share.clone()
    };
    let twin =
        SnapshotForDriver { id: SnapshotInstanceId::random(), share: destination.clone(), ..source.clone() };
    ShareMigration {
        source: source.share.clone(),
        destination,
        destination_host: "bulkhead@nas#other".to_owned(),
        snapshots: vec![SnapshotMapping { source, destination: twin }],
    }
}
