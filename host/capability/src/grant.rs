//! Whether a grant fits its manifest and this machine: checked once, when a generation is loaded. Pure but for the opening of roots.

use crate::backend::{GrantError, suggestion};
use crate::execute::CommandRunner;
use crate::http::BoundEndpoint;
use crate::root::Root;
use bulkhead_model::ability::Capability;
use bulkhead_model::grant::{Ceiling, EndpointGrant, Grant, Verification};
use bulkhead_model::id::{Digest, Label};
use bulkhead_model::manifest::{GroupNetwork, Manifest, SlotType};
use bulkhead_model::network::AllocationLabel;
use bulkhead_model::suggestion::nearest;
use bulkhead_model::tenure::Tenure;
use std::collections::BTreeMap;
use std::path::Component;
use std::sync::Arc;

/// Every name in the grant must be one of the manifest's, every root and template the one that was granted, no capability above the ceiling.
pub(crate) fn check(manifest: &Manifest, grant: &Grant, ceiling: &Ceiling) -> Result<(), GrantError> {
    if let Some(capability) = grant.capabilities.iter().find(|one| !ceiling.capabilities.contains(one)) {
        return Err(GrantError::AboveCeiling(*capability));
    }
    let declared: BTreeMap<Label, Digest> =
        manifest.templates().map(|(name, digest)| (name.clone(), digest)).collect();
    for (name, granted) in &grant.templates {
        match declared.get(name) {
            None => return Err(unknown("templates", name.as_str(), declared.keys().map(Label::as_str))),
            Some(found) if found != granted => {
                return Err(GrantError::TemplateChanged {
                    name: name.clone(),
                    granted: *granted,
                    found: *found,
                });
            }
            Some(_) => {}
        }
    }
    let programs = manifest.programs();
    for (name, path) in &grant.programs {
        if !programs.contains(name.as_str()) {
            return Err(unknown("programs", name, programs.iter().copied()));
        }
        let plain = |component| matches!(component, Component::RootDir | Component::Normal(_));
        if !path.is_absolute() || !path.components().all(plain) {
            return Err(GrantError::Program { name: name.clone(), path: path.display().to_string() });
        }
    }
    let endpoints = || manifest.endpoints.iter().map(|endpoint| endpoint.name.as_str());
    if let Some(name) = grant.endpoints.keys().find(|name| manifest.endpoint(name.as_str()).is_none()) {
        return Err(unknown("endpoints", name.as_str(), endpoints()));
    }
    let roots = || manifest.roots.iter().map(|root| root.name.as_str());
    for (name, granted) in &grant.roots {
        let Some(declaration) = manifest.root(name) else {
            return Err(unknown("roots", name.as_str(), roots()));
        };
        let found = declaration.digest();
        if found != granted.pin {
            return Err(GrantError::RootChanged {
                name: name.clone(),
                path: granted.path.display().to_string(),
                granted: granted.pin,
                found,
            });
        }
    }
    Ok(())
}

/// An array's own command line has no files, services or jobs, and its words name no paths.
pub(crate) fn check_commands_only(manifest: &Manifest, grant: &Grant) -> Result<(), GrantError> {
    let none = |what: String| Err(GrantError::CommandsOnly(what));
    let beyond = [Capability::Files, Capability::Service, Capability::Dbus, Capability::Job];
    if let Some(capability) = beyond.iter().find(|one| grant.capabilities.contains(one)) {
        return none(format!("capability '{capability}'"));
    }
    if let Some(root) = grant.roots.keys().next() {
        return none(format!("root '{root}'"));
    }
    let granted = |name: &Label| grant.templates.contains_key(name);
    if let Some(pipeline) = manifest.pipelines.iter().find(|pipeline| granted(&pipeline.name)) {
        return none(format!("template '{}', which is a pipeline", pipeline.name));
    }
    let beyond = manifest.commands.iter().filter(|command| granted(&command.name)).find_map(|command| {
        let why = if command.slots.values().any(|slot| matches!(slot, SlotType::Path { .. })) {
            "has a path slot"
        } else if command.inside.is_some() {
            "runs inside a group of services"
        } else if !command.env.is_empty() {
            "sets environment variables"
        } else {
            return None;
        };
        Some(format!("template '{}', which {why}", command.name))
    });
    beyond.map_or(Ok(()), none)
}

