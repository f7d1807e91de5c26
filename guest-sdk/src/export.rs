//! The macro that exports a driver, and exactly what it names.

/// Export a driver: the required interfaces, and each ability that is named.
///
/// Abilities are `access`, `access_by_rule`, `snapshots`, `share_from_snapshot`, `revert`, `mountable_snapshots`, `extend`, `shrink`,
/// `manage`, `manage_snapshots`, `share_servers`, `manage_servers`, `migration`, `share_groups`, `group_snapshots`, `replication`,
/// `replicated_snapshots`, `replicated_revert`, `usage`, `periodic_hook`, `share_status`, `metadata_updates`, `server_updates`;
/// `access` or `access_by_rule` must be among them.
/// What is not named is not in the component, and the host does not report it.
///
/// A trait that is missing for a named ability is an error that names both, on every target; the exports themselves exist only in a
/// component.
///
/// ```
/// use bulkhead_sdk::{Access, AccessUpdate, Driver, ExportLocation, Result, RuleOutcome, Share, Statistics};
///
/// struct Nothing;
///
/// impl Driver for Nothing {
///     fn setup() -> Result<()> { Ok(()) }
///     fn stats() -> Result<Statistics> { Ok(Statistics::default()) }
///     fn create_share(share: &Share) -> Result<Vec<ExportLocation>> {
///         Err(bulkhead_sdk::Error::no_space(format!("no room for {}", share.name)))
///     }
///     fn delete_share(_: &Share) -> Result<()> { Ok(()) }
/// }
///
/// impl Access for Nothing {
///     fn update_access(_: &Share, _: &AccessUpdate) -> Result<Vec<RuleOutcome>> { Ok(Vec::new()) }
/// }
///
/// bulkhead_sdk::export_driver!(Nothing: access);
/// # fn main() {}
/// ```
///
/// Naming an ability without its trait does not compile:
///
/// ```compile_fail
/// # use bulkhead_sdk::{Access, AccessUpdate, Driver, ExportLocation, Result, RuleOutcome, Share, Statistics};
/// # struct Nothing;
/// # impl Driver for Nothing {
/// #     fn setup() -> Result<()> { Ok(()) }
/// #     fn stats() -> Result<Statistics> { Ok(Statistics::default()) }
/// #     fn create_share(_: &Share) -> Result<Vec<ExportLocation>> { Ok(Vec::new()) }
/// #     fn delete_share(_: &Share) -> Result<()> { Ok(()) }
/// # }
/// # impl Access for Nothing {
/// #     fn update_access(_: &Share, _: &AccessUpdate) -> Result<Vec<RuleOutcome>> { Ok(Vec::new()) }
/// # }
/// bulkhead_sdk::export_driver!(Nothing: access, shrink);
/// # fn main() {}
/// ```
///
/// Nor does a driver without access rules:
///
/// ```compile_fail
/// # use bulkhead_sdk::{Driver, ExportLocation, Extend, Result, Share, Statistics};
/// # struct Nothing;
/// # impl Driver for Nothing {
/// #     fn setup() -> Result<()> { Ok(()) }
/// #     fn stats() -> Result<Statistics> { Ok(Statistics::default()) }
/// #     fn create_share(_: &Share) -> Result<Vec<ExportLocation>> { Ok(Vec::new()) }
/// #     fn delete_share(_: &Share) -> Result<()> { Ok(()) }
/// # }
/// # impl Extend for Nothing {
/// #     fn extend_share(_: &Share, _: u64) -> Result<()> { Ok(()) }
/// # }
/// bulkhead_sdk::export_driver!(Nothing: extend);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export_driver {
    ($driver:ty : $($ability:ident),+ $(,)?) => {
        const _: () = {
            const fn is_driver<D: $crate::Driver>() {}
            is_driver::<$driver>();
            assert!(
                $crate::__internal::names_access(&[$(stringify!($ability)),+]),
                "every driver exports `access` or `access_by_rule`, and not both: name one in `export_driver!`"
            );
            #[cfg(target_arch = "wasm32")]
            const _: () = {
                type Exported = $crate::__internal::Glue<$driver>;
                $crate::__internal::base::export_base!(Exported with_types_in $crate::__internal::base);
            };
        };
        $($crate::__export_ability!($ability $driver);)+
    };
    ($driver:ty) => {
        ::core::compile_error!("name what the driver can do, at least `access`: export_driver!(MyDriver: access);");
    };
}

