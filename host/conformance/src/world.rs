//! What the kit needs of the place where a driver is tried.

use crate::faults::Faults;
use async_trait::async_trait;
use bulkhead_model::target::Resource;
use bulkhead_sandbox::Driver;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// What the host and its places hold for a driver: one line for each key of private data, and for each file and directory that is not
/// inside a share's own data. Lines compare; they also tell a person what was left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Holdings {
    /// What is there because of shares, snapshots and groups.
    pub of_resources: BTreeSet<String>,
    /// The keys under which the driver keeps its books of the backend as a whole. They may stay when what was entered is gone.
    pub of_backend: BTreeSet<String>,
}

impl Holdings {
    /// What is held because of resources and was not held `before`.
    pub(crate) fn new_since<'a>(&'a self, before: &'a Self) -> Vec<&'a str> {
        self.of_resources.difference(&before.of_resources).map(String::as_str).collect()
    }

    /// What is held on one side only.
    pub(crate) fn changes<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        let of_resources = self.of_resources.symmetric_difference(&other.of_resources);
        of_resources
            .chain(self.of_backend.symmetric_difference(&other.of_backend))
            .map(String::as_str)
            .collect()
    }
}

/// The place itself failed: nothing is known about the driver.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct WorldError {
    what: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl WorldError {
    /// What failed, and why.
    pub fn new(what: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { what: what.into(), source: Some(source.into()) }
    }
}

/// A driver on a backend, and what the kit may see and do beside calling it. Nobody else uses the backend meanwhile.
#[async_trait]
pub trait World: Send + Sync + Debug {
    /// The driver on the backend under test.
    fn driver(&self) -> Arc<dyn Driver>;

    /// The same driver on a second backend, for replicas; none where there is none.
    fn peer(&self) -> Option<Arc<dyn Driver>>;

    /// Where host calls of both are counted and struck.
    fn faults(&self) -> &Faults;

    /// What the host and its places hold for the driver now, and what is at the backend as far as the host can see it.
    async fn holdings(&self) -> Result<Holdings, WorldError>;

    /// Where `text` stands in what the host and its places hold for the driver, data of shares aside: a rule in force can be seen so.
    async fn mentions(&self, text: &str) -> Result<Vec<String>, WorldError>;

    /// Put `content` into the file `name` in the data of `resource`, as a client would. False where the host cannot reach the data.
    async fn write_data(&self, resource: Resource, name: &str, content: &str) -> Result<bool, WorldError>;

    /// Make the file `name` in the data of `resource` this many bytes long. False where the host cannot reach the data.
    async fn fill_data(&self, resource: Resource, name: &str, bytes: u64) -> Result<bool, WorldError>;

    /// What the file `name` in the data of `resource` holds: none where the host cannot reach the data, empty where there is no file.
    async fn read_data(&self, resource: Resource, name: &str) -> Result<Option<String>, WorldError>;

    /// Forget everything that a restart of the host forgets.
    async fn restart(&self) -> Result<(), WorldError>;

    /// Let this time pass for the backend, which goes on with something by itself. Where nothing goes on none need pass.
    async fn pause(&self, time: Duration);

    /// What of the host was only guessed since this was last asked: a fake that cannot know the answer of a command says so here. What a
    /// driver did with a guess says nothing about the driver.
    fn guesses(&self) -> Vec<String>;
}
