//! `files`.

use super::Answer;
use crate::bindings::convert::capability::{error_to_wit, named_from_wit, slots_from_wit};
use crate::bindings::v0_1::bulkhead::host::files::{
    DirectoryEntry as WitDirectoryEntry, FileKind as WitFileKind, FileStatus as WitFileStatus, Host,
    Space as WitSpace,
};
use crate::bindings::v0_1::bulkhead::host::types::{Path as WitPath, Slot as WitSlot};
use crate::state::State;
use bulkhead_capability::files::FileKind;
use bulkhead_capability::slot::{Path, Slot};

impl State {
    pub(super) async fn path(&self, function: &'static str, at: WitPath) -> Answer<Path> {
        match named_from_wit(at.of_resource.as_ref()) {
            Ok(of) => Ok(Path { root: at.root, pattern: at.pattern, of }),
            Err(error) => self.refuse(function, &format!("{}/{}", at.root, at.pattern), error).await,
        }
    }

    pub(super) async fn slots(
        &self,
        function: &'static str,
        template: &str,
        slots: Vec<WitSlot>,
    ) -> Answer<Vec<Slot>> {
        match slots_from_wit(slots) {
            Ok(slots) => Ok(slots),
            Err(error) => self.refuse(function, template, error).await,
        }
    }
}

impl Host for State {
    async fn status(&mut self, at: WitPath) -> Answer<WitFileStatus> {
        let at = self.path("files.status", at).await?;
        let status = self.call.files().status(&at).await.map_err(error_to_wit)?;
        Ok(WitFileStatus {
            kind: kind_to_wit(status.kind),
            size_bytes: status.size_bytes,
            owned: status.owned,
        })
    }

    async fn list_directory(&mut self, at: WitPath) -> Answer<Vec<WitDirectoryEntry>> {
        let at = self.path("files.list-directory", at).await?;
        let entries = self.call.files().list_directory(&at).await.map_err(error_to_wit)?;
        let entries = entries.into_iter();
        Ok(entries
            .map(|entry| WitDirectoryEntry { name: entry.name, kind: kind_to_wit(entry.kind) })
            .collect())
    }

    async fn usage(&mut self, at: WitPath) -> Answer<u64> {
        let at = self.path("files.usage", at).await?;
        self.call.files().usage(&at).await.map_err(error_to_wit)
    }

    async fn read(&mut self, at: WitPath) -> Answer<Vec<u8>> {
        let at = self.path("files.read", at).await?;
        self.call.files().read(&at).await.map_err(error_to_wit)
    }

    async fn read_kernel(&mut self, root: String, pattern: String, numbers: Vec<u64>) -> Answer<Vec<u8>> {
        self.call.files().read_kernel(&root, &pattern, &numbers).await.map_err(error_to_wit)
    }

    async fn create_directory(&mut self, at: WitPath) -> Answer<()> {
        let at = self.path("files.create-directory", at).await?;
        self.call.files().create_directory(&at).await.map_err(error_to_wit)
    }

    async fn remove(&mut self, at: WitPath) -> Answer<()> {
        let at = self.path("files.remove", at).await?;
        self.call.files().remove(&at).await.map_err(error_to_wit)
    }

    async fn rename(&mut self, source: WitPath, destination: WitPath) -> Answer<()> {
        let source = self.path("files.rename", source).await?;
        let destination = self.path("files.rename", destination).await?;
        self.call.files().rename(&source, &destination).await.map_err(error_to_wit)
    }

    async fn exchange(&mut self, first: WitPath, second: WitPath) -> Answer<()> {
        let first = self.path("files.exchange", first).await?;
        let second = self.path("files.exchange", second).await?;
        self.call.files().exchange(&first, &second).await.map_err(error_to_wit)
    }

    async fn copy_tree(&mut self, source: WitPath, destination: WitPath) -> Answer<()> {
        let source = self.path("files.copy-tree", source).await?;
        let destination = self.path("files.copy-tree", destination).await?;
        self.call.files().copy_tree(&source, &destination).await.map_err(error_to_wit)
    }

    async fn root_space(&mut self, root: String) -> Answer<WitSpace> {
        let space = self.call.files().root_space(&root).await.map_err(error_to_wit)?;
        Ok(WitSpace { total_bytes: space.total_bytes, free_bytes: space.free_bytes })
    }

    async fn location(&mut self, at: WitPath) -> Answer<String> {
        let at = self.path("files.location", at).await?;
        self.call.files().location(&at).await.map_err(error_to_wit)
    }

    async fn write_template(&mut self, template: String, slots: Vec<WitSlot>) -> Answer<()> {
        let slots = self.slots("files.write-template", &template, slots).await?;
        self.call.files().write_template(&template, &slots).await.map_err(error_to_wit)
    }

    async fn remove_template(&mut self, template: String, slots: Vec<WitSlot>) -> Answer<()> {
        let slots = self.slots("files.remove-template", &template, slots).await?;
        self.call.files().remove_template(&template, &slots).await.map_err(error_to_wit)
    }

    async fn write(&mut self, at: WitPath, content: Vec<u8>) -> Answer<()> {
        let at = self.path("files.write", at).await?;
        self.call.files().write(&at, &content).await.map_err(error_to_wit)
    }
}

const fn kind_to_wit(kind: FileKind) -> WitFileKind {
    match kind {
        FileKind::File => WitFileKind::File,
        FileKind::Directory => WitFileKind::Directory,
        FileKind::SymbolicLink => WitFileKind::SymbolicLink,
        FileKind::Other => WitFileKind::Other,
    }
}
