//! The `http` capability: rights, controllers, sessions and files over a transport that sends nothing, and the real transport against
//! servers that mean it badly.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code: what is not there, or not as expected, fails the test"
)]

#[cfg(test)]
mod controllers;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod rights;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod share_server;
#[cfg(test)]
mod streams;
