//! Naming what is not of the call: others' shares and snapshots in every function and slot, and paths that lead out of a root.
//!
//! Every attempt must be refused. One that is not fails the call with a message that begins with `BREACH`.

use bulkhead_sdk::files::{self, Path};
use bulkhead_sdk::network_allocation::{self, Request};
use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::{AllocationLabel, CapabilityError, Error, Resource, Result, Slots, config, execute};

/// Every pattern that a root or slot declares.
const DECLARED: [&str; 5] = [
    "{share}",
    ".{share}.new",
    "{share}@{snapshot}",
    ".{share}@{snapshot}.new",
    "{source-share}@{source-snapshot}",
];

/// Patterns that nobody declares.
const ESCAPES: [&str; 12] = [
    "",
    ".",
    "..",
    "/",
    "/etc/passwd",
    "../exports/{share}.exports",
    "{share}/../../..",
    "{share}/../{share}",
    "{share}/below",
    "{share}\0",
    "*",
    "{other}",
];

/// Attempts that were not refused.
#[derive(Debug, Default)]
struct Breaches(Vec<String>);

impl Breaches {
    fn attempt<T>(&mut self, what: &str, outcome: Result<T, CapabilityError>) {
        if outcome.is_ok() {
            self.0.push(what.to_owned());
        }
    }

    fn report(self) -> Result<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Error::internal(format!("BREACH: {}", self.0.join(", "))))
        }
    }
}

/// Name others' resources in every function that takes one, beside `own` where a function takes two.
pub(crate) fn name_others(victims: &crate::victim::Seen, own: &[Resource]) -> Result<()> {
    let mut breaches = Breaches::default();
    for victim in &victims.0 {
        for pattern in DECLARED {
            let path = Path::new("shares", pattern).of(victim.clone());
            files_with(&mut breaches, &path);
            let notes = Path::new("notes", pattern).of(victim.clone());
            files_with(&mut breaches, &notes);
            slots_with(&mut breaches, pattern, victim, own);
        }
        private_data_of(&mut breaches, victim);
    }
    breaches.report()
}

/// Leave the roots, the templates and the options that are declared.
pub(crate) fn escape() -> Result<()> {
    let mut breaches = Breaches::default();
    for pattern in ESCAPES {
        files_with(&mut breaches, &Path::new("shares", pattern));
        let slots =
            |slot: &str| Slots::new().path("from", "{share}").path("to", ".{share}.new").path(slot, pattern);
        breaches.attempt(&format!("copy-tree from {pattern:?}"), execute::run("copy-tree", slots("from")));
        breaches.attempt(&format!("copy-tree to {pattern:?}"), execute::run("copy-tree", slots("to")));
        let only = Slots::new().path("from", pattern).path("to", ".{share}.new");
        breaches.attempt(&format!("only copy-tree from {pattern:?}"), execute::run("copy-tree", only));
        let only = Slots::new().path("from", "{share}").path("to", pattern);
        breaches.attempt(&format!("only copy-tree to {pattern:?}"), execute::run("copy-tree", only));
        let fragment = Slots::new().path("path", pattern);
        breaches.attempt(&format!("export of {pattern:?}"), files::write_template("export", fragment));
    }
    for root in ["", "/", "..", "Shares", "nowhere", "shares/.."] {
        files_with(&mut breaches, &Path::new(root, "{share}"));
        breaches.attempt(&format!("space of {root:?}"), files::root_space(root));
    }
    let exports = Path::new("exports", "{share}.exports");
    breaches.attempt("free bytes in exports", files::write(&exports, b"/ *(rw,no_root_squash)\n"));
    breaches.attempt("free bytes in shares", files::write(&Path::new("shares", "{share}"), b"x"));
    breaches.attempt("reading shares", files::read(&Path::new("shares", "{share}")));
    undeclared(&mut breaches);
    addresses(&mut breaches);
    breaches.report()
}

