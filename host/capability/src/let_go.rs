//! The end of a share or snapshot that stays where it is: after an `unmanage` the backend has nothing of it any more.

use crate::call::Call;
use crate::ownership;
use crate::private_data::DataOwner;
use crate::record::Deed;
use bulkhead_model::ability::Capability;
use bulkhead_model::error::CapabilityError;

impl Call {
    /// Forget what the call's subject owns and its private data. What stands at its paths is not touched, and is nobody's afterwards: it
    /// can be managed again.
    ///
    /// For the host, after the driver let it go; idempotent. A call about nothing lets nothing go.
    pub async fn let_go(&self) -> Result<(), CapabilityError> {
        let Some(subject) = self.target().subject() else { return Ok(()) };
        if self.backend().allows(Capability::PrivateData) {
            for entry in self.private_data().get_all(DataOwner::Subject).await? {
                self.private_data().remove(DataOwner::Subject, &entry.key).await?;
            }
        }
        let work = async {
            let forgotten = ownership::forget_all(self, subject).await?;
            Ok(((), format!("{forgotten} records of what it owned are gone")))
        };
        self.recorded_with_detail(Deed::new("host.let-go", subject.to_string()), work).await
    }
}
