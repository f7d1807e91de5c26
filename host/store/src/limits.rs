//! What one commit may carry. The figures keep a back end on etcd possible, whose defaults are 128 operations and 1.5 MiB a request.

/// Writes in one transaction.
pub const WRITES: usize = 100;
/// Compares in one transaction.
pub const COMPARES: usize = 100;
/// Bytes of one value.
pub const VALUE_BYTES: usize = 256 * 1024;
/// Bytes of one key, as it is stored.
pub const KEY_BYTES: usize = 4096;
/// Bytes of all keys and values of one transaction.
pub const TRANSACTION_BYTES: usize = 1024 * 1024;
