//! The rename that takes over what the operator had made and asked to manage.
//!
//! Nobody may own it: not the path, nothing around it and nothing inside it, in no backend whose root is the same directory (`ownership`
//! says so before this is called). The record of the destination is written first. What a crash leaves between is told apart as for any
//! rename: an object at the source is renamed (again), an object at the destination that this operation moved there is done.

use super::beneath::{self, Mounts, Parent, file_type};
use super::change::{in_the_way, look, missing, rename_at, unless_taken};
use super::watch::{Alone, blocking};
use crate::call::Call;
use crate::ownership;
use crate::resolve::ResolvedPath;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use rustix::fs::{FileType, RenameFlags};
use rustix::io::Errno;

pub(super) async fn take_over(
    call: &Call,
    source: ResolvedPath,
    destination: ResolvedPath,
) -> Result<(), CapabilityError> {
    let alone = Alone::with(call, vec![source.subject(), destination.subject()]).await?;
    let there = look(call, &destination).await?.is_some();
    let place = source.clone();
    let Some(kind) = blocking(call, None, move |_| look_at_source(&place)).await? else {
        let done = there && ownership::was_moved(call, &source, &destination).await?;
        return if done { Ok(()) } else { Err(missing(&source)) };
    };
    if kind != FileType::Directory {
        return Err(CapabilityError::new(
            CapabilityCode::InvalidArgument,
            format!("{} is not a directory", source.subject()),
        ));
    }
    if there {
        return Err(in_the_way(&destination));
    }
    let revision = ownership::begin_take_over(call, &source, &destination).await?;
    let (from, to) = (source, destination.clone());
    let renamed = blocking(call, Some(&alone), move |_| rename_at(&from, &to, RenameFlags::NOREPLACE)).await;
    unless_taken(call, (&destination, revision), renamed).await
}

/// What stands at the source; none if nothing does. Denied where another filesystem is mounted there or on the way: what it holds is not
/// what the operator named.
fn look_at_source(at: &ResolvedPath) -> Result<Option<FileType>, CapabilityError> {
    let subject = at.subject();
    let on_the_way = |error| beneath::failed("looking at", &subject, error);
    let above = at.path.as_str().rsplit_once('/').map_or(".", |(above, _)| above);
    match beneath::directory(at.root.directory(), above, Mounts::Stop) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        answer => answer.map_err(on_the_way)?,
    };
    let parent = Parent::open(at)?;
    if beneath::is_mount_point(&parent.directory, parent.name()) {
        return Err(on_the_way(Errno::XDEV));
    }
    Ok(parent.look()?.map(|status| file_type(&status)))
}
