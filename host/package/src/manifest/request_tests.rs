use super::*;
use crate::fixture::{MANIFEST, REQUESTS};

fn sound() -> String {
    format!("{MANIFEST}{REQUESTS}")
}

/// Change the sound manifest at `from`, and expect a problem that says `told`, with its place.
fn refuses(from: &str, to: &str, told: &str) {
    let sound = sound();
    assert_eq!(sound.matches(from).count(), 1, "{from:?} stands once");
    let shown = match parse(&sound.replace(from, to), "driver.toml") {
        Ok(_) => panic!("{to:?} is accepted"),
        Err(error) => error.to_string(),
    };
    assert!(shown.contains(told), "{to:?} tells {told:?}, not\n{shown}");
    assert!(shown.contains("driver.toml:"), "{shown}");
}

#[test]
fn requests_sessions_and_endpoints_are_accepted() {
    let manifest = parse(&sound(), "driver.toml").unwrap_or_else(|error| panic!("{error}"));
    let request = manifest.request("create-volume").expect("a request");
    assert_eq!((request.timeout, request.capture, request.largest), (60, 1 << 20, 1 << 40));
    let session = manifest.session("array-session").expect("a session");
    assert_eq!((session.expired.status.as_slice(), session.timeout), ([401].as_slice(), 30));
    assert_eq!(session.tokens.len(), 2);
    assert_eq!(manifest.templates().count(), 2 + 2 + 1 + 5 + 1);
}

#[test]
fn a_path_is_a_path_of_the_endpoint_and_nothing_else() {
    for path in [
        "v1/volumes",
        "//evil.example/",
        "/a/../b",
        "/a#b",
        "/a b",
        "/a%2e",
        "https://evil.example/",
        "/a?b?c",
    ] {
        refuses("path = \"/v1/volumes\"", &format!("path = \"{path}\""), "driver.toml");
    }
}

#[test]
fn what_is_named_is_declared() {
    refuses("endpoint = \"array\" # of create", "endpoint = \"arrey\"", "did you mean 'array'?");
    refuses("session = \"array-session\" # of create", "session = \"session\"", "no [[session]]");
    refuses(
        "password = \"array-password\"",
        "password = \"array-pasword\"",
        "did you mean 'array-password'?",
    );
    refuses(
        "text = '{\"user\":{user},\"password\":{password}}'",
        "text = '{\"user\":{user}}'",
        "stands nowhere",
    );
}

#[test]
fn an_effect_is_not_less_than_what_the_method_does() {
    refuses("effect = \"destroy\" # of delete", "effect = \"change\"", "a DELETE removes something");
    refuses("method = \"GET\" # of poll", "method = \"PUT\"", "a PUT changes something");
}

#[test]
fn credentials_and_how_a_message_ends_are_the_hosts() {
    for header in ["authorization", "cookie", "host", "content-length", "transfer-encoding"] {
        refuses("headers.x-trace", &format!("headers.{header}"), "is the host's to set");
    }
    refuses("headers.x-trace", "headers.X-Trace", "in lower case");
    refuses("returns = [\"etag\"]", "returns = [\"set-cookie\"]", "only the host's session sees");
}

#[test]
fn a_body_is_what_its_format_says() {
    refuses(
        "text = '{\"name\":{name},\"size\":{size},\"rules\":{rules}}'",
        "text = '{\"name\":\"{name}\",\"size\":{size},\"rules\":{rules}}'",
        "is no JSON",
    );
    refuses("body = \"json\" # of create", "body = \"none\"", "has no text");
    refuses("text = \"name={name}&tag={tag}\"", "text = \"name={name}&{tag}\"", "is no form");
    refuses(
        "text = \"<v name='{name}'><t>{tag}</t></v>\"",
        "text = \"<v {name}='1'><t>{tag}</t></v>\"",
        "inside a tag",
    );
    refuses(
        "text = \"<v name='{name}'><t>{tag}</t></v>\"",
        "text = \"<v name='{name}'><!-- {tag} --></v>\"",
        "comments",
    );
}

#[test]
fn a_request_of_the_target_names_it_by_what_the_host_derives() {
    refuses("scope = \"backend\" # of poll", "", "another tenant");
    refuses(
        "slots.name = { type = \"name\" } # of delete",
        "slots.name = { type = \"uuid\" }",
        "another tenant",
    );
    refuses(
        "path = \"/v1/volumes/{name}\"\nslots.name = { type = \"name\" } # of delete",
        "path = \"/v1/volumes/one\"",
        "whole backend",
    );
}

