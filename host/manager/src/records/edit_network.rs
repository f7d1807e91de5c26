//! Edits of share networks inside a change.

use super::{Change, Expect, Row, Tables};
use bulkhead_model::id::ShareNetworkId;
use bulkhead_model::network::ShareNetwork;
use bulkhead_model::scope::Scope;
use bulkhead_model::time::Timestamp;

impl Change {
    /// Alter a share network. Without a change of its own this is the turnstile that whatever comes to be on the network passes.
    pub(crate) fn edit_share_network(
        &mut self,
        tables: &Tables,
        id: ShareNetworkId,
        alter: impl FnOnce(&mut ShareNetwork),
    ) {
        let Some(stored) = tables.share_network(&Scope::Everything, id) else { return };
        let mut network = (*stored.value).clone();
        alter(&mut network);
        if network != *stored.value {
            network.updated_at = Timestamp::now();
        }
        self.put(Expect::Unchanged(stored.revision), Row::Network(network));
    }
}
