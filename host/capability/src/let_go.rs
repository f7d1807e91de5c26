//! The end of a share, snapshot or share server: what the backend has of it beside what stands there is forgotten.

use crate::call::Call;
use crate::ownership;
use crate::private_data::DataOwner;
use crate::record::Deed;
use bulkhead_model::ability::Capability;
use bulkhead_model::error::CapabilityError;
use bulkhead_model::target::Resource;

impl Call {
    /// Forget what the call's subject owns and its private data, and log out of it if it is a share server. What stands at its paths is not
    /// touched, and is nobody's afterwards: it can be managed again.
    ///
    /// For the host, after the driver let it go; idempotent. A call about nothing lets nothing go.
    pub async fn let_go(&self) -> Result<(), CapabilityError> {
        let Some(subject) = self.target().subject() else { return Ok(()) };
        if let Resource::ShareServer(server) = subject {
            self.backend().shared().http().end_server(server);
        }
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
