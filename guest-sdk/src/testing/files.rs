//! Files below temporary roots, with the denials and the ownership records of the real ones.

use super::denial::{Answer, deny, fail, invalid, io};
use super::lab::State;
use super::manifest::{RootUse, Template, TemplateFile};
use super::place::Place;
use crate::capability::CapabilityCode;
use crate::files::{DirectoryEntry, FileKind, FileStatus, Ownership, Path};
use crate::resource::Resource;
use crate::slots::Slots;
use std::fs;
use std::path::PathBuf;

/// A checked path: where it is, and what may be done there.
#[derive(Debug)]
pub(super) struct Checked {
    root: String,
    place: Place,
    full: PathBuf,
}

impl Checked {
    fn key(&self) -> (String, String) {
        (self.root.clone(), self.place.relative.clone())
    }

    fn is_there(&self) -> bool {
        self.full.symlink_metadata().is_ok()
    }
}

impl State {
    fn check(&self, at: &Path) -> Answer<Checked> {
        let Some(root) = self.manifest.roots.get(&at.root) else {
            return deny(
                &format!("root {} is not declared", at.root),
                &format!("[[root]] name = \"{}\"", at.root),
            );
        };
        if !root.paths.contains(&at.pattern) {
            let line = format!("paths = [\"{}\"] in [[root]] {}", at.pattern, at.root);
            return deny(&format!("root {} does not declare '{}'", at.root, at.pattern), &line);
        }
        if root.root_use == RootUse::Kernel {
            let line = "nothing: use files::read_kernel";
            return deny(&format!("root {} is the kernel's", at.root), line);
        }
        let place = self.target().place(&at.pattern, at.of.as_ref())?;
        self.check_nobodys(&at.root, &place)?;
        let full = self.root_directory(&at.root).join(&place.relative);
        Ok(Checked { root: at.root.clone(), place, full })
    }

    /// What is to be taken over is looked at only while nobody owns it.
    pub(super) fn check_nobodys(&self, root: &str, place: &Place) -> Answer<()> {
        let key = (root.to_owned(), place.relative.clone());
        if place.is_managed && self.owned.borrow().contains_key(&key) {
            return fail(CapabilityCode::NotOwned, format!("{} is somebody's", place.relative));
        }
        Ok(())
    }

    pub(super) fn read_kernel(&self, root: &str, pattern: &str, numbers: &[u64]) -> Answer<Vec<u8>> {
        let declared = self.manifest.roots.get(root);
        if !declared.is_some_and(|declared| {
            declared.root_use == RootUse::Kernel && declared.paths.iter().any(|path| path == pattern)
        }) {
            let line = format!("[[root]] name = \"{root}\", use = \"kernel\", paths = [\"{pattern}\"]");
            return deny(&format!("root {root} does not let '{pattern}' be read"), &line);
        }
        let mut relative = pattern.to_owned();
        for number in numbers {
            if !relative.contains("{number}") {
                return invalid(format!("'{pattern}' has fewer places than there are numbers"));
            }
            relative = relative.replacen("{number}", &number.to_string(), 1);
        }
        if relative.contains("{number}") {
            return invalid(format!("'{pattern}' has more places than there are numbers"));
        }
        let content = fs::read(self.root_directory(root).join(relative)).map_err(io)?;
        if content.len() > 64 << 10 {
            return fail(CapabilityCode::LimitExceeded, "what the kernel tells is read up to 64 KiB");
        }
        Ok(content)
    }

    /// A path that may be changed: not a source, and not beside the templates of a `config` root.
    fn check_change(&self, at: &Path) -> Answer<Checked> {
        let checked = self.check_arrange(at)?;
        if self.root_use(&at.root) == Some(RootUse::Config) {
            return read_by_others(at);
        }
        Ok(checked)
    }

