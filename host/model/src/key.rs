//! The first parts of the store's keys: who owns which keys. Parts are joined by `/`; ids and names never contain one.

/// Ownership records: `owned/<backend>/<root>/<relative path, each '/' as '%2F'>`. Kept by `capability`.
pub const OWNED: &str = "owned";
/// Private data: `private/<backend>/<owner>/<key>`. Kept by `capability`.
pub const PRIVATE: &str = "private";
/// Secrets that are kept for a resource, sealed: `kept/<backend>/<resource>/<name>`. Kept by `capability`, taken away by `manager` once
/// the resource is gone.
pub const KEPT: &str = "kept";
/// Counters: `counter/<backend>/<name>`. Kept by `capability`.
pub const COUNTER: &str = "counter";
/// Fencing numbers of a backend's locks: `lock/<backend>`. Kept by `capability`.
pub const LOCK: &str = "lock";
/// Addresses of share servers: `address/…`. Kept by `capability`.
pub const ADDRESS: &str = "address";
/// Groups of services that were started and not taken down: `group/<backend>/<share server, or '-'>/<group>`. Kept by `capability`.
pub const GROUP: &str = "group";
/// Command templates with `repeat = "once"` that an operation has begun: `begun/<backend>/<operation>/<template>/<slots>`. Kept by
/// `capability`, taken away by `manager` once the operation can no longer be repeated.
pub const BEGUN: &str = "begun";
/// The ledger: `ledger/<chain>/<sequence>` and `ledger/<chain>/head`. Kept by `ledger`.
pub const LEDGER: &str = "ledger";
/// Records of the share manager: `record/…`. Kept by `manager/records`.
pub const RECORD: &str = "record";
