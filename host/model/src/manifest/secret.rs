//! `[[secret]]`: purposes of secrets that are made by the host, or found in what commands print.

use crate::id::{Digest, Label};
use serde::{Deserialize, Serialize};

/// The purpose of passwords that tenants entrusted with their security services: nobody declares it, and a slot takes them if it names it.
pub const SECURITY_SERVICE: &str = "security-service";

/// `[[secret]]`: what a secret is for. A slot takes it only if it names the purpose in `of`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SecretDeclaration {
    /// The purpose.
    pub name: Label,
    /// Why the driver needs it.
    pub reason: String,
    /// How many letters one that the host makes has, 8 to 255 (32).
    #[serde(default = "thirty_two")]
    pub length: u32,
    /// Which letters.
    #[serde(default)]
    pub alphabet: SecretAlphabet,
    /// Whether one may be kept for a resource beyond the call that it was made in.
    #[serde(default)]
    pub keep: bool,
}

const fn thirty_two() -> u32 {
    32
}

impl SecretDeclaration {
    /// The hash of its canonical form, by which a grant pins it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        crate::canonical::digest("bulkhead:secret", self)
    }
}

/// The letters of a secret that the host makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretAlphabet {
    /// `A` to `Z`, `a` to `z`, `0` to `9`.
    #[default]
    LettersAndDigits,
    /// `0` to `9`, `a` to `f`.
    Hexadecimal,
    /// Letters, digits, and those signs that need no quoting in a shell: `-`, `_`, `.`, `,`, `:`, `+`, `=`, `@`, `%`, `/`.
    LettersDigitsAndSigns,
}

impl SecretAlphabet {
    /// The letters, each once.
    #[must_use]
    pub const fn letters(self) -> &'static [u8] {
        match self {
            Self::LettersAndDigits => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            Self::Hexadecimal => b"0123456789abcdef",
            Self::LettersDigitsAndSigns => {
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.,:+=@%/"
            }
        }
    }
}

/// Where in a command's output a secret stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capture {
    /// `{ line = "key = " }`: the rest of the first line that begins with this text, blanks around it aside.
    Line(String),
    /// `{ json = "/user/key" }`: the text at this JSON pointer of an output that is JSON.
    Json(String),
    /// `{ xml = "/answer/user/@key" }`: the text at this [path](crate::xml_path::XmlPath) of an output that is XML.
    Xml(String),
}
