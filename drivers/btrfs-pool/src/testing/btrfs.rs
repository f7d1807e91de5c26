//! btrfs, played on plain directories: what a subvolume is beyond one stands in a table, found by the directory's inode, which stays
//! the same when it is renamed or exchanged.

#![expect(clippy::expect_used, reason = "a test whose files cannot be made fails")]

use bulkhead_sdk::execute::Output;
use bulkhead_sdk::testing::{Command, Lab};
use bulkhead_sdk::{CapabilityError, CommandExit};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

type Answer = Result<Output, CapabilityError>;

/// Whether a subvolume can be written to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Access {
    /// It can.
    #[default]
    Writable,
    /// It cannot.
    ReadOnly,
}

/// What a subvolume is beyond a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subvolume {
    /// Its number.
    pub id: u64,
    /// The number of what it is a snapshot of.
    pub parent: Option<u64>,
    /// The number of what it was received from.
    pub received: Option<u64>,
    /// Whether it can be written to.
    pub access: Access,
    /// The limit of its quota group in bytes; 0: none.
    pub limit: u64,
}

/// The filesystem below roots `pool` and `peer`, whose quotas root `kernel` shows.
#[derive(Debug, Clone)]
pub struct Btrfs {
    kernel: PathBuf,
    known: Rc<RefCell<BTreeMap<u64, Subvolume>>>,
    next: Rc<RefCell<u64>>,
}

impl Btrfs {
    /// An empty one below `lab`, whose commands of btrfs it answers from now on.
    ///
    /// # Panics
    ///
    /// If a directory cannot be made.
    #[must_use]
    pub fn mount(lab: &Lab) -> Self {
        let btrfs =
            Self { kernel: lab.root("kernel"), known: Rc::default(), next: Rc::new(RefCell::new(256)) };
        fs::create_dir(btrfs.kernel.join("qgroups")).expect("a directory");
        fs::write(btrfs.kernel.join("qgroups/mode"), "qgroup\n").expect("a file");
        fs::write(btrfs.kernel.join("qgroups/inconsistent"), "0\n").expect("a file");
        btrfs.answer(lab);
        btrfs
    }

    /// Another machine's pool is on the same filesystem.
    pub fn answer(&self, lab: &Lab) {
        let on = |template: &str, work: fn(&Self, &Command) -> Answer| {
            let btrfs = self.clone();
            lab.answer(template, move |command| work(&btrfs, command));
        };
        on("look-at-pool", |_, _| says("btrfs\n"));
        on("create-subvolume", Self::create);
        on("open-to-clients", |_, _| says(""));
        on("limit-size", |btrfs, command| {
            btrfs.set_limit(&command.path("at"), command.value("size").parse().expect("a number"))
        });
        on("lift-limit", |btrfs, command| btrfs.set_limit(&command.path("at"), 0));
        on("take-snapshot", |btrfs, command| btrfs.snapshot(command, Access::ReadOnly));
        on("clone", |btrfs, command| btrfs.snapshot(command, Access::Writable));
        on("delete-subvolume", Self::delete);
        on("subvolume-id", |btrfs, command| says(&format!("{}\n", btrfs.of(&command.path("at")).id)));
        on("show-subvolume", Self::show);
        on("sync-pool", |_, _| says(""));
        on("peer-base", |btrfs, command| btrfs.snapshot(command, Access::ReadOnly));
        on("delete-peer-base", Self::delete);
        on("freeze-peer", |btrfs, command| {
            btrfs.change(&command.path("at"), |subvolume| subvolume.access = Access::ReadOnly);
            says("")
        });
        on("thaw-peer", |btrfs, command| {
            btrfs.change(&command.path("at"), |subvolume| subvolume.access = Access::Writable);
            says("")
        });
        on("show-peer-subvolume", Self::show);
        on("whole-stream", Self::send);
        on("increment-stream", Self::send);
    }

    /// What stands at a path.
    #[must_use]
    pub fn of(&self, at: &Path) -> Subvolume {
        self.known.borrow().get(&inode(at)).cloned().unwrap_or_default()
    }

    /// Somebody makes a subvolume by hand.
    ///
    /// # Panics
    ///
    /// If something is there.
    pub fn make(&self, at: &Path) {
        fs::create_dir(at).expect("a new name");
        self.register(at, None, Access::Writable);
    }

    /// Say how much a subvolume holds.
    ///
    /// # Panics
    ///
    /// If it is none.
    pub fn set_used(&self, at: &Path, bytes: u64) {
        fs::write(self.counts(self.of(at).id).join("referenced"), format!("{bytes}\n")).expect("a file");
    }

