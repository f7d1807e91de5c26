//! The secrets of one reach that are alive, and what finds them.

use super::cut;
use super::forms::{self, Form};
use super::redactor::{DEEPEST, SecretError};
use super::view::{Escape, View};
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};
use zeroize::Zeroize as _;

/// Every secret of one reach: learned when it is made, forgotten with its last holder.
pub(super) struct Known {
    living: RwLock<Living>,
    /// How many bytes they have together, at most.
    most_bytes: usize,
    /// Who learns and forgets each of them as well.
    wider: Option<Arc<Known>>,
}

#[derive(Default)]
struct Living {
    /// Each value that is alive, how many secrets hold it, and its spellings.
    values: BTreeMap<Vec<u8>, Alive>,
    /// How many bytes they have together.
    bytes: usize,
    /// Finds the spellings; none after a secret was added.
    finder: Option<Arc<Finder>>,
}

struct Alive {
    holders: usize,
    forms: Vec<Form>,
}

/// Finds every spelling of the secrets that were alive when it was made.
struct Finder {
    automaton: AhoCorasick,
    forms: Vec<Form>,
}

impl Known {
    /// None yet, and never more than `most_bytes` together; `wider` learns each as well.
    pub(super) fn new(most_bytes: usize, wider: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self { living: RwLock::default(), most_bytes, wider })
    }

    /// The widest that learns what is learned here.
    pub(super) fn widest(self: &Arc<Self>) -> &Arc<Self> {
        match &self.wider {
            Some(wider) => wider.widest(),
            None => self,
        }
    }

    /// One holder more.
    pub(super) fn learn(&self, bytes: &[u8]) -> Result<(), SecretError> {
        self.learn_here(bytes)?;
        if let Some(wider) = &self.wider
            && let Err(error) = wider.learn(bytes)
        {
            self.forget_here(bytes);
            return Err(error);
        }
        Ok(())
    }

    fn learn_here(&self, bytes: &[u8]) -> Result<(), SecretError> {
        let mut guard = self.living.write().unwrap_or_else(PoisonError::into_inner);
        let living = &mut *guard;
        match living.values.get_mut(bytes) {
            Some(alive) => alive.holders += 1,
            None if living.bytes + bytes.len() > self.most_bytes => {
                return Err(SecretError::TooMany { most_bytes: self.most_bytes });
            }
            None => {
                living.bytes += bytes.len();
                living.values.insert(bytes.to_vec(), Alive { holders: 1, forms: forms::of(bytes) });
                living.finder = None;
            }
        }
        Ok(())
    }

    /// One holder fewer. The finder is left as it is: what was written while the secret was alive may still be on its way out.
    pub(super) fn forget(&self, bytes: &[u8]) {
        if let Some(wider) = &self.wider {
            wider.forget(bytes);
        }
        self.forget_here(bytes);
    }

    fn forget_here(&self, bytes: &[u8]) {
        let mut living = self.living.write().unwrap_or_else(PoisonError::into_inner);
        let Some(alive) = living.values.get_mut(bytes) else { return };
        alive.holders -= 1;
        if alive.holders == 0
            && let Some((mut value, _)) = living.values.remove_entry(bytes)
        {
            living.bytes -= value.len();
            value.zeroize();
        }
    }

    /// Where secrets stand in `text`.
    pub(super) fn find(&self, text: &[u8], found: &mut Vec<Range<usize>>) {
        if let Some(finder) = self.finder() {
            finder.find(text, found);
        }
    }

    /// As [`Known::find`], and where parts of secrets stand at the beginning and the end of a `text` that was cut there.
    pub(super) fn find_cut(&self, text: &[u8], found: &mut Vec<Range<usize>>) {
        if let Some(finder) = self.finder() {
            finder.find(text, found);
            found.extend(cut::at_end(&finder.forms, text));
            found.extend(cut::at_beginning(&finder.forms, text));
        }
    }

    /// What finds all that are alive; none if nothing is.
    fn finder(&self) -> Option<Arc<Finder>> {
        let living = self.living.read().unwrap_or_else(PoisonError::into_inner);
        if living.finder.is_some() || living.values.is_empty() {
            return living.finder.clone();
        }
        drop(living);
        let mut living = self.living.write().unwrap_or_else(PoisonError::into_inner);
        if living.finder.is_none() {
            living.finder = Some(Arc::new(Finder::of(&living.values)));
        }
        living.finder.clone()
    }
}

impl Finder {
    #[expect(
        clippy::expect_used,
        reason = "it fails only for more states than 31 bits count, and MOST_BYTES has 20 million; without it nothing may leave"
    )]
    fn of(values: &BTreeMap<Vec<u8>, Alive>) -> Self {
        let forms = || values.values().flat_map(|alive| &alive.forms);
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(forms().map(|form| form.as_slice()))
            .expect("the spellings fit");
        Self { automaton, forms: forms().cloned().collect() }
    }

    fn find(&self, text: &[u8], found: &mut Vec<Range<usize>>) {
        let overlapping = self.automaton.find_overlapping_iter(text);
        found.extend(overlapping.map(|hit| hit.start()..hit.end()));
        for escape in Escape::ALL {
            if let Some(view) = View::of(text, escape) {
                self.find_in(&view, DEEPEST, found);
            }
        }
    }

    fn find_in(&self, view: &View, depth: usize, found: &mut Vec<Range<usize>>) {
        let overlapping = self.automaton.find_overlapping_iter(&view.bytes);
        found.extend(overlapping.map(|hit| view.origin(hit.start()..hit.end())));
        if depth > 1 {
            for view in Escape::ALL.into_iter().filter_map(|escape| view.further(escape)) {
                self.find_in(&view, depth - 1, found);
            }
        }
    }
}
