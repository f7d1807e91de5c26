//! Secrets at rest: sealed under the host's key, each for one place. One that is moved to another place, or changed, does not open.

use super::redactor::{Redactor, Secret, SecretError};
use crate::seal::SealingKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bulkhead_model::id::Digest;
use bulkhead_model::network::SealedText;
use bulkhead_model::secret::SealedSecret;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// How the sealed bytes begin: how they are sealed.
const XCHACHA20_POLY1305: u8 = 1;
/// The length of a nonce, in bytes: long enough to be drawn at random for as long as the key lives.
const NONCE_BYTES: usize = 24;

/// Seals secrets and opens them.
pub struct Vault {
    cipher: XChaCha20Poly1305,
    fingerprints: Hmac<Sha256>,
    /// What sealed the texts that tenants entrusted: the key itself.
    entrusted: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Vault")
    }
}

/// Why a secret is not sealed, or does not open.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// There is no randomness.
    #[error("this machine gives no random bytes")]
    Random(#[source] getrandom::Error),
    /// The cipher takes no text that long.
    #[error("the secret cannot be sealed")]
    Seal,
    /// It is not what this key sealed for this place.
    #[error(
        "what is sealed for {place} does not open: it was changed or moved, or the state's secrets.key is another one; bring both \
         back from one backup"
    )]
    Open {
        /// What it was read for.
        place: String,
    },
    /// What came out is none.
    #[error("what is sealed for {place} cannot be used")]
    Text {
        /// What it was read for.
        place: String,
        /// Why.
        #[source]
        source: SecretError,
    },
}

impl Vault {
    /// What is sealed under the key `entrusted`, which must be random and kept as long as what it seals.
    #[must_use]
    pub fn new(entrusted: &[u8; 32]) -> Self {
        // HMAC pads a short key with zeros to the length of a block.
        let mut block = Zeroizing::new([0; 64]);
        for (place, byte) in block.iter_mut().zip(entrusted) {
            *place = *byte;
        }
        // A key of its own for each use: the same bytes seal other things elsewhere.
        let derive = Hmac::<Sha256>::new(&(*block).into());
        let key = derive.clone().chain_update(b"bulkhead:vault").finalize().into_bytes();
        let fingerprints = derive.chain_update(b"bulkhead:secret-fingerprint");
        let cipher = XChaCha20Poly1305::new(&key);
        Self { cipher, fingerprints, entrusted: Zeroizing::new(*entrusted) }
    }

    /// What tells one secret from another without telling either: for records of which one was in use. Only this key makes it.
    #[must_use]
    pub fn fingerprint(&self, secret: &Secret) -> Digest {
        let mut fingerprint = self.fingerprints.clone();
        fingerprint.update(secret.expose());
        Digest::from_bytes(fingerprint.finalize().into_bytes().into())
    }

