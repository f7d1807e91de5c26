use crate::lab::{Lab, code};
use bulkhead_capability::config::ConfigValue;
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::manifest::OptionValue;

#[tokio::test]
async fn an_option_is_what_the_operator_set_else_its_default() {
    let lab = Lab::with(|parts| {
        parts.options.insert("ratio".to_owned(), OptionValue::Integer(2));
        parts.options.insert("password".to_owned(), OptionValue::Text("array-password".to_owned()));
    })
    .await;
    let call = lab.call();
    let get = async |name: &str| call.config().get(name).await.expect("declared");
    assert_eq!(get("greeting").await, Some(ConfigValue::Text("hello".to_owned())));
    assert_eq!(get("ratio").await, Some(ConfigValue::Float(2.0)));
    assert_eq!(get("password").await, Some(ConfigValue::Secret("array-password".to_owned())));
    let lab = Lab::new().await;
    assert_eq!(lab.call().config().get("ratio").await, Ok(None), "neither set nor with a default");
}

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
