//! The driver functions that `driver call` can call, and what has to be called before each.

use bulkhead_model::ability::Ability;
use bulkhead_model::suggestion::nearest;
use std::fmt;
use std::str::FromStr;

/// A function of the contract that this host calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Setup,
    Stats,
    BackendInfo,
    IpVersions,
    CreateShare,
    DeleteShare,
    EnsureShares,
    UpdateAccess,
    CreateSnapshot,
    DeleteSnapshot,
    CreateShareFromSnapshot,
    RevertToSnapshot,
    ExtendShare,
    ShrinkShare,
}

impl Function {
    const ALL: [Self; 14] = [
        Self::Setup,
        Self::Stats,
        Self::BackendInfo,
        Self::IpVersions,
        Self::CreateShare,
        Self::DeleteShare,
        Self::EnsureShares,
        Self::UpdateAccess,
        Self::CreateSnapshot,
        Self::DeleteSnapshot,
        Self::CreateShareFromSnapshot,
        Self::RevertToSnapshot,
        Self::ExtendShare,
        Self::ShrinkShare,
    ];

    const fn interface(self) -> Ability {
        match self {
            Self::Setup | Self::Stats | Self::BackendInfo | Self::IpVersions => Ability::Lifecycle,
            Self::CreateShare | Self::DeleteShare | Self::EnsureShares => Ability::Shares,
            Self::UpdateAccess => Ability::Access,
            Self::CreateSnapshot | Self::DeleteSnapshot => Ability::Snapshots,
            Self::CreateShareFromSnapshot => Ability::ShareFromSnapshot,
            Self::RevertToSnapshot => Ability::Revert,
            Self::ExtendShare => Ability::Extend,
            Self::ShrinkShare => Ability::Shrink,
        }
    }

    /// The interfaces that have it: a driver needs one of them.
    pub(super) fn interfaces(self) -> Vec<Ability> {
        match self {
            Self::UpdateAccess => vec![Ability::Access, Ability::AccessByRule],
            other => vec![other.interface()],
        }
    }

    /// Its name without its interface.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Stats => "stats",
            Self::BackendInfo => "backend-info",
            Self::IpVersions => "ip-versions",
            Self::CreateShare => "create-share",
            Self::DeleteShare => "delete-share",
            Self::EnsureShares => "ensure-shares",
            Self::UpdateAccess => "update-access",
            Self::CreateSnapshot => "create-snapshot",
            Self::DeleteSnapshot => "delete-snapshot",
            Self::CreateShareFromSnapshot => "create-share-from-snapshot",
            Self::RevertToSnapshot => "revert-to-snapshot",
            Self::ExtendShare => "extend-share",
            Self::ShrinkShare => "shrink-share",
        }
    }

    /// What makes the resources that this function is about. Nothing is kept from call to call, so they are made anew each time.
    pub(super) fn before(self) -> Vec<Self> {
        match self {
            Self::Setup | Self::Stats | Self::BackendInfo | Self::IpVersions | Self::CreateShare => {
                Vec::new()
            }
            Self::DeleteShare
            | Self::EnsureShares
            | Self::UpdateAccess
            | Self::CreateSnapshot
            | Self::ExtendShare
            | Self::ShrinkShare => vec![Self::CreateShare],
            Self::DeleteSnapshot | Self::CreateShareFromSnapshot | Self::RevertToSnapshot => {
                vec![Self::CreateShare, Self::CreateSnapshot]
            }
        }
    }
}

impl fmt::Display for Function {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.interface(), self.name())
    }
}

impl FromStr for Function {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = |function: &Self| function.name() == text || function.to_string() == text;
        if let Some(function) = Self::ALL.into_iter().find(named) {
            return Ok(function);
        }
        if ["allow-access", "deny-access"].iter().any(|name| text.ends_with(name)) {
            return Err("call update-access: the host asks a driver with access-by-rule once for each rule"
                .to_owned());
        }
        let name = text.rsplit_once('.').map_or(text, |(_, name)| name);
        let names = Self::ALL.map(Self::name);
        Err(match nearest(name, names) {
            Some(near) => format!("this host calls no such function; did you mean '{near}'?"),
            None => format!("this host calls {}", names.join(", ")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_named_with_or_without_its_interface() {
        for function in Function::ALL {
            assert_eq!(function.to_string().parse(), Ok(function));
            assert_eq!(function.name().parse(), Ok(function));
        }
        assert!("snapshots.create-share".parse::<Function>().is_err());
    }

    #[test]
    fn a_slip_brings_a_suggestion_and_the_older_way_its_name() {
        assert!(
            "shares.creat-share"
                .parse::<Function>()
                .is_err_and(|told| told.contains("did you mean 'create-share'?"))
        );
        assert!("allow-access".parse::<Function>().is_err_and(|told| told.contains("update-access")));
    }

    #[test]
    fn what_comes_before_comes_before_itself_in_order() {
        for function in Function::ALL {
            let before = function.before();
            assert!(!before.contains(&function));
            if let Some(last) = before.last() {
                assert_eq!(last.before(), before[..before.len() - 1]);
            }
        }
    }
}
