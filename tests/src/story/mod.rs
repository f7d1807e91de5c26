//! The story of a share from creation to deletion, told by a real daemon with a sandboxed driver: what `cargo xtask demo` shows.

pub mod directory;
pub mod nfs;

use std::time::Instant;

/// Print what was done and how long it took.
#[expect(clippy::print_stdout, reason = "the story is read on standard output")]
fn told(since: Instant, what: &str) {
    println!("{:>7.0} ms  {what}", since.elapsed().as_secs_f64() * 1000.0);
}
