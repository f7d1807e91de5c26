//! Typed calls on the private bus of a service group, as `driver.toml` declares them in `[[dbus]]`. The machine's bus is out of reach.

use crate::capability::CapabilityError;
use crate::host::{Host, host};
use crate::service::Instance;
use crate::slots::Slots;

/// A basic value of a reply.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Types `y`, `q`, `u`, `t`.
    Unsigned(u64),
    /// Types `n`, `i`, `x`.
    Signed(i64),
    /// Type `d`.
    Double(f64),
    /// Type `b`.
    Boolean(bool),
    /// Types `s`, `o`, `g`.
    Text(String),
}

/// A basic value with its place in the reply.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The way to it: position among the results, then in the array, structure, dictionary entry or variant there, and so on, from 0.
    pub position: Vec<u32>,
    /// The value.
    pub value: Value,
}

/// An error that the called method returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its name, for example `org.freedesktop.DBus.Error.InvalidArgs`.
    pub name: String,
    /// For people.
    pub message: String,
}

/// What the called method answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// All basic values of its results, in order. Empty arrays leave nothing.
    Results(Vec<Item>),
    /// It refused.
    Fault(Fault),
}

impl Reply {
    /// The value at `position`; none if the method refused or nothing stands there.
    #[must_use]
    pub fn value(&self, position: &[u32]) -> Option<&Value> {
        match self {
            Self::Results(items) => {
                items.iter().find(|item| item.position == position).map(|item| &item.value)
            }
            Self::Fault(_) => None,
        }
    }

    /// The refusal, if it is one.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Fault(fault) => Some(fault),
            Self::Results(_) => None,
        }
    }
}

/// Make the call `template` once, on the bus of its group's instance `owner`.
///
/// Idempotent exactly where its `repeat` says `safe`. A refusal of the called method is an answer. Fails with `denied`,
/// `invalid-argument`, `unavailable` if the group, its bus or the destination does not run (nothing was sent), `outcome-unknown` if the
/// bus broke before the answer, `timed-out`, `busy`, `limit-exceeded`.
pub fn call(template: &str, owner: &Instance, slots: Slots) -> Result<Reply, CapabilityError> {
    host().call_dbus(template, owner, slots)
}
