//! What a login brings: where its tokens are found, where they are carried, and what says that they are none any more.

use super::exchange::WireResponse;
use super::render;
use crate::secret::{Redactor, Secret};
use crate::xml::{self, XmlError};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::manifest::{
    HttpMethod, SessionTemplate, TokenPlace, TokenSource, TokenTemplate, TokenUse,
};
use bulkhead_model::xml_path::XmlPath;
use hyper::header::{HeaderName, HeaderValue};
use std::fmt::{self, Write as _};
use zeroize::Zeroizing;

/// What a login brought.
pub(super) struct Tokens(Vec<(TokenTemplate, Secret)>);

/// How many there are, and nothing of them.
impl fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Tokens").field(&self.0.len()).finish()
    }
}

/// The tokens in the answer to a login.
pub(super) fn tokens(
    template: &SessionTemplate,
    answer: &WireResponse,
    redactor: &Redactor,
) -> Result<Tokens, String> {
    let found = template.tokens.iter().map(|token| {
        let text = find(token, answer)
            .map_err(|error| {
                format!("the {} of its answer to the login cannot be read: {error}", describe(token))
            })?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| format!("its answer to the login has no {}", describe(token)))?;
        let secret = redactor
            .secret(Zeroizing::new(text.as_bytes().to_vec()))
            .map_err(|error| format!("the {} of its answer to the login: {error}", describe(token)))?;
        Ok((token.clone(), secret))
    });
    found.collect::<Result<Vec<_>, String>>().map(Tokens)
}

fn describe(token: &TokenTemplate) -> String {
    match token.from {
        TokenSource::Header => format!("header '{}'", token.key),
        TokenSource::Cookie => format!("cookie '{}'", token.key),
        TokenSource::Json | TokenSource::Xml => format!("value at '{}'", token.key),
    }
}

fn find(token: &TokenTemplate, answer: &WireResponse) -> Result<Option<Zeroizing<String>>, XmlError> {
    let found = match token.from {
        TokenSource::Header => answer.header(&token.key).map(str::to_owned),
        TokenSource::Cookie => answer.headers("set-cookie").find_map(|line| {
            let (name, value) = line.split(';').next()?.split_once('=')?;
            (name.trim() == token.key).then(|| value.trim().trim_matches('"').to_owned())
        }),
        TokenSource::Json => in_json(&answer.body, &token.key),
        TokenSource::Xml => return in_xml(answer, &token.key),
    };
    Ok(found.map(Zeroizing::new))
}

