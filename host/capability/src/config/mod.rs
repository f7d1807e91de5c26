//! The options of a backend. The right: its own, declared ones, and Manila's inherited `share_opts`; no other backend's.
//!
//! Values were validated by `package` before the generation was loaded; defaults are filled in here. A secret is its name.

use crate::call::Call;
use crate::record::Deed;
use bulkhead_model::base_option::share_opts;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::manifest::{OptionDeclaration, OptionType, OptionValue};
use bulkhead_model::text::GuestText;

/// The longest option name shown in a text, in bytes.
const SHOWN: usize = 64;

/// A typed option value.
#[derive(Debug, Clone, PartialEq)]
pub enum ConfigValue {
    /// Of type `string` or `enum`.
    Text(String),
    /// Of type `integer`.
    Integer(i64),
    /// Of type `float`; finite.
    Float(f64),
    /// Of type `boolean`.
    Boolean(bool),
    /// Of type `list`.
    Texts(Vec<String>),
    /// Of type `map`.
    Pairs(Vec<(String, String)>),
    /// Of type `secret`: its name, never its text.
    Secret(String),
}

/// The `config` interface of one call.
#[derive(Debug, Clone, Copy)]
pub struct Config<'call> {
    call: &'call Call,
}

impl<'call> Config<'call> {
    pub(crate) const fn new(call: &'call Call) -> Self {
        Self { call }
    }

    /// The value of an option: what the operator set, else its default; none if it has neither.
    ///
    /// Fails with `invalid-argument` if no such option is declared.
    pub async fn get(&self, name: &str) -> Result<Option<ConfigValue>, CapabilityError> {
        self.call.recorded(Deed::new("config.get", name), async { self.look_up(name) }).await
    }

    /// The value of an option of another backend.
    ///
    /// Fails with `denied`: no grant names a peer yet.
    pub async fn get_of_peer(
        &self,
        backend: &str,
        name: &str,
    ) -> Result<Option<ConfigValue>, CapabilityError> {
        let subject = format!("{}: {}", GuestText::new(backend, SHOWN), GuestText::new(name, SHOWN));
        let denial = CapabilityError::denied(
            format!("option '{subject}' of another backend"),
            "no line; this version of the host grants no peers",
        );
        self.call.recorded(Deed::new("config.get-of-peer", subject), async { Err(denial) }).await
    }

    fn look_up(&self, name: &str) -> Result<Option<ConfigValue>, CapabilityError> {
        let backend = self.call.backend();
        let declaration = declaration(&backend.manifest().options, name).ok_or_else(|| {
            CapabilityError::new(
                CapabilityCode::InvalidArgument,
                format!("no option '{}' is declared; declare it as [[option]]", GuestText::new(name, SHOWN)),
            )
        })?;
        let value = backend.options().get(name).or(declaration.default.as_ref());
        value.map(|value| typed(&declaration, value)).transpose()
    }
}

/// The driver's own declaration wins over an inherited one: it may change the default.
fn declaration(own: &[OptionDeclaration], name: &str) -> Option<OptionDeclaration> {
    let own = own.iter().find(|option| option.name == name).cloned();
    own.or_else(|| share_opts().into_iter().find(|option| option.name == name))
}

fn typed(declaration: &OptionDeclaration, value: &OptionValue) -> Result<ConfigValue, CapabilityError> {
    let value = match (declaration.option_type, value) {
        (OptionType::String | OptionType::Enum, OptionValue::Text(text)) => ConfigValue::Text(text.clone()),
        (OptionType::Secret, OptionValue::Text(name)) => ConfigValue::Secret(name.clone()),
        (OptionType::Integer, OptionValue::Integer(number)) => ConfigValue::Integer(*number),
        (OptionType::Float, OptionValue::Float(number)) if number.is_finite() => ConfigValue::Float(*number),
        (OptionType::Float, OptionValue::Integer(number)) => match i32::try_from(*number) {
            Ok(number) => ConfigValue::Float(f64::from(number)),
            Err(_) => return Err(mistyped(declaration)),
        },
        (OptionType::Boolean, OptionValue::Boolean(value)) => ConfigValue::Boolean(*value),
        (OptionType::List, OptionValue::List(texts)) => ConfigValue::Texts(texts.clone()),
        (OptionType::Map, OptionValue::Map(pairs)) => {
            ConfigValue::Pairs(pairs.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
        }
        _ => return Err(mistyped(declaration)),
    };
    Ok(value)
}

fn mistyped(declaration: &OptionDeclaration) -> CapabilityError {
    CapabilityError::new(
        CapabilityCode::InvalidArgument,
        format!(
            "option '{}' does not hold what its type says; correct the backend's options",
            declaration.name
        ),
    )
}
