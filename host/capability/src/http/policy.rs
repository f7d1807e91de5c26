//! Whether a request may be sent, and what is sent then. Nothing is sent here.

use super::controller::{BoundEndpoint, Controller, EndpointPlace};
use super::render::{self, Value, Values};
use super::session::{Account, Credential};
use crate::backend::Backend;
use crate::call::Call;
use crate::execute::policy::of_one_share;
use crate::slot::{self, Filled, Slot, SlotValue};
use bulkhead_helper::protocol::SlotArgument;
use bulkhead_model::ability::Capability;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::{Digest, Label, ShareServerId};
use bulkhead_model::manifest::{
    AnswerKind, BodyFormat, CommandEffect, OptionValue, RequestTemplate, SessionTemplate, SlotType,
    TemplateScope,
};
use bulkhead_model::target::{CallTarget, Resource};
use bulkhead_model::text::GuestText;
use hyper::header::{HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const SHOWN: usize = 64;

/// What a function sends and takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// `send`: bytes both ways.
    Message,
    /// `upload`: a file goes out.
    Upload,
    /// `download`: a file comes in.
    Download,
}

/// A request that may be sent.
pub(super) struct Prepared<'call> {
    pub(super) template: &'call RequestTemplate,
    pub(super) endpoint: Arc<BoundEndpoint>,
    /// The share server it is for and where that is, where the endpoint is at share servers.
    at_server: Option<(ShareServerId, Vec<Controller>)>,
    pub(super) account: Option<(Account, Digest)>,
    pub(super) target: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Vec<u8>,
    /// The values of its slots, secrets by reference.
    pub(super) slots: BTreeMap<Label, SlotArgument>,
    /// Its slots, for the ledger.
    pub(super) detail: String,
}

impl Prepared<'_> {
    /// The share server it is for, where the endpoint is at share servers.
    pub(super) fn server(&self) -> Option<ShareServerId> {
        self.at_server.as_ref().map(|(server, _)| *server)
    }

    /// Whom it may be sent to, in order.
    pub(super) fn controllers(&self) -> &[Controller] {
        match (&self.at_server, &self.endpoint.place) {
            (Some((_, controllers)), _) | (None, EndpointPlace::Controllers(controllers)) => controllers,
            (None, EndpointPlace::ShareServer(_)) => &[],
        }
    }
}

/// Check the template `name` and its slots, and put the request together.
///
/// Fails with `invalid-argument` for what is not declared and slots outside their types, `denied` for what is not granted.
pub(super) async fn prepare<'call>(
    call: &'call Call,
    name: &str,
    given: &[Slot],
    direction: Direction,
) -> Result<Prepared<'call>, CapabilityError> {
    call.require(Capability::Http)?;
    let backend = call.backend();
    let shown = GuestText::new(name, SHOWN);
    let template = backend.manifest().request(name).ok_or_else(|| {
        invalid(format!(
            "no request template '{shown}' is declared; declare it as [[request]] name = \"{shown}\""
        ))
    })?;
    backend.require_template(&template.name, template.digest())?;
    check_direction(template, direction)?;
    let endpoint = endpoint(backend, &template.endpoint)?;
    let account = template.session.as_ref().map(|session| account(backend, session)).transpose()?;
    if template.scope == TemplateScope::Target {
        check_one_share(call.target(), template, given)?;
    }
    call.check_time()?;
    let filled = fill(call, template, given)?;
    let at_server = match &endpoint.place {
        EndpointPlace::ShareServer(at) => Some(at.reach(call, &template.endpoint, given).await?),
        EndpointPlace::Controllers(_) => None,
    };
    let mut values = Values::new();
    for (label, value) in &filled {
        let value = match value {
            Filled::Secret { secret, .. } => Value::Secret(secret),
            value => Value::Filled(value),
        };
        values.insert(label, value);
    }
    let (slots, detail) = recorded(&filled);
    Ok(Prepared {
        template,
        endpoint,
        at_server,
        account,
        target: render::target(&template.path, &values)?,
        headers: render::headers(&template.headers, template.body, &values)?,
        body: render::body(template.body, template.text.as_deref(), &values)?,
        slots,
        detail,
    })
}

/// A request is about one share. What that is made from may be named beside it, and alone where the request only reads.
fn check_one_share(
    target: &CallTarget,
    template: &RequestTemplate,
    given: &[Slot],
) -> Result<(), CapabilityError> {
    let is_source = |slot: &&Slot| match &slot.value {
        SlotValue::NameOf(resource) => names_source(target, *resource),
        _ => false,
    };
    let names = |slot: &Slot| matches!(slot.value, SlotValue::NameOf(_));
    let (sources, own): (Vec<&Slot>, Vec<&Slot>) = given.iter().partition(is_source);
    let is_alone = !own.iter().any(|slot| names(slot));
    let may = match template.effect {
        CommandEffect::Read => true,
        CommandEffect::Change => !is_alone,
        CommandEffect::Destroy => false,
    };
    if !sources.is_empty() && !may {
        return Err(CapabilityError::denied(
            format!("changing what a new share is made from with '{}'", template.name),
            "no line; a source is read only",
        ));
    }
    let own: Vec<Slot> = own.into_iter().cloned().collect();
    of_one_share(target, &own)
}

