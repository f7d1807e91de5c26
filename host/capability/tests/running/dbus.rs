use crate::lab::{Lab, at, at_of, code, denial, label, slot, text};
use bulkhead_capability::dbus::{DbusReply, MOST_CALLS};
use bulkhead_capability::execute::RunError;
use bulkhead_capability::service::ServiceInstance;
use bulkhead_capability::slot::{Slot, SlotValue};
use bulkhead_capability::testing::origin;
use bulkhead_helper::protocol::{Refusal, SlotArgument};
use bulkhead_model::ability::Capability;
use bulkhead_model::effect::EffectOutcome;
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::id::{CallId, ShareInstanceId};
use bulkhead_model::manifest::DbusTemplate;
use bulkhead_model::target::{CallTarget, Resource};
use std::time::Duration;
use tokio::time::Instant;

const BACKEND: ServiceInstance = ServiceInstance::Backend;

fn export_slots() -> Vec<Slot> {
    vec![at("file", "exports/{share}.conf"), slot("id", SlotValue::Signed(7))]
}

#[tokio::test]
async fn a_granted_call_goes_to_the_bus_of_this_backends_group() {
    let lab = Lab::new().await;
    let reply = lab.call().dbus().call("add-export", &BACKEND, &export_slots()).await.expect("an answer");
    assert_eq!(reply, DbusReply::Results(Vec::new()));
    let calls = lab.fake.dbus_calls();
    let [call] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!((call.group.backend.as_str(), call.group.group.as_str()), ("nas1", "nfs"));
    let template: DbusTemplate = serde_json::from_str(&call.template).expect("a template");
    assert_eq!(template.method, "AddExport");
    assert!(call.group_template.contains("/run/dbus/system_bus_socket"));
    assert_eq!(call.slots.get(&label("id")), Some(&SlotArgument::Signed(7)));
    assert!(call.roots.contains_key(&label("config")));
    assert!(call.timeout_ms <= 30_000, "{}", call.timeout_ms);
    let effects = lab.effects().await;
    let outcomes: Vec<_> =
        effects.iter().map(|effect| (effect.capability.as_str(), effect.outcome)).collect();
    assert_eq!(outcomes, [("dbus.call", EffectOutcome::Begun), ("dbus.call", EffectOutcome::Done)]);
}

#[tokio::test]
async fn a_refusal_of_the_method_is_an_answer_and_stands_in_the_ledger() {
    let lab = Lab::new().await;
    let fault = DbusReply::Fault {
        name: "org.freedesktop.DBus.Error.InvalidArgs".to_owned(),
        message: "no".to_owned(),
    };
    lab.fake.answer_dbus(Ok(fault.clone()));
    let reply = lab.call().dbus().call("add-export", &BACKEND, &export_slots()).await;
    assert_eq!(reply, Ok(fault));
    let last = lab.effects().await.pop().expect("an effect");
    assert!(last.outcome == EffectOutcome::Done && last.detail.contains("InvalidArgs"), "{last:?}");
}

#[tokio::test]
async fn every_right_that_lacks_is_denied_with_the_one_line_that_would_give_it() {
    let without_bus = Lab::with(|parts| {
        let mut manifest = crate::lab::manifest();
        manifest.groups[0].bus = None;
        let digest = manifest.groups[0].digest();
        parts.grant.templates.insert(label("nfs"), digest);
        parts.manifest = std::sync::Arc::new(manifest);
    });
    for (lab, line) in [
        (Lab::without(Capability::Dbus).await, "grant.capabilities = [\"dbus\"]"),
        (Lab::without_template("nfs").await, "grant.templates.nfs = "),
        (Lab::without_template("add-export").await, "grant.templates.add-export = "),
        (Lab::without_root("config").await, "grant.roots.config = "),
        (without_bus.await, "[[group]] name = \"nfs\" bus = "),
    ] {
        let denied = denial(lab.call().dbus().call("add-export", &BACKEND, &export_slots()).await);
        assert!(denied.contains(line), "{denied}");
        lab.assert_untouched();
        assert_eq!(lab.effects().await.len(), 1);
    }
}

