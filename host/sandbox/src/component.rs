//! A driver that is compiled and linked: what all generations of it share, whatever backend they serve.

use crate::state::State;
use bulkhead_model::ability::{Abilities, Ability};
use bulkhead_model::id::Digest;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use wasmtime::component::{ComponentExportIndex, InstancePre};

/// A loaded driver. Clones share one; the engine keeps it as long as somebody has it.
#[derive(Clone)]
pub struct Component(Arc<Loaded>);

/// What loading found.
pub(crate) struct Loaded {
    pub(crate) digest: Digest,
    pub(crate) abilities: Abilities,
    /// Linked, so that an instance is made without looking anything up.
    pub(crate) prepared: InstancePre<State>,
    /// The functions by their labels, `interface.function`.
    pub(crate) functions: BTreeMap<&'static str, ComponentExportIndex>,
}

impl Component {
    pub(crate) fn new(loaded: Loaded) -> Self {
        Self(Arc::new(loaded))
    }

    /// The digest of its bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// What it exports, driven by this host or not.
    #[must_use]
    pub fn abilities(&self) -> &Abilities {
        &self.0.abilities
    }

    pub(crate) fn has(&self, ability: Ability) -> bool {
        self.0.abilities.has(ability)
    }

    pub(crate) fn prepared(&self) -> &InstancePre<State> {
        &self.0.prepared
    }

    /// The function with this label; none if the component does not export its interface.
    pub(crate) fn function(&self, label: &str) -> Option<ComponentExportIndex> {
        self.0.functions.get(label).copied()
    }

    /// Whether somebody beside the engine has it.
    pub(crate) fn is_used(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    #[cfg(test)]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Component")
            .field("digest", &self.0.digest)
            .field("abilities", &self.0.abilities)
            .finish_non_exhaustive()
    }
}
