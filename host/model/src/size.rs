//! Sizes of shares.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A share's size: whole GiB (2^30 bytes), from 1 to [`Gibibytes::LARGEST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Gibibytes(u64);

/// A number that is no share size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a size is a whole number of GiB from 1 to {largest}, not {0}", largest = Gibibytes::LARGEST)]
pub struct InvalidSize(pub i128);

impl Gibibytes {
    /// The largest size a share may have: 8 EiB less 1 GiB, so that its bytes fit a signed 64-bit number as every tool expects.
    pub const LARGEST: u64 = (1 << 33) - 1;
    /// The smallest size: 1 GiB.
    pub const SMALLEST: Self = Self(1);

    /// Check a number from outside.
    pub fn new(gib: u64) -> Result<Self, InvalidSize> {
        if (1..=Self::LARGEST).contains(&gib) { Ok(Self(gib)) } else { Err(InvalidSize(i128::from(gib))) }
    }

    /// The number of GiB.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0 << 30
    }
}

impl TryFrom<u64> for Gibibytes {
    type Error = InvalidSize;

    fn try_from(gib: u64) -> Result<Self, Self::Error> {
        Self::new(gib)
    }
}

impl From<Gibibytes> for u64 {
    fn from(size: Gibibytes) -> u64 {
        size.0
    }
}

impl fmt::Display for Gibibytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} GiB", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_at_least_one_and_its_bytes_never_overflow() {
        assert!(Gibibytes::new(0).is_err());
        assert!(Gibibytes::new(Gibibytes::LARGEST + 1).is_err());
        assert!(Gibibytes::new(u64::MAX).is_err());
        let largest = Gibibytes::new(Gibibytes::LARGEST).expect("the largest size is a size");
        assert!(i64::try_from(largest.bytes()).is_ok());
    }
}
