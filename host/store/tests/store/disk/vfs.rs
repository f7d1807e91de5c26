//! A layer between SQLite and the system's files that tells a [`Disk`] of everything that reaches them, and does what it says.
//!
//! It is registered once as the default file system of the process; files outside the folders that a disk was laid over pass through.
#![expect(unsafe_code, reason = "SQLite's file system is a table of C functions")]

use super::{Disk, Verdict};
use rusqlite::ffi;
use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::size_of;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

type Folders = Mutex<HashMap<PathBuf, Arc<Mutex<Disk>>>>;

static FOLDERS: OnceLock<Folders> = OnceLock::new();
static ORIGINAL: OnceLock<usize> = OnceLock::new();

/// Lay `disk` over `folder`: files opened there from now on are its.
pub(super) fn lay_over(folder: &Path, disk: Arc<Mutex<Disk>>) {
    ORIGINAL.get_or_init(register);
    let folders = FOLDERS.get_or_init(Folders::default);
    folders.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned(), disk);
}

/// Take it away; files that are open keep theirs.
pub(super) fn take_away(folder: &Path) {
    if let Some(folders) = FOLDERS.get() {
        folders.lock().unwrap_or_else(PoisonError::into_inner).remove(folder);
    }
}

fn register() -> usize {
    // SAFETY: the default file system lives as long as the process; the copy is leaked, so it does too.
    unsafe {
        ffi::sqlite3_initialize();
        let original = ffi::sqlite3_vfs_find(std::ptr::null());
        assert!(!original.is_null(), "SQLite has a file system");
        let size = (*original).szOsFile + c_int::try_from(size_of::<File>()).expect("a small size");
        let layer = ffi::sqlite3_vfs {
            zName: c"bulkhead-test-disk".as_ptr(),
            pNext: std::ptr::null_mut(),
            szOsFile: size,
            xOpen: Some(open),
            ..*original
        };
        assert_eq!(ffi::sqlite3_vfs_register(Box::leak(Box::new(layer)), 1), ffi::SQLITE_OK);
        original as usize
    }
}

fn original() -> *mut ffi::sqlite3_vfs {
    *ORIGINAL.get().expect("registered") as *mut ffi::sqlite3_vfs
}

/// An open file; the system's own stands behind it in the same allocation, as SQLite makes room for both.
#[repr(C)]
struct File {
    base: ffi::sqlite3_file,
    under: *mut ffi::sqlite3_file,
    told: *mut Told,
}

/// Whom to tell of what happens to a file, and what the file is called.
struct Told {
    disk: Arc<Mutex<Disk>>,
    name: String,
}

impl Told {
    fn ask(&self, question: impl FnOnce(&mut Disk, &str) -> Verdict) -> Verdict {
        question(&mut self.disk.lock().unwrap_or_else(PoisonError::into_inner), &self.name)
    }
}

unsafe extern "C" fn open(
    _layer: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let file = file.cast::<File>();
    // SAFETY: SQLite hands over `szOsFile` bytes: ours, then those of the system's file. Names are text that ends with a zero.
    unsafe {
        let under = file.add(1).cast::<ffi::sqlite3_file>();
        (*under).pMethods = std::ptr::null();
        let told = told_of(name);
        let opened = (*original())
            .xOpen
            .map_or(ffi::SQLITE_CANTOPEN, |open| open(original(), name, under, flags, out_flags));
        (*file).under = under;
        (*file).told = told.map_or(std::ptr::null_mut(), |told| Box::into_raw(Box::new(told)));
        // SQLite closes a file that could not be opened only if it has methods.
        (*file).base.pMethods = if (*under).pMethods.is_null() { std::ptr::null() } else { &METHODS };
        if opened != ffi::SQLITE_OK && (*file).base.pMethods.is_null() && !(*file).told.is_null() {
            drop(Box::from_raw((*file).told));
        }
        opened
    }
}

