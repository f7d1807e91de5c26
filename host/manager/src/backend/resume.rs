//! After a restart: every backend serves the generation that the records call current, whatever its files or its vendor's say now.

use super::generation;
use super::loader::{DriverLoader, PackageSource, Wanted};
use super::supervisor;
use crate::error::ManagerError;
use crate::manager::{Inner, Manager};
use crate::view::{BackendDescription, BackendFailure};
use bulkhead_model::id::BackendName;
use bulkhead_sandbox::Driver;
use std::sync::Arc;

impl Manager {
    /// From now on drivers are brought in by `loader`. Only the first one counts.
    pub fn load_drivers_with(&self, loader: Arc<dyn DriverLoader>) {
        // A second loader would be a mistake of the caller's, and the first goes on.
        drop(self.inner.loader.set(loader));
    }

    /// Serve every backend's recorded generation. Returns when each has a task that loads and sets it up, again and again until it
    /// succeeds. Generations that an earlier daemon had not finished are marked as failed, packages that no generation needs are
    /// forgotten.
    ///
    /// Call it once, before anything is offered or asked for. Fails if there is no loader or a record cannot be written.
    pub async fn resume_backends(&self) -> Result<(), ManagerError> {
        let loader = self.inner.loader()?;
        generation::fail_interrupted(&self.inner).await?;
        self.inner.forget_packages(&*loader).await;
        let names: Vec<_> = {
            let tables = self.inner.records.read();
            let current = tables.backends().filter(|record| record.current.is_some());
            current.map(|record| record.name.clone()).collect()
        };
        for name in names {
            resume(&self.inner, &name, &loader);
        }
        Ok(())
    }
}

impl Inner {
    /// Forget the packages that no generation needs any more.
    pub(super) async fn forget_packages(self: &Arc<Self>, loader: &dyn DriverLoader) {
        let inner = Arc::clone(self);
        loader.keep_only(Box::new(move || generation::needed_packages(&inner.records.read()))).await;
    }

    /// Serve the recorded generation of a backend, as at a start.
    pub(super) fn resume_backend(self: &Arc<Self>, name: &BackendName) -> Result<(), ManagerError> {
        resume(self, name, &self.loader()?);
        Ok(())
    }

    pub(super) fn loader(&self) -> Result<Arc<dyn DriverLoader>, ManagerError> {
        self.loader
            .get()
            .cloned()
            .ok_or_else(|| ManagerError::invalid("backend", "nothing loads drivers here"))
    }
}

fn resume(inner: &Arc<Inner>, name: &BackendName, loader: &Arc<dyn DriverLoader>) {
    let backend = inner.backends.enter(name);
    let (within, supervised) = (Arc::clone(inner), Arc::clone(&backend));
    let loader = Arc::clone(loader);
    backend.supervise_with(|term| async move {
        let load = || load_recorded(&within, &supervised.name, &*loader);
        let (description, driver) = supervisor::load(&within, &supervised, load).await;
        supervised.set_loaded(&description, &*driver);
        within.backends.changed();
        supervisor::supervise(within, supervised, term, (description, driver)).await;
    });
}

/// The driver of the backend's recorded generation, bound to its rights and not set up; none if no generation is current.
pub(super) async fn recorded_driver(
    inner: &Inner,
    name: &BackendName,
) -> Result<Option<Arc<dyn Driver>>, BackendFailure> {
    let has_current = inner.records.read().current_generation(name).is_some();
    let Some(loader) = inner.loader.get().filter(|_| has_current) else { return Ok(None) };
    load_recorded(inner, name, &**loader).await.map(|(_, driver)| Some(driver))
}

async fn load_recorded(
    inner: &Inner,
    name: &BackendName,
    loader: &dyn DriverLoader,
) -> Result<(BackendDescription, Arc<dyn Driver>), BackendFailure> {
    let row = inner.records.read().current_generation(name).map(|row| Arc::clone(&row.value));
    let row = row.ok_or_else(|| {
        let message = format!("the record of backend {name}'s current generation is missing");
        super::steps::caller_failure("no-generation", message)
    })?;
    let package = PackageSource::Kept(row.identity.package);
    let wanted = Wanted { package, settings: row.settings.clone() };
    let mut candidate = loader.verify(name, &wanted).await?;
    candidate.compile().await?;
    candidate.link(row.number).await
}
