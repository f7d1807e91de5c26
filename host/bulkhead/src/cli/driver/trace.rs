//! What a driver asked of the host, line by line, as the ledger has recorded it: slots and reasons, never a secret.

use crate::cli::printer::Printer;
use bulkhead_ledger::Ledger;
use bulkhead_model::effect::{Effect, EffectOutcome, LedgerEntry};
use bulkhead_model::id::BackendName;

/// How many records are read at once.
const PAGE: usize = 500;

/// Follows the ledger of the lab's one backend.
#[derive(Debug)]
pub(super) struct Trace {
    ledger: Ledger,
    backend: BackendName,
    shown: u64,
}

impl Trace {
    pub(super) const fn new(ledger: Ledger, backend: BackendName) -> Self {
        Self { ledger, backend, shown: 0 }
    }

    /// Print what has been recorded since.
    pub(super) async fn print(&mut self, printer: &Printer) -> anyhow::Result<()> {
        for effect in only_ends(self.new_effects().await?) {
            let line = format!("  {:<26} {} {}", effect.capability, effect.subject, word(effect.outcome));
            let separator = if effect.detail.is_empty() { "" } else { ": " };
            printer.note(&format!("{line}{separator}{}", effect.detail));
        }
        Ok(())
    }

    async fn new_effects(&mut self) -> anyhow::Result<Vec<Effect>> {
        self.ledger.flush(&self.backend).await?;
        let mut effects = Vec::new();
        loop {
            let records = self.ledger.after(&self.backend, self.shown, PAGE).await?;
            let Some(last) = records.last() else { return Ok(effects) };
            self.shown = last.sequence;
            effects.extend(records.into_iter().filter_map(|record| match record.entry {
                LedgerEntry::Effect(effect) => Some(effect),
                LedgerEntry::StateChange(_) => None,
            }));
        }
    }
}

/// What takes long is recorded when it begins and when it ends: the beginning is of interest only where no end follows.
fn only_ends(effects: Vec<Effect>) -> Vec<Effect> {
    let mut ends: Vec<Effect> = Vec::new();
    for effect in effects.into_iter().rev() {
        let ended =
            ends.iter().any(|end| end.capability == effect.capability && end.subject == effect.subject);
        if effect.outcome != EffectOutcome::Begun || !ended {
            ends.push(effect);
        }
    }
    ends.reverse();
    ends
}

const fn word(outcome: EffectOutcome) -> &'static str {
    match outcome {
        EffectOutcome::Begun => "BEGUN, NO END",
        EffectOutcome::Done => "done",
        EffectOutcome::Failed => "FAILED",
        EffectOutcome::Denied => "DENIED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_model::call::CallOrigin;
    use bulkhead_model::id::{CallId, GenerationNumber, RequestId};

    fn effect(subject: &str, outcome: EffectOutcome) -> Effect {
        Effect {
            origin: CallOrigin {
                call: CallId::next(),
                function: "shares.create-share".to_owned(),
                request: RequestId::random(),
                operation: None,
                generation: GenerationNumber(1),
            },
            capability: "execute.run".to_owned(),
            subject: subject.to_owned(),
            outcome,
            detail: String::new(),
        }
    }

    #[test]
    fn a_beginning_is_shown_only_where_no_end_follows() {
        let effects = vec![
            effect("copy", EffectOutcome::Begun),
            effect("copy", EffectOutcome::Done),
            effect("flush", EffectOutcome::Begun),
        ];
        let shown: Vec<_> =
            only_ends(effects).into_iter().map(|effect| (effect.subject, effect.outcome)).collect();
        assert_eq!(
            shown,
            [("copy".to_owned(), EffectOutcome::Done), ("flush".to_owned(), EffectOutcome::Begun)]
        );
    }
}
