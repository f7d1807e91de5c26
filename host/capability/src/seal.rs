//! Secrets at rest: sealed with a key of the host, so that the store and its backups hold nothing that can be read.
//!
//! ChaCha20-Poly1305 with a random nonce for each text; what the text is for is authenticated beside it, so that a sealed text put into
//! another record does not open there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_model::network::SealedText;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use std::fmt;
use std::sync::Arc;

/// What a sealed text begins with: which way of sealing.
const FORM: &str = "1:";

/// A text could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The machine gave no random bytes, or the key is none.
    #[error("a secret could not be sealed: the machine gave no random bytes")]
    Seal,
    /// It was sealed with another key, for something else, or is damaged.
    #[error(
        "a secret does not open: it was sealed with another key or was damaged; put the state's key file back, or set the secret again"
    )]
    Open,
}

/// The key that seals secrets of one state.
#[derive(Clone)]
pub struct SealingKey(Arc<LessSafeKey>);

impl SealingKey {
    /// The key with these bytes.
    pub fn new(bytes: &[u8; 32]) -> Result<Self, SealError> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, bytes).map_err(|_| SealError::Seal)?;
        Ok(Self(Arc::new(LessSafeKey::new(key))))
    }

    /// Seal `secret`, which is kept for `purpose`.
    pub fn seal(&self, purpose: &str, secret: &str) -> Result<SealedText, SealError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| SealError::Seal)?;
        let mut bytes = secret.as_bytes().to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(purpose), &mut bytes)
            .map_err(|_| SealError::Seal)?;
        let sealed = [&nonce[..], &bytes].concat();
        Ok(SealedText::new(format!("{FORM}{}", STANDARD.encode(sealed))))
    }

    /// The secret that was sealed for `purpose`.
    pub fn open(&self, purpose: &str, sealed: &SealedText) -> Result<String, SealError> {
        let text = sealed.as_str().strip_prefix(FORM).ok_or(SealError::Open)?;
        let bytes = STANDARD.decode(text).map_err(|_| SealError::Open)?;
        let (nonce, bytes) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Open)?;
        let mut bytes = bytes.to_vec();
        let opened = self
            .0
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(purpose), &mut bytes)
            .map_err(|_| SealError::Open)?;
        String::from_utf8(opened.to_vec()).map_err(|_| SealError::Open)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SealingKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_with_its_key_for_its_purpose_and_in_no_other_way() {
        let key = SealingKey::new(&[7; 32]).expect("a key");
        let sealed = key.seal("one", "canary").expect("sealed");
        assert!(!sealed.as_str().contains("canary"));
        assert_ne!(key.seal("one", "canary").expect("sealed"), sealed, "never the same twice");
        assert_eq!(key.open("one", &sealed).as_deref(), Ok("canary"));
        assert_eq!(key.open("other", &sealed), Err(SealError::Open));
        let other = SealingKey::new(&[8; 32]).expect("a key");
        assert_eq!(other.open("one", &sealed), Err(SealError::Open));
        for damaged in ["", "1:", "1:!", "2:AAAA", "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(
                key.open("one", &SealedText::new(damaged.to_owned())),
                Err(SealError::Open),
                "{damaged}"
            );
        }
    }
}
