//! The access rules of one share instance, as a working copy: edited here, written back by chunk, described to the ledger by difference.

use crate::records::{Cause, Change, Expect, Row, RowKey, RuleChunk, Stored, Tables};
use crate::view::StoredAccessRule;
use bulkhead_model::id::{AccessRuleId, ShareInstanceId};
use bulkhead_model::status::{AccessRuleState, AccessRulesStatus};
use bulkhead_model::time::Timestamp;
use bulkhead_store::Revision;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most rules of one share: with [`CHUNK_RULES`] all their chunks can be deleted in one transaction.
pub(crate) const MOST_RULES: usize = 4000;
/// The most metadata of one rule, in bytes.
pub(crate) const METADATA_BYTES: usize = 1024;
/// Rules in one chunk: with the longest names and metadata it stays below what the store takes for one value.
const CHUNK_RULES: usize = 48;
/// Bytes of rules that one transaction may rewrite; the store takes 1 MiB with everything. More is left for the next one.
const REWRITTEN_BYTES: usize = 512 * 1024;
/// What a rule takes beside its texts, with room for a failure and a credential that may come.
const RULE_BYTES: usize = 900;
/// Beyond this many changed rules the ledger gets one line for each kind of change instead of one for each rule.
const NOTED_RULES: usize = 16;

#[derive(Debug)]
struct Chunk {
    read_at: Option<Revision>,
    rules: Arc<Vec<StoredAccessRule>>,
    is_changed: bool,
}

/// A rule's way from one state to another; none is "not there".
type Step = (AccessRuleId, Option<AccessRuleState>, Option<AccessRuleState>);

/// A working copy of an instance's rules.
#[derive(Debug)]
pub(crate) struct RuleList {
    instance: ShareInstanceId,
    chunks: BTreeMap<u32, Chunk>,
    steps: Vec<Step>,
    rewritten_bytes: usize,
    is_full: bool,
}

fn bytes_of(rule: &StoredAccessRule) -> usize {
    let metadata =
        rule.metadata.iter().map(|(key, value)| key.len().saturating_add(value.len())).sum::<usize>();
    // Letters may be escaped: twice their length.
    RULE_BYTES + 2 * (rule.rule.access_to.to_string().len() + metadata)
}

impl RuleList {
    /// The rules of `instance` as they are: those of its share.
    pub(crate) fn read(tables: &Tables, instance: ShareInstanceId) -> Self {
        let chunk = |stored: Stored<RuleChunk>| Chunk {
            read_at: Some(stored.revision),
            rules: Arc::clone(&stored.rules),
            is_changed: false,
        };
        let home = tables.rules_home(instance);
        let chunks = tables.rule_chunks(home).into_iter();
        Self {
            instance: home,
            chunks: chunks.map(|(number, stored)| (number, chunk(stored))).collect(),
            steps: Vec::new(),
            rewritten_bytes: 0,
            is_full: false,
        }
    }