    /// `secret`, sealed for `place`: a text that says what it belongs to, and that only this place has.
    ///
    /// # Errors
    /// The machine gives no random bytes.
    pub fn seal(&self, place: &str, secret: &Secret) -> Result<SealedSecret, VaultError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(VaultError::Random)?;
        let payload = Payload { msg: secret.expose(), aad: place.as_bytes() };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| VaultError::Seal)?;
        let bytes = [&[XCHACHA20_POLY1305][..], &nonce, &sealed].concat();
        Ok(SealedSecret::new(STANDARD_NO_PAD.encode(bytes)))
    }

    /// The secret that was sealed for `place`; from now on `redactor` knows it.
    ///
    /// # Errors
    /// It was sealed under another key or for another place, or was changed.
    pub fn open(
        &self,
        place: &str,
        sealed: &SealedSecret,
        redactor: &Redactor,
    ) -> Result<Secret, VaultError> {
        let closed = || VaultError::Open { place: place.to_owned() };
        let bytes = STANDARD_NO_PAD.decode(sealed.as_str()).map_err(|_| closed())?;
        let Some((&XCHACHA20_POLY1305, rest)) = bytes.split_first() else { return Err(closed()) };
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(closed)?;
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        let text = self.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| closed())?;
        let unfit = |source| VaultError::Text { place: place.to_owned(), source };
        redactor.secret(Zeroizing::new(text)).map_err(unfit)
    }

    /// The secret in a text that the same key sealed for `place` where secrets are taken in; from now on `redactor` knows it.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn open_text(
        &self,
        place: &str,
        sealed: &SealedText,
        redactor: &Redactor,
    ) -> Result<Secret, VaultError> {
        let closed = |_| VaultError::Open { place: place.to_owned() };
        let key = SealingKey::new(&self.entrusted).map_err(closed)?;
        let text = key.open(place, sealed).map_err(closed)?;
        let unfit = |source| VaultError::Text { place: place.to_owned(), source };
        redactor.secret(Zeroizing::new(text.into_bytes())).map_err(unfit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sealed(vault: &Vault, redactor: &Redactor, text: &str) -> SealedSecret {
        vault
            .seal("kept/lab/share/admin", &redactor.secret(text.as_bytes().to_vec()).expect("a secret"))
            .expect("sealed")
    }

    #[test]
    fn a_secret_opens_where_it_was_sealed_for_and_nowhere_else() {
        let (vault, redactor) = (Vault::new(&[7; 32]), Redactor::default());
        let kept = sealed(&vault, &redactor, "correct horse");
        let open = |vault: &Vault, place| vault.open(place, &kept, &redactor);
        let secret = open(&vault, "kept/lab/share/admin").expect("its place");
        assert_eq!(secret.expose_text(), Some("correct horse"));
        assert!(open(&vault, "kept/lab/other/admin").is_err(), "another place");
        let error = open(&Vault::new(&[8; 32]), "kept/lab/share/admin").expect_err("another key");
        assert!(error.to_string().contains("secrets.key"), "{error}");
    }

    #[test]
    fn what_a_tenant_entrusted_opens_under_the_same_key_for_its_own_service() {
        let (vault, redactor) = (Vault::new(&[7; 32]), Redactor::default());
        let seal =
            |text: &str| SealingKey::new(&[7; 32]).and_then(|key| key.seal("one", text)).expect("sealed");
        let secret = vault.open_text("one", &seal("correct horse"), &redactor).expect("its place");
        assert_eq!(secret.expose_text(), Some("correct horse"));
        assert!(vault.open_text("two", &seal("correct horse"), &redactor).is_err(), "another service's");
        let short = vault.open_text("one", &seal("abc"), &redactor).expect_err("too short");
        assert!(matches!(short, VaultError::Text { .. }), "{short}");
        assert!(Vault::new(&[8; 32]).open_text("one", &seal("correct horse"), &redactor).is_err());
    }

    #[test]
    fn a_fingerprint_tells_secrets_apart_for_who_has_the_key() {
        let (vault, redactor) = (Vault::new(&[7; 32]), Redactor::default());
        let secret = |text: &str| redactor.secret(text.as_bytes().to_vec()).expect("a secret");
        let fingerprint = vault.fingerprint(&secret("correct horse"));
        assert_eq!(vault.fingerprint(&secret("correct horse")), fingerprint);
        assert_ne!(vault.fingerprint(&secret("correct horses")), fingerprint);
        assert_ne!(Vault::new(&[8; 32]).fingerprint(&secret("correct horse")), fingerprint);
    }

    #[test]
    fn what_is_sealed_shows_neither_its_text_nor_that_two_are_equal() {
        let (vault, redactor) = (Vault::new(&[7; 32]), Redactor::default());
        let (first, second) =
            (sealed(&vault, &redactor, "correct horse"), sealed(&vault, &redactor, "correct horse"));
        assert_ne!(first.as_str(), second.as_str());
        assert!(!redactor.finds_in(first.as_str().as_bytes()));
        assert_eq!(format!("{first:?} {vault:?}"), "SealedSecret Vault");
    }

    proptest! {
        #[test]
        fn nothing_that_was_changed_opens(place in 0_usize..53, bit in 0_u8..8) {
            let (vault, redactor) = (Vault::new(&[7; 32]), Redactor::default());
            let kept = sealed(&vault, &redactor, "correct horse");
            let mut bytes = STANDARD_NO_PAD.decode(kept.as_str()).expect("Base64");
            prop_assume!(place < bytes.len());
            bytes[place] ^= 1 << bit;
            let changed = SealedSecret::new(STANDARD_NO_PAD.encode(bytes));
            prop_assert!(vault.open("kept/lab/share/admin", &changed, &redactor).is_err());
        }
    }
}
