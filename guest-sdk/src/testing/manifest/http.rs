//! Requests as `driver.toml` declares them.

use super::{Template, captures_of, slots_of, text_of};
use toml::Table;

/// How values in a body are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::testing) enum BodyFormat {
    Json,
    Form,
    Xml,
    /// Nothing, or a file.
    Other,
}

/// What a request does to what it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::testing) enum Effect {
    Read,
    Change,
    Destroy,
}

#[derive(Debug)]
pub(in crate::testing) struct RequestTemplate {
    pub(in crate::testing) effect: Effect,
    /// Whether it is about the backend as a whole, and not about one share.
    pub(in crate::testing) is_of_backend: bool,
    pub(in crate::testing) method: String,
    pub(in crate::testing) path: String,
    pub(in crate::testing) body: BodyFormat,
    pub(in crate::testing) text: String,
    /// Whether a file goes out.
    pub(in crate::testing) is_upload: bool,
    /// Whether a file comes in.
    pub(in crate::testing) is_download: bool,
    /// Its slots.
    pub(in crate::testing) template: Template,
}

pub(super) fn request_of(table: &Table) -> RequestTemplate {
    let body = text_of(table, "body");
    RequestTemplate {
        effect: match text_of(table, "effect").as_str() {
            "read" => Effect::Read,
            "destroy" => Effect::Destroy,
            _ => Effect::Change,
        },
        is_of_backend: text_of(table, "scope") == "backend",
        method: text_of(table, "method"),
        path: text_of(table, "path"),
        body: match body.as_str() {
            "json" => BodyFormat::Json,
            "form" => BodyFormat::Form,
            "xml" => BodyFormat::Xml,
            _ => BodyFormat::Other,
        },
        text: text_of(table, "text"),
        is_upload: body == "file",
        is_download: text_of(table, "answer") == "file",
        template: Template { slots: slots_of(table), captures: captures_of(table), ..Template::default() },
    }
}
