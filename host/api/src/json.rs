//! JSON that means one thing: an object that names a key twice is refused, because two readers would read it differently, and fields are
//! told apart by their names alone.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Value;
use std::collections::HashSet;
use std::fmt;

/// Any JSON without a key that stands twice in its object. Holds nothing: it is read to be refused.
#[derive(Debug)]
pub(crate) struct Unambiguous;

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walk)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = Unambiguous;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_unit<E: Error>(self) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Unambiguous, A::Error> {
        while elements.next_element::<Unambiguous>()?.is_some() {}
        Ok(Unambiguous)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Unambiguous, A::Error> {
        let mut keys = HashSet::new();
        while let Some((key, Unambiguous)) = entries.next_entry::<String, Unambiguous>()? {
            if let Some(key) = keys.replace(key) {
                let shown: String = key.chars().take(64).collect();
                return Err(A::Error::custom(format_args!("the key '{shown}' stands twice")));
            }
        }
        Ok(Unambiguous)
    }
}

/// The value as `T`, whose fields come from objects alone: what derives `Deserialize` would take an array as well, each element for the field
/// in its place, past what refuses fields that nobody knows.
pub(crate) fn by_name<T: DeserializeOwned>(value: Value) -> Result<T, serde_json::Error> {
    T::deserialize(ByName(value))
}

struct ByName(Value);

impl<'de> IntoDeserializer<'de, serde_json::Error> for ByName {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for ByName {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Array(elements) => {
                SeqDeserializer::new(elements.into_iter().map(ByName)).deserialize_any(visitor)
            }
            Value::Object(fields) => {
                let fields = fields.into_iter().map(|(name, value)| (name, ByName(value)));
                MapDeserializer::new(fields).deserialize_any(visitor)
            }
            plain => plain.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        if self.0.is_array() {
            return Err(Self::Error::invalid_type(Unexpected::Other("array"), &visitor));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(expecting = "an object", deny_unknown_fields)]
    struct Outer {
        inner: Option<Inner>,
        #[serde(default)]
        list: Vec<Inner>,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(expecting = "an object", deny_unknown_fields)]
    struct Inner {
        name: Option<String>,
        size: Option<u64>,
        rest: Option<Value>,
    }

    #[test]
    fn fields_are_taken_by_their_names_and_never_by_their_places() {
        let inner =
            Inner { name: Some("a".to_owned()), size: Some(1), rest: Some(json!(["b", { "c": 1.5 }])) };
        let written = json!({ "name": "a", "size": 1, "rest": ["b", { "c": 1.5 }] });
        let read = by_name::<Outer>(json!({ "inner": written, "list": [{}] })).expect("an object");
        let empty = Inner { name: None, size: None, rest: None };
        assert_eq!(read, Outer { inner: Some(inner), list: vec![empty] });
        assert_eq!(by_name::<Outer>(json!({ "inner": null })).expect("none").inner, None);
        for array in
            [json!([{}, []]), json!({ "inner": ["a", 1, null] }), json!({ "list": [["a", null, null]] })]
        {
            let refusal = by_name::<Outer>(array.clone()).expect_err("no object").to_string();
            assert!(refusal.contains("array, expected an object"), "{array}: {refusal}");
        }
        assert!(by_name::<Outer>(json!({ "inner": { "nmae": "a" } })).is_err(), "a field that nobody knows");
        assert!(by_name::<Outer>(json!({ "inner": { "size": "1" } })).is_err(), "another type");
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_at_any_depth() {
        let read = serde_json::from_str::<Unambiguous>;
        assert!(read(r#"{"a":{"a":[1,-1,1.5,null,true,"a",{"b":1}]},"b":1}"#).is_ok());
        for twice in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#] {
            let refusal = read(twice).expect_err("ambiguous");
            assert!(refusal.to_string().contains("the key 'a' stands twice"), "{refusal}");
        }
    }
}