unsafe fn told_of(name: *const c_char) -> Option<Told> {
    if name.is_null() {
        return None;
    }
    // SAFETY: the caller says that it is text that ends with a zero.
    let path = PathBuf::from(unsafe { CStr::from_ptr(name) }.to_str().ok()?);
    let folders = FOLDERS.get()?.lock().unwrap_or_else(PoisonError::into_inner);
    let disk = Arc::clone(folders.get(path.parent()?)?);
    let name = path.file_name()?.to_str()?.to_owned();
    // What the processes of one machine share is no file of the disk.
    (!name.ends_with("-shm")).then_some(Told { disk, name })
}

/// Call the system's own method.
macro_rules! under {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        let under = (*$file.cast::<File>()).under;
        (*(*under).pMethods).$method.map_or(ffi::SQLITE_IOERR, |method| method(under $(, $argument)*))
    }};
}

/// A method that only passes on.
macro_rules! passes {
    ($name:ident, $method:ident $(, $argument:ident: $type:ty)*) => {
        unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file $(, $argument: $type)*) -> c_int {
            // SAFETY: SQLite calls it with a file that `open` has filled in.
            unsafe { under!(file, $method $(, $argument)*) }
        }
    };
}

passes!(read, xRead, into: *mut c_void, amount: c_int, offset: ffi::sqlite3_int64);
passes!(file_size, xFileSize, size: *mut ffi::sqlite3_int64);
passes!(lock, xLock, level: c_int);
passes!(unlock, xUnlock, level: c_int);
passes!(check_reserved_lock, xCheckReservedLock, result: *mut c_int);
passes!(file_control, xFileControl, operation: c_int, argument: *mut c_void);
passes!(sector_size, xSectorSize);
passes!(device_characteristics, xDeviceCharacteristics);
passes!(shm_map, xShmMap, page: c_int, size: c_int, extend: c_int, region: *mut *mut c_void);
passes!(shm_lock, xShmLock, offset: c_int, count: c_int, flags: c_int);
passes!(shm_unmap, xShmUnmap, delete: c_int);
passes!(fetch, xFetch, offset: ffi::sqlite3_int64, amount: c_int, page: *mut *mut c_void);
passes!(unfetch, xUnfetch, offset: ffi::sqlite3_int64, page: *mut c_void);

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    // SAFETY: as for every method that passes on.
    unsafe {
        let under = (*file.cast::<File>()).under;
        if let Some(method) = (*(*under).pMethods).xShmBarrier {
            method(under);
        }
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file once; what `open` leaked is freed here.
    unsafe {
        let closed = under!(file, xClose);
        let told = (*file.cast::<File>()).told;
        if !told.is_null() {
            drop(Box::from_raw(told));
        }
        closed
    }
}

unsafe fn ask(file: *mut ffi::sqlite3_file, question: impl FnOnce(&mut Disk, &str) -> Verdict) -> Verdict {
    // SAFETY: the caller hands over a file that `open` has filled in.
    let told = unsafe { (*file.cast::<File>()).told.as_ref() };
    told.map_or(Verdict::Do, |told| told.ask(question))
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    amount: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite hands over `amount` bytes at `from`, and a file that `open` has filled in.
    unsafe {
        let length = usize::try_from(amount).expect("a length");
        let bytes = std::slice::from_raw_parts(from.cast::<u8>(), length);
        let offset_of = usize::try_from(offset).expect("an offset");
        match ask(file, |disk, name| disk.write(name, offset_of, bytes)) {
            Verdict::Do => under!(file, xWrite, from, amount, offset),
            Verdict::Fail(full) => {
                if full {
                    ffi::SQLITE_FULL
                } else {
                    ffi::SQLITE_IOERR_WRITE
                }
            }
        }
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: ffi::sqlite3_int64) -> c_int {
    // SAFETY: as for `write`.
    unsafe {
        let length = usize::try_from(size).expect("a length");
        match ask(file, |disk, name| disk.truncate(name, length)) {
            Verdict::Do => under!(file, xTruncate, size),
            Verdict::Fail(_) => ffi::SQLITE_IOERR_TRUNCATE,
        }
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: as for `write`. The system's own is not called: what is durable is what the disk says.
    unsafe {
        match ask(file, Disk::sync) {
            Verdict::Do => ffi::SQLITE_OK,
            Verdict::Fail(_) => ffi::SQLITE_IOERR_FSYNC,
        }
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 3,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: Some(fetch),
    xUnfetch: Some(unfetch),
};
