//! Exports: what clients mount. A share has one; a mountable snapshot has one that can only be read.
//!
//! An export is four things, made in this order and undone in the other: a number of its own, a mount in the server's namespace, a
//! file for the server's next start, and the running server's knowledge of it. Each is looked for before it is made, so that every
//! function may be repeated after a crash at any point.

use crate::place::{self, CONFIG, SHARE, SNAPSHOT};
use crate::server::{GROUP, Server, instance_of};
use crate::{fingerprint, number};
use bulkhead_sdk::dbus::{self, Reply, Value};
use bulkhead_sdk::files::{self, Path};
use bulkhead_sdk::lock::{self, Guard};
use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::service::{self, Instance};
use bulkhead_sdk::{
    CapabilityCode, Error, ErrorCode, ExportLocation, OrAbsent, Resource, Result, Share, Slots, Snapshot, log,
};
use std::time::Duration;

/// Private data: what the export's file looked like when this driver wrote it.
const FILE_KEY: &str = "export-file";
/// Private data: what the server said of the export when this driver had told it.
const SERVED_KEY: &str = "export-served";

/// An export, whether it is there or not.
#[derive(Debug, Clone)]
pub struct Export {
    kind: Kind,
    resource: Resource,
    name: String,
    /// Of the server that serves it.
    instance: Instance,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Share,
    Snapshot,
}

impl Kind {
    const fn bind(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Snapshot => "snapshot",
        }
    }

    const fn source(self) -> &'static str {
        match self {
            Self::Share => SHARE,
            Self::Snapshot => SNAPSHOT,
        }
    }

    /// The pattern of the file that the server `instance` finds it in.
    const fn file(self, instance: &Instance) -> &'static str {
        match (self, instance) {
            (Self::Share, Instance::Backend) => "exports/{share}.conf",
            (Self::Snapshot, Instance::Backend) => "exports/{snapshot}.conf",
            (Self::Share, Instance::Of(_)) => "{server}/exports/{share}.conf",
            (Self::Snapshot, Instance::Of(_)) => "{server}/exports/{snapshot}.conf",
        }
    }

    /// The template that lets in whom the rules of the call name.
    const fn open_template(self) -> &'static str {
        match self {
            Self::Share => "export",
            Self::Snapshot => "snapshot-export",
        }
    }

    /// The template that lets nobody in.
    const fn closed_template(self) -> &'static str {
        match self {
            Self::Share => "closed-export",
            Self::Snapshot => "closed-snapshot-export",
        }
    }
}

/// Who may mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// Nobody.
    Nobody,
    /// Whom the rules of this call name. Only calls that carry rules have them.
    OfCall,
}

/// Whether an export is as this driver left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Soundness {
    /// It is.
    Sound,
    /// It is again, but the server had lost it: a server in a fresh namespace, which has lost the mountable snapshots as well.
    ServedAgain,
    /// Its rules must be written anew, which takes a call that carries them.
    RulesLost,
}

/// What the server did with an export's file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    /// It took all of it.
    Taken,
    /// It took nothing of it, and said why.
    Refused(String),
}

impl Export {
    /// The export of a share.
    pub fn of_share(share: &Share) -> Self {
        let instance = instance_of(share);
        Self { kind: Kind::Share, resource: share.into(), name: share.name.clone(), instance }
    }

    /// The export of a snapshot.
    pub fn of_snapshot(snapshot: &Snapshot) -> Self {
        let instance = instance_of(&snapshot.share);
        Self { kind: Kind::Snapshot, resource: snapshot.into(), name: snapshot.name.clone(), instance }
    }

    /// Where clients find it.
    pub fn locations(&self) -> Result<Vec<ExportLocation>> {
        Ok(Server::at(&self.instance)?.locations(&self.name))
    }

    /// Nobody else changes this export while the answer is kept.
    pub fn hold(&self) -> Result<Guard> {
        lock::acquire(&self.name, Duration::from_secs(60)).map_err(|error| match error.code() {
            CapabilityCode::TimedOut => Error::busy(format!("{} is worked on by another call", self.name)),
            _ => error.into(),
        })
    }

