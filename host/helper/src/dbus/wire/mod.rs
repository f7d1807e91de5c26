//! D-Bus messages as bytes: those that are written here, and those that a bus sends, which nobody has to trust.
//!
//! Written by hand and small, because it must neither wait nor panic: a message is a header and a body of basic values, structures,
//! arrays and variants (D-Bus specification, "Message Protocol").

use super::arguments::Argument;
use crate::protocol::{DbusItem, DbusValue, LARGEST_REPLY, MOST_ITEMS};

/// The largest message that is read, in bytes.
pub(super) const LARGEST_MESSAGE: usize = 4 << 20;
/// Structures, arrays and variants in each other.
const DEEPEST: usize = 64;
/// Values, structures, arrays and variants that are looked at: what is empty costs time too.
const MOST_VISITS: usize = 4 * MOST_ITEMS;
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

#[derive(Debug, Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn length(&mut self, length: usize) {
        self.align(4);
        self.bytes(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.bytes(text.as_bytes());
        self.bytes(&[0]);
    }

    fn argument(&mut self, argument: &Argument) {
        match argument {
            Argument::Text(text) => self.text(text),
            Argument::Boolean(value) => self.aligned(&u32::from(*value).to_le_bytes()),
            Argument::Byte(value) => self.aligned(&value.to_le_bytes()),
            Argument::Unsigned16(value) => self.aligned(&value.to_le_bytes()),
            Argument::Unsigned32(value) => self.aligned(&value.to_le_bytes()),
            Argument::Unsigned64(value) => self.aligned(&value.to_le_bytes()),
            Argument::Signed16(value) => self.aligned(&value.to_le_bytes()),
            Argument::Signed32(value) => self.aligned(&value.to_le_bytes()),
            Argument::Signed64(value) => self.aligned(&value.to_le_bytes()),
        }
    }

    /// A number stands at a multiple of its own size.
    fn aligned(&mut self, bytes: &[u8]) {
        self.align(bytes.len());
        self.bytes(bytes);
    }
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
        let mut rest = self.signature.as_bytes();
        let mut place: u32 = 0;
        while !rest.is_empty() {
            let (one, behind) =
                rest.split_at_checked(complete(rest)?).ok_or(Bad::Malformed("its signature"))?;
            reader.within(place, one)?;
            place = place.saturating_add(1);
            rest = behind;
        }
        if reader.at == self.body.len() { Ok(reader.items) } else { Err(Bad::Malformed("its end")) }
    }
}

/// Reads values and writes down the basic ones with their places.
#[derive(Debug)]
struct Reader<'message> {
    bytes: &'message [u8],
    at: usize,
    little: bool,
    position: Vec<u32>,
    items: Vec<DbusItem>,
    text: usize,
    visits: usize,
}

impl<'message> Reader<'message> {
    fn new(bytes: &'message [u8], order: u8) -> Result<Self, Bad> {
        let little = match order {
            LITTLE_ENDIAN => true,
            BIG_ENDIAN => false,
            _ => return Err(Bad::Malformed("its order of bytes")),
        };
        Ok(Self { bytes, at: 0, little, position: Vec::new(), items: Vec::new(), text: 0, visits: 0 })
    }

    fn within(&mut self, place: u32, signature: &[u8]) -> Result<(), Bad> {
        if self.position.len() >= DEEPEST {
            return Err(Bad::Malformed("its depth"));
        }
        self.visits = self.visits.saturating_add(1);
        if self.visits > MOST_VISITS {
            return Err(Bad::TooLarge);
        }
        self.position.push(place);
        self.value(signature)?;
        self.position.pop();
        Ok(())
    }

    /// One value of one complete type.
    fn value(&mut self, signature: &[u8]) -> Result<(), Bad> {
        let (first, inner) = signature.split_first().ok_or(Bad::Malformed("its signature"))?;
        let value = match first {
            b'y' => DbusValue::Unsigned(u64::from(u8::from_le_bytes(self.fixed()?))),
            b'q' => DbusValue::Unsigned(u64::from(u16::from_le_bytes(self.fixed()?))),
            b'u' => DbusValue::Unsigned(u64::from(u32::from_le_bytes(self.fixed()?))),
            b't' => DbusValue::Unsigned(u64::from_le_bytes(self.fixed()?)),
            b'n' => DbusValue::Signed(i64::from(i16::from_le_bytes(self.fixed()?))),
            b'i' => DbusValue::Signed(i64::from(i32::from_le_bytes(self.fixed()?))),
            b'x' => DbusValue::Signed(i64::from_le_bytes(self.fixed()?)),
            b'd' => DbusValue::Double(f64::from_le_bytes(self.fixed()?)),
            b'b' => match u32::from_le_bytes(self.fixed()?) {
                0 => DbusValue::Boolean(false),
                1 => DbusValue::Boolean(true),
                _ => return Err(Bad::Malformed("a boolean")),
            },
            b's' | b'o' => {
                let length = self.length()?;
                DbusValue::Text(self.text(length)?)
            }
            b'g' => {
                let [length] = self.fixed()?;
                DbusValue::Text(self.text(usize::from(length))?)
            }
            b'a' => return self.array(inner),
            b'(' | b'{' => return self.structure(inner),
            b'v' => return self.variant(),
            _ => return Err(Bad::Malformed("a type")),
        };
        if self.items.len() >= MOST_ITEMS {
            return Err(Bad::TooLarge);
        }
        self.items.push(DbusItem { position: self.position.clone(), value });
        Ok(())
    }