/// The slots, those that name what the call's new share is made from among them: a name is all that a request has of it.
fn fill(
    call: &Call,
    template: &RequestTemplate,
    given: &[Slot],
) -> Result<BTreeMap<Label, Filled>, CapabilityError> {
    let mut sources = BTreeMap::new();
    let mut own = Vec::new();
    for slot in given {
        let declared = template.slots.iter().find(|(label, _)| label.as_str() == slot.name);
        match (&slot.value, declared) {
            (SlotValue::NameOf(resource), Some((label, SlotType::Name)))
                if names_source(call.target(), *resource) && !sources.contains_key(label) =>
            {
                sources.insert(label.clone(), Filled::Name(resource.to_string()));
            }
            _ => own.push(slot.clone()),
        }
    }
    let mut declared = template.slots.clone();
    declared.retain(|label, _| !sources.contains_key(label));
    let mut filled = slot::fill(call, &declared, &own)?;
    filled.extend(sources);
    Ok(filled)
}

fn names_source(target: &CallTarget, resource: Resource) -> bool {
    let mut sources = target.source.iter().chain(target.sources.values());
    sources.any(|source| match resource {
        Resource::Share(share) => source.share == share,
        Resource::Snapshot(snapshot) => source.snapshot == snapshot,
        _ => false,
    })
}

fn check_direction(template: &RequestTemplate, direction: Direction) -> Result<(), CapabilityError> {
    let (declared, function) = match (template.body, template.answer) {
        (BodyFormat::File, _) => (Direction::Upload, "upload"),
        (_, AnswerKind::File) => (Direction::Download, "download"),
        _ => (Direction::Message, "send"),
    };
    if declared == direction {
        return Ok(());
    }
    Err(invalid(format!("the request '{}' is one for http.{function}", template.name)))
}

/// The endpoint `name` as it is bound.
fn endpoint(backend: &Backend, name: &Label) -> Result<Arc<BoundEndpoint>, CapabilityError> {
    if let Some(declared) = backend.manifest().endpoint(name.as_str()) {
        backend.require_template(name, declared.digest())?;
    }
    backend.endpoint(name).cloned().ok_or_else(|| {
        CapabilityError::denied(
            format!("endpoint '{name}'"),
            format!("grant.endpoints.{name} = {{ controllers = [\"https://10.0.0.5\"], ca = \"/absolute/file.pem\" }}"),
        )
    })
}

/// Who logs in, with a hash of the credentials.
pub(super) fn account(backend: &Backend, name: &Label) -> Result<(Account, Digest), CapabilityError> {
    let template = backend.manifest().session(name.as_str()).ok_or_else(|| {
        invalid(format!("no session '{name}' is declared; declare it as [[session]] name = \"{name}\""))
    })?;
    backend.require_template(&template.name, template.digest())?;
    let mut hash = Sha256::new();
    let mut credentials = BTreeMap::new();
    for (slot, option) in &template.credentials {
        let credential = credential(backend, template, option)?;
        hash.update(slot.as_str());
        hash.update([0]);
        match &credential {
            Credential::Text(text) => hash.update(text),
            Credential::Secret(secret) => hash.update(secret.expose()),
        }
        hash.update([0]);
        credentials.insert(slot.clone(), credential);
    }
    let account = Account {
        template: Arc::new(template.clone()),
        credentials: Arc::new(credentials),
        redactor: backend.session_redactor().clone(),
    };
    Ok((account, Digest::from_bytes(hash.finalize().into())))
}

fn credential(
    backend: &Backend,
    template: &SessionTemplate,
    option: &str,
) -> Result<Credential, CapabilityError> {
    if let Some(secret) = backend.secret_option(option) {
        return Ok(Credential::Secret(secret.clone()));
    }
    let declared = backend.manifest().options.iter().find(|declared| declared.name == option);
    let value = backend.options().get(option).or(declared.and_then(|declared| declared.default.as_ref()));
    match value {
        Some(OptionValue::Text(text)) => Ok(Credential::Text(text.clone())),
        _ => Err(CapabilityError::new(
            CapabilityCode::Unavailable,
            format!(
                "session '{}' needs the option '{option}', which is not set in the backend's options",
                template.name
            ),
        )),
    }
}

/// The slots as they are recorded: secrets by reference.
fn recorded(filled: &BTreeMap<Label, Filled>) -> (BTreeMap<Label, SlotArgument>, String) {
    let mut detail = String::new();
    let mut slots = BTreeMap::new();
    for (label, value) in filled {
        let shown = match value {
            Filled::Unsigned(number) => number.to_string(),
            Filled::Signed(number) => number.to_string(),
            Filled::Word(text) | Filled::Name(text) | Filled::Opaque(text) | Filled::AccessRules(text) => {
                text.clone()
            }
            Filled::Ip(address) => address.to_string(),
            Filled::Cidr(network) => network.to_string(),
            Filled::Uuid(uuid) => uuid.as_hyphenated().to_string(),
            Filled::Path { at, .. } => at.subject(),
            Filled::Secret { reference, .. } => format!("secret {reference}"),
        };
        let argument = match value {
            Filled::Unsigned(number) => SlotArgument::Unsigned(*number),
            Filled::Signed(number) => SlotArgument::Signed(*number),
            _ => SlotArgument::Text(shown.clone()),
        };
        let separator = if detail.is_empty() { "" } else { " " };
        let _never_fails = write!(detail, "{separator}{label}={shown}").is_err();
        slots.insert(label.clone(), argument);
    }
    (slots, detail)
}

/// Until when the answer must be there: the template's time from now, not past the call's.
pub(super) fn deadline(call: &Call, template: &RequestTemplate) -> Instant {
    let own = Instant::now().checked_add(Duration::from_secs(template.timeout));
    own.map_or_else(|| call.deadline(), |own| own.min(call.deadline()))
}

fn invalid(message: String) -> CapabilityError {
    CapabilityError::new(CapabilityCode::InvalidArgument, message)
}