    /// Serve it to `clients`; whoever else is served now is not any more, from the next request on.
    pub fn publish(&self, clients: Clients) -> Result<()> {
        let id = number::of(&self.resource, &self.name)?;
        self.show()?;
        let template = match clients {
            Clients::Nobody => self.kind.closed_template(),
            Clients::OfCall => self.kind.open_template(),
        };
        files::write_template(template, self.file_slots(id))?;
        self.offer(id)
    }

    /// Serve it to nobody, if it is not served at all yet.
    pub fn publish_first(&self) -> Result<()> {
        if self.is_recorded(FILE_KEY)? {
            return match self.restore()? {
                Soundness::Sound | Soundness::ServedAgain => Ok(()),
                Soundness::RulesLost => self.publish(Clients::Nobody),
            };
        }
        self.publish(Clients::Nobody)
    }

    /// Stop serving it, and leave nothing of it. Nothing there is success.
    pub fn withdraw(&self) -> Result<()> {
        if let Some(id) = number::recorded(&self.resource)? {
            // The file first: a server that is being started must not find it.
            files::remove_template(self.kind.closed_template(), self.file_slots(id))?;
            self.forget_in_server(id)?;
            self.hide()?;
            number::release(&self.resource, &self.name, id)?;
        }
        for key in [FILE_KEY, SERVED_KEY] {
            private_data::remove(&self.owner(), key)?;
        }
        Ok(())
    }

    /// Stop serving it for the moment: its number and its file stay.
    pub fn suspend(&self) -> Result<()> {
        if let Some(id) = number::recorded(&self.resource)? {
            self.forget_in_server(id)?;
        }
        self.hide()
    }

    /// Serve it again as its file says, from whatever stands at its path now.
    pub fn resume(&self) -> Result<()> {
        let Some(id) = number::recorded(&self.resource)? else { return Ok(()) };
        self.show()?;
        // A server that was started in between has met the file without its mount.
        self.forget_in_server(id)?;
        self.offer(id)
    }

    /// Bring mount and server in line with the file; tell whether the file itself is as this driver wrote it.
    pub fn restore(&self) -> Result<Soundness> {
        let Some(id) = number::recorded(&self.resource)? else { return Ok(Soundness::RulesLost) };
        self.show()?;
        let file = self.file()?;
        if file.is_none() || file != self.record(FILE_KEY)? {
            log::warning(&format!(
                "the export of {} is not as this driver wrote it; its rules are written anew",
                self.name
            ));
            return Ok(Soundness::RulesLost);
        }
        let served = self.served(id)?;
        if served.is_some() && served == self.record(SERVED_KEY)? {
            return Ok(Soundness::Sound);
        }
        log::warning(&format!("the server does not serve {} as its file says; it is told again", self.name));
        self.offer(id)?;
        Ok(if served.is_none() { Soundness::ServedAgain } else { Soundness::Sound })
    }

    /// Let the server serve it as its file says, whether it knows it or not, without disturbing clients that stay.
    fn offer(&self, id: i64) -> Result<()> {
        if let Told::Refused(_) = self.tell(id)? {
            // It may serve another path under this number, which it does not change.
            self.forget_in_server(id)?;
            if let Told::Refused(words) = self.tell(id)? {
                return Err(self.refused(&words));
            }
        }
        self.remember(id)
    }

    /// Show the server the directory; a server that is not there is started.
    fn show(&self) -> Result<()> {
        let source = place::pool(self.kind.source(), &self.resource);
        let bind = || service::bind(GROUP, &self.instance, self.kind.bind(), &source);
        match bind() {
            Err(error) if error.code() == CapabilityCode::NotFound => {
                Server::at(&self.instance)?.start()?;
                Ok(bind()?)
            }
            // What was shown has been exchanged or deleted since.
            Err(error) if error.code() == CapabilityCode::Conflict => {
                self.suspend()?;
                Ok(bind()?)
            }
            other => Ok(other?),
        }
    }

