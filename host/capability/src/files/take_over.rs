//! The rename that takes over what the operator had made and asked to manage.
//!
//! Nobody may own it: not the path, nothing around it and nothing inside it, in no backend whose root is the same directory (`ownership`
//! says so before this is called). The record of the destination is written first. What a crash leaves between is told apart as for any
//! rename: an object at the source is renamed (again), an object at the destination that this operation moved there is done.

use super::change::{in_the_way, missing, rename_at, unless_taken};
use super::place::{Alone, look, path_of, work};
use crate::call::Call;
use crate::ownership;
use crate::resolve::ResolvedPath;
use crate::root::mistaken;
use bulkhead_helper::protocol::{FileFacts, FileKind, FileReply, FileWork, RenameKind};
use bulkhead_model::error::{CapabilityCode, CapabilityError};

pub(super) async fn take_over(
    call: &Call,
    source: ResolvedPath,
    destination: ResolvedPath,
) -> Result<(), CapabilityError> {
    let alone = Alone::with(call, vec![source.subject(), destination.subject()]).await?;
    let there = look(call, &destination).await?.is_some();
    let Some(found) = look_at_source(call, &source).await? else {
        let done = there && ownership::was_moved(call, &source, &destination).await?;
        return if done { Ok(()) } else { Err(missing(&source)) };
    };
    if found.kind != FileKind::Directory {
        return Err(CapabilityError::new(
            CapabilityCode::InvalidArgument,
            format!("{} is not a directory", source.subject()),
        ));
    }
    if there {
        return Err(in_the_way(&destination));
    }
    let revision = ownership::begin_take_over(call, &source, &destination).await?;
    let renamed = rename_at(call, &alone, (&source, &destination), RenameKind::NoReplace).await;
    unless_taken(call, (&destination, revision), renamed).await
}

/// What stands at the source; none if nothing does. Denied where another filesystem is mounted there or on the way: what it holds is not
/// what the operator named.
async fn look_at_source(call: &Call, at: &ResolvedPath) -> Result<Option<FileFacts>, CapabilityError> {
    match work(call, None, (&[&*at.root], FileWork::LookAtManaged(path_of(at)))).await? {
        FileReply::Found(found) => Ok(found),
        _ => Err(mistaken()),
    }
}
