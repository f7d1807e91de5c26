//! Checked slots as the helper takes them. Used by `execute`, `job`, `service` and `dbus`.

use crate::slot::Filled;
use bulkhead_helper::protocol::{RootBinding, SecretText, SlotArgument};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::Label;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The slots of a template, with the roots that its path slots lie below.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arguments {
    pub(crate) roots: BTreeMap<Label, RootBinding>,
    pub(crate) slots: BTreeMap<Label, SlotArgument>,
    /// The slots in words, for the ledger.
    pub(crate) detail: String,
}

impl Arguments {
    /// Fails with `invalid-argument` for access rules, which do not leave the daemon this way, and for a secret that is no text.
    pub(crate) fn of(filled: &BTreeMap<Label, Filled>) -> Result<Self, CapabilityError> {
        let mut arguments = Self::default();
        for (label, value) in filled {
            let argument = argument(label, value)?;
            if let Filled::Path { at, .. } = value {
                arguments.roots.insert(at.root.name().clone(), at.root.binding()?);
            }
            describe(&mut arguments.detail, label, value, &argument);
            arguments.slots.insert(label.clone(), argument);
        }
        Ok(arguments)
    }
}

fn argument(label: &Label, value: &Filled) -> Result<SlotArgument, CapabilityError> {
    Ok(match value {
        Filled::Unsigned(number) => SlotArgument::Unsigned(*number),
        Filled::Signed(number) => SlotArgument::Signed(*number),
        Filled::Word(text) | Filled::Name(text) | Filled::Opaque(text) => SlotArgument::Text(text.clone()),
        Filled::Ip(address) => SlotArgument::Text(address.to_string()),
        Filled::Cidr(network) => SlotArgument::Text(network.to_string()),
        Filled::Uuid(uuid) => SlotArgument::Text(uuid.as_hyphenated().to_string()),
        Filled::Path { at, .. } => SlotArgument::Path(at.path.clone()),
        Filled::AccessRules(_) => {
            return Err(CapabilityError::new(
                CapabilityCode::InvalidArgument,
                format!("slot '{label}' is a list of access rules, which stands only in a file template"),
            ));
        }
        Filled::Secret { secret, .. } => match secret.expose_text() {
            Some(text) => SlotArgument::Secret(SecretText::new(text)),
            None => {
                return Err(CapabilityError::new(
                    CapabilityCode::InvalidArgument,
                    format!("the secret in slot '{label}' is not UTF-8, which standard input has to be"),
                ));
            }
        },
    })
}

fn describe(detail: &mut String, label: &Label, value: &Filled, argument: &SlotArgument) {
    let shown = match (value, argument) {
        (Filled::Path { at, .. }, _) => at.subject(),
        (Filled::Secret { reference, .. }, _) => format!("the secret {reference}"),
        (_, SlotArgument::Secret(_)) => "a secret".to_owned(),
        (_, SlotArgument::Unsigned(number)) => number.to_string(),
        (_, SlotArgument::Signed(number)) => number.to_string(),
        (_, SlotArgument::Text(text)) => text.clone(),
        (_, SlotArgument::Path(path)) => path.to_string(),
    };
    let separator = if detail.is_empty() { "" } else { " " };
    let _never_fails = write!(detail, "{separator}{label}={shown}").is_err();
}
