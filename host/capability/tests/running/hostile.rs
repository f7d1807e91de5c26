//! Texts that mean to leave their place, in every slot type of every kind of template.

use crate::lab::{Lab, at, slot, text};
use bulkhead_capability::service::ServiceInstance;
use bulkhead_capability::slot::{PathChoice, Slot, SlotValue};
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::target::Resource;

const HOSTILE: [&str; 18] = [
    "\"",
    "'",
    "a\"; Path = \"/",
    "7); EXPORT(Export_Id=8",
    "a\nb",
    "a\r\nPlugins_Dir = /tmp;",
    "%include \"/etc/passwd\"",
    "Path = /;",
    "Squash = none;",
    "} FSAL { Name = VFS; }",
    "FSAL { Name = GPFS; }",
    "a\\",
    "a#b",
    "a\0b",
    "$(id)",
    "../../etc",
    "--config-file=/tmp/x",
    "\u{2028}",
];

fn sound(lab: &Lab) -> Vec<Slot> {
    vec![
        text("word", "on"),
        slot("name", SlotValue::NameOf(Resource::Share(lab.share))),
        text("address", "10.0.0.1"),
        text("network", "10.0.0.0/24"),
        text("uuid", "00000000-0000-4000-8000-000000000001"),
        slot("size", SlotValue::Unsigned(1)),
    ]
}

#[tokio::test]
async fn no_hostile_text_reaches_an_argument_on_a_bus() {
    let lab = Lab::new().await;
    let call = lab.call();
    let dbus = call.dbus();
    for hostile in HOSTILE {
        for place in 0..sound(&lab).len() {
            let mut slots = sound(&lab);
            slots[place].value = SlotValue::Text(hostile.to_owned());
            let refused = dbus.call("every-type", &ServiceInstance::Backend, &slots).await;
            assert_eq!(refused.expect_err("refused").code, CapabilityCode::InvalidArgument, "{hostile:?}");
        }
    }
    lab.assert_untouched();
    dbus.call("every-type", &ServiceInstance::Backend, &sound(&lab)).await.expect("sound values pass");
}

#[tokio::test]
async fn no_hostile_text_reaches_the_words_of_a_service_or_a_pattern() {
    let lab = Lab::new().await;
    let call = lab.call();
    for hostile in HOSTILE {
        let address = [
            at("bus-config", "bus.conf"),
            at("config", "ganesha.conf"),
            text("address", hostile),
            slot("port", SlotValue::Unsigned(2049)),
        ];
        let started = call.services().start("server", &ServiceInstance::Backend, &address).await;
        assert_eq!(started.expect_err("refused").code, CapabilityCode::InvalidArgument, "{hostile:?}");
        let mut config = address.clone();
        config[1].value = SlotValue::Path(PathChoice { pattern: hostile.to_owned(), of: None });
        config[2] = text("address", "127.0.0.1");
        let started = call.services().start("server", &ServiceInstance::Backend, &config).await;
        assert_eq!(started.expect_err("refused").code, CapabilityCode::Denied, "{hostile:?}");
        let name = call.services().start(hostile, &ServiceInstance::Backend, &[]).await;
        assert_eq!(name.expect_err("refused").code, CapabilityCode::InvalidArgument, "{hostile:?}");
        let group = call.services().stop_group(hostile, &ServiceInstance::Backend).await;
        assert_eq!(group.expect_err("refused").code, CapabilityCode::InvalidArgument, "{hostile:?}");
    }
    lab.assert_untouched();
    let effects = lab.effects().await;
    assert!(effects.iter().all(|effect| !effect.subject.contains('\n') && !effect.detail.contains('\n')));
}
