//! The file of a store: made, examined, brought to the newest format.
//!
//! What is found wrong is reported before anything is written: the examining connection reads, and does not even write the log
//! back when it is closed.

use crate::error::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The file's name in the directory of the store.
pub(super) const NAME: &str = "state.sqlite";
/// A file being made; it gets its name when it is complete, so that a file with the name is never half made.
const UNFINISHED_NAME: &str = "state.sqlite.new";
/// "BLKH": which program the file belongs to.
const APPLICATION_ID: i32 = 0x424c_4b48;
/// Entry n brings format n to format n + 1. An entry that was released never changes.
const MIGRATIONS: &[&str] = &[include_str!("format/1.sql")];
const HEADER_BYTES: usize = 100;
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// How long to wait for an operator's tool that has the file open.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Open the file for the writer, or make it; `directory` is locked.
pub(super) fn open(directory: &Path, path: &Path) -> Result<Connection, StoreError> {
    let failed = |source: io::Error| StoreError::Open { path: path.to_owned(), source: Arc::new(source) };
    match File::open(path) {
        Ok(file) => examine_beginning(file, path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(directory, path)?,
        Err(error) => return Err(failed(error)),
    }
    let connection =
        connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|error| unopened(path, error))?;
    examine(&connection, path)?;
    prepare(connection, path)
}

/// Open the file for reading only.
pub(super) fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// Open a sound store for reading only, to be copied. A daemon may be using it.
pub(super) fn open_to_copy(path: &Path) -> Result<Connection, StoreError> {
    let file = File::open(path)
        .map_err(|source| StoreError::Open { path: path.to_owned(), source: Arc::new(source) })?;
    examine_beginning(file, path)?;
    let connection = open_to_read(path).map_err(|error| unopened(path, error))?;
    examine(&connection, path)?;
    Ok(connection)
}

/// Make an empty file beside the place of a store's, private to its owner; what an earlier attempt left there goes.
pub(super) fn begin(directory: &Path) -> io::Result<PathBuf> {
    let unfinished = directory.join(UNFINISHED_NAME);
    for leftover in [unfinished.clone(), beside(&unfinished, "-journal"), beside(&unfinished, "-wal")] {
        match fs::remove_file(&leftover) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    Ok(unfinished)
}

fn connect(path: &Path, mode: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    Ok(connection)
}

/// What can be told without the engine, which would take an empty file for a new database and a missing end for zeros.
fn examine_beginning(mut file: File, path: &Path) -> Result<(), StoreError> {
    let failed = |source: io::Error| StoreError::Open { path: path.to_owned(), source: Arc::new(source) };
    let mut header = [0; HEADER_BYTES];
    match file.read_exact(&mut header) {
        Ok(()) if header.starts_with(MAGIC) => {}
        Ok(()) => return Err(corrupt(path, "it does not begin as a store does".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(corrupt(path, "it is empty or cut off at its very beginning".to_owned()));
        }
        Err(error) => return Err(failed(error)),
    }
    let found = file.metadata().map_err(failed)?.len();
    // With a log, the file's end may be in the log alone.
    if found < described_bytes(&header) && !has_contents(&beside(path, "-wal")) {
        let reason = format!("it is cut off after {found} of {} bytes", described_bytes(&header));
        return Err(corrupt(path, reason));
    }
    Ok(())
}

/// The length that the header speaks of: a page's size at byte 16, of which 65536 is written as 1, and their number at byte 28.
fn described_bytes(header: &[u8; HEADER_BYTES]) -> u64 {
    let number = |place: usize, bytes: usize| {
        header.iter().skip(place).take(bytes).fold(0, |number, byte| (number << 8) | u64::from(*byte))
    };
    let page_bytes = match number(16, 2) {
        1 => 65536,
        bytes => bytes,
    };
    page_bytes * number(28, 4)
}

fn has_contents(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.len() > 0)
}

fn examine(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    // Whoever refuses a file must leave it as it is, with the log beside it.
    let keep_log = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    connection.set_db_config(keep_log, true).map_err(|error| unopened(path, error))?;
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    if number("application_id").map_err(|error| unopened(path, error))? != APPLICATION_ID {
        return Err(corrupt(path, "it is a database of another program".to_owned()));
    }
    let found = number("user_version").map_err(|error| unopened(path, error))?;
    let found = u32::try_from(found).map_err(|_| corrupt(path, format!("its format is {found}")))?;
    if found > newest_format() {
        return Err(StoreError::NewerFormat { path: path.to_owned(), found, known: newest_format() });
    }
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| unopened(path, error))?;
    if verdict != "ok" {
        return Err(corrupt(path, verdict));
    }
    connection.set_db_config(keep_log, false).map_err(|error| unopened(path, error))?;
    Ok(())
}

fn prepare(mut connection: Connection, path: &Path) -> Result<Connection, StoreError> {
    let settings = |connection: &Connection| {
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))?;
        // NORMAL would lose acknowledged commits in a power cut.
        connection.pragma_update(None, "synchronous", "full")
    };
    settings(&connection).and_then(|()| migrate(&mut connection)).map_err(|error| unopened(path, error))?;
    Ok(connection)
}

fn newest_format() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// Each step is one transaction with its number: a crash in between repeats nothing and skips nothing.
fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (format, statements) in (1_u32..).zip(MIGRATIONS).skip_while(|(format, _)| *format <= found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(statements)?;
        transaction.pragma_update(None, "user_version", format)?;
        transaction.commit()?;
    }
    if found != 0 && found < newest_format() {
        tracing::info!(from = found, to = newest_format(), "the store was brought to a newer format");
    }
    Ok(())
}

/// Make the file beside its place and move it there when it is complete and on the disk.
fn create(directory: &Path, path: &Path) -> Result<(), StoreError> {
    let log = beside(path, "-wal");
    if has_contents(&log) {
        let reason = format!("it is missing, but its log {} is there", log.display());
        return Err(corrupt(path, reason));
    }
    let failed =
        |source: io::Error| StoreError::Open { path: directory.to_owned(), source: Arc::new(source) };
    let unfinished = begin(directory).map_err(failed)?;
    fill(&unfinished).map_err(|error| unopened(&unfinished, error))?;
    fs::rename(&unfinished, path).map_err(failed)?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)
}

fn fill(unfinished: &Path) -> rusqlite::Result<()> {
    let mut connection = connect(unfinished, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    migrate(&mut connection)?;
    connection.close().map_err(|(_, error)| error)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn corrupt(path: &Path, reason: String) -> StoreError {
    StoreError::Corrupt { path: path.to_owned(), reason }
}

pub(super) fn unopened(path: &Path, error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => corrupt(path, error.to_string()),
        _ => StoreError::Open { path: path.to_owned(), source: Arc::new(error) },
    }
}