#[test]
fn a_number_in_a_request_of_the_target_may_be_what_another_tenant_has_wherever_it_stands() {
    let integer = "{ type = \"integer\", min = 1, max = 9 }";
    let path = "path = \"/v1/volumes/{name}\"\nslots.name = { type = \"name\" } # of delete";
    let header = "headers.x-trace = \"bulkhead\"";
    let tag = "&tag={tag}\"\nslots.name = { type = \"name\" }\nslots.tag = { type = \"enum\", values = [\"gold\", \"silver\"] }";
    let slot = |kind: &str| format!("slots.number = {kind}");
    for kind in [integer, "{ type = \"port\" }"] {
        let deleted =
            |path: &str| format!("path = \"{path}\"\nslots.name = {{ type = \"name\" }}\n{}", slot(kind));
        let tagged = format!("&tag={{number}}\"\nslots.name = {{ type = \"name\" }}\n{}", slot(kind));
        for (from, to) in [
            (path, deleted("/v1/volumes/{name}/{number}")),
            (path, deleted("/v1/volumes/{name}?of={number}")),
            (header, format!("headers.x-trace = \"{{number}}\"\n{}", slot(kind))),
            ("slots.size = { type = \"gib\" }\nslots.rules", format!("slots.size = {kind}\nslots.rules")),
            (tag, tagged),
        ] {
            refuses(from, &to, "another tenant");
            refuses(from, &to, "\"gib\" or \"bytes\" for a size");
        }
        let polled =
            sound().replace("slots.job = { type = \"opaque\", max = 64 }", &format!("slots.job = {kind}"));
        parse(&polled, "driver.toml").unwrap_or_else(|error| panic!("of the backend: {error}"));
    }
}

#[test]
fn slots_stand_where_their_type_may() {
    refuses(
        "path = \"/v1/jobs/{job}\"",
        "path = \"/v1/jobs/{job}\"\nheaders.x-job = \"{job}\"",
        "not in a header",
    );
    refuses(
        "slots.name = { type = \"name\" } # of delete",
        "slots.name = { type = \"secret\", of = [\"array-password\"] }",
        "only in a header or the body",
    );
    refuses("style = \"json\"", "style = \"ganesha\"", "in the style 'json'");
}

#[test]
fn a_session_says_what_it_carries_and_when_it_has_ended() {
    refuses("key = \"sid\"", "key = \"s id\"", "is not a cookie's name");
    refuses("name = \"x-csrf\" # carried", "name = \"content-length\"", "may stand in");
    refuses(
        "path = \"/v1/session\" # login",
        "path = \"/v1/session?p={password}\"",
        "no credential may stand in a path",
    );
    refuses("[session.expired]\nstatus = [401]", "[session.expired]\nstatus = []", "nothing tells");
    refuses("[session.expired]\nstatus = [401]", "[session.expired]\nstatus = [200]", "from 300 to 599");
    refuses(
        "[session.expired]\nstatus = [401]",
        "[session.expired]\nstatus = [401]\npointer = \"/error\"",
        "come together",
    );
}

#[test]
fn what_stands_in_xml_is_named_by_its_path_in_a_body_that_is_nothing_else() {
    let expired = "[session.expired]\nstatus = [401]";
    let sound = sound().replace("from = \"cookie\"\nkey = \"sid\"", "from = \"xml\"\nkey = \"/answer/@sid\"");
    let sound =
        sound.replace(expired, "[session.expired]\nstatus = []\nxml = \"/fault/code\"\nvalue = \"17\"");
    let manifest = parse(&sound, "driver.toml").unwrap_or_else(|error| panic!("{error}"));
    let session = manifest.session("array-session").expect("a session");
    assert_eq!(session.expired.xml.as_deref(), Some("/fault/code"));
    let cookie = "from = \"cookie\"\nkey = \"sid\"";
    for path in ["answer/sid", "/a:answer/sid", "//sid", "/answer/sid[1]"] {
        refuses(cookie, &format!("from = \"xml\"\nkey = \"{path}\""), "is not a path in XML");
    }
    let second = "\nto = \"cookie\"\nname = \"sid\"\n\n[[session.token]]\nfrom = ";
    let twice = |from: &str, key: &str| {
        let first = format!("from = \"xml\"\nkey = \"/answer/@sid\"{second}\"{from}\"\nkey = \"{key}\"");
        first.replace("name = \"sid\"", "name = \"other\"")
    };
    refuses(cookie, &twice("json", "/sid"), "JSON or XML, not both");
    refuses(cookie, &twice("xml", "/other/@sid"), "the one outermost element");
    let with = |more: &str| format!("{expired}\n{more}");
    refuses(expired, &with("xml = \"/fault\""), "come together");
    refuses(expired, &with("xml = \"fault\"\nvalue = \"17\""), "a path in XML is '/'");
    refuses(expired, &with("xml = \"/fault\"\npointer = \"/fault\"\nvalue = \"17\""), "`pointer` or `xml`");
}
