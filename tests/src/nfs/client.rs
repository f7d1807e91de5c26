//! One mounted export: files by their names in its root.

use super::wire::{self, Stream};
use super::{Failure, Place};
use nfs3_client::Nfs3Client;
use nfs3_client::nfs3_types::nfs3::{
    COMMIT3args, CREATE3args, LOOKUP3args, MKDIR3args, Nfs3Option, READ3args, READDIR3args, REMOVE3args,
    WRITE3args, cookieverf3, createhow3, diropargs3, filename3, nfs_fh3, sattr3, stable_how,
};
use nfs3_client::nfs3_types::xdr_codec::Opaque;
use std::time::{Duration, Instant};

/// Bytes of one write or read.
const BLOCK: usize = 1 << 16;
/// Bytes of one write that fills.
const FILL: u64 = 1 << 20;
/// Pause before a broken connection is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// What a client does when nobody answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It fails at once.
    None,
    /// It connects again and repeats, as a hard mount does, for this long.
    Hard(Duration),
}

/// A mounted export. NFS has no state: dropping it is unmounting it.
pub struct Client {
    place: Place,
    root: nfs_fh3,
    connection: Option<Nfs3Client<Stream>>,
    patience: Patience,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Client").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Client {
    /// Mount an export.
    pub async fn mount(place: Place) -> Result<Self, Failure> {
        let root = wire::mount(&place).await?;
        let connection = Some(wire::nfs(&place).await?);
        Ok(Self { place, root, connection, patience: Patience::None })
    }

    /// The paths that the server at `place` exports.
    pub async fn exports(place: &Place) -> Result<Vec<String>, Failure> {
        wire::exports(place).await
    }

    /// The same, with this patience.
    #[must_use]
    pub const fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Where it is mounted from.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Mount it anew, as one does after `STALE`.
    pub async fn remount(&mut self) -> Result<(), Failure> {
        self.root = wire::mount(&self.place).await?;
        Ok(())
    }

