//! A place over SSH as backends hold it: how it is reached may change while they serve.

use async_trait::async_trait;
use bulkhead_capability::execute::{Abandoned, CommandRequest, CommandRunner, Directories, RunError};
use bulkhead_helper::protocol::{
    DbusReply, DbusRequest, FileReply, FilesCall, Finished, JobAnswer, JobCall, PipeFinished, ServiceAnswer,
    ServiceCall,
};
use std::sync::{Arc, PoisonError, RwLock};

/// Whoever asks is led to where the place is now; what was asked before ends where it was asked.
#[derive(Debug)]
pub(super) struct Switch(RwLock<Arc<dyn CommandRunner>>);

impl Switch {
    pub(super) fn new(place: Arc<dyn CommandRunner>) -> Self {
        Self(RwLock::new(place))
    }

    /// Lead everybody there from now on.
    pub(super) fn turn(&self, place: Arc<dyn CommandRunner>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = place;
    }

    fn now(&self) -> Arc<dyn CommandRunner> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl CommandRunner for Switch {
    async fn run(&self, request: CommandRequest, abandoned: Abandoned) -> Result<Finished, RunError> {
        self.now().run(request, abandoned).await
    }

    async fn pipe(
        &self,
        stages: Vec<CommandRequest>,
        abandoned: Abandoned,
    ) -> Result<PipeFinished, RunError> {
        self.now().pipe(stages, abandoned).await
    }

    async fn service(&self, call: ServiceCall) -> Result<ServiceAnswer, RunError> {
        self.now().service(call).await
    }

    async fn job(&self, call: JobCall) -> Result<JobAnswer, RunError> {
        self.now().job(call).await
    }

    async fn dbus(&self, call: DbusRequest) -> Result<DbusReply, RunError> {
        self.now().dbus(call).await
    }

    fn directories(&self) -> Directories {
        self.now().directories()
    }

    async fn files(&self, call: FilesCall, abandoned: Abandoned) -> Result<FileReply, RunError> {
        self.now().files(call, abandoned).await
    }

    async fn wait_until_swept(&self) -> Result<(), RunError> {
        self.now().wait_until_swept().await
    }
}
