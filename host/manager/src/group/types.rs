//! Types of share groups. One is built in: `default`, which takes shares of every share type and asks nothing of backends.

use crate::error::ManagerError;
use crate::manager::Manager;
use crate::records::Tables;
use crate::share_type;
use bulkhead_model::id::{ShareGroupTypeId, ShareTypeId};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The id of the type `default`: the same on every host and for ever, since clients keep it.
const DEFAULT_ID: ShareGroupTypeId =
    ShareGroupTypeId::from_uuid(Uuid::from_u128(0x8d2c_1a5e_6b3f_4c7d_9e10_b01c_4ead_0002));
const DEFAULT_NAME: &str = "default";

/// A type of share groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareGroupTypeView {
    /// Its id.
    pub id: ShareGroupTypeId,
    /// Its name.
    pub name: String,
    /// What it asks of backends.
    pub group_specs: BTreeMap<String, String>,
    /// The share types that shares of its groups may have.
    pub share_types: Vec<ShareTypeId>,
    /// Whether groups made without naming a type have it.
    pub is_default: bool,
}

fn built_in(tables: &Tables) -> ShareGroupTypeView {
    ShareGroupTypeView {
        id: DEFAULT_ID,
        name: DEFAULT_NAME.to_owned(),
        group_specs: BTreeMap::new(),
        share_types: share_type::list(tables).into_iter().map(|share_type| share_type.id).collect(),
        is_default: true,
    }
}

/// The type with this name or id; without either the built-in one.
pub(super) fn find(tables: &Tables, name_or_id: Option<&str>) -> Result<ShareGroupTypeView, ManagerError> {
    let built_in = built_in(tables);
    match name_or_id {
        None => Ok(built_in),
        Some(wanted) if wanted == built_in.name || wanted == built_in.id.to_string() => Ok(built_in),
        Some(wanted) => {
            Err(ManagerError::not_found("share group type", wanted.chars().take(64).collect::<String>()))
        }
    }
}

impl Manager {
    /// All types of share groups.
    #[must_use]
    pub fn list_share_group_types(&self) -> Vec<ShareGroupTypeView> {
        vec![built_in(&self.inner.records.read())]
    }

    /// A type of share groups by name or id. Fails with [`ManagerError::NotFound`].
    pub fn show_share_group_type(&self, name_or_id: &str) -> Result<ShareGroupTypeView, ManagerError> {
        find(&self.inner.records.read(), Some(name_or_id))
    }
}