    fn array(&mut self, element: &[u8]) -> Result<(), Bad> {
        let length = self.length()?;
        self.align(alignment(element))?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(Bad::Malformed("the length of an array"))?;
        let mut place: u32 = 0;
        while self.at < end {
            self.within(place, element)?;
            place = place.saturating_add(1);
        }
        if self.at == end { Ok(()) } else { Err(Bad::Malformed("the length of an array")) }
    }

    /// What stands between brackets, the closing one included.
    fn structure(&mut self, inner: &[u8]) -> Result<(), Bad> {
        self.align(8)?;
        let mut rest = inner;
        let mut place: u32 = 0;
        while !matches!(rest, [b')' | b'}']) {
            let (one, behind) =
                rest.split_at_checked(complete(rest)?).ok_or(Bad::Malformed("its signature"))?;
            self.within(place, one)?;
            place = place.saturating_add(1);
            rest = behind;
        }
        Ok(())
    }

    fn variant(&mut self) -> Result<(), Bad> {
        let [length] = self.fixed()?;
        let signature = self.take(usize::from(length))?;
        self.take(1)?;
        if complete(signature)? != signature.len() {
            return Err(Bad::Malformed("the type of a variant"));
        }
        self.within(0, signature)
    }

    /// A number, turned to the order that `from_le_bytes` takes.
    fn fixed<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], Bad> {
        self.align(SIZE)?;
        let mut found: [u8; SIZE] =
            self.take(SIZE)?.try_into().map_err(|_| Bad::Malformed("the length of a number"))?;
        if !self.little {
            found.reverse();
        }
        Ok(found)
    }

    fn length(&mut self) -> Result<usize, Bad> {
        usize::try_from(u32::from_le_bytes(self.fixed()?)).map_err(|_| Bad::TooLarge)
    }

    fn text(&mut self, length: usize) -> Result<String, Bad> {
        self.text = self.text.saturating_add(length);
        if self.text > LARGEST_REPLY {
            return Err(Bad::TooLarge);
        }
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| Bad::Malformed("a text"))?.to_owned();
        self.take(1)?;
        Ok(text)
    }

    fn align(&mut self, to: usize) -> Result<(), Bad> {
        self.at = self.at.checked_next_multiple_of(to).ok_or(Bad::TooLarge)?;
        if self.at <= self.bytes.len() { Ok(()) } else { Err(Bad::Malformed("its length")) }
    }

    fn take(&mut self, count: usize) -> Result<&'message [u8], Bad> {
        let end = self.at.checked_add(count).ok_or(Bad::TooLarge)?;
        let found = self.bytes.get(self.at..end).ok_or(Bad::Malformed("its length"))?;
        self.at = end;
        Ok(found)
    }
}

const fn alignment(signature: &[u8]) -> usize {
    match signature.first() {
        Some(b'n' | b'q') => 2,
        Some(b'i' | b'u' | b'b' | b's' | b'o' | b'a') => 4,
        Some(b'x' | b't' | b'd' | b'(' | b'{') => 8,
        _ => 1,
    }
}

/// How long the first complete type of a signature is. Every type takes at least a byte of a body, so that no array is endless.
fn complete(signature: &[u8]) -> Result<usize, Bad> {
    let mut open: Vec<u8> = Vec::new();
    let mut before = None;
    for (place, letter) in signature.iter().enumerate() {
        match letter {
            b'a' => {
                before = Some(*letter);
                continue;
            }
            b'(' => open.push(b')'),
            b'{' => open.push(b'}'),
            b')' | b'}' => {
                let empty = matches!(before, Some(b'(' | b'{' | b'a'));
                if empty || open.pop() != Some(*letter) {
                    return Err(Bad::Malformed("its signature"));
                }
            }
            _ => {}
        }
        before = Some(*letter);
        if open.len() > DEEPEST {
            return Err(Bad::Malformed("its depth"));
        }
        if open.is_empty() {
            return Ok(place.saturating_add(1));
        }
    }
    Err(Bad::Malformed("its signature"))
}

#[cfg(test)]
pub(super) mod tests;
