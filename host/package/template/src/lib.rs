//! Shares as directories below the root `shares`. Every function may be repeated: a repeat finds what the first attempt left.

use bulkhead_sdk::files::{self, Path};
use bulkhead_sdk::{
    Access, AccessRule, AccessType, AccessUpdate, Capacity, Driver, Error, ExportLocation, Pool, Protocol, Result,
    RuleOutcome, Share, Slots, Statistics, Support, config,
};

/// The driver. It has no state: every call runs in a fresh instance.
#[derive(Debug)]
pub struct Sample;

// What is named here is what the driver can do.
bulkhead_sdk::export_driver!(Sample: access);

/// The directory of the call's own share.
fn directory() -> Path {
    Path::new("shares", "{share}")
}

/// What fills the file template `export`. The host itself puts in who may mount.
fn export_slots() -> Slots {
    Slots::new().path("path", "{share}")
}

impl Driver for Sample {
    fn setup() -> Result<()> {
        files::root_space("shares")?;
        Ok(())
    }

    fn stats() -> Result<Statistics> {
        let space = files::root_space("shares")?;
        let gib = |bytes: u64| Capacity::Gib((bytes >> 30) as f64);
        let pool = Pool {
            total: gib(space.total_bytes),
            free: gib(space.free_bytes),
            thin_provisioning: Support::Yes,
            ..Pool::new("shares")
        };
        Ok(Statistics { pools: vec![pool], ..Statistics::default() })
    }

    fn create_share(share: &Share) -> Result<Vec<ExportLocation>> {
        if share.protocol != Protocol::Nfs {
            return Err(Error::invalid_share("only NFS is served here"));
        }
        files::create_directory(&directory())?;
        let address = config::text("export-address")?.unwrap_or_default();
        Ok(vec![ExportLocation::new(format!("{address}:{}", files::location(&directory())?))])
    }

    fn delete_share(_share: &Share) -> Result<()> {
        files::remove_template("export", export_slots())?;
        files::remove(&directory())?;
        Ok(())
    }
}

impl Access for Sample {
    fn update_access(_share: &Share, update: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
        let is_address = |rule: &AccessRule| rule.access_type == AccessType::Ip;
        if update.rules.iter().any(is_address) {
            files::write_template("export", export_slots())?;
        } else {
            // A file without clients would let everybody in.
            files::remove_template("export", export_slots())?;
        }
        let outcome = |rule| if is_address(rule) { RuleOutcome::active(rule) } else { RuleOutcome::error(rule) };
        Ok(update.rules.iter().map(outcome).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_sdk::AccessLevel;
    use bulkhead_sdk::testing::{Lab, Moment, interrupted_everywhere, sample};
    use std::fs;

    fn lab() -> Lab {
        Lab::new(include_str!("../driver.toml"))
    }

    #[test]
    fn a_share_is_a_directory_until_it_is_deleted() {
        let (lab, share) = (lab(), sample::share(1, 10));
        let locations = lab.create_share::<Sample>(&share).unwrap();
        assert!(locations[0].path.starts_with("127.0.0.1:/"));
        assert!(lab.root("shares").join(&share.name).is_dir());
        lab.delete_share::<Sample>(&share).unwrap();
        assert!(!lab.root("shares").join(&share.name).exists());
    }

    #[test]
    fn the_rules_of_a_share_stand_in_its_file() {
        let (lab, share) = (lab(), sample::share(1, 10));
        lab.create_share::<Sample>(&share).unwrap();
        let rule = sample::access_rule(1, AccessType::Ip, "10.0.0.0/24", AccessLevel::Rw);
        let update = AccessUpdate { rules: vec![rule.clone()], add: vec![rule], ..AccessUpdate::default() };
        lab.update_access::<Sample>(&share, &update).unwrap();
        let file = lab.root("exports").join(format!("{}.exports", share.name));
        assert!(fs::read_to_string(&file).unwrap().contains("10.0.0.0/24(rw"));
        lab.update_access::<Sample>(&share, &AccessUpdate::default()).unwrap();
        assert!(!file.exists());
    }

    #[test]
    fn a_create_that_was_cut_short_anywhere_is_finished_by_a_repeat() {
        let share = sample::share(1, 10);
        let directory = |lab: &Lab| lab.root("shares").join(&share.name);
        interrupted_everywhere(
            lab,
            |lab| lab.create_share::<Sample>(&share),
            |lab, moment| assert!(moment == Moment::Interrupted || directory(lab).is_dir()),
        );
    }
}
