//! Frames: four bytes of length, least significant first, then one message in postcard's encoding. Both sides cap the length before
//! they allocate, so that a peer that lies costs nothing but the connection.

use serde::Serialize;
use serde::de::DeserializeOwned;

const HEADER: usize = 4;

/// A peer that does not speak the protocol: the connection is of no use any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than allowed.
    #[error("a frame of {length} bytes is longer than the {most} allowed")]
    TooLong {
        /// What the frame says.
        length: usize,
        /// What is allowed.
        most: usize,
    },
    /// Not a message.
    #[error("a frame does not hold a message: {reason}")]
    Malformed {
        /// What does not fit.
        reason: String,
    },
}

/// Write a message as a frame of at most `most` bytes.
pub fn encode<T: Serialize>(message: &T, most: usize) -> Result<Vec<u8>, FrameError> {
    let mut frame = postcard::to_extend(message, vec![0; HEADER])
        .map_err(|error| FrameError::Malformed { reason: error.to_string() })?;
    let length = frame.len().saturating_sub(HEADER);
    let too_long = FrameError::TooLong { length, most };
    let Ok(header) = u32::try_from(length) else { return Err(too_long) };
    if length > most {
        return Err(too_long);
    }
    for (place, byte) in frame.iter_mut().zip(header.to_le_bytes()) {
        *place = byte;
    }
    Ok(frame)
}

/// Bytes as they come, cut into messages.
#[derive(Debug)]
pub struct FrameReader {
    pending: Vec<u8>,
    most: usize,
}

impl FrameReader {
    /// A reader of frames of at most `most` bytes.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self { pending: Vec::new(), most }
    }

    /// Take in what was received.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole message, if one has come. After an error the reader is of no use.
    pub fn read<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let Some((header, rest)) = self.pending.split_first_chunk::<HEADER>() else { return Ok(None) };
        let length = usize::try_from(u32::from_le_bytes(*header)).unwrap_or(usize::MAX);
        if length > self.most {
            return Err(FrameError::TooLong { length, most: self.most });
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let (message, left) = postcard::take_from_bytes(body)
            .map_err(|error| FrameError::Malformed { reason: error.to_string() })?;
        if !left.is_empty() {
            return Err(FrameError::Malformed { reason: format!("{} bytes stand behind it", left.len()) });
        }
        self.pending.drain(..HEADER.saturating_add(length));
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ToHelper;
    use proptest::prelude::*;

    #[test]
    fn messages_come_out_as_they_went_in_however_they_are_cut() {
        let messages = [ToHelper::Hello { version: 1 }, ToHelper::Sweep, ToHelper::Cancel { id: u64::MAX }];
        let bytes: Vec<u8> =
            messages.iter().flat_map(|message| encode(message, 100).expect("it fits")).collect();
        for cut in 1..bytes.len() {
            let mut reader = FrameReader::new(100);
            let mut found = Vec::new();
            for part in bytes.chunks(cut) {
                reader.extend(part);
                while let Some(message) = reader.read::<ToHelper>().expect("they are messages") {
                    found.push(message);
                }
            }
            assert_eq!(found, messages, "cut at {cut}");
        }
    }

    #[test]
    fn a_length_above_the_cap_is_refused_before_its_bytes_come() {
        let mut reader = FrameReader::new(100);
        reader.extend(&u32::MAX.to_le_bytes());
        assert!(matches!(reader.read::<ToHelper>(), Err(FrameError::TooLong { most: 100, .. })));
        assert!(encode(&vec![0_u8; 200], 100).is_err());
    }

    #[test]
    fn bytes_behind_a_message_are_refused() {
        let mut frame = encode(&ToHelper::Sweep, 100).expect("it fits");
        frame.push(0);
        frame[0] += 1;
        let mut reader = FrameReader::new(100);
        reader.extend(&frame);
        assert!(matches!(reader.read::<ToHelper>(), Err(FrameError::Malformed { .. })));
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_or_nothing_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut reader = FrameReader::new(200);
            reader.extend(&bytes);
            while let Ok(Some(_)) = reader.read::<ToHelper>() {}
        }
    }
}
