//! Secrets by reference: what a call may name, what is kept, and what the test lets commands print.

use super::denial::{Answer, deny, fail, invalid};
use super::lab::{Lab, State};
use crate::capability::CapabilityCode;
use crate::resource::Resource;
use std::collections::BTreeMap;

/// How the reference to a kept secret begins.
const KEPT: &str = "kept/";
/// How many secrets are kept for one resource, at most.
const MOST_KEPT: usize = 64;
/// What the passwords of security services are for.
const SECURITY_SERVICE: &str = "security-service";
/// The longest name that one is kept under, in bytes.
const NAME_BYTES: usize = 250;

/// A secret: what it is for, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    purpose: String,
    text: String,
}

/// What outlives a call.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    /// By the option's name.
    of_options: BTreeMap<String, String>,
    /// What commands print, and requests are answered with, for a purpose.
    printed: BTreeMap<String, String>,
    kept: BTreeMap<(Resource, String), Held>,
    made: u64,
}

/// What ends with a call.
#[derive(Debug, Clone, Default)]
pub(super) struct CallSecrets {
    held: BTreeMap<String, Held>,
    captured: BTreeMap<String, String>,
}

impl Secrets {
    /// Everything of a resource that was let go or removed.
    pub(super) fn forget(&mut self, resource: &Resource) {
        self.kept.retain(|(owner, _), _| owner != resource);
    }
}

impl Lab {
    /// Set an option of type `secret`, as the operator would by a reference: the driver sees its name only.
    pub fn set_secret(&self, option: &str, text: &str) {
        self.set_option(option, crate::config::Value::Secret(option.to_owned()));
        self.state.secrets.borrow_mut().of_options.insert(option.to_owned(), text.to_owned());
    }

    /// Let commands that capture for `purpose` print this secret from now on, and requests be answered with it.
    pub fn print_secret(&self, purpose: &str, text: &str) {
        self.state.secrets.borrow_mut().printed.insert(purpose.to_owned(), text.to_owned());
    }

    /// The text of what is kept for `resource` under `name`; none if nothing is.
    #[must_use]
    pub fn kept_secret(&self, resource: impl Into<Resource>, name: &str) -> Option<String> {
        let secrets = self.state.secrets.borrow();
        secrets.kept.get(&(resource.into(), name.to_owned())).map(|held| held.text.clone())
    }
}

impl State {
    /// The secret behind a reference; none if there is no text.
    pub(super) fn secret(&self, reference: &str) -> Answer<Option<Held>> {
        if self.manifest.secret_options.iter().any(|option| option == reference) {
            let text = self.secrets.borrow().of_options.get(reference).cloned();
            return Ok(text.map(|text| Held { purpose: reference.to_owned(), text }));
        }
        if self.target().passwords.iter().any(|name| name == reference) {
            let text = format!("the text of {reference}");
            return Ok(Some(Held { purpose: SECURITY_SERVICE.to_owned(), text }));
        }
        let held = self.call.borrow().as_ref().and_then(|call| call.secrets.held.get(reference).cloned());
        match (held, reference.strip_prefix(KEPT)) {
            (None, Some(name)) => self.read_kept(name),
            (None, None) => deny(
                &format!("the secret '{reference}' is not of this call"),
                "nothing: a driver has its own options' secrets, and those that the call was given",
            ),
            (held, _) => Ok(held),
        }
    }

    /// A slot takes only secrets for what it names.
    pub(super) fn secret_for_slot(&self, slot: &str, of: &[String], reference: &str) -> Answer<String> {
        let held = self.with_text(reference)?;
        if !of.contains(&held.purpose) {
            let line = format!("slots.{slot} = {{ type = \"secret\", of = [\"{}\"] }}", held.purpose);
            return deny(&format!("a secret for '{}' in slot {slot}", held.purpose), &line);
        }
        Ok(format!("secret:{reference}"))
    }

    pub(super) fn are_secrets_same(&self, first: &str, second: &str) -> Answer<bool> {
        Ok(self.with_text(first)?.text == self.with_text(second)?.text)
    }

