//! How somebody beside the backends can mount a share to copy it, where the host cannot reach its directory: what Manila hands to its
//! data service (contract 3.10, `connection_get_info`). Words for people; nothing of it is run here.

use crate::context::RequestContext;
use crate::error::ManagerError;
use crate::manager::{Inner, Manager};
use crate::share::{self, for_driver};
use bulkhead_model::call::CallReason;
use bulkhead_model::id::ShareId;
use bulkhead_model::migration::{Connection, ConnectionOptions};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{Protocol, ShareForDriver};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How a share can be mounted and access to it be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectionView {
    /// The command that mounts it, with `%(options)s` and `%(path)s` still to be filled.
    pub mount: String,
    /// The command that unmounts it, with `%(path)s` still to be filled.
    pub unmount: String,
    /// For each way of naming clients, the protocols it works for.
    pub access_mapping: BTreeMap<String, Vec<String>>,
}

impl Manager {
    /// How a share can be mounted to copy it. Asks the driver, if it has an own word for it. For operators.
    ///
    /// Fails with [`ManagerError::NotFound`], also where nobody finds the share yet, and with [`ManagerError::BackendUnreachable`].
    pub async fn share_connection(
        &self,
        context: &RequestContext,
        share: ShareId,
    ) -> Result<ConnectionView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| connection(&inner, &context, share).await).await
    }
}

async fn connection(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareId,
) -> Result<ConnectionView, ManagerError> {
    context.require_operator()?;
    let (share, backend) = {
        let tables = inner.records.read();
        let (share, instance) = share::find(&tables, &Scope::Everything, id)?;
        (for_driver(&tables, share, instance), instance.placement.backend.clone())
    };
    let unreachable = || ManagerError::BackendUnreachable { backend: backend.clone(), waiting: 0 };
    let serving = inner.serving(&backend).ok_or_else(unreachable)?;
    let reason = CallReason { request: context.request.clone(), operation: None, earlier_attempts: 0 };
    let own = match serving.driver.connection_info(&reason, &share).await {
        Ok(own) => Some(own),
        Err(error) if error.is_not_implemented() => None,
        Err(error) => {
            tracing::warn!(share.id = %id, backend.name = %backend, "the driver does not say how to mount a share: {error}");
            return Err(unreachable());
        }
    };
    put_together(&share, &serving.driver.connection_options(), own)
        .ok_or_else(|| ManagerError::not_found("export location of share", id))
}

/// None if the share is exported nowhere and the driver says nothing.
fn put_together(
    share: &ShareForDriver,
    options: &ConnectionOptions,
    own: Option<Connection>,
) -> Option<ConnectionView> {
    let inherited = |share: &ShareForDriver| {
        let locations = &share.export_locations;
        let first = locations.iter().find(|location| location.admin_only).or_else(|| locations.first())?;
        Some((first.path.clone(), mapping(options, share.protocol)))
    };
    let (export, access_mapping) = match own {
        Some(own) => (own.mount_export, own.access_mapping),
        None => inherited(share)?,
    };
    let protocol = share.protocol.as_str().to_lowercase();
    let words = |protocols: Vec<Protocol>| protocols.iter().map(|one| one.as_str().to_lowercase()).collect();
    Some(ConnectionView {
        mount: options.mount_template.replace("%(proto)s", &protocol).replace("%(export)s", &export),
        unmount: options.unmount_template.clone(),
        access_mapping: access_mapping
            .into_iter()
            .map(|(name, protocols)| (name, words(protocols)))
            .collect(),
    })
}

/// The ways of naming clients that the option says work for the share's protocol.
fn mapping(options: &ConnectionOptions, protocol: Protocol) -> BTreeMap<String, Vec<Protocol>> {
    let works = |protocols: &str| {
        let mut all = protocols.split([',', ' ', ';']).filter_map(|name| name.parse::<Protocol>().ok());
        all.any(|one| one == protocol)
    };
    let fitting = options.access_mapping.iter().filter(|(_, protocols)| works(protocols));
    fitting.map(|(name, _)| (name.to_lowercase(), vec![protocol])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_model::export::ExportLocation;
    use bulkhead_model::id::{ShareId, ShareInstanceId};
    use bulkhead_model::size::Gibibytes;

    fn options() -> ConnectionOptions {
        ConnectionOptions {
            mount_template: "mount -vt %(proto)s %(options)s %(export)s %(path)s".to_owned(),
            unmount_template: "umount -v %(path)s".to_owned(),
            access_mapping: [("ip", "nfs"), ("User", "CIFS, nfs")]
                .map(|(name, protocols)| (name.to_owned(), protocols.to_owned()))
                .into(),
        }
    }

    fn share(protocol: Protocol, locations: &[(&str, bool)]) -> ShareForDriver {
        let location = |(path, admin_only): &(&str, bool)| ExportLocation {
            path: (*path).to_owned(),
            admin_only: *admin_only,
            preferred: false,
            metadata: BTreeMap::new(),
        };
        ShareForDriver {
            id: ShareInstanceId::random(),
            share: ShareId::random(),
            project: "acme".parse().expect("a project"),
            size: Gibibytes::new(1).expect("a size"),
            protocol,
            pool: None,
            source_snapshot: None,
            server: None,
            group: None,
            replica_state: None,
            mount_snapshot_support: false,
            export_locations: locations.iter().map(location).collect(),
            extra_specs: BTreeMap::new(),
            metadata: BTreeMap::new(),
        }
    }

    /// Contract D-31.
    #[test]
    fn the_commands_are_the_templates_with_protocol_and_export_filled_in() {
        for is_admin_only in [true, false] {
            let share = share(Protocol::Nfs, &[("/fake/fake_id", is_admin_only)]);
            let found = put_together(&share, &options(), None).expect("exported");
            assert_eq!(found.mount, "mount -vt nfs %(options)s /fake/fake_id %(path)s");
            assert_eq!(found.unmount, "umount -v %(path)s");
        }
    }

    /// Contract D-49.
    #[test]
    fn a_location_for_administrators_comes_first_wherever_it_stands() {
        let share = share(Protocol::Nfs, &[("a:/1", false), ("a:/2", true)]);
        assert!(put_together(&share, &options(), None).expect("exported").mount.contains("a:/2"));
        assert_eq!(put_together(&self::share(Protocol::Nfs, &[]), &options(), None), None);
    }

    /// Contract D-49.
    #[test]
    fn letter_case_does_not_matter_and_a_protocol_without_a_way_has_none() {
        let ways = |protocol| {
            let found = put_together(&share(protocol, &[("a:/1", false)]), &options(), None);
            found.expect("exported").access_mapping.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(ways(Protocol::Nfs), ["ip", "user"]);
        assert_eq!(ways(Protocol::Cifs), ["user"]);
        assert!(ways(Protocol::Hdfs).is_empty());
    }

    #[test]
    fn the_drivers_own_word_wins() {
        let own = Connection {
            mount_export: "b:/own".to_owned(),
            access_mapping: BTreeMap::from([("cert".to_owned(), vec![Protocol::Nfs])]),
        };
        let found =
            put_together(&share(Protocol::Nfs, &[("a:/1", true)]), &options(), Some(own)).expect("own");
        assert!(found.mount.contains("b:/own"));
        assert_eq!(found.access_mapping, BTreeMap::from([("cert".to_owned(), vec!["nfs".to_owned()])]));
    }
}