    /// Change what a subvolume is.
    ///
    /// # Panics
    ///
    /// If it is none.
    pub fn change(&self, at: &Path, edit: impl FnOnce(&mut Subvolume)) {
        let mut known = self.known.borrow_mut();
        let subvolume = known.get_mut(&inode(at)).expect("a subvolume");
        edit(subvolume);
        let directory = self.counts(subvolume.id);
        fs::write(directory.join("max_referenced"), format!("{}\n", subvolume.limit)).expect("a file");
    }

    fn counts(&self, id: u64) -> PathBuf {
        self.kernel.join(format!("qgroups/0_{id}"))
    }

    fn register(&self, at: &Path, origin: Option<&Subvolume>, access: Access) {
        let mut next = self.next.borrow_mut();
        *next += 1;
        let subvolume = Subvolume {
            id: *next,
            parent: origin.map(|origin| origin.id),
            received: None,
            access,
            limit: origin.map_or(0, |origin| origin.limit),
        };
        fs::create_dir(self.counts(*next)).expect("a directory");
        fs::write(self.counts(*next).join("referenced"), "16384\n").expect("a file");
        self.known.borrow_mut().insert(inode(at), subvolume);
        self.change(at, |_| {});
    }

    fn create(&self, command: &Command) -> Answer {
        let at = command.path("at");
        if at.exists() {
            return fails("target path already exists");
        }
        self.make(&at);
        says("")
    }

    fn set_limit(&self, at: &Path, bytes: u64) -> Answer {
        self.change(at, |subvolume| subvolume.limit = bytes);
        says("")
    }

    fn snapshot(&self, command: &Command, access: Access) -> Answer {
        let (from, to) = (command.path("from"), command.path("to"));
        if to.exists() {
            return fails("target path already exists");
        }
        copy(&from, &to);
        self.register(&to, Some(&self.of(&from)), access);
        says("")
    }

    fn delete(&self, command: &Command) -> Answer {
        let at = command.path("at");
        if fs::read_dir(&at).expect("a directory").flatten().any(|entry| entry.file_name() == "nested") {
            return fails("Could not destroy subvolume/snapshot: Directory not empty");
        }
        self.known.borrow_mut().remove(&inode(&at));
        fs::remove_dir_all(&at).expect("it goes");
        says("")
    }

    fn show(&self, command: &Command) -> Answer {
        let Some(subvolume) = self.known.borrow().get(&inode(&command.path("at"))).cloned() else {
            return fails("Not a Btrfs subvolume: Invalid argument");
        };
        let uuid = |id: Option<u64>| id.map_or_else(|| "-".to_owned(), |id| format!("uuid-{id}"));
        says(&format!(
            "shares/x\n\tName: \t\t\tx\n\tUUID: \t\t\t{}\n\tParent UUID: \t\t{}\n\tReceived UUID: \t\t{}\n\tSubvolume ID: \t\t{}\n\tFlags: \t\t\t{}\n\tSnapshot(s):\n",
            uuid(Some(subvolume.id)),
            uuid(subvolume.parent),
            uuid(subvolume.received),
            subvolume.id,
            if subvolume.access == Access::ReadOnly { "readonly" } else { "-" },
        ))
    }

    /// Answer a pipeline that sends `source` and receives it as `into`.
    ///
    /// # Panics
    ///
    /// If the names differ, or the source could change.
    pub fn send(&self, command: &Command) -> Answer {
        let (source, into) = (command.path("source"), command.path("into"));
        assert_eq!(source.file_name(), into.file_name(), "a received subvolume has its origin's name");
        assert_eq!(self.of(&source).access, Access::ReadOnly, "only what cannot change is sent");
        copy(&source, &into);
        self.register(&into, None, Access::ReadOnly);
        let origin = self.of(&source).id;
        self.change(&into, |subvolume| subvolume.received = Some(origin));
        says("")
    }
}

fn inode(at: &Path) -> u64 {
    fs::metadata(at).map(|status| status.ino()).unwrap_or_default()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a new name");
    for entry in fs::read_dir(from).expect("a directory").flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

fn says(text: &str) -> Answer {
    Ok(Output { stdout: text.as_bytes().to_vec(), ..Output::default() })
}

/// What a command of btrfs answers that fails with these words.
///
/// # Errors
///
/// Always.
pub fn fails(stderr: &str) -> Answer {
    let exit =
        CommandExit { exit_code: Some(1), stderr: format!("ERROR: {stderr}\n"), ..CommandExit::default() };
    Err(CapabilityError::command_failed("btrfs ended with 1", exit))
}
