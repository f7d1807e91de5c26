//! `[[option]]`: what operators may set for a driver.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The type of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptionType {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A finite number.
    Float,
    /// True or false.
    Boolean,
    /// A list of texts.
    List,
    /// Texts by text.
    Map,
    /// One of `choices`.
    Enum,
    /// A reference to a secret, never its text.
    Secret,
}

/// `[[option]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OptionDeclaration {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub option_type: OptionType,
    /// What holds if the operator sets nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<OptionValue>,
    /// Smallest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Largest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// For `enum`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// Whether the operator must set it.
    #[serde(default)]
    pub required: bool,
    /// Whether a replication peer may read it.
    #[serde(default)]
    pub peer: bool,
    /// What it is for.
    pub help: String,
    /// Names it had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deprecated_names: Vec<String>,
}

/// The value of an option, as TOML spells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OptionValue {
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// Text, a choice, or a secret's name.
    Text(String),
    /// A list.
    List(Vec<String>),
    /// A map.
    Map(BTreeMap<String, String>),
}
