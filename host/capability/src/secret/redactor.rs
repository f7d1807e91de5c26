//! Takes secrets out of what leaves the host, and of what returns to a guest; and the secrets themselves.
//!
//! A [`Secret`] is made by a redactor and by nothing else, so none exists that its own reach does not know (`reach` says who else does);
//! when the last copy of it is dropped its bytes are overwritten and it is forgotten, at the latest when the next one is made.

use super::known::Known;
use bulkhead_model::secret::Cleaner;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use zeroize::Zeroizing;

pub use bulkhead_model::secret::SHORTEST_BYTES;

/// What stands where a secret stood.
pub const REDACTED: &str = "[secret]";
/// The longest secret, in bytes: a chain of certificates with its key.
pub const LONGEST_BYTES: usize = 64 * 1024;
/// How many bytes the operators' secrets that are alive have together, and those of all calls, at most: what finds them is some hundred
/// times as large.
pub const MOST_BYTES: usize = 1024 * 1024;
/// How many bytes the secrets of one call have together, at most: none leaves the others without.
pub const MOST_BYTES_OF_CALL: usize = MOST_BYTES / 8;
/// How often escapes are undone inside of escapes.
pub(super) const DEEPEST: usize = 2;

/// Why a text cannot be a secret. Never says the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Nothing at all.
    #[error("the secret is empty")]
    Empty,
    /// Too short to be kept out of logs.
    #[error(
        "the secret has fewer than {SHORTEST_BYTES} bytes, so it could not be told from ordinary words and kept out of logs; \
         set a longer one"
    )]
    TooShort,
    /// Too long.
    #[error("the secret has more than {LONGEST_BYTES} bytes; is it the file that was meant?")]
    TooLong,
    /// Too many at once.
    #[error("the secrets in use have more than {most_bytes} bytes together; try again when calls have ended")]
    TooMany {
        /// How many bytes there may be.
        most_bytes: usize,
    },
}

/// Takes secrets out of texts. Clones know the same secrets.
#[derive(Clone)]
pub struct Redactor {
    /// Who learns the secrets that are made here.
    pub(super) own: Arc<Known>,
    /// Whose secrets are taken out beside.
    pub(super) beside: Arc<[Arc<Known>]>,
    /// The secrets of all calls together.
    pub(super) of_calls: Arc<Known>,
}

/// A secret. Its bytes are overwritten when the last copy is dropped; printed, it shows nothing.
#[derive(Clone)]
pub struct Secret(Arc<Held>);

struct Held {
    bytes: Zeroizing<Vec<u8>>,
    known: Arc<Known>,
}

impl Secret {
    /// The text. Hand it to what needs it, and keep no copy that is not a secret itself.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0.bytes
    }

    /// The text, if it is UTF-8.
    #[must_use]
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0.bytes).ok()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.bytes == other.0.bytes
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Redactor")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.known.forget(&self.bytes);
    }
}

impl Redactor {
    /// A secret with these bytes; from now on they are taken out wherever they turn up.
    ///
    /// # Errors
    /// Empty, shorter than [`SHORTEST_BYTES`], longer than [`LONGEST_BYTES`], or beyond [`MOST_BYTES`] or, of a call, [`MOST_BYTES_OF_CALL`].
    pub fn secret(&self, bytes: impl Into<Zeroizing<Vec<u8>>>) -> Result<Secret, SecretError> {
        let bytes = bytes.into();
        match bytes.len() {
            0 => return Err(SecretError::Empty),
            1..SHORTEST_BYTES => return Err(SecretError::TooShort),
            SHORTEST_BYTES..=LONGEST_BYTES => {}
            _ => return Err(SecretError::TooLong),
        }
        self.own.learn(&bytes)?;
        Ok(Secret(Arc::new(Held { bytes, known: Arc::clone(&self.own) })))
    }

    /// The same knowledge for crates that see the model only.
    #[must_use]
    pub fn cleaner(&self) -> Cleaner {
        let redactor = self.clone();
        Cleaner::new(move |bytes| match redactor.redact_bytes(bytes) {
            Cow::Borrowed(_) => None,
            Cow::Owned(clean) => Some(clean),
        })
    }

