//! What is shown to a group: a directory that the operator granted, of a resource of the call, at the place that its bind derives.

use super::policy::AllowedGroup;
use crate::call::Call;
use crate::ownership;
use crate::resolve::{ResolvedPath, source_is_read_only};
use crate::slot::Path;
use bulkhead_helper::protocol::BindRequest;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::manifest::BindTemplate;
use bulkhead_model::pattern::Pattern;
use bulkhead_model::text::GuestText;

const SHOWN: usize = 128;

/// A directory that may be shown, and how.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) at: ResolvedPath,
    pub(super) request: BindRequest,
}

/// The request for the declared bind `name` of `group` and a source of the call's target.
///
/// Fails with `invalid-argument` for a bind that is not declared, `denied` for a source that it does not declare or that is not of the
/// target.
pub(super) fn resolve(
    call: &Call,
    (group, name): (&AllowedGroup<'_>, &str),
    source: &Path,
) -> Result<Shown, CapabilityError> {
    let bind = group.template.bind(name).ok_or_else(|| {
        let shown = GuestText::new(name, SHOWN);
        CapabilityError::new(
            CapabilityCode::InvalidArgument,
            format!(
                "group '{}' declares no bind '{shown}'; declare it as [[group.bind]] name = \"{shown}\"",
                group.template.name
            ),
        )
    })?;
    let declared = bind.pattern.iter().find(|pattern| pattern.as_str() == source.pattern);
    let Some(pattern) = declared.filter(|_| bind.root.as_str() == source.root) else {
        let (root, pattern) = (GuestText::new(&source.root, SHOWN), GuestText::new(&source.pattern, SHOWN));
        return Err(CapabilityError::denied(
            format!("path '{pattern}' of root '{root}' in bind '{}'", bind.name),
            format!(
                "[[group.bind]] name = \"{}\" root = \"{root}\" pattern = [\"{pattern}\"] in the driver's manifest",
                bind.name
            ),
        ));
    };
    let at = call.place(&bind.root, pattern, source.of)?;
    group.require_same_server(call, &at)?;
    if at.is_source {
        return Err(source_is_read_only(&at));
    }
    if at.owner.is_none() || at.is_managed {
        return Err(CapabilityError::denied(
            format!("showing {}, which is no share's or snapshot's own,", at.subject()),
            "no line; a group is shown what a share or snapshot owns",
        ));
    }
    let request = BindRequest {
        group: group.key.clone(),
        template: group.text()?,
        bind: bind.name.clone(),
        root: at.root.binding()?,
        source: at.path.clone(),
        at: place(call, bind, source)?,
    };
    Ok(Shown { at, request })
}

/// The bind's place, filled with the names that fill the source.
fn place(call: &Call, bind: &BindTemplate, source: &Path) -> Result<String, CapabilityError> {
    let names = call.names(source.of)?;
    let pattern = bind.at.strip_prefix('/').and_then(|below| below.parse::<Pattern>().ok());
    let filled = pattern.and_then(|pattern| pattern.fill(&names));
    filled.map(|below| format!("/{below}")).ok_or_else(|| {
        CapabilityError::denied(
            format!("showing a directory at '{}'", GuestText::new(&bind.at, SHOWN)),
            "no line; this call has no resource that fills the place",
        )
    })
}

/// Fails with `not-found` if the source is not there, `not-owned` unless a record says that it is of the resource that its names say.
pub(super) async fn require_own(call: &Call, at: &ResolvedPath) -> Result<(), CapabilityError> {
    if !crate::files::is_there(call, at).await? {
        let message = format!("{} is not there", at.subject());
        return Err(CapabilityError::new(CapabilityCode::NotFound, message));
    }
    ownership::require(call, at).await.map(drop)
}
