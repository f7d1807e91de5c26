//! The double denies a request what the real host denies it, and lets it name what the real host lets it.

#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use bulkhead_sdk::http::{self, Response};
use bulkhead_sdk::testing::{Lab, sample};
use bulkhead_sdk::{
    Access, AccessUpdate, CapabilityCode, Creation, Driver, EnsuredShare, ExportLocation, Result,
    RuleOutcome, Share, ShareFromSnapshot, Slots, Snapshot, Statistics,
};
use std::cell::RefCell;

const REQUESTS: &str = r#"
[[request]]
name = "clone"
effect = "change"
method = "POST"
path = "/volumes/{volume}"
body = "json"
text = '{ "source": {source} }'
slots.volume = { type = "name" }
slots.source = { type = "name" }

[[request]]
name = "tag"
effect = "change"
scope = "backend"
method = "POST"
path = "/tags/{tag}/{first}?of={second}"
slots.tag = { type = "opaque", max = 64 }
slots.first = { type = "name" }
slots.second = { type = "name" }

[[request]]
name = "open"
effect = "change"
scope = "backend"
method = "POST"
path = "/ports"
body = "form"
text = "port={port}"
slots.port = { type = "port" }
"#;

/// A request about one volume, and nothing else.
fn of_volume(name: &str, effect: &str, method: &str) -> String {
    format!(
        "[[request]]\nname = \"{name}\"\neffect = \"{effect}\"\nmethod = \"{method}\"\npath = \"/volumes/{{volume}}\"\n\
         slots.volume = {{ type = \"name\" }}\n"
    )
}

type Body = Box<dyn Fn(&Share, Option<&Snapshot>)>;

thread_local! {
    static BODY: RefCell<Option<Body>> = const { RefCell::new(None) };
}

struct Asking;

fn ask(share: &Share, source: Option<&Snapshot>) {
    BODY.with_borrow(|body| body.as_ref().expect("a body")(share, source));
}

impl Driver for Asking {
    fn setup() -> Result<()> {
        Ok(())
    }

    fn stats() -> Result<Statistics> {
        Ok(Statistics::default())
    }

    fn create_share(share: &Share) -> Result<Vec<ExportLocation>> {
        ask(share, None);
        Ok(Vec::new())
    }

    fn delete_share(_: &Share) -> Result<()> {
        Ok(())
    }

    fn ensure_shares(shares: &[Share]) -> Result<Vec<EnsuredShare>> {
        ask(shares.first().expect("a share"), None);
        Ok(Vec::new())
    }
}

impl Access for Asking {
    fn update_access(_: &Share, _: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
        Ok(Vec::new())
    }
}

impl ShareFromSnapshot for Asking {
    fn create_share_from_snapshot(share: &Share, source: &Snapshot) -> Result<Creation> {
        ask(share, Some(source));
        Ok(Creation::Available(Vec::new()))
    }
}

fn lab() -> Lab {
    let of_volume = [("look", "read", "GET"), ("change", "change", "PUT"), ("remove", "destroy", "DELETE")]
        .map(|(name, effect, method)| of_volume(name, effect, method));
    let lab = Lab::new(&format!("{REQUESTS}{}", of_volume.concat()));
    for request in ["clone", "look", "change", "remove", "tag", "open"] {
        lab.answer_request(request, |_| Ok(Response::new(200, "")));
    }
    lab
}

/// What `body` does in a call that makes share 2 from a snapshot of share 1.
fn from_snapshot(lab: &Lab, body: impl Fn(&Share, &Snapshot) + 'static) {
    BODY.set(Some(Box::new(move |share, source| body(share, source.expect("a source")))));
    let source = sample::snapshot(1, &sample::share(1, 1));
    lab.create_share_from_snapshot::<Asking>(&sample::share(2, 1), &source).expect("asked");
}

/// The request is not sent, for this reason.
fn refused(request: &str, slots: Slots, expected: CapabilityCode) {
    assert_eq!(http::send(request, slots).expect_err("refused").code(), expected, "{request}");
}

fn volume(of: impl Into<bulkhead_sdk::Resource>) -> Slots {
    Slots::new().name_of("volume", of)
}

#[test]
fn what_a_share_is_made_from_is_named_beside_it_and_looked_at_alone() {
    let lab = lab();
    from_snapshot(&lab, |share, source| {
        http::send("clone", volume(share).name_of("source", source)).expect("beside its own");
        http::send("look", volume(source)).expect("looked at");
        http::send("look", volume(&source.share)).expect("looked at");
    });
    let sent = lab.requests();
    let (share, source) = (sample::share(2, 1), sample::snapshot(1, &sample::share(1, 1)));
    let [clone, look, _] = sent.as_slice() else { unreachable!("three: {sent:?}") };
    assert_eq!(
        clone.words(),
        ["POST", &format!("/volumes/{}", share.name), &format!("{{ \"source\": \"{}\" }}", source.name)]
    );
    assert_eq!(look.words().get(1), Some(&format!("/volumes/{}", source.name)));
}

#[test]
fn what_a_share_is_made_from_is_neither_changed_nor_removed() {
    let lab = lab();
    from_snapshot(&lab, |share, source| {
        for request in ["change", "remove"] {
            refused(request, volume(source), CapabilityCode::Denied);
            refused(request, volume(&source.share), CapabilityCode::Denied);
            http::send(request, volume(share)).expect("its own");
        }
        refused("clone", volume(source).name_of("source", source), CapabilityCode::Denied);
        let twice = volume(source).name_of("volume", &source.share);
        refused("look", twice, CapabilityCode::InvalidArgument);
    });
    assert_eq!(lab.requests().len(), 2);
}

#[test]
fn a_foreign_share_is_no_source_and_out_of_reach() {
    let lab = lab();
    from_snapshot(&lab, |share, _| {
        let foreign = sample::share(9, 1);
        for request in ["look", "change", "remove"] {
            refused(request, volume(&foreign), CapabilityCode::Denied);
        }
        refused("clone", volume(share).name_of("source", &foreign), CapabilityCode::Denied);
    });
    assert!(lab.requests().is_empty());
}

#[test]
fn a_request_about_the_calls_share_names_one_share_and_one_about_the_backend_may_name_more() {
    let lab = lab();
    BODY.set(Some(Box::new(|share, _| {
        let other = sample::share(3, 1);
        refused("clone", volume(share).name_of("source", &other), CapabilityCode::InvalidArgument);
        let tagged = Slots::new().text("tag", "x").name_of("first", share).name_of("second", &other);
        http::send("tag", tagged).expect("of the backend");
    })));
    lab.ensure_shares::<Asking>(&[sample::share(2, 1), sample::share(3, 1)]).expect("asked");
    assert_eq!(lab.requests().len(), 1);
}

#[test]
fn values_that_the_host_refuses_are_refused() {
    let lab = lab();
    BODY.set(Some(Box::new(|share, _| {
        let tag =
            |text: &str| Slots::new().text("tag", text).name_of("first", share).name_of("second", share);
        refused("tag", tag("."), CapabilityCode::InvalidArgument);
        http::send("tag", tag("a.b")).expect("no step");
        let port = |number| Slots::new().unsigned("port", number);
        for number in [0, 65_536] {
            refused("open", port(number), CapabilityCode::InvalidArgument);
        }
        http::send("open", port(65_535)).expect("a port");
    })));
    lab.create_share::<Asking>(&sample::share(2, 1)).expect("asked");
}
