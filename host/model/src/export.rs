//! Export locations.

use crate::id::ExportLocationId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An export location as a driver reports it, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportLocation {
    /// What a client mounts; at most 2,000 bytes.
    pub path: String,
    /// Whether only administrators see it.
    pub admin_only: bool,
    /// Whether clients should try it first.
    pub preferred: bool,
    /// Further metadata.
    pub metadata: BTreeMap<String, String>,
}

/// An export location as the store keeps it: its id stays while the path stays (contract 2.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredExportLocation {
    /// Its id in the API.
    pub id: ExportLocationId,
    /// The location itself.
    #[serde(flatten)]
    pub location: ExportLocation,
    /// When it was first reported.
    pub created_at: crate::time::Timestamp,
    /// When it was last reported.
    pub updated_at: crate::time::Timestamp,
}

impl ExportLocation {
    /// The longest path in bytes.
    pub const PATH_BYTES: usize = 2000;
    /// The most locations of one share. Manila has no limit; a driver that lists more is broken.
    pub const MOST: usize = 64;
}
