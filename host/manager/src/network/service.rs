//! Security services: making, showing, changing, taking away.

use super::request::check_site;
use super::{
    NewSecurityService, Password, SecurityServiceUpdate, cause_of, chain, find, find_service, policy,
};
use crate::context::RequestContext;
use crate::error::ManagerError;
use crate::first_result::Identity;
use crate::manager::{Inner, Manager, Proposal};
use crate::records::{Change, Expect, Row, RowKey};
use bulkhead_model::id::{SecurityServiceId, ShareNetworkId};
use bulkhead_model::network::{SealedText, SecurityService};
use bulkhead_model::scope::Scope;
use bulkhead_model::time::Timestamp;
use bulkhead_sandbox::SealingKey;
use std::sync::Arc;
use tracing::instrument;

/// The most security services of one project.
const MOST_SERVICES: usize = 1000;

impl Manager {
    /// The key that seals what tenants entrust to this host. Without one, passwords are refused. The first key stays.
    pub fn seal_with(&self, key: SealingKey) {
        // A second key would leave what the first one sealed unreadable.
        drop(self.inner.sealing_key.set(key));
    }

    /// Make a security service. No backend learns of it before a share server is made in a network that has it.
    ///
    /// Fails with [`ManagerError::Invalid`] for unfit text and a server beside a site, [`ManagerError::LimitExceeded`] at 1,000 of a
    /// project.
    pub async fn create_security_service(
        &self,
        context: &RequestContext,
        new: NewSecurityService,
    ) -> Result<Arc<SecurityService>, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| create(&inner, &context, new).await).await
    }

    /// A security service inside `scope`. Fails with [`ManagerError::NotFound`].
    pub fn show_security_service(
        &self,
        scope: &Scope,
        id: SecurityServiceId,
    ) -> Result<Arc<SecurityService>, ManagerError> {
        find_service(&self.inner.records.read(), scope, id).map(|stored| Arc::clone(&stored.value))
    }

    /// All security services inside `scope`, oldest first; with `network` those that it has.
    ///
    /// Fails with [`ManagerError::NotFound`] if there is no such network.
    pub fn list_security_services(
        &self,
        scope: &Scope,
        network: Option<ShareNetworkId>,
    ) -> Result<Vec<Arc<SecurityService>>, ManagerError> {
        let tables = self.inner.records.read();
        let of_network = network.map(|id| find(&tables, scope, id)).transpose()?;
        let is_asked = |service: &SecurityService| {
            of_network.is_none_or(|network| network.security_services.contains(&service.id))
        };
        let mut services: Vec<_> = tables
            .security_services(scope)
            .into_iter()
            .filter(|stored| is_asked(stored))
            .map(|stored| Arc::clone(&stored.value))
            .collect();
        services.sort_by_key(|service| (service.created_at, service.id));
        Ok(services)
    }

    /// Change a security service. As long as share servers are in a network that has it, only its name and description: then
    /// [`ManagerError::Conflict`].
    ///
    /// Fails with [`ManagerError::Invalid`] as making one does.
    pub async fn update_security_service(
        &self,
        context: &RequestContext,
        id: SecurityServiceId,
        update: SecurityServiceUpdate,
    ) -> Result<Arc<SecurityService>, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| change(&inner, &context, id, update).await).await
    }

    /// Take a security service away, with its password.
    ///
    /// Fails with [`ManagerError::Conflict`] while a share network has it.
    pub async fn delete_security_service(
        &self,
        context: &RequestContext,
        id: SecurityServiceId,
    ) -> Result<(), ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| delete(&inner, &context, id).await).await
    }
}

fn seal(inner: &Inner, id: SecurityServiceId, password: &Password) -> Result<SealedText, ManagerError> {
    let refuse = |reason: &str| ManagerError::invalid("password", reason);
    let key = inner.sealing_key.get().ok_or_else(|| refuse("this host has no key to keep secrets with"))?;
    key.seal(&SecurityService::secret_name_of(id), password.expose())
        .map_err(|error| refuse(&error.to_string()))
}

