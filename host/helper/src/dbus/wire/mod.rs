//! D-Bus messages as bytes: those that are written here, and those that a bus sends, which nobody has to trust.
//!
//! Written by hand and small, because it must neither wait nor panic: a message is a header and a body of basic values, structures,
//! arrays and variants (D-Bus specification, "Message Protocol").

mod reader;
mod writer;

use super::arguments::Argument;
use crate::protocol::{DbusItem, DbusValue};
use reader::Reader;
use writer::Writer;

/// The largest message that is read, in bytes.
pub(super) const LARGEST_MESSAGE: usize = 4 << 20;
/// What every header begins with: order, kind, flags, version, length of the body, serial, length of the fields.
const FIXED_HEADER: usize = 16;
const VERSION: u8 = 1;
/// Nobody is started for the sake of a call.
const NO_AUTO_START: u8 = 2;
const LITTLE_ENDIAN: u8 = b'l';
const BIG_ENDIAN: u8 = b'B';

/// The kinds of messages, by number.
pub(super) const METHOD_CALL: u8 = 1;
pub(super) const METHOD_RETURN: u8 = 2;
pub(super) const ERROR: u8 = 3;

mod field {
    pub(super) const PATH: u8 = 1;
    pub(super) const INTERFACE: u8 = 2;
    pub(super) const MEMBER: u8 = 3;
    pub(super) const ERROR_NAME: u8 = 4;
    pub(super) const REPLY_SERIAL: u8 = 5;
    pub(super) const DESTINATION: u8 = 6;
    pub(super) const SENDER: u8 = 7;
    pub(super) const SIGNATURE: u8 = 8;
}

/// Which method is called where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Method<'call> {
    pub(super) destination: &'call str,
    pub(super) path: &'call str,
    pub(super) interface: &'call str,
    pub(super) name: &'call str,
}

/// A message that cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// It is not a message, or not one of this protocol.
    Malformed(&'static str),
    /// It holds more than is passed on.
    TooLarge,
}

/// The message that calls `method` with `arguments`.
pub(super) fn method_call(serial: u32, method: Method<'_>, arguments: &[Argument]) -> Vec<u8> {
    let mut body = Writer::default();
    let mut signature = String::new();
    for argument in arguments {
        signature.push(argument.letter());
        body.argument(argument);
    }
    let mut fields = Writer::default();
    for (code, letter, text) in [
        (field::PATH, 'o', method.path),
        (field::INTERFACE, 's', method.interface),
        (field::MEMBER, 's', method.name),
        (field::DESTINATION, 's', method.destination),
    ] {
        fields.align(8);
        fields.bytes(&[code, 1, u8::try_from(letter).unwrap_or(b's'), 0]);
        fields.text(text);
    }
    if !signature.is_empty() {
        fields.align(8);
        fields.bytes(&[field::SIGNATURE, 1, b'g', 0]);
        fields.bytes(&[u8::try_from(signature.len()).unwrap_or(u8::MAX)]);
        fields.bytes(signature.as_bytes());
        fields.bytes(&[0]);
    }
    let mut message = Writer::default();
    message.bytes(&[LITTLE_ENDIAN, METHOD_CALL, NO_AUTO_START, VERSION]);
    message.length(body.0.len());
    message.bytes(&serial.to_le_bytes());
    message.length(fields.0.len());
    message.bytes(&fields.0);
    message.align(8);
    message.bytes(&body.0);
    message.0
}

/// How long the message is that `bytes` begin with; none while that cannot be known.
pub(super) fn length_of(bytes: &[u8]) -> Result<Option<usize>, Bad> {
    let Some(fixed) = bytes.first_chunk::<FIXED_HEADER>() else { return Ok(None) };
    let [order, _, _, version, ..] = *fixed;
    if version != VERSION {
        return Err(Bad::Malformed("its version"));
    }
    let mut reader = Reader::new(fixed, order)?;
    reader.at = 4;
    let body = reader.length()?;
    reader.at = 12;
    let fields = reader.length()?;
    let header = FIXED_HEADER.saturating_add(fields).checked_next_multiple_of(8).ok_or(Bad::TooLarge)?;
    let length = header.saturating_add(body);
    if length > LARGEST_MESSAGE { Err(Bad::TooLarge) } else { Ok(Some(length)) }
}

/// A whole message.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Message {
    pub(super) kind: u8,
    /// The call that it answers.
    pub(super) answers: Option<u64>,
    pub(super) error: String,
    pub(super) sender: String,
    signature: String,
    body: Vec<u8>,
    order: u8,
}

impl Message {
    /// Read the header of a message that is there as a whole.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Bad> {
        let [order, kind, ..] = *bytes else { return Err(Bad::Malformed("its length")) };
        let mut reader = Reader::new(bytes, order)?;
        reader.at = FIXED_HEADER.saturating_sub(4);
        reader.value(b"a(yv)")?;
        reader.align(8)?;
        let body = bytes.get(reader.at..).unwrap_or_default().to_vec();
        let mut message = Self {
            kind,
            answers: None,
            error: String::new(),
            sender: String::new(),
            signature: String::new(),
            body,
            order,
        };
        let mut code = 0;
        for item in reader.items {
            match (item.position.as_slice(), item.value) {
                ([_, 0], DbusValue::Unsigned(number)) => code = u8::try_from(number).unwrap_or(0),
                ([_, 1, 0], DbusValue::Unsigned(number)) if code == field::REPLY_SERIAL => {
                    message.answers = Some(number);
                }
                ([_, 1, 0], DbusValue::Text(text)) => match code {
                    field::ERROR_NAME => message.error = text,
                    field::SENDER => message.sender = text,
                    field::SIGNATURE => message.signature = text,
                    _ => {}
                },
                _ => {}
            }
        }
        Ok(message)
    }

    /// The basic values of its body, in order.
    pub(super) fn items(&self) -> Result<Vec<DbusItem>, Bad> {
        let mut reader = Reader::new(&self.body, self.order)?;
        reader.values(self.signature.as_bytes())?;
        if reader.at == self.body.len() { Ok(reader.items) } else { Err(Bad::Malformed("its end")) }
    }
}

#[cfg(test)]
pub(super) mod tests;
