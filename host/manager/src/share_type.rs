//! Share types. There is one, built in: `default`, for backends that handle no share servers.

use crate::error::ManagerError;
use crate::manager::Manager;
use crate::view::ShareTypeView;
use bulkhead_model::id::ShareTypeId;
use std::collections::BTreeMap;
use uuid::Uuid;

/// The id of the type `default`: the same on every host and for ever, since clients keep it.
const DEFAULT_ID: ShareTypeId =
    ShareTypeId::from_uuid(Uuid::from_u128(0x8d2c_1a5e_6b3f_4c7d_9e10_b01c_4ead_0001));
const DEFAULT_NAME: &str = "default";

/// The built-in type.
pub(crate) fn built_in() -> ShareTypeView {
    ShareTypeView {
        id: DEFAULT_ID,
        name: DEFAULT_NAME.to_owned(),
        description: "Any backend that needs no share servers; the share offers what its driver can do."
            .to_owned(),
        extra_specs: BTreeMap::from([("driver_handles_share_servers".to_owned(), "False".to_owned())]),
    }
}

/// The type with this name or id; without either the built-in one.
pub(crate) fn find(name_or_id: Option<&str>) -> Result<ShareTypeView, ManagerError> {
    let built_in = built_in();
    match name_or_id {
        None => Ok(built_in),
        Some(wanted) if wanted == built_in.name || wanted == built_in.id.to_string() => Ok(built_in),
        Some(wanted) => {
            Err(ManagerError::not_found("share type", wanted.chars().take(64).collect::<String>()))
        }
    }
}

/// The name of a type, for display.
pub(crate) fn name_of(id: ShareTypeId) -> String {
    let built_in = built_in();
    if id == built_in.id { built_in.name } else { id.to_string() }
}

impl Manager {
    /// All share types.
    #[must_use]
    pub fn list_share_types(&self) -> Vec<ShareTypeView> {
        vec![built_in()]
    }

    /// A share type by name or id. Fails with [`ManagerError::NotFound`].
    pub fn show_share_type(&self, name_or_id: &str) -> Result<ShareTypeView, ManagerError> {
        find(Some(name_or_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_type_is_found_by_name_by_id_and_by_silence() {
        let by_name = find(Some("default")).expect("the name");
        assert_eq!(find(Some(&by_name.id.to_string())).expect("the id"), by_name);
        assert_eq!(find(None).expect("silence"), by_name);
        assert!(find(Some("gold")).is_err());
    }
}
