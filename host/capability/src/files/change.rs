//! The functions that change: ownership first, then the effect, then what is left to record. `ownership` says why in this order.

use super::place::{Alone, change, look, path_of};
use super::policy::{self, Purpose};
use super::{LARGEST_FILE, template};
use crate::call::Call;
use crate::ownership::{self, OwnedKind, Reach};
use crate::resolve::ResolvedPath;
use crate::slot::{self, Filled, Slot};
use bulkhead_helper::protocol::{Before, FileKind, FileWork, Readers, RenameKind};
use bulkhead_model::ability::Capability;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::manifest::{FileTemplate, RootUse};
use bulkhead_model::text::GuestText;
use bulkhead_store::Revision;

pub(super) async fn create_directory(call: &Call, at: ResolvedPath) -> Result<(), CapabilityError> {
    let alone = Alone::with(call, vec![at.subject()]).await?;
    if let Some(found) = look(call, &at).await? {
        ownership::require(call, &at).await?;
        return if found.kind == FileKind::Directory { Ok(()) } else { Err(in_the_way(&at)) };
    }
    let revision = ownership::claim(call, &at, OwnedKind::Directory).await?;
    let mode = if at.root.root_use() == RootUse::Data { 0o777 } else { 0o755 };
    let making = FileWork::MakeDirectory { at: path_of(&at), mode };
    let made = change(call, &alone, (&[&*at.root], making)).await;
    unless_taken(call, (&at, revision), made).await.map_err(|error| match error.code {
        CapabilityCode::AlreadyExists => ownership::not_owned(&at),
        _ => error,
    })
}

/// Take back the record of `at` where something came to be after we had looked: somebody else's.
pub(super) async fn unless_taken(
    call: &Call,
    (at, revision): (&ResolvedPath, Revision),
    answer: Result<(), CapabilityError>,
) -> Result<(), CapabilityError> {
    if let Err(error) = &answer
        && error.code == CapabilityCode::AlreadyExists
    {
        ownership::withdraw(call, at, revision).await?;
    }
    answer
}

pub(super) async fn remove(call: &Call, at: ResolvedPath) -> Result<(), CapabilityError> {
    let alone = Alone::with(call, vec![at.subject()]).await?;
    let there = look(call, &at).await?.is_some();
    if ownership::find_own(call, &at).await?.is_none() {
        return if there { Err(ownership::not_owned(&at)) } else { Ok(()) };
    }
    match change(call, &alone, (&[&*at.root], FileWork::Remove(path_of(&at)))).await {
        // The directory above is gone, and all in it.
        Err(error) if error.code == CapabilityCode::NotFound => {}
        answer => answer?,
    }
    ownership::forget(call, &at).await
}

pub(super) async fn rename(
    call: &Call,
    source: ResolvedPath,
    destination: ResolvedPath,
) -> Result<(), CapabilityError> {
    let alone = Alone::with(call, vec![source.subject(), destination.subject()]).await?;
    let there = look(call, &destination).await?.is_some();
    if look(call, &source).await?.is_none() {
        if there && ownership::was_moved(call, &source, &destination).await? {
            return ownership::forget(call, &source).await;
        }
        return Err(missing(&source));
    }
    ownership::require(call, &source).await?;
    if there {
        return Err(in_the_way(&destination));
    }
    let revision = ownership::begin_move(call, &source, &destination).await?;
    let renamed = rename_at(call, &alone, (&source, &destination), RenameKind::NoReplace).await;
    unless_taken(call, (&destination, revision), renamed).await?;
    ownership::forget(call, &source).await
}

pub(super) async fn exchange(
    call: &Call,
    first: ResolvedPath,
    second: ResolvedPath,
) -> Result<(), CapabilityError> {
    let alone = Alone::with(call, vec![first.subject(), second.subject()]).await?;
    for at in [&first, &second] {
        if look(call, at).await?.is_none() {
            return Err(missing(at));
        }
        ownership::require(call, at).await?;
    }
    rename_at(call, &alone, (&first, &second), RenameKind::Exchange).await?;
    ownership::swap(call, &first, &second).await
}

/// Rename in one step, and wait until both directories are on disk.
pub(super) async fn rename_at(
    call: &Call,
    alone: &Alone,
    (from, to): (&ResolvedPath, &ResolvedPath),
    kind: RenameKind,
) -> Result<(), CapabilityError> {
    let renaming = FileWork::Rename { from: path_of(from), to: path_of(to), kind };
    change(call, alone, (&[&*from.root, &*to.root], renaming)).await
}

