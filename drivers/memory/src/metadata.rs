//! Metadata: what the array tells of a share, and what its tenant can tell the array, for want of anything to mount.

use crate::options::MIB_PER_GIB;
use crate::volume::{self, Volume};
use crate::{share, statistics};
use bulkhead_sdk::{Error, HookData, Resource, Result, Share};

/// The longest word for a content, in bytes.
const LONGEST_CONTENT: usize = 64;

/// What a new share shall carry: the pool it is in.
pub(crate) fn of_new(share: &Share) -> Result<Vec<(String, String)>> {
    Ok(vec![("pool".to_owned(), share::get(share)?.volume.pool)])
}

/// Act on what the tenant set: `content` and `used_gib` play a client that writes.
///
/// Fails with `invalid-parameter` if one of them makes no sense, having changed nothing.
pub(crate) fn follow(share: &Share, metadata: &[(String, String)]) -> Result<()> {
    let found = share::get(share)?;
    let mut volume = found.volume.clone();
    for (key, value) in metadata {
        match key.as_str() {
            "content" => volume.content = checked_content(value)?,
            "used_gib" => volume.used_mib = checked_use(value, &volume)?,
            _ => {}
        }
    }
    volume::put(&Resource::from(share), Some(&found), &volume)
}

fn checked_content(value: &str) -> Result<String> {
    let is_sound = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    if !value.is_empty() && value.len() <= LONGEST_CONTENT && value.chars().all(is_sound) {
        return Ok(value.to_owned());
    }
    Err(Error::invalid_parameter(format!(
        "content must be 1 to {LONGEST_CONTENT} letters, digits, '.', '_' and '-'"
    )))
}

fn checked_use(value: &str, volume: &Volume) -> Result<u64> {
    match value.parse::<u64>() {
        Ok(gib) if gib <= volume.size_gib => Ok(gib.saturating_mul(MIB_PER_GIB)),
        _ => Err(Error::invalid_parameter(format!(
            "used_gib must be 0 to {}, the share's size, in whole GiB",
            volume.size_gib
        ))),
    }
}

/// What an operator's hooks are told of shares. One that is not there is left out.
pub(crate) fn for_hooks(shares: &[Share]) -> Result<Vec<HookData>> {
    let mut told = Vec::new();
    for share in shares {
        let Some(found) = volume::find(&Resource::from(share))? else { continue };
        let volume = found.volume;
        let data = [
            ("pool", volume.pool),
            ("used_gib", statistics::in_gib(volume.used_mib).to_string()),
            ("content", volume.content),
        ];
        let data = data.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        told.push(HookData { id: share.id.clone(), data });
    }
    Ok(told)
}