fn undeclared(breaches: &mut Breaches) {
    let words = Slots::new().text("from", "-rf").text("to", "/");
    breaches.attempt("texts for paths", execute::run("copy-tree", words));
    breaches.attempt("no slots", execute::run("copy-tree", Slots::new()));
    let extra =
        Slots::new().path("from", "{share}").path("to", ".{share}.new").text("more", "--remove-destination");
    breaches.attempt("a slot too many", execute::run("copy-tree", extra));
    for template in ["", "sh", "cp", "/bin/sh", "copy-tree; reboot", "export"] {
        breaches.attempt(&format!("template {template:?}"), execute::run(template, Slots::new()));
        let again = execute::run_with_retries(template, Slots::new());
        breaches.attempt(&format!("template {template:?} with retries"), again);
    }
    for template in ["", "copy-tree", "../export", "passwd"] {
        breaches.attempt(&format!("file {template:?}"), files::write_template(template, Slots::new()));
    }
    let clients = Slots::new().path("path", "{share}").text("clients", "*(rw,no_root_squash)");
    breaches.attempt("clients of its own", files::write_template("export", clients));
    let secret = Slots::new().secret("path", "ganesha_db");
    breaches.attempt("a secret for a path", files::write_template("export", secret));
    breaches.attempt("an undeclared counter", private_data::next_number("anything"));
    for option in ["", "password", "san_password", "nas_login"] {
        breaches.attempt(&format!("option {option:?}"), config::get(option));
    }
}

/// Addresses of share servers that no call of this driver is about.
fn addresses(breaches: &mut Breaches) {
    for server in ["6b1ea0c8-2d3f-4c55-9e0a-3c1d5f7b9a11", "", "..", "*", "share-server/../nas2"] {
        for (count, purpose) in [(1, "data"), (0, "data"), (u32::MAX, "data"), (1, ""), (1, "a\nb")] {
            let request = Request::new(server, purpose).count(count);
            let of_administrators = request.clone().label(AllocationLabel::Admin).subnet(server);
            let what = format!("{count} addresses for {purpose:?} of server {server:?}");
            breaches.attempt(&what, network_allocation::allocate(&request));
            breaches.attempt(&what, network_allocation::allocate(&of_administrators));
            breaches.attempt(&what, network_allocation::release(server, purpose));
        }
        breaches.attempt(&format!("addresses of server {server:?}"), network_allocation::allocations(server));
    }
}

fn files_with(breaches: &mut Breaches, path: &Path) {
    let own = Path::new("shares", "{share}");
    let mut attempt = |function: &str, outcome: Result<(), CapabilityError>| {
        breaches.attempt(&format!("{function} of {path:?}"), outcome);
    };
    attempt("status", files::status(path).map(drop));
    attempt("list-directory", files::list_directory(path).map(drop));
    attempt("usage", files::usage(path).map(drop));
    attempt("read", files::read(path).map(drop));
    attempt("location", files::location(path).map(drop));
    attempt("create-directory", files::create_directory(path));
    attempt("remove", files::remove(path));
    attempt("rename from", files::rename(path, &own));
    attempt("rename to", files::rename(&own, path));
    attempt("exchange with", files::exchange(path, &own));
    attempt("exchange for", files::exchange(&own, path));
    attempt("copy-tree from", files::copy_tree(path, &own));
    attempt("copy-tree to", files::copy_tree(&own, path));
    attempt("write", files::write(path, b"stolen"));
}

fn slots_with(breaches: &mut Breaches, pattern: &str, victim: &Resource, own: &[Resource]) {
    let Some(own) = own.first() else {
        return;
    };
    let from =
        Slots::new().path_of("from", pattern, victim.clone()).path_of("to", ".{share}.new", own.clone());
    let to = Slots::new().path_of("from", "{share}", own.clone()).path_of("to", pattern, victim.clone());
    let name = Slots::new().name_of("from", victim.clone()).path("to", ".{share}.new");
    let text = Slots::new().text("from", format!("{victim:?}")).path("to", ".{share}.new");
    for (what, slots) in [("from", from), ("to", to), ("name", name), ("text", text)] {
        let what = format!("copy-tree {what} {pattern} of {victim:?}");
        breaches.attempt(&what, execute::run("copy-tree", slots.clone()));
        breaches.attempt(&what, execute::run_with_retries("copy-tree", slots));
    }
    let fragment = Slots::new().path_of("path", pattern, victim.clone());
    breaches
        .attempt(&format!("export of {pattern} of {victim:?}"), files::write_template("export", fragment));
}

fn private_data_of(breaches: &mut Breaches, victim: &Resource) {
    let owner = Owner::Of(victim.clone());
    breaches.attempt(&format!("get of {victim:?}"), private_data::get(&owner, "size-gib"));
    breaches.attempt(&format!("get-all of {victim:?}"), private_data::get_all(&owner));
    breaches.attempt(
        &format!("set of {victim:?}"),
        private_data::set(&owner, "size-gib", "1", Expected::Anything),
    );
    breaches.attempt(&format!("remove of {victim:?}"), private_data::remove(&owner, "size-gib"));
}
