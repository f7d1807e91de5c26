//! Requests: their slots are checked and encoded, then the test answers. Nobody logs in, and nothing is sent.

use super::command::Command;
use super::denial::{Answer, deny, fail, invalid};
use super::lab::State;
use super::manifest::{BodyFormat, Effect, RequestTemplate, SlotType};
use super::slots::{Filled, Printed, json_text};
use crate::capability::CapabilityCode;
use crate::files::Path;
use crate::http::{Moved, Response};
use crate::slots::{SlotValue, Slots};
use std::collections::BTreeMap;

impl State {
    pub(super) fn send_request(&self, template: &str, slots: Slots) -> Answer<Response> {
        let declared = self.request(template)?;
        if declared.is_upload || declared.is_download {
            return invalid(format!(
                "the request {template} moves a file: use http::upload or http::download"
            ));
        }
        let answer = self.answer_request(template, declared, slots)?;
        self.capture(if answer.is_success() { &declared.template.captures } else { &[] });
        Ok(answer)
    }

    pub(super) fn upload(&self, template: &str, slots: Slots, source: &Path) -> Answer<Moved> {
        let declared = self.request(template)?;
        if !declared.is_upload {
            return invalid(format!("the request {template} sends no file: body = \"file\""));
        }
        let length = self.outgoing(source)?;
        let answer = self.answer_request(template, declared, slots)?;
        let bytes = if answer.is_success() { length } else { 0 };
        Ok(Moved { status: answer.status, bytes, duration: answer.duration })
    }

    pub(super) fn download(&self, template: &str, slots: Slots, destination: &Path) -> Answer<Moved> {
        let declared = self.request(template)?;
        if !declared.is_download {
            return invalid(format!("the request {template} brings no file: answer = \"file\""));
        }
        let answer = self.answer_request(template, declared, slots)?;
        let mut moved = Moved { status: answer.status, bytes: 0, duration: answer.duration };
        if answer.is_success() {
            self.incoming(destination, &answer.body)?;
            moved.bytes = u64::try_from(answer.body.len()).unwrap_or(u64::MAX);
        }
        Ok(moved)
    }

    fn request(&self, template: &str) -> Answer<&RequestTemplate> {
        self.manifest.requests.get(template).map_or_else(
            || invalid(format!("no request template '{template}' is declared; declare it as [[request]]")),
            Ok,
        )
    }

    /// The slots, those that name what the call's new share is made from among them.
    fn fill_request(&self, name: &str, declared: &RequestTemplate, slots: Slots) -> Answer<Filled> {
        let target = self.target();
        let mut sources = BTreeMap::new();
        for (slot, value) in slots.clone().into_values() {
            if let (SlotValue::NameOf(resource), Some(SlotType::Name)) =
                (&value, declared.template.slots.get(&slot))
                && let Some(source) = target.name_of_source(resource)
                && sources.insert(slot.clone(), Printed::name(source)).is_some()
            {
                return invalid(format!("slot {slot} of template {name} is filled twice"));
            }
        }
        let own = slots.only(|slot| !sources.contains_key(slot));
        if !declared.is_of_backend {
            let may = match declared.effect {
                Effect::Read => true,
                Effect::Change => own.resources().next().is_some(),
                Effect::Destroy => false,
            };
            if !sources.is_empty() && !may {
                return deny(&format!("{name} would change what a new share is made from"), "nothing");
            }
            target.check_one_share(own.resources())?;
        }
        let mut template = declared.template.clone();
        template.slots.retain(|slot, _| !sources.contains_key(slot));
        let mut filled = self.fill(name, &template, own)?;
        filled.values.extend(sources);
        Ok(filled)
    }

    fn answer_request(&self, template: &str, declared: &RequestTemplate, slots: Slots) -> Answer<Response> {
        let filled = self.fill_request(template, declared, slots)?;
        let (path, query) = declared.path.split_once('?').unwrap_or((&declared.path, ""));
        let mut target = written(path, declared, &filled, percent_encoded);
        // A literal may join a value to another step: `{a}` beside `.`.
        if target.split('/').any(|step| matches!(step, "." | "..")) {
            return invalid("a path of a request has no steps '.' and '..'");
        }
        if !query.is_empty() {
            target = format!("{target}?{}", written(query, declared, &filled, percent_encoded));
        }
        let encode: fn(&SlotType, &str) -> String = match declared.body {
            BodyFormat::Json => in_json,
            BodyFormat::Form => percent_encoded,
            BodyFormat::Xml => in_xml,
            BodyFormat::Other => |_, text| text.to_owned(),
        };
        let words = vec![declared.method.clone(), target, written(&declared.text, declared, &filled, encode)];
        let request = Command::made(template, words, filled);
        self.requests.borrow_mut().push(request.clone());
        let answer = self.request_answers.borrow().get(template).cloned();
        match answer {
            Some(answer) => (answer.0)(&request),
            None => fail(
                CapabilityCode::Unavailable,
                format!("the test does not say what {template} answers: use Lab::answer_request"),
            ),
        }
    }
}

fn written(
    text: &str,
    declared: &RequestTemplate,
    filled: &Filled,
    encode: impl Fn(&SlotType, &str) -> String,
) -> String {
    filled.values.iter().fold(text.to_owned(), |text, (slot, value)| {
        let slot_type = declared.template.slots.get(slot);
        let encoded = slot_type.map_or_else(String::new, |slot_type| encode(slot_type, &value.text));
        text.replace(&format!("{{{slot}}}"), &encoded)
    })
}

fn in_json(slot_type: &SlotType, text: &str) -> String {
    match slot_type {
        SlotType::Unsigned | SlotType::Signed { .. } | SlotType::AccessRules { .. } => text.to_owned(),
        _ => json_text(text),
    }
}

fn percent_encoded(_: &SlotType, text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

fn in_xml(_: &SlotType, text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&apos;")
}