fn in_json(body: &[u8], pointer: &str) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    match body.pointer(pointer)? {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn in_xml(answer: &WireResponse, path: &str) -> Result<Option<Zeroizing<String>>, XmlError> {
    // A path that is none was refused with its manifest.
    let Ok(path) = path.parse::<XmlPath>() else { return Ok(None) };
    if answer.truncated { Err(XmlError::Large) } else { xml::find(&answer.body, &path) }
}

impl Tokens {
    /// The headers that carry them on a request with this method.
    pub(super) fn headers(
        &self,
        method: HttpMethod,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, CapabilityError> {
        let mut headers = Vec::new();
        let mut cookies = Zeroizing::new(String::new());
        let carried = |token: &TokenTemplate| token.used_on == TokenUse::All || !method.only_reads();
        for (token, secret) in self.0.iter().filter(|(token, _)| carried(token)) {
            let text = secret.expose_text().unwrap_or_default();
            match token.to {
                TokenPlace::Header => {
                    let value = Zeroizing::new(format!("{}{text}", token.prefix));
                    headers.push(render::header(&token.name, &value)?);
                }
                TokenPlace::Cookie => {
                    // A cookie that an array hands out may not end itself.
                    if text.contains([';', ',', ' ', '"', '\\']) {
                        return Err(CapabilityError::new(
                            CapabilityCode::Unavailable,
                            format!("the token '{}' cannot stand in a cookie", token.name),
                        ));
                    }
                    let separator = if cookies.is_empty() { "" } else { "; " };
                    let _never_fails = write!(cookies, "{separator}{}={text}", token.name).is_err();
                }
            }
        }
        if !cookies.is_empty() {
            headers.push(render::header("cookie", &cookies)?);
        }
        Ok(headers)
    }
}

/// Whether an answer says that it was given to no session.
pub(super) fn is_expired(template: &SessionTemplate, answer: &WireResponse) -> bool {
    let expired = &template.expired;
    if expired.status.contains(&answer.status) {
        return true;
    }
    let Some(value) = &expired.value else { return false };
    if let Some(path) = &expired.xml {
        return in_xml(answer, path).is_ok_and(|found| found.is_some_and(|text| *text == *value));
    }
    let body: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
    body.zip(expired.pointer.as_ref())
        .and_then(|(body, pointer)| {
            Some(match body.pointer(pointer)? {
                serde_json::Value::String(text) => text == value,
                // A number or a truth value, as JSON writes it.
                other => serde_json::from_str::<serde_json::Value>(value).is_ok_and(|value| value == *other),
            })
        })
        .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> SessionTemplate {
        serde_json::from_value(serde_json::json!({
            "name": "session", "reason": "a test", "endpoint": "array",
            "login": { "method": "POST", "path": "/session" },
            "token": [
                { "from": "cookie", "key": "sid", "to": "cookie", "name": "sid" },
                { "from": "header", "key": "x-csrf", "to": "header", "name": "x-csrf", "on": "changes" },
                { "from": "json", "key": "/data/token", "to": "header", "name": "x-auth", "prefix": "Bearer " },
            ],
            "expired": { "status": [401], "pointer": "/error", "value": "EXPIRED" },
        }))
        .expect("a session")
    }

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> WireResponse {
        WireResponse {
            status,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect(),
            body: body.as_bytes().to_vec(),
            truncated: false,
            streamed: 0,
        }
    }

    #[test]
    fn tokens_are_found_where_they_are_declared_and_carried_where_they_belong() {
        let headers = [
            ("set-cookie", "theme=dark; Path=/"),
            ("set-cookie", "sid=abcdef123; Path=/; HttpOnly"),
            ("x-csrf", "csrf-token"),
        ];
        let answer = answer(201, &headers, r#"{"data":{"token":"json-token"}}"#);
        let tokens = tokens(&template(), &answer, &Redactor::default()).expect("tokens");
        let sent = |method| {
            let headers = tokens.headers(method).expect("headers");
            let pair = |(name, value): (HeaderName, HeaderValue)| {
                format!("{name}: {}", value.to_str().unwrap_or_default())
            };
            headers.into_iter().map(pair).collect::<Vec<_>>()
        };
        assert_eq!(sent(HttpMethod::Get), ["x-auth: Bearer json-token", "cookie: sid=abcdef123"]);
        assert_eq!(
            sent(HttpMethod::Post),
            ["x-csrf: csrf-token", "x-auth: Bearer json-token", "cookie: sid=abcdef123"]
        );
        assert!(!format!("{tokens:?}").contains("token\""), "tokens are never printed");
    }

    #[test]
    fn a_login_without_its_tokens_says_which_is_missing() {
        let answer = answer(200, &[("set-cookie", "sid=abcdef123")], "{}");
        let told = tokens(&template(), &answer, &Redactor::default()).expect_err("no tokens");
        assert!(told.contains("header 'x-csrf'"), "{told}");
    }

    fn of_xml() -> SessionTemplate {
        serde_json::from_value(serde_json::json!({
            "name": "session", "reason": "a test", "endpoint": "array",
            "login": { "method": "POST", "path": "/session" },
            "token": [
                { "from": "xml", "key": "/Envelope/Body/login/token", "to": "header", "name": "x-auth" },
                { "from": "xml", "key": "/Envelope/Body/login/@csrf", "to": "header", "name": "x-csrf", "on": "changes" },
            ],
            "expired": { "status": [], "xml": "/fault/code", "value": "17" },
        }))
        .expect("a session")
    }

    #[test]
    fn tokens_of_an_xml_answer_are_carried_as_they_are_meant() {
        let body = "<s:Envelope><s:Body><login csrf='a&amp;b-csrf'>\n<token> tok&#x65;n-1 </token></login></s:Body></s:Envelope>";
        let tokens = tokens(&of_xml(), &answer(200, &[], body), &Redactor::default()).expect("tokens");
        let headers = tokens.headers(HttpMethod::Post).expect("headers");
        let values: Vec<_> = headers.iter().map(|(_, value)| value.to_str().unwrap_or_default()).collect();
        assert_eq!(values, ["token-1", "a&b-csrf"]);
    }

    #[test]
    fn an_xml_login_whose_tokens_cannot_be_told_says_why_and_nothing_of_them() {
        let redactor = Redactor::default();
        for (body, why) in [
            ("<Envelope><Body/></Envelope>", "has no value at '/Envelope/Body/login/token'"),
            ("<Envelope><Body><login><token/></login></Body></Envelope>", "has no value"),
            ("<Envelope><Body><login><token>first-token</token>", "no well-formed XML"),
            (
                "<Envelope><Body><login><token>first-token</token><token>other-token</token></login></Body></Envelope>",
                "more than one stands there",
            ),
            ("<!DOCTYPE a [<!ENTITY b 'first-token'>]><Envelope>&b;</Envelope>", "a document type"),
        ] {
            let told = tokens(&of_xml(), &answer(200, &[], body), &redactor).expect_err("no tokens");
            assert!(told.contains(why) && !told.contains("-token"), "{told}");
        }
        let whole =
            "<Envelope><Body><login csrf='csrf-1'><token>first-token</token></login></Body></Envelope>";
        let cut = WireResponse { truncated: true, ..answer(200, &[], whole) };
        assert!(tokens(&of_xml(), &cut, &redactor).is_err(), "what comes behind the cut is not known");
    }

    #[test]
    fn expiry_is_told_by_an_element_too() {
        let template = of_xml();
        assert!(is_expired(&template, &answer(200, &[], "<fault><code>17</code></fault>")));
        for other in ["<fault><code>18</code></fault>", "<fault/>", "<fault>", "", "{\"code\":17}"] {
            assert!(!is_expired(&template, &answer(200, &[], other)), "{other}");
        }
    }

    #[test]
    fn expiry_is_a_status_or_a_value() {
        let template = template();
        assert!(is_expired(&template, &answer(401, &[], "")));
        assert!(is_expired(&template, &answer(200, &[], r#"{"error":"EXPIRED"}"#)));
        assert!(!is_expired(&template, &answer(200, &[], r#"{"error":"OTHER"}"#)));
        assert!(!is_expired(&template, &answer(403, &[], "no JSON")));
    }
}
