//! The options of a backend. The right: its own, declared ones, and Manila's inherited `share_opts`; of another backend those that its
//! manifest marks `peer`, if the grant names it in `peers`.
//!
//! Values were validated by `package` before the generation was loaded; defaults are filled in here. A secret is the name of its option.

use crate::backend::Backend;
use crate::call::Call;
use crate::record::Deed;
use bulkhead_model::base_option::share_opts;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::BackendName;
use bulkhead_model::manifest::{Manifest, OptionDeclaration, OptionType, OptionValue};
use bulkhead_model::migration::ConnectionOptions;
use bulkhead_model::text::GuestText;
use std::collections::BTreeMap;

/// The longest option name shown in a text, in bytes.
const SHOWN: usize = 64;

/// A typed option value.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
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
    /// Of type `secret`: the option's name, never its text nor where that is kept.
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

    /// The value of an option of another backend, `HOST@BACKEND` or its name alone.
    ///
    /// Fails with `denied` if the grant does not name it in `peers` or the option is not marked `peer`, `not-found` if there is no such
    /// backend here, `invalid-argument` if it declares no such option.
    pub async fn get_of_peer(
        &self,
        backend: &str,
        name: &str,
    ) -> Result<Option<ConfigValue>, CapabilityError> {
        let subject = format!("{}: {}", GuestText::new(backend, SHOWN), GuestText::new(name, SHOWN));
        let deed = Deed::new("config.get-of-peer", subject);
        self.call.recorded(deed, async { self.look_up_at_peer(backend, name) }).await
    }

    fn look_up_at_peer(&self, backend: &str, name: &str) -> Result<Option<ConfigValue>, CapabilityError> {
        let backend = backend.rsplit_once('@').map_or(backend, |(_, backend)| backend);
        let shown = GuestText::new(backend, SHOWN);
        let granted = &self.call.backend().grant().peers;
        let Some(peer) = granted.iter().find(|peer| peer.as_str() == backend) else {
            return Err(CapabilityError::denied(
                format!("an option of backend '{shown}'"),
                format!("grant.peers = [\"{shown}\"]"),
            ));
        };
        let options = self.call.backend().peer_options(peer).ok_or_else(|| {
            CapabilityError::new(CapabilityCode::NotFound, format!("there is no backend '{shown}' here"))
        })?;
        options.get(peer, name)
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

impl Backend {
    /// An inherited option: what the operator set, else its default.
    pub(crate) fn inherited_option(&self, name: &str) -> Option<OptionValue> {
        let inherited = share_opts().into_iter().find(|option| option.name == name);
        self.options().get(name).cloned().or(inherited.and_then(|option| option.default))
    }

    /// What the inherited options say of mounting shares.
    #[must_use]
    pub fn connection_options(&self) -> ConnectionOptions {
        let text = |name| match self.inherited_option(name) {
            Some(OptionValue::Text(text)) => text,
            _ => String::new(),
        };
        ConnectionOptions {
            mount_template: text("share_mount_template"),
            unmount_template: text("share_unmount_template"),
            access_mapping: match self.inherited_option("protocol_access_mapping") {
                Some(OptionValue::Map(pairs)) => pairs,
                _ => BTreeMap::new(),
            },
        }
    }
}

/// The options of one backend as its peers see them.
#[derive(Debug, Default)]
pub(crate) struct PeerOptions(BTreeMap<String, PeerOption>);

#[derive(Debug)]
enum PeerOption {
    /// Declared, and not for peers.
    Private,
    /// What it holds.
    Shown(Option<(OptionDeclaration, OptionValue)>),
}

impl PeerOptions {
    pub(crate) fn of(manifest: &Manifest, options: &BTreeMap<String, OptionValue>) -> Self {
        let inherited = share_opts();
        let shown = |declared: &OptionDeclaration| {
            let value = options.get(&declared.name).or(declared.default.as_ref());
            match declared.peer {
                false => PeerOption::Private,
                true => PeerOption::Shown(value.map(|value| (declared.clone(), value.clone()))),
            }
        };
        // Own declarations come last: they win over inherited ones.
        let declared = inherited.iter().chain(&manifest.options);
        Self(declared.map(|declared| (declared.name.clone(), shown(declared))).collect())
    }

    fn get(&self, peer: &BackendName, name: &str) -> Result<Option<ConfigValue>, CapabilityError> {
        let shown = GuestText::new(name, SHOWN);
        match self.0.get(name) {
            None => Err(CapabilityError::new(
                CapabilityCode::InvalidArgument,
                format!("backend '{peer}' declares no option '{shown}'"),
            )),
            Some(PeerOption::Private) => Err(CapabilityError::denied(
                format!("option '{shown}' of backend '{peer}'"),
                format!("[[option]] name = \"{shown}\" peer = true in the manifest of that backend's driver"),
            )),
            Some(PeerOption::Shown(value)) => {
                value.as_ref().map(|(declaration, value)| typed(declaration, value)).transpose()
            }
        }
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
        (OptionType::Secret, OptionValue::Text(_)) => ConfigValue::Secret(declaration.name.clone()),
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