    /// A path where a directory may be made or something removed: in a `config` root only what a share server has by its name.
    fn check_arrange(&self, at: &Path) -> Answer<Checked> {
        let checked = self.check(at)?;
        if checked.place.is_source || checked.place.is_managed {
            return deny(&format!("'{}' may be read, never changed", at.pattern), "nothing");
        }
        if self.root_use(&at.root) == Some(RootUse::Config)
            && !matches!(checked.place.owner, Some(Resource::ShareServer(_)))
        {
            return read_by_others(at);
        }
        Ok(checked)
    }

    fn root_use(&self, root: &str) -> Option<RootUse> {
        self.manifest.roots.get(root).map(|declared| declared.root_use)
    }

    fn check_owned(&self, at: &Checked) -> Answer<()> {
        if self.owned.borrow().get(&at.key()) == at.place.owner.as_ref() {
            return Ok(());
        }
        fail(CapabilityCode::NotOwned, format!("{} was not made for this resource", at.place.relative))
    }

    /// Record what a command or a call makes at a place.
    pub(super) fn record_owned(&self, root: &str, place: &Place) {
        if let Some(owner) = place.owner.clone() {
            self.owned.borrow_mut().insert((root.to_owned(), place.relative.clone()), owner);
        }
    }

    pub(super) fn check_place_owned(&self, root: &str, place: &Place) -> Answer<()> {
        let full = self.root_directory(root).join(&place.relative);
        self.check_owned(&Checked { root: root.to_owned(), place: place.clone(), full })
    }

    pub(super) fn status(&self, at: &Path) -> Answer<FileStatus> {
        let checked = self.check(at)?;
        let found = checked.full.symlink_metadata().map_err(io)?;
        let ownership =
            if self.check_owned(&checked).is_ok() { Ownership::Owned } else { Ownership::Foreign };
        Ok(FileStatus { kind: kind(found.file_type()), size_bytes: found.len(), ownership })
    }