#[instrument(name = "security_service.create", skip_all, fields(request.id = %context.request))]
async fn create(
    inner: &Arc<Inner>,
    context: &RequestContext,
    new: NewSecurityService,
) -> Result<Arc<SecurityService>, ManagerError> {
    context.require_change()?;
    new.check()?;
    let identity = Identity::of(context, "create-security-service", &new)?;
    let (cause, chain, now) = (cause_of(context), chain()?, Timestamp::now());
    let fresh = SecurityServiceId::random();
    let made = SecurityService {
        id: fresh,
        service_type: new.service_type,
        project_id: context.actor.project.clone(),
        name: new.name,
        description: new.description,
        dns_ip: new.dns_ip,
        server: new.server,
        domain: new.domain,
        user: new.user,
        password: new.password.map(|password| seal(inner, fresh, &password)).transpose()?,
        organizational_unit: new.organizational_unit,
        default_ad_site: new.default_ad_site,
        created_at: now,
        updated_at: now,
    };
    let id = inner
        .transact(|tables| {
            if let Some(first) = identity.first::<SecurityServiceId>(tables)? {
                return Ok(Proposal::Settled(first));
            }
            let own = Scope::Project(made.project_id.clone());
            if tables.security_services(&own).len() >= MOST_SERVICES {
                let what = "security services of a project";
                return Err(ManagerError::LimitExceeded { what, limit: MOST_SERVICES });
            }
            let mut change = Change::default();
            let words = format_args!("made: {}", made.service_type);
            change.note(&cause, format_args!("security-service/{fresh}"), words);
            change.insert(Row::SecurityService(made.clone()));
            identity.remember(tables, &mut change, fresh);
            Ok(Proposal::Commit(chain.clone(), change, fresh))
        })
        .await?;
    shown(inner, id)
}

fn shown(inner: &Inner, id: SecurityServiceId) -> Result<Arc<SecurityService>, ManagerError> {
    find_service(&inner.records.read(), &Scope::Everything, id).map(|stored| Arc::clone(&stored.value))
}

#[instrument(name = "security_service.update", skip_all, fields(request.id = %context.request, security_service.id = %id))]
async fn change(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: SecurityServiceId,
    update: SecurityServiceUpdate,
) -> Result<Arc<SecurityService>, ManagerError> {
    context.require_change()?;
    update.check()?;
    let password = match &update.password {
        Some(Some(password)) => Some(Some(seal(inner, id, password)?)),
        Some(None) => Some(None),
        None => None,
    };
    let (cause, chain) = (cause_of(context), chain()?);
    inner
        .transact(|tables| {
            let stored = find_service(tables, &context.scope(), id)?;
            let mut altered = (*stored.value).clone();
            apply(&mut altered, &update);
            if let Some(password) = &password {
                altered.password.clone_from(password);
            }
            check_site(altered.server.as_deref(), altered.default_ad_site.as_deref())?;
            if altered == *stored.value {
                return Ok(Proposal::Settled(()));
            }
            let described = SecurityService {
                name: altered.name.clone(),
                description: altered.description.clone(),
                ..(*stored.value).clone()
            };
            if altered != described {
                policy::change_settings(tables, stored)?;
            }
            altered.updated_at = Timestamp::now();
            let mut change = Change::default();
            change.note(&cause, format_args!("security-service/{id}"), "changed");
            change.put(Expect::Unchanged(stored.revision), Row::SecurityService(altered));
            Ok(Proposal::Commit(chain.clone(), change, ()))
        })
        .await?;
    shown(inner, id)
}

/// Everything of the update but the password.
fn apply(service: &mut SecurityService, update: &SecurityServiceUpdate) {
    let fields = [
        (&mut service.name, &update.name),
        (&mut service.description, &update.description),
        (&mut service.dns_ip, &update.dns_ip),
        (&mut service.server, &update.server),
        (&mut service.domain, &update.domain),
        (&mut service.user, &update.user),
        (&mut service.organizational_unit, &update.organizational_unit),
        (&mut service.default_ad_site, &update.default_ad_site),
    ];
    for (field, given) in fields {
        if let Some(given) = given {
            field.clone_from(given);
        }
    }
}

#[instrument(name = "security_service.delete", skip_all, fields(request.id = %context.request, security_service.id = %id))]
async fn delete(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: SecurityServiceId,
) -> Result<(), ManagerError> {
    context.require_change()?;
    let (cause, chain) = (cause_of(context), chain()?);
    let _alone = inner.ties.write().await;
    inner
        .transact(|tables| {
            let found = find_service(tables, &context.scope(), id)?;
            policy::delete_service(tables, found)?;
            let mut change = Change::default();
            change.note(&cause, format_args!("security-service/{id}"), "removed");
            change.delete(RowKey::SecurityService(id), found.revision);
            Ok(Proposal::Commit(chain.clone(), change, ()))
        })
        .await
}
