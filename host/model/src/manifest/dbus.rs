//! `[[dbus]]`: a typed call on the private bus of a service group.

use super::{CommandEffect, Repeat, SlotType, TemplateScope};
use crate::id::{Digest, Label};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `[[dbus]]`: a named method call with typed slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DbusTemplate {
    /// Its name.
    pub name: Label,
    /// Why the driver needs it.
    pub reason: String,
    /// What it does.
    pub effect: CommandEffect,
    /// Whether it may be repeated.
    pub repeat: Repeat,
    /// The group whose bus it goes to.
    pub group: Label,
    /// The bus name of who is called.
    pub destination: String,
    /// The object.
    pub path: String,
    /// The interface.
    pub interface: String,
    /// The method.
    pub method: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<DbusArgument>,
    /// The types of its slots.
    #[serde(default)]
    pub slots: BTreeMap<Label, SlotType>,
    /// How far it reaches.
    #[serde(default)]
    pub scope: TemplateScope,
    /// How long the answer may take, in seconds (30).
    #[serde(default = "thirty")]
    pub timeout: u64,
}

const fn thirty() -> u64 {
    30
}

/// One argument of a method call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DbusArgument {
    /// Its type.
    #[serde(rename = "type")]
    pub argument_type: DbusType,
    /// Its value; `{slot}` is a place to fill. Of a number: digits, or one slot alone.
    pub value: String,
}

/// A basic type of D-Bus, by its letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DbusType {
    /// Text.
    #[serde(rename = "s")]
    Text,
    /// True or false.
    #[serde(rename = "b")]
    Boolean,
    /// 8 bits, unsigned.
    #[serde(rename = "y")]
    Byte,
    /// 16 bits, unsigned.
    #[serde(rename = "q")]
    Unsigned16,
    /// 32 bits, unsigned.
    #[serde(rename = "u")]
    Unsigned32,
    /// 64 bits, unsigned.
    #[serde(rename = "t")]
    Unsigned64,
    /// 16 bits, signed.
    #[serde(rename = "n")]
    Signed16,
    /// 32 bits, signed.
    #[serde(rename = "i")]
    Signed32,
    /// 64 bits, signed.
    #[serde(rename = "x")]
    Signed64,
}

impl DbusTemplate {
    /// The hash of its canonical form, by which a grant pins it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        crate::canonical::digest("bulkhead:template:dbus", self)
    }
}
