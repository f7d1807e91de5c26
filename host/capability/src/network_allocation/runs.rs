//! The index of addresses that are not free, as runs without a gap: the lowest free address is found in logarithmic time, however full a
//! network is, and taking or freeing one costs as little.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses of both versions that are not free.
#[derive(Debug, Default)]
pub(super) struct Taken {
    v4: Runs,
    v6: Runs,
}

impl Taken {
    /// Take an address; false if it was taken.
    pub(super) fn take(&mut self, address: IpAddr) -> bool {
        let number = number(address);
        self.of_mut(address).take(number)
    }

    /// Free an address; false if it was free.
    pub(super) fn free(&mut self, address: IpAddr) -> bool {
        let number = number(address);
        self.of_mut(address).free(number)
    }

    /// The lowest free address from `first` to `last`.
    pub(super) fn lowest_free(&self, first: IpAddr, last: IpAddr) -> Option<IpAddr> {
        let free = self.of(first).lowest_free(number(first))?;
        (free <= number(last)).then(|| address(free, first))
    }

    /// How many addresses from `first` to `last` are taken.
    pub(super) fn count(&self, first: IpAddr, last: IpAddr) -> u128 {
        self.of(first).count(number(first), number(last))
    }

    const fn of(&self, address: IpAddr) -> &Runs {
        match address {
            IpAddr::V4(_) => &self.v4,
            IpAddr::V6(_) => &self.v6,
        }
    }

    const fn of_mut(&mut self, address: IpAddr) -> &mut Runs {
        match address {
            IpAddr::V4(_) => &mut self.v4,
            IpAddr::V6(_) => &mut self.v6,
        }
    }
}

/// The address after this one; none after the last.
pub(super) fn next(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => u32::from(v4).checked_add(1).map(|next| Ipv4Addr::from(next).into()),
        IpAddr::V6(v6) => u128::from(v6).checked_add(1).map(|next| Ipv6Addr::from(next).into()),
    }
}

/// How many addresses there are from `first` to `last`, at most all but one of IPv6.
pub(super) fn size(first: IpAddr, last: IpAddr) -> u128 {
    number(last).saturating_sub(number(first)).saturating_add(1)
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// The address with this number, of the version of `like`.
fn address(number: u128, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).into(),
        IpAddr::V6(_) => Ipv6Addr::from(number).into(),
    }
}

/// Runs by their first number; no two touch.
#[derive(Debug, Default)]
struct Runs(BTreeMap<u128, u128>);

impl Runs {
    /// The run that holds `number`.
    fn around(&self, number: u128) -> Option<(u128, u128)> {
        let (first, last) = self.0.range(..=number).next_back()?;
        (number <= *last).then_some((*first, *last))
    }

    fn take(&mut self, number: u128) -> bool {
        if self.around(number).is_some() {
            return false;
        }
        let (mut first, mut last) = (number, number);
        if let Some((before, _)) = number.checked_sub(1).and_then(|before| self.around(before)) {
            first = before;
        }
        if let Some(after) = number.checked_add(1).and_then(|after| self.0.remove(&after)) {
            last = after;
        }
        self.0.insert(first, last);
        true
    }

    fn free(&mut self, number: u128) -> bool {
        let Some((first, last)) = self.around(number) else { return false };
        self.0.remove(&first);
        if let Some(before) = number.checked_sub(1).filter(|before| first <= *before) {
            self.0.insert(first, before);
        }
        if let Some(after) = number.checked_add(1).filter(|after| *after <= last) {
            self.0.insert(after, last);
        }
        true
    }

    fn lowest_free(&self, from: u128) -> Option<u128> {
        self.around(from).map_or(Some(from), |(_, last)| last.checked_add(1))
    }

    fn count(&self, first: u128, last: u128) -> u128 {
        let begun_before = self.around(first);
        let inside = self.0.range(first..=last).map(|(start, end)| (*start, *end));
        let before = begun_before.filter(|(start, _)| *start < first);
        before
            .into_iter()
            .chain(inside)
            .map(|(start, end)| end.min(last).saturating_sub(start.max(first)).saturating_add(1))
            .fold(0, u128::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn runs_are_a_set_of_numbers(steps in prop::collection::vec((any::<bool>(), 0_u128..24), 0..200)) {
            let (mut runs, mut set) = (Runs::default(), BTreeSet::new());
            for (takes, number) in steps {
                if takes {
                    prop_assert_eq!(runs.take(number), set.insert(number));
                } else {
                    prop_assert_eq!(runs.free(number), set.remove(&number));
                }
                let lowest = (0..).find(|number| !set.contains(number));
                prop_assert_eq!(runs.lowest_free(0), lowest);
                let inside = set.range(3..=17).count();
                prop_assert_eq!(runs.count(3, 17), u128::try_from(inside).unwrap_or(u128::MAX));
                let touching = runs.0.iter().zip(runs.0.keys().skip(1)).any(|((_, last), next)| last + 1 >= *next);
                prop_assert!(!touching);
            }
        }
    }

    #[test]
    fn the_ends_of_both_versions_are_addresses_like_others() {
        let mut taken = Taken::default();
        for last in ["255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] {
            let last: IpAddr = last.parse().expect("an address");
            assert!(taken.take(last) && !taken.take(last));
            assert_eq!(taken.lowest_free(last, last), None);
            assert_eq!(next(last), None);
            assert!(taken.free(last) && !taken.free(last));
        }
        let zero: IpAddr = "::".parse().expect("an address");
        assert!(taken.take(zero));
        assert_eq!(taken.lowest_free(zero, zero), None);
    }
}
