//! Numbers in the store that grow by one for each caller: fencing numbers and counters.

use crate::call::Call;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_store::{Key, StoreError, Transaction};

/// Add one to the number under `key` and answer it; a missing one starts at 0, so that the first answer is 1.
///
/// Fails with `limit-exceeded` at the end of the range, `timed-out` if others keep changing it until the call's time is up.
pub(crate) async fn next(call: &Call, key: &Key) -> Result<u64, CapabilityError> {
    let store = call.backend().store();
    loop {
        call.check_time()?;
        let found = store.get(key).await.map_err(|error| unusable(&error))?;
        let before = match &found {
            Some(versioned) => read(&versioned.value)?,
            None => 0,
        };
        let number = before.checked_add(1).ok_or_else(|| {
            CapabilityError::new(
                CapabilityCode::LimitExceeded,
                "the counter has reached the end of its range",
            )
        })?;
        let transaction = Transaction::default();
        let transaction = match found {
            Some(versioned) => transaction.unchanged(key.clone(), versioned.revision),
            None => transaction.absent(key.clone()),
        };
        match store.commit(transaction.put(key.clone(), number.to_string().into_bytes())).await {
            Ok(_) => return Ok(number),
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(unusable(&error)),
        }
    }
}

fn read(value: &[u8]) -> Result<u64, CapabilityError> {
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or_else(|| {
        CapabilityError::new(CapabilityCode::Io, "the host's record of this number cannot be read")
    })
}

/// The store's failure, as a guest sees it.
pub(crate) fn unusable(error: &StoreError) -> CapabilityError {
    tracing::error!(error = error as &dyn std::error::Error, "the store failed a capability");
    CapabilityError::new(CapabilityCode::Io, "the host's store failed; see the host's log")
}
