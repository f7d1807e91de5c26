//! What an array's shell says: as much as anybody reads of its beginning, and the end, where the prompt is looked for.

/// How much of the end is kept, in bytes: the longest text to wait for, and another before it.
const TAIL: usize = 2 * super::dialogue::LONGEST;

/// What was said, without carriage returns. Holds `room` bytes of the beginning, the tail, and while it is added one packet.
#[derive(Debug)]
pub(super) struct Said {
    room: usize,
    beginning: Vec<u8>,
    tail: Vec<u8>,
    total: u64,
    cut: bool,
}

impl Said {
    /// With `room` for the beginning, in bytes.
    pub(super) const fn with_room(room: usize) -> Self {
        Self { room, beginning: Vec::new(), tail: Vec::new(), total: 0, cut: false }
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.total = self.total.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.tail.extend(bytes);
        let settled = self.tail.len().saturating_sub(TAIL);
        for byte in self.tail.drain(..settled).filter(|byte| *byte != b'\r') {
            if self.beginning.len() < self.room {
                self.beginning.push(byte);
            } else {
                self.cut = true;
            }
        }
    }

    /// How much was said, in bytes.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// Take `text` off the end; whether it stood there.
    pub(super) fn take_end(&mut self, text: &str) -> bool {
        let found = self.tail.ends_with(text.as_bytes());
        if found {
            self.tail.truncate(self.tail.len().saturating_sub(text.len()));
        }
        found
    }

    /// The text, and whether something in it is missing.
    pub(super) fn into_text(self) -> (String, bool) {
        let mut all = self.beginning;
        all.extend(self.tail.into_iter().filter(|byte| *byte != b'\r'));
        (String::from_utf8_lossy(&all).into_owned(), self.cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_the_beginning_and_the_end() {
        let mut said = Said::with_room(1000);
        for _ in 0..1000 {
            said.add(&[b'x'; 1000]);
        }
        assert_eq!((said.total(), said.beginning.len(), said.tail.len()), (1_000_000, 1000, TAIL));
        assert!(said.beginning.capacity() < 10_000 && said.tail.capacity() < 10_000);
        said.add(b"array> ");
        assert!(said.take_end("array> "));
        let (text, cut) = said.into_text();
        assert!(cut && text.chars().all(|letter| letter == 'x'));
    }

    #[test]
    fn a_text_at_the_end_is_found_in_whatever_pieces_it_comes() {
        let mut said = Said::with_room(10_000);
        said.add(b"one\r\n--Mo");
        assert!(!said.take_end("--More--"));
        said.add(b"re--");
        assert!(said.take_end("--More--"));
        for byte in b"two\r\narray> " {
            said.add(&[*byte]);
        }
        assert!(said.take_end("array> "));
        assert_eq!(said.into_text(), ("one\ntwo\n".to_owned(), false));
    }
}
