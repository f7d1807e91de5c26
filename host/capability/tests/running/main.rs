//! What runs beside and beyond a call: services and binds, D-Bus calls, pipelines and jobs. What is denied, with which line, what the place
//! is asked, and what is recorded.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that cannot go on says so and fails"
)]

#[cfg(test)]
mod bind;
#[cfg(test)]
mod dbus;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod job;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod pipeline;
#[cfg(test)]
mod real;
#[cfg(test)]
mod server;
#[cfg(test)]
mod service;
#[cfg(test)]
mod standing;
