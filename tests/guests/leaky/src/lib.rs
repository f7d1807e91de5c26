//! A driver that tells every secret it is given, in every way that it has: to see that none gets out. What its option `marker` says is no
//! secret and goes the same ways: where that is found, a secret would have been.

mod memory;

use bulkhead_sdk::files::{self, Path};
use bulkhead_sdk::log::{self, Level};
use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::secret::{self, Secret};
use bulkhead_sdk::{
    Access, AccessUpdate, CapabilityError, Driver, Error, ExportLocation, Extend, Pool, Result, RuleOutcome,
    Share, Slots, Statistics, config, execute, http,
};

/// How many options hold secrets.
const CANARIES: u32 = 20;
/// The longest piece of what was got that one channel takes, in bytes.
const PIECE_BYTES: usize = 1000;
/// The commands that are handed a secret, and tell it.
const COMMANDS: [&str; 4] = ["echo", "echo-start", "encode", "fail"];
/// The requests that hold a secret, and are answered with it.
const REQUESTS: [&str; 5] = ["ask-json", "ask-form", "ask-xml", "ask-start", "ask-header"];

/// The driver.
#[derive(Debug)]
pub struct Leaky;

bulkhead_sdk::export_driver!(Leaky: access, extend);

impl Driver for Leaky {
    fn setup() -> Result<()> {
        log_pieces(&loot());
        Ok(())
    }

    fn stats() -> Result<Statistics> {
        Ok(Statistics { pools: vec![Pool::new("pool")], ..Statistics::default() })
    }

    /// Has a secret made, keeps it, and writes it where a program would read it.
    fn create_share(share: &Share) -> Result<Vec<ExportLocation>> {
        let made = secret::generate("made").map_err(failed)?;
        let kept = secret::keep("made", &made).map_err(failed)?;
        files::write_template("key", slots(&kept)).map_err(failed)?;
        let mut loot = loot();
        collect(&made, &mut loot);
        collect(&kept, &mut loot);
        tell(&loot);
        memory::dump("created")?;
        Ok(vec![ExportLocation::new(format!("127.0.0.1:/{}", share.name))])
    }

    fn delete_share(_: &Share) -> Result<()> {
        Ok(())
    }
}

impl Extend for Leaky {
    /// Fails with all that it has got.
    fn extend_share(_: &Share, _: u64) -> Result<()> {
        let mut loot = loot();
        if let Some(kept) = secret::kept("made").map_err(failed)? {
            collect(&kept, &mut loot);
        }
        memory::dump("extended")?;
        Err(Error::internal(loot))
    }
}

impl Access for Leaky {
    /// The keys of rules are the last canaries, one a rule: so that a test knows them.
    fn update_access(_: &Share, update: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
        let mut outcomes = Vec::new();
        let mut loot = loot();
        for (rule, number) in update.add.iter().zip(1..=CANARIES) {
            let printed = execute::run("print-key", slots(&canary(CANARIES + 1 - number))).map_err(failed)?;
            loot.push_str(&String::from_utf8_lossy(&printed.stdout));
            let key = secret::captured("access-key").map_err(failed)?;
            outcomes.push(RuleOutcome { access_key: key.map(String::from), ..RuleOutcome::active(rule) });
        }
        tell(&loot);
        memory::dump("ruled")?;
        Ok(outcomes)
    }
}

fn failed(error: CapabilityError) -> Error {
    Error::internal(format!("{error:?}"))
}

fn canary(number: u32) -> Secret {
    Secret::of_option(&format!("canary-{number:02}"))
}

fn slots(secret: &Secret) -> Slots {
    Slots::new().secret("secret", secret.name())
}

/// The marker, and everything that commands and requests say about every secret.
fn loot() -> String {
    let mut loot = format!("{:?}\n", config::get("marker"));
    loot.push_str(&format!("{:?}\n", http::send("ask-in-session", Slots::new())));
    for number in 1..=CANARIES {
        let secret = canary(number);
        loot.push_str(&format!("{:?}\n", config::get(secret.name())));
        collect(&secret, &mut loot);
    }
    loot
}

fn collect(secret: &Secret, loot: &mut String) {
    for template in COMMANDS {
        match execute::run(template, slots(secret)) {
            Ok(output) => {
                loot.push_str(&String::from_utf8_lossy(&output.stdout));
                loot.push_str(&output.stderr);
            }
            Err(error) => loot.push_str(&format!("{error:?}")),
        }
        loot.push('\n');
    }
    for template in REQUESTS {
        match http::send(template, slots(secret)) {
            Ok(answer) => loot.push_str(&format!("{:?} {}", answer.headers, answer.text())),
            Err(error) => loot.push_str(&format!("{error:?}")),
        }
        loot.push('\n');
    }
}

/// Tell it the log, private data, a file, a command and an option's name. Whatever is refused is told further on.
fn tell(loot: &str) {
    log_pieces(loot);
    for (number, piece) in pieces(loot).enumerate() {
        let stored = private_data::set(&Owner::Subject, &format!("{number}"), piece, Expected::Anything);
        let said = execute::run("say", Slots::new().text("text", piece.replace(char::is_control, " ")));
        let asked = config::get(piece);
        log::write(Level::Info, &format!("{stored:?} {said:?} {asked:?}"));
    }
    let written = files::write(&Path::new("notes", "{share}"), loot.as_bytes());
    log::write(Level::Info, &format!("{written:?}"));
}

fn log_pieces(loot: &str) {
    pieces(loot).for_each(|piece| log::write(Level::Error, piece));
}

/// What was got, in pieces.
fn pieces(loot: &str) -> impl Iterator<Item = &str> {
    let mut rest = loot;
    std::iter::from_fn(move || {
        let end = (0..=PIECE_BYTES.min(rest.len())).rev().find(|end| rest.is_char_boundary(*end))?;
        let (piece, further) = rest.split_at_checked(end)?;
        rest = further;
        (!piece.is_empty()).then_some(piece)
    })
}
