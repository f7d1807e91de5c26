//! Shares as volumes of an array that is managed by its command line. Every function may be repeated: a repeat finds what the first attempt
//! left, also where the link to the array was lost in the middle of a command.

use bulkhead_sdk::{
    Access, AccessLevel, AccessRule, AccessType, AccessUpdate, Capacity, CapabilityCode, Driver, Error, ExportLocation, Pool, Protocol,
    Result, RuleOutcome, Share, Slots, Statistics, Support, config, execute,
};
use std::collections::BTreeMap;

/// What the array says of a volume that it has not.
const NO_SUCH_VOLUME: &str = "no such volume";

/// The driver. It has no state: every call runs in a fresh instance, and the connection is the host's.
#[derive(Debug)]
pub struct Sample;

// What is named here is what the driver can do.
bulkhead_sdk::export_driver!(Sample: access);

/// What `volume show` says.
#[derive(Debug, PartialEq)]
struct Volume {
    size_gib: u64,
    /// Networks, with `rw` or `ro`.
    clients: BTreeMap<String, String>,
}

/// The slots of a command about the volume of a share.
fn volume(share: &Share) -> Slots {
    Slots::new().name_of("volume", share)
}

/// Run a command of the array: what it writes, or none where it knows no such volume. Everything else that it refuses is an error.
fn run(command: &str, slots: Slots) -> Result<Option<String>> {
    match execute::run(command, slots) {
        Ok(output) => Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned())),
        Err(error) if error.code() == CapabilityCode::CommandFailed && error.to_string().contains(NO_SUCH_VOLUME) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The lines `name: value` of an answer. Arrays put ornaments between them.
fn fields(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.split_once(':')).map(|(name, value)| (name.trim(), value.trim()))
}

fn field<'text>(text: &'text str, wanted: &str) -> Result<&'text str> {
    let found = fields(text).find(|(name, _)| *name == wanted);
    found.map(|(_, value)| value).ok_or_else(|| Error::backend_failed(format!("the array does not say '{wanted}'")))
}

fn number(text: &str, wanted: &str) -> Result<f64> {
    let value = field(text, wanted)?;
    value.parse().map_err(|_| Error::backend_failed(format!("the array says '{wanted}: {value}', which is no number")))
}

fn find(share: &Share) -> Result<Option<Volume>> {
    let Some(text) = run("show-volume", volume(share))? else { return Ok(None) };
    let size = field(&text, "size-gib")?;
    let size_gib = size.parse().map_err(|_| Error::backend_failed(format!("the array says the size '{size}'")))?;
    let clients = fields(&text).filter(|(name, _)| *name == "client").filter_map(|(_, client)| {
        let (network, level) = client.rsplit_once(' ')?;
        Some((network.to_owned(), level.to_owned()))
    });
    Ok(Some(Volume { size_gib, clients: clients.collect() }))
}

/// As the array writes it: an address is a network of one.
fn network(access_to: &str) -> String {
    match access_to {
        _ if access_to.contains('/') => access_to.to_owned(),
        _ if access_to.contains(':') => format!("{access_to}/128"),
        _ => format!("{access_to}/32"),
    }
}

/// NFS knows clients by address.
fn is_address(rule: &AccessRule) -> bool {
    rule.access_type == AccessType::Ip
}

const fn level(level: AccessLevel) -> &'static str {
    match level {
        AccessLevel::Rw => "rw",
        AccessLevel::Ro => "ro",
    }
}

impl Driver for Sample {
    fn setup() -> Result<()> {
        Self::stats().map(drop)
    }

    fn stats() -> Result<Statistics> {
        let text = run("show-array", Slots::new())?.unwrap_or_default();
        let pool = Pool {
            total: Capacity::Gib(number(&text, "total-gib")?),
            free: Capacity::Gib(number(&text, "free-gib")?),
            thin_provisioning: Support::Yes,
            ..Pool::new("array")
        };
        Ok(Statistics { pools: vec![pool], ..Statistics::default() })
    }

    fn create_share(share: &Share) -> Result<Vec<ExportLocation>> {
        if share.protocol != Protocol::Nfs {
            return Err(Error::invalid_share("only NFS is served here"));
        }
        if find(share)?.is_none() {
            run("create-volume", volume(share).unsigned("size", share.size_gib))?;
        }
        let made = find(share)?.ok_or_else(|| Error::backend_failed("the array has not made the volume"))?;
        if made.size_gib != share.size_gib {
            return Err(Error::conflict("a volume of another size has this name"));
        }
        let address = config::text("export-address")?.unwrap_or_default();
        // This array exports every volume under its name.
        Ok(vec![ExportLocation::new(format!("{address}:/vol/{}", share.name))])
    }

    fn delete_share(share: &Share) -> Result<()> {
        run("delete-volume", volume(share)).map(drop)
    }
}