    pub(super) fn list_directory(&self, at: &Path) -> Answer<Vec<DirectoryEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.check(at)?.full).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push(DirectoryEntry { name, kind: kind(entry.file_type().map_err(io)?) });
        }
        if entries.len() > 10_000 {
            return fail(CapabilityCode::LimitExceeded, "a listing has at most 10,000 entries");
        }
        entries.sort_by(|first, second| first.name.cmp(&second.name));
        Ok(entries)
    }

    pub(super) fn usage(&self, at: &Path) -> Answer<u64> {
        usage_below(&self.check(at)?.full)
    }

    pub(super) fn read(&self, at: &Path) -> Answer<Vec<u8>> {
        let checked = self.check(at)?;
        if self.root_use(&at.root) == Some(RootUse::Data) {
            return deny(&format!("root {} holds tenants' data", at.root), "use = \"state\"");
        }
        let content = fs::read(checked.full).map_err(io)?;
        if content.len() > 1 << 20 {
            return fail(CapabilityCode::LimitExceeded, "a file is read up to 1 MiB");
        }
        Ok(content)
    }

    pub(super) fn create_directory(&self, at: &Path) -> Answer<()> {
        let checked = self.check_arrange(at)?;
        if checked.is_there() {
            return self.check_owned(&checked);
        }
        self.record_owned(&checked.root, &checked.place);
        fs::create_dir(&checked.full).map_err(io)
    }

    pub(super) fn remove(&self, at: &Path) -> Answer<()> {
        let checked = self.check_arrange(at)?;
        if checked.is_there() {
            self.check_owned(&checked)?;
            remove_tree(&checked.full)?;
        }
        self.owned.borrow_mut().remove(&checked.key());
        Ok(())
    }

    pub(super) fn rename(&self, source: &Path, destination: &Path) -> Answer<()> {
        if source.pattern.contains("{managed}") {
            return self.take_over(source, destination);
        }
        let (from, to) = self.check_two(source, destination)?;
        if to.is_there() {
            return fail(CapabilityCode::AlreadyExists, format!("{} is there already", to.place.relative));
        }
        if !from.is_there() {
            return fail(CapabilityCode::NotFound, format!("{} is not there", from.place.relative));
        }
        self.check_owned(&from)?;
        fs::rename(&from.full, &to.full).map_err(io)?;
        self.owned.borrow_mut().remove(&from.key());
        self.record_owned(&to.root, &to.place);
        Ok(())
    }

    /// Take over the directory that the operator named: nobody may own it.
    fn take_over(&self, source: &Path, destination: &Path) -> Answer<()> {
        let (from, to) = (self.check(source)?, self.check_change(destination)?);
        if from.root != to.root {
            return invalid("two paths lie in two roots; name two of one root");
        }
        if to.is_there() {
            if !from.is_there() && self.check_owned(&to).is_ok() {
                return Ok(());
            }
            return fail(CapabilityCode::AlreadyExists, format!("{} is there already", to.place.relative));
        }
        if !from.full.is_dir() {
            return fail(CapabilityCode::NotFound, format!("no directory {} is there", from.place.relative));
        }
        self.record_owned(&to.root, &to.place);
        fs::rename(&from.full, &to.full).map_err(io)
    }

    pub(super) fn exchange(&self, first: &Path, second: &Path) -> Answer<()> {
        let (left, right) = self.check_two(first, second)?;
        for one in [&left, &right] {
            if !one.is_there() {
                return fail(CapabilityCode::NotFound, format!("{} is not there", one.place.relative));
            }
            self.check_owned(one)?;
        }
        // The real one is a single step; nothing here runs in between.
        let aside = self.root_directory(&left.root).join(".lab-exchange");
        fs::rename(&left.full, &aside).map_err(io)?;
        fs::rename(&right.full, &left.full).map_err(io)?;
        fs::rename(&aside, &right.full).map_err(io)
    }

    pub(super) fn copy_tree(&self, source: &Path, destination: &Path) -> Answer<()> {
        let from = self.check(source)?;
        let to = self.check_change(destination)?;
        if to.is_there() {
            return fail(CapabilityCode::AlreadyExists, format!("{} is there already", to.place.relative));
        }
        if !from.is_there() {
            return fail(CapabilityCode::NotFound, format!("{} is not there", from.place.relative));
        }
        self.check_owned(&from)?;
        self.record_owned(&to.root, &to.place);
        copy(&from.full, &to.full)
    }

    fn check_two(&self, first: &Path, second: &Path) -> Answer<(Checked, Checked)> {
        let two = (self.check_change(first)?, self.check_change(second)?);
        if two.0.root == two.1.root {
            Ok(two)
        } else {
            invalid("two paths lie in two roots; name two of one root")
        }
    }

    pub(super) fn location(&self, at: &Path) -> Answer<String> {
        self.check(at).map(|checked| checked.full.display().to_string())
    }

    pub(super) fn write(&self, at: &Path, content: &[u8]) -> Answer<()> {
        let checked = self.check_change(at)?;
        if self.root_use(&at.root) != Some(RootUse::State) {
            return deny(&format!("root {} takes no free bytes", at.root), "use = \"state\"");
        }
        if content.len() > 1 << 20 {
            return fail(CapabilityCode::LimitExceeded, "a file is written up to 1 MiB");
        }
        self.record_owned(&checked.root, &checked.place);
        fs::write(&checked.full, content).map_err(io)
    }

    /// The length of a file that this resource owns and that is to be sent elsewhere.
    pub(super) fn outgoing(&self, at: &Path) -> Answer<u64> {
        let checked = self.check(at)?;
        self.check_owned(&checked)?;
        let found = checked.full.symlink_metadata().map_err(io)?;
        if found.is_file() { Ok(found.len()) } else { fail(CapabilityCode::NotFound, "it is no file") }
    }

    /// Put what came from elsewhere in its place.
    pub(super) fn incoming(&self, at: &Path, content: &[u8]) -> Answer<()> {
        let checked = self.check_change(at)?;
        if checked.is_there() {
            self.check_owned(&checked)?;
        }
        self.record_owned(&checked.root, &checked.place);
        fs::write(&checked.full, content).map_err(io)
    }

    pub(super) fn write_template(&self, name: &str, slots: Slots) -> Answer<()> {
        let (template, file, checked) = self.template_file(name, &slots)?;
        let filled = self.fill(name, template, slots)?;
        let mut text = file.text.clone();
        for (slot, value) in &filled.values {
            while let Some((before, after)) = text.split_once(&format!("{{{slot}}}")) {
                text = format!("{before}{}{after}", value.in_file(slot, file.format, before)?);
            }
        }
        self.record_owned(&checked.root, &checked.place);
        fs::write(&checked.full, text).map_err(io)
    }

    pub(super) fn remove_template(&self, name: &str, slots: &Slots) -> Answer<()> {
        let (_, _, checked) = self.template_file(name, slots)?;
        if checked.is_there() {
            self.check_owned(&checked)?;
            fs::remove_file(&checked.full).map_err(io)?;
        }
        self.owned.borrow_mut().remove(&checked.key());
        Ok(())
    }

    /// A file template, and where its file is for the resource that the slots name.
    fn template_file(&self, name: &str, slots: &Slots) -> Answer<(&Template, &TemplateFile, Checked)> {
        let declared = self.manifest.files.get(name);
        let Some((template, file)) = declared.and_then(|template| Some((template, template.file.as_ref()?)))
        else {
            return invalid(format!("no file template '{name}' is declared; declare it as [[file]]"));
        };
        let place = self.target().place(&file.path, resource_of(slots)?.as_ref())?;
        let full = self.root_directory(&file.root).join(&place.relative);
        Ok((template, file, Checked { root: file.root.clone(), place, full }))
    }
}