/// One ability of [`export_driver!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __export_ability {
    (access $driver:ty) => {
        $crate::__export_checked!(Access, $driver, access, export_access);
    };
    (access_by_rule $driver:ty) => {
        $crate::__export_checked!(AccessByRule, $driver, access_by_rule, export_access_by_rule);
    };
    (snapshots $driver:ty) => {
        $crate::__export_checked!(Snapshots, $driver, snapshots, export_snapshots);
    };
    (share_from_snapshot $driver:ty) => {
        $crate::__export_checked!(
            ShareFromSnapshot,
            $driver,
            share_from_snapshot,
            export_share_from_snapshot
        );
    };
    (revert $driver:ty) => {
        $crate::__export_checked!(Revert, $driver, revert, export_revert);
    };
    (extend $driver:ty) => {
        $crate::__export_checked!(Extend, $driver, extend, export_extend);
    };
    (shrink $driver:ty) => {
        $crate::__export_checked!(Shrink, $driver, shrink, export_shrink);
    };
    (manage $driver:ty) => {
        $crate::__export_checked!(Manage, $driver, manage, export_manage);
    };
    (manage_snapshots $driver:ty) => {
        $crate::__export_checked!(ManageSnapshots, $driver, manage_snapshots, export_manage_snapshots);
    };
    (share_servers $driver:ty) => {
        $crate::__export_checked!(ShareServers, $driver, share_servers, export_share_servers);
    };
    (manage_servers $driver:ty) => {
        $crate::__export_checked!(ManageServers, $driver, manage_servers, export_manage_servers);
    };
    (server_updates $driver:ty) => {
        $crate::__export_checked!(ServerUpdates, $driver, server_updates, export_server_updates);
    };
    (mountable_snapshots $driver:ty) => {
        $crate::__export_checked!(
            MountableSnapshots,
            $driver,
            mountable_snapshots,
            export_mountable_snapshots
        );
    };
    (usage $driver:ty) => {
        $crate::__export_checked!(Usage, $driver, usage, export_usage);
    };
    (periodic_hook $driver:ty) => {
        $crate::__export_checked!(PeriodicHook, $driver, periodic_hook, export_periodic_hook);
    };
    (share_status $driver:ty) => {
        $crate::__export_checked!(ShareStatus, $driver, share_status, export_share_status);
    };
    (metadata_updates $driver:ty) => {
        $crate::__export_checked!(MetadataUpdates, $driver, metadata_updates, export_metadata_updates);
    };
    (migration $driver:ty) => {
        $crate::__export_checked!(Migration, $driver, migration, export_migration);
    };
    (share_groups $driver:ty) => {
        $crate::__export_checked!(ShareGroups, $driver, share_groups, export_share_groups);
    };
    (group_snapshots $driver:ty) => {
        $crate::__export_checked!(GroupSnapshots, $driver, group_snapshots, export_group_snapshots);
    };
    (replication $driver:ty) => {
        $crate::__export_checked!(Replication, $driver, replication, export_replication);
    };
    (replicated_snapshots $driver:ty) => {
        $crate::__export_checked!(
            ReplicatedSnapshots,
            $driver,
            replicated_snapshots,
            export_replicated_snapshots
        );
    };
    (replicated_revert $driver:ty) => {
        $crate::__export_checked!(ReplicatedRevert, $driver, replicated_revert, export_replicated_revert);
    };
    ($other:ident $driver:ty) => {
        ::core::compile_error!(concat!(
            "`",
            stringify!($other),
            "` is no ability; `export_driver!` documents which there are"
        ));
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_checked {
    ($trait:ident, $driver:ty, $module:ident, $export:ident) => {
        const _: () = {
            const fn is_implemented<D: $crate::$trait>() {}
            is_implemented::<$driver>();
            #[cfg(target_arch = "wasm32")]
            const _: () = {
                type Exported = $crate::__internal::Glue<$driver>;
        $crate::__internal::$module::$export!(Exported with_types_in $crate::__internal::$module);
            };
        };
    };
}

/// Whether exactly one of the two access interfaces is among `abilities`.
#[must_use]
pub const fn names_access(abilities: &[&str]) -> bool {
    count(abilities, "access") + count(abilities, "access_by_rule") == 1
}

const fn count(mut names: &[&str], wanted: &str) -> usize {
    let mut found = 0;
    while let Some((first, rest)) = names.split_first() {
        if is_same(first.as_bytes(), wanted.as_bytes()) {
            found += 1;
        }
        names = rest;
    }
    found
}

const fn is_same(mut first: &[u8], mut second: &[u8]) -> bool {
    while let (Some((left, left_rest)), Some((right, right_rest))) =
        (first.split_first(), second.split_first())
    {
        if *left != *right {
            return false;
        }
        (first, second) = (left_rest, right_rest);
    }
    first.is_empty() && second.is_empty()
}

#[cfg(test)]
mod tests {
    use super::names_access;

    #[test]
    fn one_way_to_set_access_rules_is_needed_and_only_one() {
        assert!(names_access(&["snapshots", "access"]));
        assert!(names_access(&["access_by_rule"]));
        assert!(!names_access(&["snapshots", "acces", "access_by_rules"]));
        assert!(!names_access(&["access", "access_by_rule"]));
    }
}
