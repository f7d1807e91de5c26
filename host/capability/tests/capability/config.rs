use crate::lab::{Lab, code};
use bulkhead_capability::backend::Backend;
use bulkhead_capability::config::ConfigValue;
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::grant::Grant;
use bulkhead_model::manifest::OptionValue;

#[tokio::test]
async fn an_option_is_what_the_operator_set_else_its_default() {
    let lab = Lab::with(|parts| {
        parts.options.insert("ratio".to_owned(), OptionValue::Integer(2));
        parts
            .options
            .insert("password".to_owned(), OptionValue::Text("secret://env/ARRAY_PASSWORD".to_owned()));
    })
    .await;
    let call = lab.call();
    let get = async |name: &str| call.config().get(name).await.expect("declared");
    assert_eq!(get("greeting").await, Some(ConfigValue::Text("hello".to_owned())));
    assert_eq!(get("ratio").await, Some(ConfigValue::Float(2.0)));
    assert_eq!(get("password").await, Some(ConfigValue::Secret("password".to_owned())));
    let lab = Lab::new().await;
    assert_eq!(lab.call().config().get("ratio").await, Ok(None), "neither set nor with a default");
}

/// Contract D-08.
#[tokio::test]
async fn manilas_base_options_are_inherited_unless_the_driver_declares_them_itself() {
    let lab = Lab::new().await;
    let call = lab.call();
    let get = async |name: &str| call.config().get(name).await.expect("declared");
    assert_eq!(get("num_shell_tries").await, Some(ConfigValue::Integer(3)));
    assert_eq!(get("max_over_subscription_ratio").await, Some(ConfigValue::Float(20.0)));
    assert_eq!(get("driver_handles_share_servers").await, None);
    assert_eq!(get("reserved_share_percentage").await, Some(ConfigValue::Integer(7)));
}

#[tokio::test]
async fn an_option_of_nobody_or_of_another_backend_is_not_readable() {
    let lab = Lab::new().await;
    let call = lab.call();
    for name in ["", "Greeting", "other/greeting", "greeting\0", "lab.greeting"] {
        assert_eq!(code(call.config().get(name).await), CapabilityCode::InvalidArgument, "{name:?}");
    }
    assert_eq!(code(call.config().get_of_peer("host@lab2", "greeting").await), CapabilityCode::Denied);
    assert_eq!(lab.effects().await.len(), 6);
}

/// Another backend that lets its peers read its greeting and its ratio.
fn add_peer(lab: &Lab, name: &str) {
    let mut manifest = crate::lab::manifest();
    for option in &mut manifest.options {
        option.peer = matches!(option.name.as_str(), "greeting" | "ratio");
    }
    let mut parts = lab.host.parts(name, manifest, Grant::default()).expect("parts");
    parts.options.insert("greeting".to_owned(), OptionValue::Text("hi".to_owned()));
    Backend::new(parts).expect("a backend");
}

#[tokio::test]
async fn options_that_a_peer_shows_are_read_by_who_may() {
    let lab = Lab::with(|parts| {
        parts.grant.peers = ["nas2", "nas3"].map(|peer| peer.parse().expect("a name")).into();
    })
    .await;
    for peer in ["nas2", "stranger"] {
        add_peer(&lab, peer);
    }
    let call = lab.call();
    let get = async |peer: &str, name: &str| call.config().get_of_peer(peer, name).await;
    let hi = Ok(Some(ConfigValue::Text("hi".to_owned())));
    assert_eq!((get("nas2", "greeting").await, get("host@nas2", "greeting").await), (hi.clone(), hi));
    assert_eq!(get("nas2", "ratio").await, Ok(None), "neither set nor with a default");
    assert_eq!(code(get("nas2", "nothing").await), CapabilityCode::InvalidArgument);
    assert_eq!(code(get("nas3", "greeting").await), CapabilityCode::NotFound);
    for (peer, name, line) in [
        ("stranger", "greeting", "grant.peers = [\"stranger\"]"),
        ("lab", "greeting", "grant.peers = [\"lab\"]"),
        ("nas2", "password", "[[option]] name = \"password\" peer = true"),
        ("nas2", "num_shell_tries", "[[option]] name = \"num_shell_tries\" peer = true"),
    ] {
        let error = get(peer, name).await.expect_err("denied");
        assert_eq!(error.code, CapabilityCode::Denied, "{error}");
        assert!(error.message.contains(line), "{error}");
    }
}