fn read_by_others(at: &Path) -> Answer<Checked> {
    deny(&format!("root {} is read by a privileged program", at.root), "a [[file]] template")
}

/// The one resource that the slots of a file name; none if they leave it to the call's subject.
fn resource_of(slots: &Slots) -> Answer<Option<Resource>> {
    let mut named = slots.resources();
    let first = named.next();
    if named.any(|other| Some(other) != first) {
        return invalid("the slots name several resources; a file is about one");
    }
    Ok(first.cloned())
}

fn kind(file_type: fs::FileType) -> FileKind {
    if file_type.is_file() {
        FileKind::File
    } else if file_type.is_dir() {
        FileKind::Directory
    } else if file_type.is_symlink() {
        FileKind::SymbolicLink
    } else {
        FileKind::Other
    }
}

fn usage_below(path: &std::path::Path) -> Answer<u64> {
    let found = path.symlink_metadata().map_err(io)?;
    if found.is_file() {
        return Ok(found.len());
    }
    if !found.is_dir() {
        return Ok(0);
    }
    let mut sum = 0_u64;
    for entry in fs::read_dir(path).map_err(io)? {
        sum = sum.saturating_add(usage_below(&entry.map_err(io)?.path())?);
    }
    Ok(sum)
}

fn remove_tree(path: &std::path::Path) -> Answer<()> {
    let is_directory = path.symlink_metadata().map_err(io)?.is_dir();
    if is_directory { fs::remove_dir_all(path).map_err(io) } else { fs::remove_file(path).map_err(io) }
}

fn copy(from: &std::path::Path, to: &std::path::Path) -> Answer<()> {
    let found = from.symlink_metadata().map_err(io)?;
    if found.is_dir() {
        fs::create_dir(to).map_err(io)?;
        for entry in fs::read_dir(from).map_err(io)? {
            let entry = entry.map_err(io)?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else if found.is_symlink() {
        std::os::unix::fs::symlink(fs::read_link(from).map_err(io)?, to).map_err(io)?;
    } else if found.is_file() {
        fs::copy(from, to).map_err(io)?;
    }
    Ok(())
}
