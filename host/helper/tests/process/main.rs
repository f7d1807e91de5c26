//! The helper as a process: real commands, ended for certain. What needs root or cgroups says so when it is passed over.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that cannot go on says so and fails"
)]

mod buses;
mod connection;
mod helper;
mod jobs;
mod limits;
mod networks;
mod paths;
mod pipelines;
mod pool;
mod replicas;
mod services;
mod tree;
mod words;
