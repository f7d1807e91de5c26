//! A driver that makes no host call and answers at once: `cargo xtask measure` sees what a call costs by itself.

use bulkhead_sdk::{
    Access, AccessUpdate, Driver, Error, ExportLocation, Pool, Result, RuleOutcome, Share, Statistics,
};

/// The driver.
#[derive(Debug)]
pub struct Plain;

bulkhead_sdk::export_driver!(Plain: access);

impl Driver for Plain {
    fn setup() -> Result<()> {
        Ok(())
    }

    fn stats() -> Result<Statistics> {
        Ok(Statistics { pools: vec![Pool::new("pool")], ..Statistics::default() })
    }

    fn create_share(share: &Share) -> Result<Vec<ExportLocation>> {
        Ok(share.export_locations.clone())
    }

    fn delete_share(_share: &Share) -> Result<()> {
        Ok(())
    }
}

impl Access for Plain {
    /// Looks at every rule, as a driver would, and reports none.
    fn update_access(share: &Share, update: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
        if update.rules.iter().any(|rule| rule.access_to.is_empty()) {
            return Err(Error::invalid_share(format!("a rule of {} names nobody", share.name)));
        }
        Ok(Vec::new())
    }
}
