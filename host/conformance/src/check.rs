//! Checks: sentences of the contract with calls that would show that they do not hold.

use crate::checks;
use crate::finding::Found;
use crate::stage::Stage;
use bulkhead_model::ability::{Abilities, Ability};
use futures::future::BoxFuture;

/// One sentence of the contract, and how it is tried.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Its name in reports; stays the same from version to version.
    pub id: &'static str,
    /// The function of the contract it is about, `interface.function`.
    pub function: &'static str,
    /// The sentence, word by word as it stands in `wit/`.
    pub sentence: &'static str,
    /// What a driver must export for the sentence to bind it; each item is a list of which one suffices.
    pub needs: &'static [&'static [Ability]],
    pub(crate) body: Body,
}

/// What a check does.
pub(crate) type Body = for<'stage> fn(&'stage Stage) -> BoxFuture<'stage, Found>;

impl Check {
    /// What of `needs` the driver lacks; none if it has it all.
    pub(crate) fn missing(&self, abilities: &Abilities) -> Option<String> {
        missing(self.needs, abilities)
    }
}

pub(crate) fn missing(needs: &[&[Ability]], abilities: &Abilities) -> Option<String> {
    let lacking = needs.iter().find(|choice| !choice.iter().any(|ability| abilities.has(*ability)))?;
    let names: Vec<&str> = lacking.iter().map(|ability| ability.interface()).collect();
    Some(names.join(" or "))
}

/// Every check of the kit, in the order in which they are made.
#[must_use]
pub fn all() -> Vec<Check> {
    [
        checks::lifecycle::CHECKS,
        checks::shares::CHECKS,
        checks::ensure::CHECKS,
        checks::access::CHECKS,
        checks::snapshots::CHECKS,
        checks::copies::CHECKS,
        checks::sizes::CHECKS,
        checks::manage::CHECKS,
        checks::mountable::CHECKS,
        checks::groups::CHECKS,
        checks::pending::CHECKS,
        checks::beside::CHECKS,
        checks::replication::CHECKS,
        checks::replicated::CHECKS,
        checks::migration::CHECKS,
        checks::moved::CHECKS,
        checks::servers::CHECKS,
        checks::server_updates::CHECKS,
    ]
    .concat()
}

/// What makes a [`Check`] out of an async function about a stage.
macro_rules! check {
    ($id:literal, $function:literal, [$($need:expr),*], $body:path, $sentence:literal) => {
        $crate::check::Check {
            id: $id,
            function: $function,
            sentence: $sentence,
            needs: &[$(&$need),*],
            body: |stage| Box::pin($body(stage)),
        }
    };
}
pub(crate) use check;
