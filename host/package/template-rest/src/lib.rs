//! Shares as volumes of an array that is managed over HTTPS. Every function may be repeated: a repeat finds what the first attempt left.

use bulkhead_sdk::http::{self, Response};
use bulkhead_sdk::{
    Access, AccessRule, AccessType, AccessUpdate, Capacity, Driver, Error, ExportLocation, Pool, Protocol, Result,
    RuleOutcome, Share, Slots, Statistics, Support, config,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The driver. It has no state: every call runs in a fresh instance, and the session is the host's.
#[derive(Debug)]
pub struct Sample;

// What is named here is what the driver can do.
bulkhead_sdk::export_driver!(Sample: access);

#[derive(Deserialize)]
struct Array {
    total_gib: f64,
    free_gib: f64,
}

#[derive(Deserialize)]
struct Volume {
    size_gib: u64,
    export: String,
}

/// The slots of a request about the volume of a share.
fn volume(share: &Share) -> Slots {
    Slots::new().name_of("volume", share)
}

/// Send a request, waiting where the array asks to. Whatever it refuses is an error; what is not there is none.
fn send(request: &str, slots: Slots) -> Result<Option<Response>> {
    let answer = http::send_patiently(request, slots)?;
    match answer.status {
        404 => Ok(None),
        429 | 503 => Err(Error::busy(format!("the array is too busy for {request}"))),
        _ if answer.is_success() => Ok(Some(answer)),
        status => Err(Error::backend_failed(format!("the array refused {request} with {status}: {}", answer.text()))),
    }
}

fn read<T: DeserializeOwned>(answer: &Response) -> Result<T> {
    serde_json::from_slice(&answer.body)
        .map_err(|error| Error::backend_failed(format!("the array answered what was not asked: {error}")))
}

fn find(share: &Share) -> Result<Option<Volume>> {
    send("read-volume", volume(share))?.map(|answer| read(&answer)).transpose()
}

impl Driver for Sample {
    fn setup() -> Result<()> {
        Self::stats().map(drop)
    }

    fn stats() -> Result<Statistics> {
        let answer = send("read-array", Slots::new())?;
        let answer = answer.ok_or_else(|| Error::bad_configuration("the endpoint 'array' is none that this driver knows"))?;
        let array: Array = read(&answer)?;
        let pool = Pool {
            total: Capacity::Gib(array.total_gib),
            free: Capacity::Gib(array.free_gib),
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
            send("create-volume", volume(share).unsigned("size", share.size_gib))?;
        }
        let made = find(share)?.ok_or_else(|| Error::backend_failed("the array has not made the volume"))?;
        if made.size_gib != share.size_gib {
            return Err(Error::conflict("a volume of another size has this name"));
        }
        let address = config::text("export-address")?.unwrap_or_default();
        Ok(vec![ExportLocation::new(format!("{address}:{}", made.export))])
    }

    fn delete_share(share: &Share) -> Result<()> {
        send("delete-volume", volume(share)).map(drop)
    }
}

impl Access for Sample {
    fn update_access(share: &Share, update: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
        if send("set-clients", volume(share))?.is_none() {
            return Err(Error::share_not_found("the array has no such volume"));
        }
        let is_address = |rule: &AccessRule| rule.access_type == AccessType::Ip;
        let outcome = |rule| if is_address(rule) { RuleOutcome::active(rule) } else { RuleOutcome::error(rule) };
        Ok(update.rules.iter().map(outcome).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_sdk::testing::{Lab, sample};
    use bulkhead_sdk::{AccessLevel, ErrorCode};
    use std::cell::Cell;
    use std::rc::Rc;

    /// A host whose array has no volume until one is made.
    fn lab() -> (Lab, Rc<Cell<bool>>) {
        let lab = Lab::new(include_str!("../driver.toml"));
        let made = Rc::new(Cell::new(false));
        lab.answer_request("read-array", |_| Ok(Response::new(200, r#"{ "total_gib": 100, "free_gib": 60.5 }"#)));
        let there = Rc::clone(&made);
        lab.answer_request("read-volume", move |_| {
            let body = r#"{ "size_gib": 10, "export": "/vol/one" }"#;
            Ok(if there.get() { Response::new(200, body) } else { Response::new(404, "") })
        });
        let there = Rc::clone(&made);
        lab.answer_request("create-volume", move |_| {
            there.set(true);
            Ok(Response::new(201, ""))
        });
        let there = Rc::clone(&made);
        lab.answer_request("delete-volume", move |_| Ok(Response::new(if there.replace(false) { 204 } else { 404 }, "")));
        lab.answer_request("set-clients", |_| Ok(Response::new(200, "")));
        (lab, made)
    }

    #[test]
    fn a_share_is_a_volume_until_it_is_deleted() {
        let (lab, made) = lab();
        let share = sample::share(1, 10);
        lab.setup::<Sample>().unwrap();
        for _ in 0..2 {
            let locations = lab.create_share::<Sample>(&share).unwrap();
            assert_eq!(locations[0].path, "192.0.2.10:/vol/one");
        }
        let made_once = lab.requests().iter().filter(|sent| sent.template() == "create-volume").count();
        assert_eq!((made.get(), made_once), (true, 1));
        for _ in 0..2 {
            lab.delete_share::<Sample>(&share).unwrap();
        }
        assert!(!made.get());
    }

    #[test]
    fn the_rules_of_a_share_are_handed_to_the_array() {
        let (lab, _) = lab();
        let share = sample::share(1, 10);
        let rule = sample::access_rule(1, AccessType::Ip, "10.0.0.0/24", AccessLevel::Rw);
        let update = AccessUpdate { rules: vec![rule.clone()], add: vec![rule], ..AccessUpdate::default() };
        lab.update_access::<Sample>(&share, &update).unwrap();
        assert!(lab.requests()[0].words()[2].contains(r#""to":"10.0.0.0/24""#));
    }

    #[test]
    fn what_the_array_refuses_is_told() {
        let (lab, _) = lab();
        lab.answer_request("create-volume", |_| Ok(Response::new(500, "out of order")));
        let error = lab.create_share::<Sample>(&sample::share(1, 10)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::BackendFailed);
    }
}
