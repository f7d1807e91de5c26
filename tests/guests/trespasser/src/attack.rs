//! Naming share servers that the call is not about, in every function that takes one.

use crate::{VICTIMS, note, spec};
use bulkhead_sdk::files::{self, Path};
use bulkhead_sdk::network_allocation::{self, Request};
use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::service::{self, Instance};
use bulkhead_sdk::{AllocationLabel, CapabilityError, Error, Resource, Result, Slots, execute};

/// Attempts that were not refused.
#[derive(Debug, Default)]
struct Breaches(Vec<String>);

impl Breaches {
    fn attempt<T>(&mut self, what: &str, outcome: Result<T, CapabilityError>) {
        if outcome.is_ok() {
            self.0.push(what.to_owned());
        }
    }
}

/// Try every victim that the extra specs name. Fails if an attempt was not refused.
pub(crate) fn all(extra_specs: &[(String, String)]) -> Result<()> {
    let Some(victims) = spec(extra_specs, VICTIMS) else { return Ok(()) };
    let mut breaches = Breaches::default();
    for victim in victims.split(", ") {
        let (server, address) = victim.split_once(' ').unwrap_or((victim, ""));
        addresses(&mut breaches, server);
        // Whoever guesses an address, or writes a server in another way, gets no further.
        for spelling in [address, &server.to_uppercase(), &format!("share-server-{server}"), "", "..", "*"] {
            addresses(&mut breaches, spelling);
        }
        notes(&mut breaches, server);
        services(&mut breaches, server);
        private_data_of(&mut breaches, server);
    }
    if breaches.0.is_empty() {
        return Ok(());
    }
    Err(Error::internal(format!("BREACH: {}", breaches.0.join(", "))))
}

fn addresses(breaches: &mut Breaches, server: &str) {
    let request = Request::new(server, "loot");
    let of_administrators = request.clone().label(AllocationLabel::Admin);
    breaches.attempt(&format!("an address for {server:?}"), network_allocation::allocate(&request));
    breaches.attempt(
        &format!("an admin address for {server:?}"),
        network_allocation::allocate(&of_administrators),
    );
    breaches.attempt(&format!("the addresses of {server:?}"), network_allocation::allocations(server));
    for purpose in ["loot", "host"] {
        let what = format!("giving back '{purpose}' of {server:?}");
        breaches.attempt(&what, network_allocation::release(server, purpose));
    }
}

fn notes(breaches: &mut Breaches, server: &str) {
    let victim = Resource::ShareServer(server.to_owned());
    let copy = Path::new("servers", "{server}.copy").of(victim.clone());
    for path in
        [note(server), copy.clone(), Path::new("servers", server), Path::new("servers", "../{server}")]
    {
        let mut attempt = |function: &str, outcome: Result<(), CapabilityError>| {
            breaches.attempt(&format!("{function} of {path:?}"), outcome);
        };
        attempt("status", files::status(&path).map(drop));
        attempt("list-directory", files::list_directory(&path).map(drop));
        attempt("read", files::read(&path).map(drop));
        attempt("write", files::write(&path, b"stolen"));
        attempt("remove", files::remove(&path));
        attempt("create-directory", files::create_directory(&path));
        attempt("location", files::location(&path).map(drop));
        attempt("rename", files::rename(&path, &copy));
        attempt("exchange", files::exchange(&path, &copy));
    }
    let by_path = Slots::new().path_of("from", "{server}", victim.clone()).path_of(
        "to",
        "{server}.copy",
        victim.clone(),
    );
    let by_name = Slots::new().name_of("from", victim).path("to", "{server}.copy");
    for slots in [by_path, by_name] {
        breaches.attempt(&format!("a copy of the note of {server}"), execute::run("copy", slots));
    }
}

fn services(breaches: &mut Breaches, server: &str) {
    let victim = Instance::Of(Resource::ShareServer(server.to_owned()));
    for instance in [victim, Instance::Backend] {
        let mut attempt = |function: &str, outcome: Result<(), CapabilityError>| {
            breaches.attempt(&format!("{function} of {instance:?}"), outcome);
        };
        attempt("start", service::start("portmapper", &instance, Slots::new()).map(drop));
        attempt("status", service::status("portmapper", &instance).map(drop));
        attempt("stop", service::stop("portmapper", &instance));
        attempt("stop-group", service::stop_group("tenant", &instance));
    }
}

fn private_data_of(breaches: &mut Breaches, server: &str) {
    let owner = Owner::Of(Resource::ShareServer(server.to_owned()));
    breaches.attempt(&format!("get of {server}"), private_data::get(&owner, "note"));
    breaches.attempt(&format!("get-all of {server}"), private_data::get_all(&owner));
    breaches.attempt(&format!("set of {server}"), private_data::set(&owner, "note", "x", Expected::Anything));
    breaches.attempt(&format!("remove of {server}"), private_data::remove(&owner, "note"));
}
