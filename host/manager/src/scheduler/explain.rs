//! Where a share would go, asked without making it.

use super::{PlacementView, survey};
use crate::context::RequestContext;
use crate::error::ManagerError;
use crate::manager::Manager;
use crate::request::NewShare;
use crate::share::wish;
use crate::share_type;

impl Manager {
    /// Where a share like this would go now, and why not elsewhere. Nothing is made or reserved. For operators.
    ///
    /// Fails as [`Manager::create_share`] does for a share type, snapshot or size that cannot be, but not for want of a place.
    pub fn explain_placement(
        &self,
        context: &RequestContext,
        new: &NewShare,
    ) -> Result<PlacementView, ManagerError> {
        context.require_operator()?;
        let tables = self.inner.records.read();
        let share_type = share_type::find(&tables, new.share_type.as_deref())?;
        share_type::specs::check_size(&share_type::kept_specs(&share_type), new.size)?;
        let wish = wish(context, new, &share_type, &tables)?;
        Ok(survey(&self.inner, &tables, &wish))
    }
}
