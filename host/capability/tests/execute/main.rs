//! `execute`: what is denied, what is recorded, and the client of a helper that lives, dies, lies or hangs.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that cannot go on says so and fails"
)]

#[cfg(test)]
mod client;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod ownership;
#[cfg(test)]
mod reach;
#[cfg(test)]
mod real;
#[cfg(test)]
mod rights;
#[cfg(test)]
mod running;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod secret;
