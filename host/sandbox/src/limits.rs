//! What one call may use of the host, and the limiter that the engine asks before it hands out memory, tables and instances.
//!
//! Every limit is summed over the whole store: a component with ten memories gets no more than one with a single memory. A guest that
//! asks for more is told so where WebAssembly has a way (`memory.grow` answers -1) and ends otherwise; what it hit is kept, so that
//! the error of a call that ended over it carries the limit's name and value.

use bulkhead_model::call::DriverLimits;
use wasmtime::ResourceLimiter;

/// Core instances of one call. A small Python component has 38.
pub(crate) const MOST_INSTANCES: usize = 128;
/// Tables of one call.
pub(crate) const MOST_TABLES: usize = 20;
/// Linear memories of one call. One is the rule, and their bytes are summed.
pub(crate) const MOST_MEMORIES: usize = 16;
/// Handles that a guest may hold. The contract has no resources; a component may still use some between its own parts.
pub(crate) const MOST_HANDLES: usize = 2048;

/// A limit that a guest ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hit {
    /// The limit's name in the configuration, or what is counted.
    pub(crate) limit: &'static str,
    /// Its value.
    pub(crate) value: u64,
}

impl Hit {
    /// The host-call limit of `limits`.
    pub(crate) const fn host_call(limits: &DriverLimits) -> Self {
        Self { limit: "host-call-kib", value: limits.host_call_kib }
    }
}

/// Counts what one call uses.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory_bytes: Sum,
    table_elements: Sum,
    hit: Option<Hit>,
}

/// What all memories, or all tables, of a call have grown to.
#[derive(Debug)]
struct Sum {
    used: usize,
    most: usize,
    hit: Hit,
}

impl Sum {
    const fn up_to(most: usize, hit: Hit) -> Self {
        Self { used: 0, most, hit }
    }

    /// Count a growth. What was allowed once stays counted, even if the machine could not give it: too strict rather than too lax.
    fn grow(&mut self, by: usize) -> Result<(), Hit> {
        let wanted = self.used.saturating_add(by);
        if wanted > self.most {
            return Err(self.hit);
        }
        self.used = wanted;
        Ok(())
    }
}

impl Limiter {
    /// A limiter that has counted nothing yet.
    pub(crate) fn new(limits: &DriverLimits) -> Self {
        let memory_bytes = saturating_usize(limits.memory_mib.saturating_mul(1 << 20));
        let table_elements = saturating_usize(limits.table_elements);
        Self {
            memory_bytes: Sum::up_to(memory_bytes, Hit { limit: "memory-mib", value: limits.memory_mib }),
            table_elements: Sum::up_to(
                table_elements,
                Hit { limit: "table-elements", value: limits.table_elements },
            ),
            hit: None,
        }
    }

    /// The last limit that the guest ran into, if any.
    pub(crate) const fn hit(&self) -> Option<Hit> {
        self.hit
    }

    fn allows(&mut self, growth: Result<(), Hit>) -> bool {
        if let Err(hit) = growth {
            self.hit = Some(hit);
        }
        growth.is_ok()
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|most| desired > most) {
            return Ok(false);
        }
        let growth = self.memory_bytes.grow(desired.saturating_sub(current));
        Ok(self.allows(growth))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|most| desired > most) {
            return Ok(false);
        }
        let growth = self.table_elements.grow(desired.saturating_sub(current));
        Ok(self.allows(growth))
    }

    fn instances(&self) -> usize {
        MOST_INSTANCES
    }

    fn tables(&self) -> usize {
        MOST_TABLES
    }

    fn memories(&self) -> usize {
        MOST_MEMORIES
    }
}

/// As many as an address can count.
pub(crate) fn saturating_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn limiter() -> Limiter {
        Limiter::new(&DriverLimits { memory_mib: 10, table_elements: 100, ..DriverLimits::default() })
    }

    #[test]
    fn memories_are_summed() {
        let mut limiter = limiter();
        assert!(limiter.memory_growing(0, 6 * MIB, None).expect("an answer"));
        assert_eq!(limiter.hit(), None);
        assert!(!limiter.memory_growing(0, 5 * MIB, None).expect("an answer"));
        assert_eq!(limiter.hit(), Some(Hit { limit: "memory-mib", value: 10 }));
        assert!(limiter.memory_growing(6 * MIB, 10 * MIB, None).expect("an answer"));
    }

    #[test]
    fn tables_are_summed() {
        let mut limiter = limiter();
        assert!(limiter.table_growing(0, 60, None).expect("an answer"));
        assert!(!limiter.table_growing(0, 60, None).expect("an answer"));
        assert_eq!(limiter.hit(), Some(Hit { limit: "table-elements", value: 100 }));
    }

    #[test]
    fn a_memorys_own_maximum_is_no_limit_of_the_host() {
        let mut limiter = limiter();
        assert!(!limiter.memory_growing(0, 2 * MIB, Some(MIB)).expect("an answer"));
        assert_eq!(limiter.hit(), None);
    }
}
