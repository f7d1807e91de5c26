//! The options that every backend has whatever its driver declares: Manila's `share_opts` (contract 1.1).
//!
//! `package` validates what the operator sets against these beside the manifest's own; `capability` answers with their defaults.

use crate::manifest::{OptionDeclaration, OptionType, OptionValue};
use std::collections::BTreeMap;

/// The inherited options. The obsolete `migration_readonly_rules_support` is left out: Manila has dropped it.
#[must_use]
pub fn share_opts() -> Vec<OptionDeclaration> {
    let mut options = scheduling();
    options.extend(host_side());
    options
}

fn scheduling() -> Vec<OptionDeclaration> {
    let text = |name, help| declare(name, OptionType::String, None, help);
    let number =
        |name, default, help| declare(name, OptionType::Integer, Some(OptionValue::Integer(default)), help);
    let ratio = Some(OptionValue::Float(20.0));
    vec![
        bounded(
            Some(0.0),
            Some(100.0),
            number("reserved_share_percentage", 0, "percent of the capacity to keep free"),
        ),
        bounded(
            Some(0.0),
            Some(100.0),
            number(
                "reserved_share_from_snapshot_percentage",
                0,
                "percent of the capacity to keep free of shares made from snapshots",
            ),
        ),
        bounded(
            Some(0.0),
            Some(100.0),
            number(
                "reserved_share_extend_percentage",
                0,
                "percent of the capacity to keep free of shares that are extended",
            ),
        ),
        bounded(
            Some(1.0),
            None,
            declare(
                "max_over_subscription_ratio",
                OptionType::Float,
                ratio,
                "how many times thin pools promise their capacity",
            ),
        ),
        text("share_backend_name", "the name reported in statistics"),
        text(
            "replication_domain",
            "equal on all backends that can replicate with each other; none: no replication",
        ),
        text("backend_availability_zone", "the availability zone of this backend"),
        text("filter_function", "an expression by which the scheduler accepts or refuses this backend"),
        text("goodness_function", "an expression that yields a weight from 0 to 100"),
    ]
}

fn host_side() -> Vec<OptionDeclaration> {
    let number =
        |name, default, help| declare(name, OptionType::Integer, Some(OptionValue::Integer(default)), help);
    let text = |name, default: Option<&str>, help| {
        declare(name, OptionType::String, default.map(|text| OptionValue::Text(text.to_owned())), help)
    };
    let mapping =
        [("ip", "nfs"), ("user", "cifs")].map(|(access, protocol)| (access.to_owned(), protocol.to_owned()));
    let tries =
        number("num_shell_tries", 3, "how many times a command that may be repeated is run before giving up");
    vec![
        bounded(Some(1.0), None, tries),
        bounded(
            Some(-1.0),
            None,
            number("max_shares_per_share_server", -1, "the most shares on a share server; -1: no limit"),
        ),
        bounded(
            Some(-1.0),
            None,
            number(
                "max_share_server_size",
                -1,
                "the most GiB of shares and snapshots on a share server; -1: no limit",
            ),
        ),
        text("network_config_group", None, "the group of the user network plugin's options"),
        text("admin_network_config_group", None, "the group of the admin network plugin's options"),
        declare(
            "driver_handles_share_servers",
            OptionType::Boolean,
            None,
            "whether the driver makes a share server for each tenant network",
        ),
        declare(
            "migration_ignore_files",
            OptionType::List,
            Some(OptionValue::List(vec!["lost+found".to_owned()])),
            "names that a host-assisted copy leaves out",
        ),
        text(
            "share_mount_template",
            Some("mount -vt %(proto)s %(options)s %(export)s %(path)s"),
            "how the data service mounts a share",
        ),
        text("share_unmount_template", Some("umount -v %(path)s"), "how the data service unmounts a share"),
        declare(
            "protocol_access_mapping",
            OptionType::Map,
            Some(OptionValue::Map(BTreeMap::from(mapping))),
            "which access type works for which protocols",
        ),
    ]
}

fn bounded(min: Option<f64>, max: Option<f64>, option: OptionDeclaration) -> OptionDeclaration {
    OptionDeclaration { min, max, ..option }
}

fn declare(
    name: &str,
    option_type: OptionType,
    default: Option<OptionValue>,
    help: &str,
) -> OptionDeclaration {
    OptionDeclaration {
        name: name.to_owned(),
        option_type,
        default,
        min: None,
        max: None,
        choices: Vec::new(),
        required: false,
        peer: false,
        help: help.to_owned(),
        deprecated_names: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_base_option_has_one_name_and_a_help() {
        let options = share_opts();
        let names: BTreeSet<_> = options.iter().map(|option| option.name.as_str()).collect();
        assert_eq!(names.len(), options.len());
        assert!(options.iter().all(|option| !option.help.is_empty()));
    }
}
