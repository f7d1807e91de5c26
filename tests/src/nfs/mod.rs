//! NFS as a client's machine speaks it, in user space: version 3 over TCP, from a chosen source address.
//!
//! The kernel's client would need a mount for each test and sends from whatever address the routes say; this one is told.

mod client;
mod failure;
mod place;
mod wire;
mod writer;

pub use client::{Client, Patience};
pub use failure::Failure;
pub use place::Place;
pub use writer::{Tally, Writer};