    /// Make a file, or find it, and write `bytes` at its beginning. When this returns, they are on the server's disk.
    pub async fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        self.write_at(name, 0, bytes).await
    }

    /// The same from byte `offset` on.
    pub async fn write_at(&mut self, name: &str, mut offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        let file = self.make(name).await?;
        for block in bytes.chunks(BLOCK) {
            self.write_block(&file, offset, block, stable_how::FILE_SYNC).await?;
            offset += u64::try_from(block.len()).unwrap_or_default();
        }
        Ok(())
    }

    /// Write zeros to `name` until the server refuses or `limit` bytes are written. How many were, and what stopped it.
    pub async fn fill(&mut self, name: &str, limit: u64) -> Result<(u64, Option<Failure>), Failure> {
        let file = match self.make(name).await {
            Ok(file) => file,
            Err(failure) if failure.is_broken() => return Err(failure),
            Err(failure) => return Ok((0, Some(failure))),
        };
        let zeros = vec![0; usize::try_from(FILL).unwrap_or_default()];
        let mut written = 0;
        while written < limit {
            match self.write_block(&file, written, &zeros, stable_how::UNSTABLE).await {
                Ok(()) => written += FILL,
                Err(failure) if failure.is_broken() => return Err(failure),
                Err(failure) => return Ok((written, Some(failure))),
            }
        }
        let arguments = COMMIT3args { file, offset: 0, count: 0 };
        self.patiently(async |connection| wire::answer(connection.commit(&arguments)).await).await?;
        Ok((written, None))
    }

    /// The whole content of a file.
    pub async fn read(&mut self, name: &str) -> Result<Vec<u8>, Failure> {
        let file = self.lookup(name).await?;
        let mut content = Vec::new();
        loop {
            let offset = u64::try_from(content.len()).unwrap_or(u64::MAX);
            let count = u32::try_from(BLOCK).unwrap_or(u32::MAX);
            let arguments = READ3args { file: file.clone(), offset, count };
            let read =
                self.patiently(async |connection| wire::answer(connection.read(&arguments)).await).await?;
            content.extend_from_slice(&read.data);
            if read.eof || read.data.is_empty() {
                return Ok(content);
            }
        }
    }

    /// Remove a file.
    pub async fn remove(&mut self, name: &str) -> Result<(), Failure> {
        let arguments = REMOVE3args { object: self.named(name) };
        self.patiently(async |connection| wire::answer(connection.remove(&arguments)).await).await?;
        Ok(())
    }

    /// Make a directory in the root.
    pub async fn make_directory(&mut self, name: &str) -> Result<(), Failure> {
        let arguments = MKDIR3args { where_: self.named(name), attributes: sattr3::default() };
        self.patiently(async |connection| wire::answer(connection.mkdir(&arguments)).await).await?;
        Ok(())
    }

    /// The names in the root, in order, without `.` and `..`.
    pub async fn list(&mut self) -> Result<Vec<String>, Failure> {
        let mut names = Vec::new();
        let (mut cookie, mut verifier) = (0, cookieverf3::default());
        loop {
            let arguments =
                READDIR3args { dir: self.root.clone(), cookie, cookieverf: verifier, count: 8192 };
            let read =
                self.patiently(async |connection| wire::answer(connection.readdir(&arguments)).await).await?;
            let entries = read.reply.entries.into_inner();
            cookie = entries.last().map_or(cookie, |entry| entry.cookie);
            verifier = read.cookieverf;
            let done = read.reply.eof || entries.is_empty();
            names.extend(entries.iter().map(|entry| wire::text(&entry.name.0)));
            if done {
                names.retain(|name| name != "." && name != "..");
                names.sort();
                return Ok(names);
            }
        }
    }

    /// The handle of a file; made, empty, if it is not there.
    async fn make(&mut self, name: &str) -> Result<nfs_fh3, Failure> {
        let how = createhow3::UNCHECKED(sattr3 { mode: Nfs3Option::Some(0o644), ..sattr3::default() });
        let arguments = CREATE3args { where_: self.named(name), how };
        let made =
            self.patiently(async |connection| wire::answer(connection.create(&arguments)).await).await?;
        match made.obj {
            Nfs3Option::Some(handle) => Ok(handle),
            Nfs3Option::None => self.lookup(name).await,
        }
    }

    async fn lookup(&mut self, name: &str) -> Result<nfs_fh3, Failure> {
        let arguments = LOOKUP3args { what: self.named(name) };
        let found =
            self.patiently(async |connection| wire::answer(connection.lookup(&arguments)).await).await?;
        Ok(found.object)
    }

    async fn write_block(
        &mut self,
        file: &nfs_fh3,
        offset: u64,
        block: &[u8],
        stable: stable_how,
    ) -> Result<(), Failure> {
        let mut done = 0;
        while let Some(rest) = block.get(done..).filter(|rest| !rest.is_empty()) {
            let arguments = WRITE3args {
                file: file.clone(),
                offset: offset + u64::try_from(done).unwrap_or_default(),
                count: u32::try_from(rest.len()).unwrap_or(u32::MAX),
                stable,
                data: Opaque::borrowed(rest),
            };
            let written =
                self.patiently(async |connection| wire::answer(connection.write(&arguments)).await).await?;
            if written.count == 0 {
                return Err(Failure::Status("a write of no bytes".to_owned()));
            }
            done += usize::try_from(written.count).unwrap_or(usize::MAX);
        }
        Ok(())
    }

    fn named(&self, name: &str) -> diropargs3<'static> {
        diropargs3 { dir: self.root.clone(), name: filename3::from(name.as_bytes().to_vec()) }
    }

    /// Make a call; where the connection breaks, do what this client's patience says.
    async fn patiently<T>(
        &mut self,
        mut call: impl AsyncFnMut(&mut Nfs3Client<Stream>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let began = Instant::now();
        loop {
            let failure = match self.connection.as_mut() {
                Some(connection) => match call(connection).await {
                    Err(failure) if failure.is_broken() => failure,
                    answered => return answered,
                },
                None => match wire::nfs(&self.place).await {
                    Ok(connection) => {
                        self.connection = Some(connection);
                        continue;
                    }
                    Err(failure) => failure,
                },
            };
            self.connection = None;
            match self.patience {
                Patience::Hard(limit) if began.elapsed() < limit => tokio::time::sleep(AGAIN).await,
                Patience::None | Patience::Hard(_) => return Err(failure),
            }
        }
    }
}