    /// `text` without secrets.
    #[must_use]
    pub fn redact<'text>(&self, text: &'text str) -> Cow<'text, str> {
        match self.redact_bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // A secret that is no UTF-8 may have stood across letters.
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// `bytes` without secrets. They may become more or fewer.
    #[must_use]
    pub fn redact_bytes<'text>(&self, bytes: &'text [u8]) -> Cow<'text, [u8]> {
        replace(bytes, self.find(bytes))
    }

    /// As [`Redactor::redact_bytes`], for what was cut at its beginning or end: the part of a secret there is taken out as well.
    #[must_use]
    pub fn redact_cut_bytes<'text>(&self, bytes: &'text [u8]) -> Cow<'text, [u8]> {
        let mut found = Vec::new();
        self.known().for_each(|known| known.find_cut(bytes, &mut found));
        replace(bytes, found)
    }

    /// Whether a secret stands in `bytes`, in any spelling.
    #[must_use]
    pub fn finds_in(&self, bytes: &[u8]) -> bool {
        !self.find(bytes).is_empty()
    }

    fn find(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        self.known().for_each(|known| known.find(bytes, &mut found));
        found
    }

    fn known(&self) -> impl Iterator<Item = &Arc<Known>> {
        std::iter::once(&self.own).chain(&*self.beside)
    }
}

