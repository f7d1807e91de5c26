//! What a driver puts into the slots of a template. The host checks every value against the slot's declared type and prints it for
//! the place it stands in; access rules and names come from the host itself.

use crate::resource::Resource;

/// The slots of a template, filled: `Slots::new().path("from", "{share}").bytes("size", 1 << 30)`.
///
/// A slot of type `access-rules` is not filled: the host puts in the rules of the call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slots {
    values: Vec<(String, SlotValue)>,
}

/// What stands in a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SlotValue {
    Unsigned(u64),
    Signed(i64),
    Text(String),
    Path { pattern: String, of: Option<Resource> },
    NameOf(Resource),
    Secret(String),
}

impl Slots {
    /// No slots yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For slots of type `bytes`, `gib` and `port`.
    #[must_use]
    pub fn unsigned(self, name: &str, value: u64) -> Self {
        self.with(name, SlotValue::Unsigned(value))
    }

    /// For slots of type `integer`.
    #[must_use]
    pub fn signed(self, name: &str, value: i64) -> Self {
        self.with(name, SlotValue::Signed(value))
    }

    /// For slots of type `enum`, `ip`, `cidr`, `uuid` and `opaque`; at most 4,096 bytes.
    #[must_use]
    pub fn text(self, name: &str, value: impl Into<String>) -> Self {
        self.with(name, SlotValue::Text(value.into()))
    }

    /// For slots of type `path`: one of the patterns the slot declares, letter by letter, about the call's own subject.
    #[must_use]
    pub fn path(self, name: &str, pattern: &str) -> Self {
        self.with(name, SlotValue::Path { pattern: pattern.to_owned(), of: None })
    }

    /// As [`Slots::path`], about another resource of the call.
    #[must_use]
    pub fn path_of(self, name: &str, pattern: &str, resource: impl Into<Resource>) -> Self {
        self.with(name, SlotValue::Path { pattern: pattern.to_owned(), of: Some(resource.into()) })
    }

    /// For slots of type `name`: the host-derived name of a resource.
    #[must_use]
    pub fn name_of(self, name: &str, resource: impl Into<Resource>) -> Self {
        self.with(name, SlotValue::NameOf(resource.into()))
    }

    /// For slots of type `secret`: a [`Secret`](crate::secret::Secret), or the name of an option of type `secret`, that the slot's `of`
    /// names. The bytes stay in the host.
    #[must_use]
    pub fn secret(self, name: &str, secret: impl Into<String>) -> Self {
        self.with(name, SlotValue::Secret(secret.into()))
    }

    fn with(mut self, name: &str, value: SlotValue) -> Self {
        self.values.push((name.to_owned(), value));
        self
    }

    /// The resources that slots name, the call's own subject aside.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.values.iter().filter_map(|(_, value)| match value {
            SlotValue::Path { of, .. } => of.as_ref(),
            SlotValue::NameOf(resource) => Some(resource),
            _ => None,
        })
    }

    /// The patterns of the slots that hold paths, and whose they are.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn paths(&self) -> impl Iterator<Item = (&str, Option<&Resource>)> {
        self.values.iter().filter_map(|(_, value)| match value {
            SlotValue::Path { pattern, of } => Some((pattern.as_str(), of.as_ref())),
            _ => None,
        })
    }

    /// The names of the filled slots.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|(name, _)| name.as_str())
    }

    /// The slots whose names are wanted.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn only(&self, is_wanted: impl Fn(&str) -> bool) -> Self {
        Self { values: self.values.iter().filter(|(name, _)| is_wanted(name)).cloned().collect() }
    }

    pub(crate) fn into_values(self) -> Vec<(String, SlotValue)> {
        self.values
    }
}
