//! Lines in the host's log: 4 KiB a line, 256 KiB a call; the rest becomes one line that counts what was left out. Writing never
//! fails and never blocks. Never log a secret.

use crate::host::{Host, host};

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the driver's author.
    Debug,
    /// A fact worth keeping.
    Info,
    /// Something unexpected that the driver coped with.
    Warning,
    /// Something failed.
    Error,
}

/// Write one line.
pub fn write(level: Level, message: &str) {
    host().log(level, message);
}

/// Write a line for the driver's author.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

/// Write a fact worth keeping.
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// Write of something unexpected that the driver coped with.
pub fn warning(message: &str) {
    write(Level::Warning, message);
}

/// Write of something that failed.
pub fn error(message: &str) {
    write(Level::Error, message);
}
