//! Entries cut to size and made harmless, so that a full queue and a full commit have a known size.

use bulkhead_model::effect::{Effect, LedgerEntry, StateChange};
use bulkhead_model::secret::Cleaner;
use bulkhead_model::text::{GuestText, is_harmless};

/// Bytes of a name: an actor, a function, a resource.
const NAME_BYTES: usize = 256;
/// Bytes of a description: a subject, a detail, a change.
const TEXT_BYTES: usize = 1024;

pub(crate) fn effect(mut effect: Effect) -> LedgerEntry {
    cut(&mut effect.origin.function, NAME_BYTES);
    cut(&mut effect.capability, NAME_BYTES);
    cut(&mut effect.subject, TEXT_BYTES);
    cut(&mut effect.detail, TEXT_BYTES);
    LedgerEntry::Effect(effect)
}

/// Of a change the secrets are taken out here, before it is cut; of an effect where it is made, by who knows of cut outputs as well.
pub(crate) fn state_change(mut change: StateChange, cleaner: &Cleaner) -> LedgerEntry {
    for text in [&mut change.actor, &mut change.resource, &mut change.change] {
        cleaner.clean_text(text);
    }
    cut(&mut change.actor, NAME_BYTES);
    cut(&mut change.resource, NAME_BYTES);
    cut(&mut change.change, TEXT_BYTES);
    LedgerEntry::StateChange(change)
}

fn cut(text: &mut String, limit: usize) {
    if text.len() > limit || !text.chars().all(is_harmless) {
        GuestText::new(text, limit).as_str().clone_into(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_or_harmful_text_is_cut_and_escaped_and_another_stays() {
        let mut text = "ä".repeat(1000);
        cut(&mut text, 1024);
        assert_eq!(text.len(), 1024 + '…'.len_utf8());
        let mut text = "a\u{1b}[2J".to_owned();
        cut(&mut text, 1024);
        assert_eq!(text, "a\\u{1b}[2J");
        let mut text = "creating -> available".to_owned();
        cut(&mut text, 1024);
        assert_eq!(text, "creating -> available");
    }
}
