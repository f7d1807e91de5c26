//! A complete driver: shares are directories below the root `shares`.
use bulkhead_sdk::files::{self, Path};
use bulkhead_sdk::{
    Access, AccessUpdate, Capacity, Driver, Error, ExportLocation, Pool, Protocol, Result, RuleOutcome,
    Share, Statistics, Support,
};

struct Minimal;

impl Driver for Minimal {
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
        let directory = Path::new("shares", "{share}");
        files::create_directory(&directory)?;
        Ok(vec![ExportLocation::new(format!("127.0.0.1:{}", files::location(&directory)?))])
    }

    fn delete_share(_share: &Share) -> Result<()> {
        files::remove(&Path::new("shares", "{share}"))?;
        Ok(())
    }
}

impl Access for Minimal {
    fn update_access(_share: &Share, update: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
        // Nothing serves this directory: no rule can be put in force.
        Ok(update.add.iter().map(RuleOutcome::error).collect())
    }
}

bulkhead_sdk::export_driver!(Minimal: access);

fn main() {}
