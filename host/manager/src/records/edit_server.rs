//! Edits of share servers inside a change.

use super::{Cause, Change, Expect, Row, RowKey, Tables};
use bulkhead_model::id::ShareServerId;
use bulkhead_model::scope::Scope;
use bulkhead_model::share_server::ShareServer;
use bulkhead_model::time::Timestamp;

impl Change {
    /// Alter a share server and say in the ledger how its status changed. Without a change of its own this is the turnstile that every
    /// operation on the server, and whatever comes to live on it, passes.
    pub(crate) fn edit_server(
        &mut self,
        tables: &Tables,
        id: ShareServerId,
        cause: &Cause,
        alter: impl FnOnce(&mut ShareServer),
    ) {
        let Some(stored) = tables.server(&Scope::Everything, id) else { return };
        let mut server = (*stored.value).clone();
        alter(&mut server);
        if server != *stored.value {
            server.updated_at = Timestamp::now();
        }
        if server.status != stored.status {
            let words = format_args!("{} -> {}", stored.status, server.status);
            self.note(cause, format_args!("share-server/{id}"), words);
        }
        self.put(Expect::Unchanged(stored.revision), Row::Server(server));
    }

    /// Something that lived on a server is gone: it may be unused from now on.
    pub(crate) fn leave_server(&mut self, tables: &Tables, id: ShareServerId) {
        let Some(stored) = tables.server(&Scope::Everything, id) else { return };
        let server = ShareServer { updated_at: Timestamp::now(), ..(*stored.value).clone() };
        self.put(Expect::Unchanged(stored.revision), Row::Server(server));
    }

    /// Take away a share server. What lived on it has gone before.
    pub(crate) fn remove_server(&mut self, tables: &Tables, id: ShareServerId, cause: &Cause) {
        let Some(server) = tables.server(&Scope::Everything, id) else { return };
        self.note(cause, format_args!("share-server/{id}"), format_args!("{} -> gone", server.status));
        self.delete(RowKey::Server(id), server.revision);
    }
}
