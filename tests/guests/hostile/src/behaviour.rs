//! What the driver is told to do wrong, in this call.

use crate::victim::{self, Seen};
use crate::{attack, harm};
use bulkhead_sdk::{Resource, Result, Share, Snapshot, config};

/// The behaviour of one call.
#[derive(Debug)]
pub(crate) struct Told {
    behaviour: String,
    /// What this call is about: everything else ever seen is a victim.
    own: Vec<Resource>,
    victims: Seen,
}

/// Functions that keep a backend usable: a behaviour without `@FUNCTION` leaves them alone.
const SPARED: [&str; 4] = ["setup", "stats", "backend-info", "ip-versions"];

impl Told {
    /// A call about nothing.
    pub(crate) fn in_function(function: &str) -> Result<Self> {
        Self::new(function, None, Vec::new())
    }

    /// A call about one share, which is remembered.
    pub(crate) fn about_share(function: &str, share: &Share) -> Result<Self> {
        victim::remember_share(share)?;
        Self::new(function, told_by(share), vec![Resource::from(share)])
    }

    /// A call about many shares.
    pub(crate) fn about_shares(function: &str, shares: &[Share]) -> Result<Self> {
        Self::new(function, shares.iter().find_map(told_by), shares.iter().map(Resource::from).collect())
    }

    /// A call about one snapshot, which is remembered.
    pub(crate) fn about_snapshot(function: &str, snapshot: &Snapshot) -> Result<Self> {
        victim::remember_snapshot(snapshot)?;
        let own = vec![Resource::from(snapshot), Resource::from(&snapshot.share)];
        Self::new(function, told_by(&snapshot.share), own)
    }

    fn new(function: &str, by_share: Option<String>, own: Vec<Resource>) -> Result<Self> {
        let text = match by_share {
            Some(text) => text,
            None => config::text("behaviour")?.unwrap_or_default(),
        };
        let (behaviour, place) = text.split_once('@').unwrap_or((&text, ""));
        let applies = if place.is_empty() { !SPARED.contains(&function) } else { place == function };
        let behaviour = if applies { behaviour.to_owned() } else { "none".to_owned() };
        let victims = if behaviour == "foreign" { victim::seen_beside(&own)? } else { Seen::default() };
        Ok(Self { behaviour, own, victims })
    }

    /// Whether this call is told to do `behaviour`.
    pub(crate) fn is(&self, behaviour: &str) -> bool {
        self.behaviour == behaviour
    }

    /// Do it. Comes back where the behaviour is about the answer, or has been refused as it must be.
    pub(crate) fn act(&self) -> Result<()> {
        harm::act(self)?;
        if self.is("foreign") {
            attack::name_others(&self.victims, &self.own)?;
        }
        if self.is("escape") {
            attack::escape()?;
        }
        Ok(())
    }
}

/// A share may carry its own behaviour: in its metadata, or in its type's extra specs.
fn told_by(share: &Share) -> Option<String> {
    let mut pairs = share.metadata.iter().chain(&share.extra_specs);
    pairs.find(|(key, _)| key == "behaviour").map(|(_, value)| value.clone())
}
