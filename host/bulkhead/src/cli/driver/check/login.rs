//! What the fake answers to a login: a token wherever the manifest looks for one.

use bulkhead_capability::http::{WireResponse, fake};
use bulkhead_model::manifest::{SessionTemplate, TokenSource};
use bulkhead_model::xml_path::XmlPath;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

const TOKEN: &str = "a-token-of-the-fake";

/// The answer to a login.
pub(super) fn logged_in(session: &SessionTemplate) -> WireResponse {
    let mut answer = fake::answer(200, "");
    let mut json = Value::Null;
    let mut xml = Element::default();
    for token in &session.tokens {
        match token.from {
            TokenSource::Header => answer.headers.push((token.key.clone(), TOKEN.into())),
            TokenSource::Cookie => {
                answer.headers.push(("set-cookie".to_owned(), format!("{}={TOKEN}", token.key).into_bytes()));
            }
            TokenSource::Json => put_in_json(&mut json, &token.key),
            // A path that is none was refused with its manifest.
            TokenSource::Xml => token.key.parse::<XmlPath>().iter().for_each(|path| xml.put(path)),
        }
    }
    let body = if xml.elements.is_empty() { json.to_string() } else { xml.to_string() };
    answer.body = body.into_bytes();
    answer
}

fn put_in_json(body: &mut Value, pointer: &str) {
    let steps = pointer.split('/').skip(1);
    let place = steps.fold(body, |place, step| {
        if !place.is_object() {
            *place = serde_json::json!({});
        }
        &mut place[step.replace("~1", "/").replace("~0", "~")]
    });
    *place = TOKEN.into();
}

/// What stands between two tags, and in the first.
#[derive(Debug, Default)]
struct Element {
    attributes: Vec<String>,
    elements: BTreeMap<String, Element>,
    has_text: bool,
}

impl Element {
    fn put(&mut self, path: &XmlPath) {
        let element = path
            .elements()
            .iter()
            .fold(self, |element, name| element.elements.entry(name.clone()).or_default());
        match path.attribute() {
            Some(name) => element.attributes.push(name.to_owned()),
            None => element.has_text = true,
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, element) in &self.elements {
            write!(formatter, "<{name}")?;
            element.attributes.iter().try_for_each(|name| write!(formatter, " {name}=\"{TOKEN}\""))?;
            let text = if element.has_text { TOKEN } else { "" };
            write!(formatter, ">{text}{element}</{name}>")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(tokens: &[(&str, &str)]) -> String {
        let tokens: Vec<_> = tokens
            .iter()
            .map(|(from, key)| serde_json::json!({ "from": from, "key": key, "to": "header", "name": "x" }))
            .collect();
        let session = serde_json::json!({
            "name": "session", "reason": "a test", "endpoint": "array",
            "login": { "method": "POST", "path": "/session" }, "token": tokens,
        });
        let answer = logged_in(&serde_json::from_value(session).expect("a session"));
        String::from_utf8(answer.body).expect("UTF-8")
    }

    #[test]
    fn a_token_stands_wherever_one_is_looked_for() {
        let json = body(&[("json", "/data/token"), ("json", "/data/csrf")]);
        assert_eq!(json, r#"{"data":{"csrf":"a-token-of-the-fake","token":"a-token-of-the-fake"}}"#);
        let xml =
            body(&[("xml", "/answer/session/@id"), ("xml", "/answer/csrf"), ("xml", "/answer/session/key")]);
        assert_eq!(
            xml,
            "<answer><csrf>a-token-of-the-fake</csrf><session id=\"a-token-of-the-fake\">\
             <key>a-token-of-the-fake</key></session></answer>"
        );
    }
}
