//! Credentials of access rules: stored sealed, told to the tenant whose rule it is and to nobody else.

use bulkhead_manager::StoredAccessRule;
use bulkhead_model::id::{AccessRuleId, ProjectId};
use bulkhead_model::secret::SealedSecret;
use std::fmt;
use std::sync::Arc;

type Open = dyn Fn(AccessRuleId, &SealedSecret) -> Option<String> + Send + Sync;

/// Opens the sealed credentials of access rules. By default it opens none.
#[derive(Clone, Default)]
pub struct AccessKeyReader(Option<Arc<Open>>);

impl fmt::Debug for AccessKeyReader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AccessKeyReader")
    }
}

impl AccessKeyReader {
    /// Opens with `open`, which answers none for what it cannot open.
    pub fn new(open: impl Fn(AccessRuleId, &SealedSecret) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(open)))
    }

    /// The credential of `rule` for a caller of `project`; none if it has none, or is another project's.
    pub(crate) fn read(&self, project: &ProjectId, rule: &StoredAccessRule) -> Option<String> {
        let sealed = rule.access_key.as_ref().filter(|_| rule.project == *project)?;
        self.0.as_ref()?(rule.rule.id, sealed)
    }
}