    /// What a command has printed, or a request was answered with, is held for the call; what the one before gave is not any more.
    pub(super) fn capture(&self, purposes: &[String]) {
        let mut captured = BTreeMap::new();
        for purpose in purposes {
            let text = self.secrets.borrow().printed.get(purpose).cloned();
            if let Some(text) = text {
                let reference = self.hold("captured", Held { purpose: purpose.clone(), text });
                captured.insert(purpose.clone(), reference);
            }
        }
        if let Some(call) = self.call.borrow_mut().as_mut() {
            call.secrets.captured = captured;
        }
    }

    pub(super) fn captured_secret(&self, purpose: &str) -> Answer<Option<String>> {
        self.check_purpose(purpose)?;
        let commands = self.manifest.commands.values();
        let requests = self.manifest.requests.values().map(|request| &request.template);
        if !commands.chain(requests).any(|template| template.captures.iter().any(|one| one == purpose)) {
            return deny(
                &format!("no command or request captures for '{purpose}'"),
                &format!("captures.{purpose} = {{ json = \"/…\" }} in an [[execute]] or [[request]]"),
            );
        }
        let call = self.call.borrow();
        Ok(call.as_ref().and_then(|call| call.secrets.captured.get(purpose).cloned()))
    }

    pub(super) fn generate_secret(&self, purpose: &str) -> Answer<String> {
        self.check_purpose(purpose)?;
        let number = {
            let mut secrets = self.secrets.borrow_mut();
            secrets.made += 1;
            secrets.made
        };
        let held = Held { purpose: purpose.to_owned(), text: format!("made-for-{purpose}-{number}") };
        Ok(self.hold("generated", held))
    }

    pub(super) fn keep_secret(&self, name: &str, reference: &str) -> Answer<String> {
        check_name(name)?;
        let owner = self.target().resource(None)?;
        let held = self.with_text(reference)?;
        if self.manifest.secrets.get(&held.purpose) != Some(&true) {
            let line = format!("[[secret]] name = \"{}\" keep = true", held.purpose);
            return deny(&format!("a secret for '{}' may not be kept", held.purpose), &line);
        }
        let mut secrets = self.secrets.borrow_mut();
        let key = (owner.clone(), name.to_owned());
        let others = secrets.kept.keys().filter(|(of, other)| *of == owner && other != name).count();
        if others >= MOST_KEPT {
            return fail(
                CapabilityCode::LimitExceeded,
                format!("at most {MOST_KEPT} secrets for one resource"),
            );
        }
        secrets.kept.insert(key, held);
        Ok(format!("{KEPT}{name}"))
    }

    pub(super) fn kept_secret(&self, name: &str) -> Answer<Option<String>> {
        Ok(self.read_kept(name)?.map(|_| format!("{KEPT}{name}")))
    }

    pub(super) fn forget_secret(&self, name: &str) -> Answer<()> {
        check_name(name)?;
        let owner = self.target().resource(None)?;
        self.secrets.borrow_mut().kept.remove(&(owner, name.to_owned()));
        Ok(())
    }

    fn read_kept(&self, name: &str) -> Answer<Option<Held>> {
        check_name(name)?;
        let owner = self.target().resource(None)?;
        Ok(self.secrets.borrow().kept.get(&(owner, name.to_owned())).cloned())
    }

    fn with_text(&self, reference: &str) -> Answer<Held> {
        let missing = || fail(CapabilityCode::NotFound, format!("there is no text behind '{reference}'"));
        self.secret(reference)?.map_or_else(missing, Ok)
    }

    fn hold(&self, kind: &str, held: Held) -> String {
        let mut call = self.call.borrow_mut();
        let held_by_call = &mut call.get_or_insert_default().secrets.held;
        let reference = format!("{kind}/{}", held_by_call.len() + 1);
        held_by_call.insert(reference.clone(), held);
        reference
    }

    fn check_purpose(&self, purpose: &str) -> Answer<()> {
        if self.manifest.secrets.contains_key(purpose) {
            return Ok(());
        }
        deny(&format!("the purpose '{purpose}' is not declared"), &format!("[[secret]] name = \"{purpose}\""))
    }
}

fn check_name(name: &str) -> Answer<()> {
    let sound = !name.is_empty() && name.len() <= NAME_BYTES && !name.chars().any(char::is_control);
    if sound { Ok(()) } else { invalid(format!("a secret is kept under a name of 1 to {NAME_BYTES} bytes")) }
}