/// `text` with each of `found` replaced; what overlaps or touches is one.
fn replace(text: &[u8], mut found: Vec<Range<usize>>) -> Cow<'_, [u8]> {
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    found.sort_unstable_by_key(|range| (range.start, range.end));
    let mut clean = Vec::with_capacity(text.len());
    let mut done = 0;
    let mut last_end = None;
    for range in found {
        if last_end.is_none_or(|end| range.start > end) {
            clean.extend_from_slice(text.get(done..range.start).unwrap_or_default());
            clean.extend_from_slice(REDACTED.as_bytes());
        }
        done = done.max(range.end);
        last_end = Some(done);
    }
    clean.extend_from_slice(text.get(done..).unwrap_or_default());
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;

    const PASSWORD: &str = "p&ss \"w\\rd\"/+ä%41";

    fn knowing(text: &str) -> (Redactor, Secret) {
        let redactor = Redactor::default();
        let secret = redactor.secret(text.as_bytes().to_vec()).expect("a secret");
        (redactor, secret)
    }

    fn percent(text: &str, keep: impl Fn(u8) -> bool) -> String {
        let letter =
            |byte: u8| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        text.bytes().map(letter).collect()
    }

    fn spellings(text: &str) -> Vec<String> {
        let json = serde_json::to_string(text).expect("JSON");
        let inner = json.get(1..json.len() - 1).expect("quotes").to_owned();
        let xml = text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        vec![
            text.to_owned(),
            STANDARD.encode(text),
            URL_SAFE.encode(text),
            STANDARD.encode(format!("admin:{text}")),
            STANDARD.encode(format!("ab:{text}:c")),
            text.bytes().map(|byte| format!("{byte:02x}")).collect(),
            text.bytes().map(|byte| format!("{byte:02X}")).collect(),
            percent(text, unreserved),
            percent(text, |_| false).to_ascii_lowercase(),
            percent(text, |byte| unreserved(byte) || byte == b' ').replace(' ', "+"),
            serde_json::to_string(&inner).expect("JSON twice"),
            percent(&inner, unreserved),
            xml,
            format!("{text:?}"),
            text.escape_unicode().to_string(),
            inner,
        ]
    }

    #[test]
    fn a_secret_is_taken_out_in_every_spelling() {
        let (redactor, _secret) = knowing(PASSWORD);
        for spelling in spellings(PASSWORD) {
            let clean = redactor.redact(&spelling).into_owned();
            assert!(clean.contains(REDACTED), "{spelling} became {clean}");
            assert!(clean.len() <= REDACTED.len() + 16, "of {spelling} is left: {clean}");
        }
    }

    #[test]
    fn what_holds_no_secret_is_not_copied() {
        let (redactor, _secret) = knowing("correct horse");
        for text in ["", "a quiet line", "100% \\n &amp; more", "correct hors"] {
            assert!(matches!(redactor.redact(text), Cow::Borrowed(same) if same == text));
        }
        assert!(matches!(Redactor::default().redact("correct horse"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_cleaner_learns_what_its_redactor_learns() {
        let redactor = Redactor::default();
        let cleaner = redactor.cleaner();
        let mut text = "a correct horse".to_owned();
        cleaner.clean_text(&mut text);
        assert_eq!(text, "a correct horse");
        let _secret = redactor.secret(b"correct horse".to_vec()).expect("a secret");
        cleaner.clean_text(&mut text);
        assert_eq!(text, "a [secret]");
        assert_eq!(cleaner.clean(text.as_bytes()), None);
    }

    #[test]
    fn secrets_that_overlap_leave_nothing_of_either() {
        let redactor = Redactor::default();
        let _first = redactor.secret(b"abcdefgh".to_vec()).expect("a secret");
        let _second = redactor.secret(b"fghijklm".to_vec()).expect("a secret");
        assert_eq!(redactor.redact("x abcdefghijklm y"), "x [secret] y");
    }

    #[test]
    fn the_part_of_a_secret_where_a_text_was_cut_is_taken_out_as_well() {
        let (redactor, _secret) = knowing("correct horse");
        assert_eq!(&*redactor.redact_cut_bytes(b"it is correct ho"), b"it is [secret]");
        assert_eq!(&*redactor.redact_cut_bytes(b"it is correct horse!"), b"it is [secret]!");
        assert_eq!(&*redactor.redact_cut_bytes(b"t horse, it is"), b"[secret], it is");
        assert_eq!(&*redactor.redact_cut_bytes(b"it is not"), b"it is not");
    }

    #[test]
    fn a_secret_is_known_while_any_copy_of_it_lives() {
        let (redactor, first) = knowing("correct horse");
        let second = redactor.secret(b"correct horse".to_vec()).expect("the same");
        let third = second.clone();
        assert!(first == second);
        drop((first, second));
        let _another = redactor.secret(b"another secret".to_vec()).expect("a secret");
        assert_eq!(redactor.redact("correct horse"), REDACTED);
        drop(third);
        let _one_more = redactor.secret(b"yet another one".to_vec()).expect("a secret");
        assert_eq!(redactor.redact("correct horse"), "correct horse");
    }

    #[test]
    fn nothing_prints_a_secret() {
        let (redactor, secret) = knowing("correct horse");
        assert_eq!(
            format!("{secret:?} {redactor:?} {:#?}", Some(&secret)),
            "Secret Redactor Some(\n    Secret,\n)"
        );
    }

    #[test]
    fn a_text_that_cannot_be_kept_out_of_logs_is_no_secret() {
        let redactor = Redactor::default();
        assert_eq!(redactor.secret(Vec::new()).err(), Some(SecretError::Empty));
        assert_eq!(redactor.secret(b"admin".to_vec()).err(), Some(SecretError::TooShort));
        assert_eq!(redactor.secret(vec![b'a'; LONGEST_BYTES + 1]).err(), Some(SecretError::TooLong));
    }

    proptest! {
        #[test]
        fn no_spelling_of_any_secret_survives_any_surroundings(
            secret in "[ -~äß€]{6,24}",
            before in "[ -$'-\\[\\]-~]{0,12}",
            after in "[ -~]{0,12}",
        ) {
            let (redactor, _secret) = knowing(&secret);
            for spelling in spellings(&secret) {
                let text = format!("{before}{spelling}{after}");
                let clean = redactor.redact(&text).into_owned();
                prop_assert!(clean.contains(REDACTED), "{} became {}", text, clean);
                prop_assert!(!redactor.finds_in(clean.as_bytes()), "{} is left of {}", clean, text);
            }
        }

        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (redactor, _secret) = knowing("correct horse");
            let _clean = redactor.redact_cut_bytes(&bytes);
        }
    }
}