    fn hide(&self) -> Result<()> {
        let source = place::pool(self.kind.source(), &self.resource);
        Ok(service::unbind(GROUP, &self.instance, self.kind.bind(), &source)?)
    }

    /// Let the server read the export's file. An export that it does not know yet it adds.
    ///
    /// It reports success for a file of which it took only a part, so that nothing but the exact answer counts.
    fn tell(&self, id: i64) -> Result<Told> {
        let file = self.kind.file(&self.instance);
        let slots = || Slots::new().path_of("file", file, self.resource.clone()).signed("id", id);
        let reply = self.call("update-export", slots)?;
        match (reply.value(&[0]), reply.fault()) {
            (Some(Value::Text(text)), _) if text == "1 exports updated" => Ok(Told::Taken),
            (Some(Value::Text(text)), _) => Err(self.refused(text)),
            (_, Some(fault)) => Ok(Told::Refused(fault.message.clone())),
            _ => Err(self.refused("it answered nothing")),
        }
    }

    fn refused(&self, words: &str) -> Error {
        Error::backend_failed(format!("the NFS server does not take the export of {}: {words}", self.name))
    }

    /// The server answers a number it does not know with an error, which is what is wanted. A server that cannot be started serves
    /// nothing.
    fn forget_in_server(&self, id: i64) -> Result<()> {
        let reply = match self.call("remove-export", || Slots::new().signed("id", id)) {
            Err(error)
                if matches!(error.code(), ErrorCode::BadConfiguration | ErrorCode::BackendUnreachable) =>
            {
                return Ok(());
            }
            answer => answer?,
        };
        match reply.fault() {
            Some(fault) if !fault.message.contains("not found") => Err(Error::backend_failed(format!(
                "the NFS server does not stop serving {}: {}",
                self.name, fault.message
            ))),
            _ => Ok(()),
        }
    }

    /// What the server says of it; none if it does not know it.
    fn served(&self, id: i64) -> Result<Option<String>> {
        let reply = self.call("display-export", || Slots::new().signed("id", id))?;
        Ok(match &reply {
            Reply::Results(items) => Some(fingerprint::of(format!("{items:?}").as_bytes())),
            Reply::Fault(_) => None,
        })
    }

    fn file(&self) -> Result<Option<String>> {
        let at = Path::new(CONFIG, self.kind.file(&self.instance)).of(self.resource.clone());
        Ok(files::read(&at).or_absent()?.map(|content| fingerprint::of(&content)))
    }

    /// Remember how file and server look now, to notice what others do to them.
    fn remember(&self, id: i64) -> Result<()> {
        for (key, value) in [(FILE_KEY, self.file()?), (SERVED_KEY, self.served(id)?)] {
            let value = value.unwrap_or_default();
            private_data::set(&self.owner(), key, &value, Expected::Anything)?;
        }
        Ok(())
    }

    fn record(&self, key: &str) -> Result<Option<String>> {
        Ok(private_data::get(&self.owner(), key)?.map(|entry| entry.value))
    }

    fn is_recorded(&self, key: &str) -> Result<bool> {
        Ok(self.record(key)?.is_some())
    }

    fn owner(&self) -> Owner {
        Owner::Of(self.resource.clone())
    }

    fn file_slots(&self, id: i64) -> Slots {
        Slots::new().signed("id", id).name_of("name", self.resource.clone())
    }

    /// Call the server. One that does not run is started first; one that runs without its bus is started anew.
    fn call(&self, template: &str, slots: impl Fn() -> Slots) -> Result<Reply> {
        let call = || match dbus::call(template, &self.instance, slots()) {
            Err(error) if error.code() == CapabilityCode::Unavailable => Ok(None),
            answer => answer.map(Some),
        };
        if let Some(reply) = call()? {
            return Ok(reply);
        }
        let server = Server::at(&self.instance)?;
        server.start()?;
        if let Some(reply) = call()? {
            return Ok(reply);
        }
        server.restart()?;
        call()?.ok_or_else(|| Error::backend_unreachable("the NFS server does not answer on its bus"))
    }
}
