//! Calls on a group's private bus, as daemon and helper speak of them.

use super::{GroupKey, RootBinding, SlotArgument};
use bulkhead_model::id::Label;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most basic values of one reply that are passed on.
pub const MOST_ITEMS: usize = 100_000;
/// The most bytes of text in one reply that are passed on.
pub const LARGEST_REPLY: usize = 1 << 20;

/// A method call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DbusRequest {
    /// Whose bus.
    pub group: GroupKey,
    /// The group's template, as the JSON its digest is taken of: says where its bus listens.
    pub group_template: String,
    /// The call's template, as the JSON its digest is taken of.
    pub template: String,
    /// The roots that path slots lie below.
    pub roots: BTreeMap<Label, RootBinding>,
    /// The value of each slot.
    pub slots: BTreeMap<Label, SlotArgument>,
    /// How long the answer may take, in milliseconds.
    pub timeout_ms: u64,
}

/// A basic value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum DbusValue {
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DbusItem {
    /// Position among the results, then in the array, structure, dictionary entry or variant there, and so on, from 0.
    pub position: Vec<u32>,
    /// The value.
    pub value: DbusValue,
}

/// What the called method answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum DbusReply {
    /// All basic values of its results, in order.
    Results(Vec<DbusItem>),
    /// It refused.
    Fault {
        /// The error's name.
        name: String,
        /// For people.
        message: String,
    },
}