#[tokio::test]
async fn a_foreign_share_an_undeclared_file_and_a_number_out_of_range_are_refused() {
    let lab = Lab::new().await;
    let call = lab.call();
    let made = async |slots: &[Slot]| code(call.dbus().call("add-export", &BACKEND, slots).await);
    let foreign = Some(Resource::Share(ShareInstanceId::random()));
    let id = || slot("id", SlotValue::Signed(7));
    assert_eq!(made(&[at_of("file", "exports/{share}.conf", foreign), id()]).await, CapabilityCode::Denied);
    assert_eq!(made(&[at("file", "ganesha.conf"), id()]).await, CapabilityCode::Denied);
    for number in [0, -1, 65_536, i64::MAX] {
        let slots = [at("file", "exports/{share}.conf"), slot("id", SlotValue::Signed(number))];
        assert_eq!(made(&slots).await, CapabilityCode::InvalidArgument);
    }
    assert_eq!(made(&[id()]).await, CapabilityCode::InvalidArgument);
    assert_eq!(code(call.dbus().call("shut-down", &BACKEND, &[]).await), CapabilityCode::InvalidArgument);
    let instance = ServiceInstance::Of(Resource::Share(lab.share));
    assert_eq!(
        code(call.dbus().call("add-export", &instance, &export_slots()).await),
        CapabilityCode::Denied
    );
    lab.assert_untouched();
}

#[tokio::test]
async fn a_call_to_be_made_once_is_not_made_again_by_a_later_attempt_that_cannot_know() {
    let lab = Lab::new().await;
    let first = origin("shares.create-share");
    let again = || bulkhead_model::call::CallOrigin { call: CallId::next(), ..first.clone() };
    let about = || CallTarget::share(lab.share);
    let slots = export_slots();
    for (failure, begun) in [
        (RunError::Unavailable { reason: "no bus".to_owned() }, false),
        (Refusal::new(CapabilityCode::Unavailable, "nobody has the name").into(), false),
        (Refusal::new(CapabilityCode::TimedOut, "no answer").into(), true),
    ] {
        lab.fake.answer_dbus(Err(failure));
        let call = lab.call_of(again(), about());
        call.dbus().call("add-export", &BACKEND, &slots).await.expect_err("it fails");
        let before = lab.fake.dbus_calls().len();
        let repeated = lab.call_of(again(), about());
        if begun {
            let refused = repeated.dbus().call("add-export", &BACKEND, &slots).await;
            assert_eq!(code(refused), CapabilityCode::OutcomeUnknown);
            assert_eq!(lab.fake.dbus_calls().len(), before, "nothing was sent");
        }
    }
    let other = lab.call_of(origin("shares.create-share"), about());
    other.dbus().call("add-export", &BACKEND, &slots).await.expect("another operation makes it");
    let safe = lab.call_of(again(), about());
    for _ in 0..2 {
        let id = [slot("id", SlotValue::Signed(7))];
        safe.dbus().call("remove-export", &BACKEND, &id).await.expect("as often as need be");
    }
}

#[tokio::test]
async fn free_text_stands_only_as_a_whole_argument() {
    let lab = Lab::new().await;
    let call = lab.call();
    call.dbus().call("note", &BACKEND, &[text("text", "free text; (of any kind)")]).await.expect("whole");
    let inside = call.dbus().call("note-inside", &BACKEND, &[text("text", "x")]).await;
    assert_eq!(code(inside), CapabilityCode::InvalidArgument);
    assert_eq!(lab.fake.dbus_calls().len(), 1);
}

#[tokio::test]
async fn not_more_than_eight_calls_of_a_backend_are_under_way() {
    let lab = Lab::new().await;
    lab.fake.hang();
    let id = || [slot("id", SlotValue::Signed(1))];
    let calls = std::iter::repeat_with(|| lab.call()).take(MOST_CALLS);
    let running: Vec<_> = calls
        .map(|call| tokio::spawn(async move { call.dbus().call("remove-export", &BACKEND, &id()).await }))
        .collect();
    let until = Instant::now() + Duration::from_secs(10);
    while lab.fake.dbus_calls().len() < MOST_CALLS && Instant::now() < until {
        tokio::task::yield_now().await;
    }
    let until = Instant::now() + Duration::from_millis(200);
    let ninth = lab.backend.begin(origin("shares.create-share"), CallTarget::share(lab.share), until, 0);
    let error = ninth.dbus().call("remove-export", &BACKEND, &id()).await.expect_err("it is refused");
    assert_eq!((error.code, lab.fake.dbus_calls().len()), (CapabilityCode::Busy, 8));
    lab.fake.release();
    lab.call().dbus().call("remove-export", &BACKEND, &id()).await.expect("a place was given back");
    for task in running {
        task.abort();
    }
}