pub(super) async fn copy_tree(
    call: &Call,
    source: ResolvedPath,
    destination: ResolvedPath,
) -> Result<(), CapabilityError> {
    let is_inside = source.root.name() == destination.root.name()
        && destination.path.components().zip(source.path.components()).all(|(inner, outer)| inner == outer)
        && destination.path.components().count() >= source.path.components().count();
    if is_inside {
        return Err(CapabilityError::new(
            CapabilityCode::InvalidArgument,
            format!("{} lies inside {}; copy it elsewhere", destination.subject(), source.subject()),
        ));
    }
    let alone = Alone::with(call, vec![source.subject(), destination.subject()]).await?;
    if look(call, &source).await?.is_none() {
        return Err(missing(&source));
    }
    ownership::require(call, &source).await?;
    if look(call, &destination).await?.is_some() {
        return Err(in_the_way(&destination));
    }
    let revision = ownership::claim(call, &destination, OwnedKind::Copy).await?;
    let copying = FileWork::Copy { from: path_of(&source), to: path_of(&destination) };
    let copied = change(call, &alone, (&[&*source.root, &*destination.root], copying)).await;
    unless_taken(call, (&destination, revision), copied).await
}

pub(super) async fn write(call: &Call, at: ResolvedPath, content: &[u8]) -> Result<(), CapabilityError> {
    if content.len() > LARGEST_FILE {
        return Err(CapabilityError::new(
            CapabilityCode::LimitExceeded,
            format!("{} bytes are more than the {LARGEST_FILE} a file may hold", content.len()),
        ));
    }
    put(call, at, (content.to_vec(), Readers::All)).await
}

pub(super) async fn write_template(
    call: &Call,
    name: &str,
    slots: &[Slot],
) -> Result<((), String), CapabilityError> {
    let (template, at) = find_template(call, name, slots)?;
    call.secrets().take_out(slots).await?;
    let filled = slot::fill(call, &template.slots, &slot::of_one_resource(slots)?)?;
    let text = template::render(template, &filled)?;
    ownership::keep_apart(call, &at, Reach::Place).await?;
    let detail = format!("{}: {text}", at.subject());
    let holds_secret = filled.values().any(|value| matches!(value, Filled::Secret { .. }));
    let readers = if holds_secret { Readers::OwnerOnly } else { Readers::All };
    put(call, at, (text.into_bytes(), readers)).await?;
    Ok(((), detail))
}

pub(super) async fn remove_template(call: &Call, name: &str, slots: &[Slot]) -> Result<(), CapabilityError> {
    let (_, at) = find_template(call, name, slots)?;
    ownership::keep_apart(call, &at, Reach::Tree).await?;
    remove(call, at).await
}

/// The template `name`, if it is granted, and the path of its file for the resource that the slots name.
fn find_template<'call>(
    call: &'call Call,
    name: &str,
    slots: &[Slot],
) -> Result<(&'call FileTemplate, ResolvedPath), CapabilityError> {
    call.require(Capability::Files)?;
    let manifest = call.backend().manifest();
    let template = manifest.file(name).ok_or_else(|| {
        CapabilityError::new(
            CapabilityCode::InvalidArgument,
            format!("no file template '{}' is declared; declare it as [[file]]", GuestText::new(name, 64)),
        )
    })?;
    call.backend().require_template(&template.name, template.digest())?;
    let at = call.place(&template.root, &template.path, slot::resource_of(slots)?)?;
    policy::check(&at, Purpose::Template)?;
    Ok((template, at))
}

/// Put a file's whole content in place; recorded first.
async fn put(
    call: &Call,
    at: ResolvedPath,
    (content, readers): (Vec<u8>, Readers),
) -> Result<(), CapabilityError> {
    let alone = Alone::with(call, vec![at.subject()]).await?;
    let replace = |before| FileWork::Replace { at: path_of(&at), content, before, readers };
    match look(call, &at).await? {
        Some(found) if found.kind == FileKind::File => {
            ownership::require(call, &at).await?;
            change(call, &alone, (&[&*at.root], replace(Before::Own))).await
        }
        Some(_) => Err(ownership::not_owned(&at)),
        None => {
            let revision = ownership::claim(call, &at, OwnedKind::File).await?;
            let put = change(call, &alone, (&[&*at.root], replace(Before::Nothing))).await;
            unless_taken(call, (&at, revision), put).await.map_err(|error| match error.code {
                CapabilityCode::AlreadyExists => ownership::not_owned(&at),
                _ => error,
            })
        }
    }
}

pub(super) fn missing(at: &ResolvedPath) -> CapabilityError {
    CapabilityError::new(CapabilityCode::NotFound, format!("{} is not there", at.subject()))
}

pub(super) fn in_the_way(at: &ResolvedPath) -> CapabilityError {
    CapabilityError::new(CapabilityCode::AlreadyExists, format!("something is at {} already", at.subject()))
}
