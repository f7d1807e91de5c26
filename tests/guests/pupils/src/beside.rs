//! What goes on beside operations: metadata, and what the operator's hooks are told.

use crate::flaw::{fail_if, has, note_for_backend, once};
use crate::place::{self, of};
use bulkhead_sdk::private_data::{self, Expected};
use bulkhead_sdk::{HookData, Result, Share, clock};

/// What a new share shall carry.
pub(crate) fn of_new(share: &Share) -> Result<Vec<(String, String)>> {
    if has("supplies-and-writes")? {
        note_for_backend(&clock::new_id())?;
    }
    let mut supplied = vec![("label".to_owned(), share.name.clone())];
    if has("supplies-what-is-not-listed")? {
        supplied.push(("owner".to_owned(), "somebody else".to_owned()));
    }
    Ok(supplied)
}

/// Write down what the tenant has set.
pub(crate) fn follow(share: &Share, metadata: &[(String, String)]) -> Result<()> {
    let owner = of(share);
    if has("follows-metadata-once")? {
        once(&owner, "followed")?;
    }
    fail_if("follows-no-metadata")?;
    for (key, value) in metadata {
        private_data::set(&owner, &format!("metadata {key}"), value, Expected::Anything)?;
    }
    Ok(())
}

/// What hooks are told: the size of each share that is there.
pub(crate) fn for_hooks(shares: &[Share]) -> Result<Vec<HookData>> {
    if has("hook-writes")? {
        note_for_backend(&clock::new_id())?;
    }
    let tells_of_strangers = has("hook-tells-of-strangers")?;
    let mut told = Vec::new();
    for share in shares {
        let Some(size) = place::size(share)? else { continue };
        let id = if tells_of_strangers { clock::new_id() } else { share.id.clone() };
        told.push(HookData { id, data: vec![("size-gib".to_owned(), size.to_string())] });
    }
    Ok(told)
}
