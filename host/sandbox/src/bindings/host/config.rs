//! `config`.

use super::Answer;
use crate::bindings::convert::capability::error_to_wit;
use crate::bindings::v0_1::bulkhead::host::config::{Host, Value};
use crate::bindings::v0_1::bulkhead::host::types::SecretRef;
use crate::state::State;
use bulkhead_capability::config::ConfigValue;

impl Host for State {
    async fn get(&mut self, name: String) -> Answer<Option<Value>> {
        let value = self.call.config().get(&name).await.map_err(error_to_wit)?;
        Ok(value.map(value_to_wit))
    }

    async fn get_of_peer(&mut self, backend: String, name: String) -> Answer<Option<Value>> {
        let value = self.call.config().get_of_peer(&backend, &name).await.map_err(error_to_wit)?;
        Ok(value.map(value_to_wit))
    }
}

fn value_to_wit(value: ConfigValue) -> Value {
    match value {
        ConfigValue::Text(text) => Value::Text(text),
        ConfigValue::Integer(number) => Value::Integer(number),
        ConfigValue::Float(number) => Value::Float(number),
        ConfigValue::Boolean(boolean) => Value::Boolean(boolean),
        ConfigValue::Texts(texts) => Value::Texts(texts),
        ConfigValue::Pairs(pairs) => Value::Pairs(pairs),
        ConfigValue::Secret(name) => Value::Secret(SecretRef { name }),
    }
}
