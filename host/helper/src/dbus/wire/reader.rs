//! Values of a body that nobody has to trust: bounded in number, depth and text before they are held.

use super::{BIG_ENDIAN, Bad, LITTLE_ENDIAN};
use crate::protocol::{DbusItem, DbusValue, LARGEST_REPLY, MOST_ITEMS};

/// Structures, arrays and variants in each other.
const DEEPEST: usize = 64;
/// Values, structures, arrays and variants that are looked at: what is empty costs time too.
const MOST_VISITS: usize = 4 * MOST_ITEMS;

/// Reads values and writes down the basic ones with their places.
#[derive(Debug)]
pub(super) struct Reader<'message> {
    bytes: &'message [u8],
    pub(super) at: usize,
    little: bool,
    position: Vec<u32>,
    pub(super) items: Vec<DbusItem>,
    text: usize,
    visits: usize,
}

impl<'message> Reader<'message> {
    pub(super) fn new(bytes: &'message [u8], order: u8) -> Result<Self, Bad> {
        let little = match order {
            LITTLE_ENDIAN => true,
            BIG_ENDIAN => false,
            _ => return Err(Bad::Malformed("its order of bytes")),
        };
        Ok(Self { bytes, at: 0, little, position: Vec::new(), items: Vec::new(), text: 0, visits: 0 })
    }

    /// Values of a whole signature, one after the other.
    pub(super) fn values(&mut self, signature: &[u8]) -> Result<(), Bad> {
        let mut rest = signature;
        let mut place: u32 = 0;
        while !rest.is_empty() {
            let one = complete(rest)?;
            let (one, behind) = rest.split_at_checked(one).ok_or(Bad::Malformed("its signature"))?;
            self.within(place, one)?;
            place = place.saturating_add(1);
            rest = behind;
        }
        Ok(())
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
    pub(super) fn value(&mut self, signature: &[u8]) -> Result<(), Bad> {
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
        let (_, within) = inner.split_last().ok_or(Bad::Malformed("its signature"))?;
        self.values(within)
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

    pub(super) fn length(&mut self) -> Result<usize, Bad> {
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

    pub(super) fn align(&mut self, to: usize) -> Result<(), Bad> {
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
