//! What wit-bindgen makes of the contract: one module per world, so that a component exports only what it names. Private: drivers
//! see Rust types of this crate, macros reach the export macros through `__internal`.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::too_many_arguments,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

macro_rules! optional_export {
    ($module:ident, $world:literal, $export_macro:literal, $bindings:literal) => {
        pub mod $module {
            wit_bindgen::generate!({
                world: $world,
                path: "wit",
                with: {
                    "bulkhead:driver/types@0.1.0": crate::bindings::base::bulkhead::driver::types,
                    "bulkhead:host/types@0.1.0": crate::bindings::base::bulkhead::host::types,
                },
                pub_export_macro: true,
                export_macro_name: $export_macro,
                default_bindings_module: $bindings,
            });
        }
    };
}

/// The required exports, all imports, and the records that everything shares.
pub mod base {
    wit_bindgen::generate!({
        world: "bulkhead:driver/driver",
        path: "wit",
        generate_all,
        generate_unused_types: true,
        pub_export_macro: true,
        export_macro_name: "export_base",
        default_bindings_module: "bulkhead_sdk::__internal::base",
    });
}

optional_export!(access, "bulkhead:driver/with-access", "export_access", "bulkhead_sdk::__internal::access");
optional_export!(
    access_by_rule,
    "bulkhead:driver/with-access-by-rule",
    "export_access_by_rule",
    "bulkhead_sdk::__internal::access_by_rule"
);
optional_export!(
    snapshots,
    "bulkhead:driver/with-snapshots",
    "export_snapshots",
    "bulkhead_sdk::__internal::snapshots"
);
optional_export!(
    share_from_snapshot,
    "bulkhead:driver/with-share-from-snapshot",
    "export_share_from_snapshot",
    "bulkhead_sdk::__internal::share_from_snapshot"
);
optional_export!(revert, "bulkhead:driver/with-revert", "export_revert", "bulkhead_sdk::__internal::revert");
optional_export!(extend, "bulkhead:driver/with-extend", "export_extend", "bulkhead_sdk::__internal::extend");
optional_export!(shrink, "bulkhead:driver/with-shrink", "export_shrink", "bulkhead_sdk::__internal::shrink");
optional_export!(manage, "bulkhead:driver/with-manage", "export_manage", "bulkhead_sdk::__internal::manage");
optional_export!(
    manage_snapshots,
    "bulkhead:driver/with-manage-snapshots",
    "export_manage_snapshots",
    "bulkhead_sdk::__internal::manage_snapshots"
);
optional_export!(
    mountable_snapshots,
    "bulkhead:driver/with-mountable-snapshots",
    "export_mountable_snapshots",
    "bulkhead_sdk::__internal::mountable_snapshots"
);
optional_export!(
    migration,
    "bulkhead:driver/with-migration",
    "export_migration",
    "bulkhead_sdk::__internal::migration"
);
optional_export!(
    share_groups,
    "bulkhead:driver/with-share-groups",
    "export_share_groups",
    "bulkhead_sdk::__internal::share_groups"
);
optional_export!(
    group_snapshots,
    "bulkhead:driver/with-group-snapshots",
    "export_group_snapshots",
    "bulkhead_sdk::__internal::group_snapshots"
);
optional_export!(
    periodic_hook,
    "bulkhead:driver/with-periodic-hook",
    "export_periodic_hook",
    "bulkhead_sdk::__internal::periodic_hook"
);
optional_export!(
    share_status,
    "bulkhead:driver/with-share-status",
    "export_share_status",
    "bulkhead_sdk::__internal::share_status"
);
optional_export!(
    metadata_updates,
    "bulkhead:driver/with-metadata-updates",
    "export_metadata_updates",
    "bulkhead_sdk::__internal::metadata_updates"
);
optional_export!(
    share_servers,
    "bulkhead:driver/with-share-servers",
    "export_share_servers",
    "bulkhead_sdk::__internal::share_servers"
);
optional_export!(
    manage_servers,
    "bulkhead:driver/with-manage-servers",
    "export_manage_servers",
    "bulkhead_sdk::__internal::manage_servers"
);
optional_export!(
    server_updates,
    "bulkhead:driver/with-server-updates",
    "export_server_updates",
    "bulkhead_sdk::__internal::server_updates"
);
optional_export!(usage, "bulkhead:driver/with-usage", "export_usage", "bulkhead_sdk::__internal::usage");
optional_export!(
    replication,
    "bulkhead:driver/with-replication",
    "export_replication",
    "bulkhead_sdk::__internal::replication"
);
optional_export!(
    replicated_snapshots,
    "bulkhead:driver/with-replicated-snapshots",
    "export_replicated_snapshots",
    "bulkhead_sdk::__internal::replicated_snapshots"
);
optional_export!(
    replicated_revert,
    "bulkhead:driver/with-replicated-revert",
    "export_replicated_revert",
    "bulkhead_sdk::__internal::replicated_revert"
);
