//! Values as bytes, least significant first, each at a multiple of its own size.

use crate::dbus::arguments::Argument;

#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn length(&mut self, length: usize) {
        self.align(4);
        self.bytes(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.length(text.len());
        self.bytes(text.as_bytes());
        self.bytes(&[0]);
    }

    pub(super) fn argument(&mut self, argument: &Argument) {
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