impl Access for Sample {
    /// Compares what the array has with all that shall be: a repeat, or an update of which the half was done, ends the same.
    fn update_access(share: &Share, update: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
        let found = find(share)?.ok_or_else(|| Error::share_not_found("the array has no such volume"))?;
        let by_address = update.rules.iter().filter(|rule| is_address(rule));
        let wanted: BTreeMap<String, &str> =
            by_address.map(|rule| (network(&rule.access_to), level(rule.access_level))).collect();
        for client in found.clients.keys().filter(|client| !wanted.contains_key(*client)) {
            run("deny-client", volume(share).text("client", client))?;
        }
        for (client, level) in &wanted {
            if found.clients.get(client).is_none_or(|found| found != level) {
                run("allow-client", volume(share).text("client", client).text("level", *level))?;
            }
        }
        let outcome = |rule| if is_address(rule) { RuleOutcome::active(rule) } else { RuleOutcome::error(rule) };
        Ok(update.rules.iter().map(outcome).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_sdk::execute::Output;
    use bulkhead_sdk::testing::{Command, Lab, sample};
    use bulkhead_sdk::{CapabilityError, CommandExit, ErrorCode};
    use std::cell::RefCell;
    use std::rc::Rc;

    type Volumes = Rc<RefCell<BTreeMap<String, (String, BTreeMap<String, String>)>>>;

    fn said(text: impl Into<String>) -> std::result::Result<Output, CapabilityError> {
        Ok(Output { stdout: text.into().into_bytes(), ..Output::default() })
    }

    fn refused(text: &str) -> std::result::Result<Output, CapabilityError> {
        let exit = CommandExit { exit_code: Some(1), stderr: format!("Error: {text}\n"), ..CommandExit::default() };
        Err(CapabilityError::command_failed("the command ended with 1", exit))
    }

    /// What an array does that is told these words.
    fn answer(volumes: &Volumes, command: &Command) -> std::result::Result<Output, CapabilityError> {
        let words: Vec<&str> = command.words().iter().map(String::as_str).collect();
        let mut volumes = volumes.borrow_mut();
        match words.as_slice() {
            ["system", "show"] => said("total-gib: 100\nfree-gib: 60.5\n"),
            ["volume", "create", name, "--size-gib", size] => {
                volumes.insert((*name).to_owned(), ((*size).to_owned(), BTreeMap::new()));
                said("")
            }
            ["volume", "delete", name] => volumes.remove(*name).map_or_else(|| refused(NO_SUCH_VOLUME), |_| said("")),
            ["volume", verb, name, rest @ ..] => {
                let Some((size, clients)) = volumes.get_mut(*name) else { return refused(NO_SUCH_VOLUME) };
                match (*verb, rest) {
                    ("allow", [client, level]) => drop(clients.insert((*client).to_owned(), (*level).to_owned())),
                    ("deny", [client]) => drop(clients.remove(*client)),
                    _ => {}
                }
                let clients: String = clients.iter().map(|(client, level)| format!("client: {client} {level}\n")).collect();
                said(format!("size-gib: {size}\n{clients}"))
            }
            _ => refused("unknown command"),
        }
    }

    fn lab() -> (Lab, Volumes) {
        let lab = Lab::new(include_str!("../driver.toml"));
        let volumes = Volumes::default();
        for command in ["show-array", "show-volume", "create-volume", "delete-volume", "allow-client", "deny-client"] {
            let volumes = Rc::clone(&volumes);
            lab.answer(command, move |command| answer(&volumes, command));
        }
        (lab, volumes)
    }

    #[test]
    fn a_share_is_a_volume_until_it_is_deleted() {
        let (lab, volumes) = lab();
        let share = sample::share(1, 10);
        lab.setup::<Sample>().unwrap();
        for _ in 0..2 {
            let locations = lab.create_share::<Sample>(&share).unwrap();
            assert_eq!(locations[0].path, format!("192.0.2.10:/vol/{}", share.name));
        }
        let made = lab.commands().iter().filter(|command| command.template() == "create-volume").count();
        assert_eq!((made, volumes.borrow().len()), (1, 1));
        for _ in 0..2 {
            lab.delete_share::<Sample>(&share).unwrap();
        }
        assert!(volumes.borrow().is_empty());
    }

    #[test]
    fn the_array_lets_in_whom_the_rules_name_and_nobody_else() {
        let (lab, volumes) = lab();
        let share = sample::share(1, 10);
        lab.create_share::<Sample>(&share).unwrap();
        let rule = |number, to, level| sample::access_rule(number, AccessType::Ip, to, level);
        let let_in = |rules: Vec<AccessRule>| {
            lab.update_access::<Sample>(&share, &AccessUpdate { rules, ..AccessUpdate::default() }).unwrap();
            volumes.borrow()[&share.name].1.clone()
        };
        let (one, net) = (rule(1, "10.0.0.5", AccessLevel::Rw), rule(2, "fd00::/64", AccessLevel::Ro));
        let both = [("10.0.0.5/32".to_owned(), "rw".to_owned()), ("fd00::/64".to_owned(), "ro".to_owned())];
        assert_eq!(let_in(vec![one, net.clone()]), BTreeMap::from(both.clone()));
        let before = lab.commands().len();
        assert_eq!(let_in(vec![net]), BTreeMap::from([both[1].clone()]));
        assert_eq!(lab.commands().len() - before, 2, "a look, and one change");
    }

    #[test]
    fn what_the_array_refuses_is_told_in_its_words() {
        let (lab, _) = lab();
        lab.answer("create-volume", |_| refused("aggregate is full"));
        let error = lab.create_share::<Sample>(&sample::share(1, 10)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::CommandFailed);
        assert!(format!("{error:?}").contains("aggregate is full"));
    }
}
