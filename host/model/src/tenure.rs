//! Which copy of which state holds something that only one may hold.
//!
//! A state is copied by `store backup`; a copy that is put back by `store restore` succeeds it: the next term, under a holder of its own.
//! Whoever holds an earlier term of the same state gives way. Two copies that were put back from one backup have the same term and different
//! holders: the first that comes keeps what it took.

use crate::id::InvalidId;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// A state, its term, and who holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tenure {
    state: Uuid,
    term: u64,
    holder: Uuid,
}

impl Tenure {
    /// That of a new state.
    #[must_use]
    pub fn first() -> Self {
        Self { state: Uuid::new_v4(), term: 1, holder: Uuid::new_v4() }
    }

    /// That of a copy which is put back.
    #[must_use]
    pub fn succeeded(self) -> Self {
        Self { state: self.state, term: self.term.saturating_add(1), holder: Uuid::new_v4() }
    }

    /// Whether what `other` holds is out of reach for this one: a later term of the same state, or another holder of the same term.
    #[must_use]
    pub fn gives_way_to(self, other: Self) -> bool {
        self.state == other.state && self.holder != other.holder && self.term <= other.term
    }

    /// Whether this one takes from `other` what it holds: an earlier term of the same state.
    #[must_use]
    pub fn takes_from(self, other: Self) -> bool {
        self.state == other.state && self.term > other.term
    }
}

impl fmt::Display for Tenure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/{}", self.state, self.term, self.holder)
    }
}

impl FromStr for Tenure {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('/');
        let mut next = || parts.next().unwrap_or_default();
        let parsed = (next().parse(), next().parse(), next().parse());
        match (parsed, parts.next()) {
            ((Ok(state), Ok(term), Ok(holder)), None) => Ok(Self { state, term, holder }),
            _ => Err(InvalidId::new(text, "tenure (state/term/holder)")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_is_put_back_takes_from_the_old_one_which_gives_way() {
        let old = Tenure::first();
        let new = old.succeeded();
        assert!(new.takes_from(old) && old.gives_way_to(new));
        assert!(!old.takes_from(new) && !new.gives_way_to(old));
        assert!(!old.gives_way_to(old) && !old.takes_from(old));
    }

    #[test]
    fn of_two_copies_of_one_backup_the_first_that_comes_keeps_what_it_took() {
        let old = Tenure::first();
        let (one, other) = (old.succeeded(), old.succeeded());
        assert!(one.gives_way_to(other) && other.gives_way_to(one));
        assert!(!one.takes_from(other) && !other.takes_from(one));
    }

    #[test]
    fn different_states_have_nothing_to_do_with_each_other() {
        let (one, other) = (Tenure::first(), Tenure::first());
        assert!(!one.gives_way_to(other) && !one.takes_from(other.succeeded()));
    }

    #[test]
    fn a_tenure_prints_as_it_parses_and_nothing_else_does() {
        let tenure = Tenure::first().succeeded();
        assert_eq!(tenure.to_string().parse::<Tenure>().expect("its own words"), tenure);
        for text in ["", "/", "a/1/b", &format!("{tenure}/x"), &tenure.to_string().replace("/2/", "/two/")] {
            assert!(text.parse::<Tenure>().is_err(), "{text}");
        }
    }
}