/// A granted group with a network of its own is plugged into every network that its addresses come from, and no bridge joins two segments.
///
/// Checked when a generation is loaded, and pure: whoever looks at a configuration before that may ask the same. Fails with
/// [`GrantError::Network`] and [`GrantError::Unplugged`].
pub fn check_plugs(manifest: &Manifest, grant: &Grant) -> Result<(), GrantError> {
    grant.networks.check_plugs().map_err(|(label, position, source)| GrantError::Network {
        label,
        position,
        source,
    })?;
    let mut groups = manifest.groups.iter().filter(|group| group.network == GroupNetwork::Own);
    let Some(group) = groups.find(|group| grant.templates.contains_key(&group.name)) else { return Ok(()) };
    for label in [AllocationLabel::User, AllocationLabel::Admin] {
        if let Some(position) = grant.networks.of(label).iter().position(|network| network.bridge.is_none()) {
            return Err(GrantError::Unplugged { label, position, group: group.name.clone() });
        }
    }
    Ok(())
}

/// Open the granted roots on this machine.
pub(crate) fn open_roots(
    manifest: &Manifest,
    grant: &Grant,
) -> Result<BTreeMap<Label, Arc<Root>>, GrantError> {
    let mut roots: BTreeMap<Label, Arc<Root>> = BTreeMap::new();
    for (name, granted) in &grant.roots {
        let Some(declaration) = manifest.root(name) else { continue };
        let failed = |source| GrantError::Root { name: name.clone(), source };
        let root = Root::open(declaration, &granted.path).map_err(failed)?;
        roots.insert(name.clone(), Arc::new(root));
    }
    Ok(roots)
}

/// Ask a place for the granted roots there.
pub(crate) async fn reach_roots(
    manifest: &Manifest,
    grant: &Grant,
    place: (&Arc<dyn CommandRunner>, Option<Tenure>),
) -> Result<BTreeMap<Label, Arc<Root>>, GrantError> {
    let mut roots: BTreeMap<Label, Arc<Root>> = BTreeMap::new();
    for (name, granted) in &grant.roots {
        let Some(declaration) = manifest.root(name) else { continue };
        let failed = |source| GrantError::Root { name: name.clone(), source };
        let root = Root::reach(declaration, &granted.path, place).await.map_err(failed)?;
        roots.insert(name.clone(), Arc::new(root));
    }
    Ok(roots)
}

/// No root may lie inside another: what one of them allows would then hold in the other.
pub(crate) fn check_apart(roots: &BTreeMap<Label, Arc<Root>>) -> Result<(), GrantError> {
    for (inner, root) in roots {
        let around = roots.iter().find(|(outer, around)| {
            *outer != inner
                && around.ancestry().first().is_some_and(|identity| root.ancestry().contains(identity))
        });
        if let Some((outer, _)) = around {
            return Err(GrantError::Nested { inner: inner.clone(), outer: outer.clone() });
        }
    }
    Ok(())
}

/// Bind the granted endpoints: parse their controllers, read the certificates they are known by, and see that share servers can have them.
pub(crate) fn bind_endpoints(
    manifest: &Manifest,
    grant: &Grant,
) -> Result<BTreeMap<Label, Arc<BoundEndpoint>>, GrantError> {
    let declared = grant.endpoints.iter().filter(|(name, _)| manifest.endpoint(name.as_str()).is_some());
    let bind = |(name, granted): (&Label, &EndpointGrant)| {
        let failed = |source| GrantError::Endpoint { name: name.clone(), source };
        if granted.verify == Verification::Off {
            tracing::warn!(endpoint = %name, "an endpoint is not verified: whoever is on the way to it reads and changes everything");
        }
        let bound = BoundEndpoint::new(granted).map_err(failed)?;
        bound.check_fits(manifest, &grant.networks).map_err(failed)?;
        Ok((name.clone(), Arc::new(bound)))
    };
    declared.map(bind).collect()
}

fn unknown<'name>(table: &'static str, name: &str, known: impl Iterator<Item = &'name str>) -> GrantError {
    let meant = nearest(name, known).map(ToOwned::to_owned);
    GrantError::Unknown { table, name: name.to_owned(), suggestion: suggestion(meant) }
}
