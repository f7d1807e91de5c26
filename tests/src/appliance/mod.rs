//! An array that is managed over HTTP or HTTPS: a real server on loopback that behaves as arrays do.
//!
//! A login brings a cookie and, in its body, a value that every change must carry in a header. There are two sessions at most, and each
//! ends after a while. Work takes time: an answer says that it was taken on, and how it went is asked for. Who asks too often is told to
//! wait. The controllers share one state, and each can be stopped.

mod server;
mod state;

use crate::lab::Lab;
use crate::programs;
use anyhow::Context;
use server::Door;
use state::State;
pub use state::{Counts, Plan};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The account that may log in.
pub const USER: &str = "bulkhead";
/// And its password.
pub const PASSWORD: &str = "correct horse battery";

/// A running array. It ends when dropped.
#[derive(Debug)]
pub struct Appliance {
    state: Arc<Mutex<State>>,
    doors: Vec<Door>,
    certificate: Option<String>,
}

impl Appliance {
    /// Start an array with so many controllers, each on a free port of the loopback address.
    pub async fn start(plan: Plan, controllers: usize) -> anyhow::Result<Self> {
        let state = Arc::new(Mutex::new(State::new(plan)));
        let identity = if plan.is_encrypted { Some(server::identity()?) } else { None };
        let mut doors = Vec::new();
        for _ in 0..controllers {
            doors.push(Door::open(Arc::clone(&state), identity.as_ref()).await?);
        }
        Ok(Self { state, doors, certificate: identity.map(|identity| identity.certificate) })
    }

    /// Where the controllers listen, in order.
    #[must_use]
    pub fn controllers(&self) -> Vec<String> {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        self.doors.iter().map(|door| format!("{scheme}://{}", door.address())).collect()
    }

    /// A controller is gone, with every connection to it.
    pub fn stop(&mut self, controller: usize) {
        if let Some(door) = self.doors.get_mut(controller) {
            door.close();
        }
    }

    /// What was asked so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.locked().counts
    }

    /// Let every session end now.
    pub fn end_sessions(&self) {
        self.locked().end_sessions();
    }

    /// How many sessions there are.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.locked().sessions()
    }

    /// The names of the volumes and snapshots it has.
    #[must_use]
    pub fn objects(&self) -> Vec<String> {
        self.locked().objects()
    }

    /// Say how many GiB of a volume are used.
    pub fn fill(&self, volume: &str, gib: u64) {
        self.locked().fill(volume, gib);
    }

    /// Its certificate, as the operator would keep it.
    pub fn write_certificate(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let file = folder.join("array.pem");
        std::fs::write(&file, self.certificate.as_ref().context("the array is not encrypted")?)?;
        Ok(file)
    }

    /// The table of a grant that binds the driver's endpoint to its controllers.
    pub fn binding(&self, folder: &Path) -> anyhow::Result<String> {
        let known = match &self.certificate {
            None => "verify = \"off\"".to_owned(),
            Some(_) => format!("ca = {:?}", self.write_certificate(folder)?.display().to_string()),
        };
        Ok(format!("array = {{ controllers = {:?}, {known} }}\n", self.controllers()))
    }

    /// The driver's options, with the password in a file of `folder` that nobody else reads.
    pub fn options(&self, folder: &Path) -> anyhow::Result<String> {
        let file = folder.join("array.password");
        std::fs::write(&file, PASSWORD)?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
        Ok(format!("array_password = \"secret://file{}\"\nexport_address = \"10.0.0.9\"\n", file.display()))
    }

    /// A place for a daemon with a backend `array` of the driver `rest-appliance` on this array.
    pub fn lab(&self) -> anyhow::Result<Lab> {
        let lab = Lab::new()?;
        let options = self.options(lab.path())?;
        let text = lab.backend_text("array", &programs::guest("rest-appliance")?, &options, &[])?;
        let text = format!("{text}[grant.endpoints]\n{}", self.binding(lab.path())?);
        std::fs::write(lab.backend_file("array"), text)?;
        Ok(lab)
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            session_age: Duration::from_secs(20),
            most_sessions: 2,
            job_time: Duration::from_millis(30),
            most_requests: None,
            is_encrypted: false,
            total_gib: 1000,
        }
    }
}
