//! Waits between repeats: doubled every time, bounded, with jitter so that many who failed together do not come back together.

use std::time::Duration;

/// A growing wait.
#[derive(Debug)]
pub(crate) struct Waits {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Waits {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// The next wait: what is due, less up to a quarter.
    pub(crate) fn next(&mut self) -> Duration {
        let due = self.next.min(self.longest);
        self.next = due.saturating_mul(2).min(self.longest);
        jittered(due)
    }

    /// Begin again with the first wait.
    pub(crate) const fn reset(&mut self) {
        self.next = self.first;
    }
}

/// A wait, less up to a quarter.
pub(crate) fn jittered(due: Duration) -> Duration {
    // A random id is as good a die as any.
    let [die, ..] = *uuid::Uuid::new_v4().as_bytes();
    due - due.mul_f64(f64::from(die) / f64::from(u8::MAX) / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_jitter_takes_at_most_a_quarter() {
        let mut waits = Waits::new(Duration::from_secs(2), Duration::from_secs(600));
        for due in [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600] {
            let wait = waits.next();
            assert!(wait <= Duration::from_secs(due), "{wait:?} of {due}");
            assert!(wait >= Duration::from_secs(due).mul_f64(0.74), "{wait:?} of {due}");
        }
        waits.reset();
        assert!(waits.next() <= Duration::from_secs(2));
    }
}
