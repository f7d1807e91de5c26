//! `secret`.

use super::Answer;
use crate::bindings::convert::capability::error_to_wit;
use crate::bindings::v0_1::bulkhead::host::secret::Host;
use crate::bindings::v0_1::bulkhead::host::types::SecretRef;
use crate::state::State;

impl Host for State {
    async fn is_set(&mut self, secret: SecretRef) -> Answer<bool> {
        self.call.secrets().is_set(&secret.name).await.map_err(error_to_wit)
    }

    async fn is_same(&mut self, first: SecretRef, second: SecretRef) -> Answer<bool> {
        self.call.secrets().is_same(&first.name, &second.name).await.map_err(error_to_wit)
    }

    async fn captured(&mut self, name: String) -> Answer<Option<SecretRef>> {
        let captured = self.call.secrets().captured(&name).await.map_err(error_to_wit)?;
        Ok(captured.map(reference))
    }

    async fn generate(&mut self, purpose: String) -> Answer<SecretRef> {
        self.call.secrets().generate(&purpose).await.map(reference).map_err(error_to_wit)
    }

    async fn keep(&mut self, name: String, secret: SecretRef) -> Answer<SecretRef> {
        self.call.secrets().keep(&name, &secret.name).await.map(reference).map_err(error_to_wit)
    }

    async fn kept(&mut self, name: String) -> Answer<Option<SecretRef>> {
        let kept = self.call.secrets().kept(&name).await.map_err(error_to_wit)?;
        Ok(kept.map(reference))
    }

    async fn forget(&mut self, name: String) -> Answer<()> {
        self.call.secrets().forget(&name).await.map_err(error_to_wit)
    }
}

const fn reference(name: String) -> SecretRef {
    SecretRef { name }
}