    /// All rules, in the order they were asked for.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &StoredAccessRule> {
        self.chunks.values().flat_map(|chunk| chunk.rules.iter())
    }

    /// How many rules there are.
    pub(crate) fn len(&self) -> usize {
        self.chunks.values().map(|chunk| chunk.rules.len()).sum()
    }

    /// Add a rule.
    pub(crate) fn push(&mut self, rule: StoredAccessRule) {
        self.steps.push((rule.rule.id, None, Some(rule.state)));
        let next = self.chunks.last_key_value().map_or(0, |(number, _)| number.saturating_add(1));
        let chunk = match self.chunks.values_mut().find(|chunk| chunk.rules.len() < CHUNK_RULES) {
            Some(chunk) => chunk,
            None => self.chunks.entry(next).or_insert_with(|| Chunk {
                read_at: None,
                rules: Arc::default(),
                is_changed: true,
            }),
        };
        chunk.is_changed = true;
        Arc::make_mut(&mut chunk.rules).push(rule);
    }

    /// Whether an edit left rules out because one transaction takes no more: commit, read again, go on.
    pub(crate) const fn is_full(&self) -> bool {
        self.is_full
    }

    /// Change the rules that are `wanted`: all of them, or as many as one transaction takes ([`RuleList::is_full`]). Returns how many.
    pub(crate) fn edit(
        &mut self,
        wanted: impl Fn(&StoredAccessRule) -> bool,
        mut change: impl FnMut(&mut StoredAccessRule),
    ) -> usize {
        let now = Timestamp::now();
        let mut edited = 0;
        for chunk in self.chunks.values_mut().filter(|chunk| chunk.rules.iter().any(&wanted)) {
            if !chunk.is_changed {
                let bytes = self.rewritten_bytes + chunk.rules.iter().map(bytes_of).sum::<usize>();
                if bytes > REWRITTEN_BYTES && self.rewritten_bytes > 0 {
                    self.is_full = true;
                    continue;
                }
                self.rewritten_bytes = bytes;
                chunk.is_changed = true;
            }
            for rule in Arc::make_mut(&mut chunk.rules).iter_mut().filter(|rule| wanted(rule)) {
                let before = rule.state;
                change(rule);
                rule.updated_at = now;
                edited += 1;
                if before != rule.state {
                    self.steps.push((rule.rule.id, Some(before), Some(rule.state)));
                }
            }
        }
        edited
    }

    /// Move the rules in state `from` to `to`, as [`RuleList::edit`] does.
    pub(crate) fn advance(&mut self, from: AccessRuleState, to: AccessRuleState) -> usize {
        self.edit(|rule| rule.state == from, |rule| rule.state = to)
    }

    /// Take away every rule that is `wanted`.
    pub(crate) fn remove(&mut self, wanted: impl Fn(&StoredAccessRule) -> bool) {
        for chunk in self.chunks.values_mut().filter(|chunk| chunk.rules.iter().any(&wanted)) {
            chunk.is_changed = true;
            let gone = chunk.rules.iter().filter(|rule| wanted(rule));
            self.steps.extend(gone.map(|rule| (rule.rule.id, Some(rule.state), None)));
            Arc::make_mut(&mut chunk.rules).retain(|rule| !wanted(rule));
        }
    }

    /// What the rules are as a whole: error before syncing before active.
    pub(crate) fn status(&self) -> AccessRulesStatus {
        let status = |rule: &StoredAccessRule| match rule.state {
            AccessRuleState::Error => AccessRulesStatus::Error,
            state if state.is_transient() => AccessRulesStatus::Syncing,
            _ => AccessRulesStatus::Active,
        };
        let mut worst = AccessRulesStatus::Active;
        for one in self.iter().map(status) {
            match one {
                AccessRulesStatus::Error => return one,
                AccessRulesStatus::Syncing => worst = one,
                AccessRulesStatus::Active => {}
            }
        }
        worst
    }

    /// Write what changed into `change`, with the ledger's words.
    pub(crate) fn write(self, cause: &Cause, change: &mut Change) {
        for (number, chunk) in self.chunks.into_iter().filter(|(_, chunk)| chunk.is_changed) {
            let expect = chunk.read_at.map_or(Expect::Absent, Expect::Unchanged);
            if let (true, Expect::Unchanged(revision)) = (chunk.rules.is_empty(), expect) {
                change.delete(RowKey::Rules(self.instance, number), revision);
            } else if !chunk.rules.is_empty() {
                change.put(
                    expect,
                    Row::Rules(RuleChunk { instance: self.instance, number, rules: chunk.rules }),
                );
            }
        }
        note(&self.steps, self.instance, cause, change);
    }
}

fn word(state: Option<AccessRuleState>) -> &'static str {
    state.map_or("none", AccessRuleState::as_str)
}

fn note(steps: &[Step], instance: ShareInstanceId, cause: &Cause, change: &mut Change) {
    if steps.len() <= NOTED_RULES {
        for (rule, before, after) in steps {
            let words = format_args!("{} -> {}", word(*before), word(*after));
            change.note(cause, format_args!("access/{rule}"), words);
        }
        return;
    }
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (_, before, after) in steps {
        *counts.entry((word(*before), word(*after))).or_default() += 1;
    }
    for ((before, after), count) in counts {
        let words = format_args!("{count} access rules {before} -> {after}");
        change.note(cause, format_args!("share-instance/{instance}"), words);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{list, rule};
    use super::*;
    use bulkhead_model::secret::SealedSecret;
    use bulkhead_model::status::AccessRuleState as State;

    /// A list of rules in these states, as it was read.
    fn stored(states: [State; 2]) -> RuleList {
        let mut rules = list(states.map(|state| rule("10.0.0.1", state)));
        rules.steps.clear();
        rules.chunks.values_mut().for_each(|chunk| chunk.is_changed = false);
        rules
    }

    /// Contract A-04.
    #[test]
    fn a_list_that_was_only_read_writes_nothing() {
        let rules = stored([State::Active, State::QueuedToApply]);
        let mut change = Change::default();
        rules.write(&Cause::host("test"), &mut change);
        assert!(change.rows.is_empty() && change.words.is_empty(), "{change:?}");
    }

    /// Contract A-05.
    #[test]
    fn an_edit_tells_the_ledger_of_every_state_that_changed_and_of_no_other() {
        let (queued, applying) = (State::QueuedToApply, State::Applying);
        for (states, changes) in [
            ([queued, queued], 2),
            ([queued, State::Active], 1),
            ([applying, applying], 2),
            ([applying, State::Error], 1),
            ([State::Active, State::Denying], 0),
        ] {
            let mut rules = stored(states);
            let edited = rules.edit(
                |_| true,
                |rule| {
                    rule.access_key = Some(SealedSecret::new("key".to_owned()));
                    if [queued, applying].contains(&rule.state) {
                        rule.state = State::QueuedToDeny;
                    }
                },
            );
            assert_eq!((edited, rules.steps.len()), (2, changes), "{states:?}");
            assert!(
                rules.iter().all(|rule| rule.access_key.as_ref().map(SealedSecret::as_str) == Some("key")),
                "{states:?}"
            );
            let mut change = Change::default();
            rules.write(&Cause::host("test"), &mut change);
            assert_eq!((change.rows.len(), change.words.len()), (1, changes), "{states:?}");
        }
    }
}
