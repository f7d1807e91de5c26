//! What the end-to-end tests share: a place for a daemon, the daemon as a child process, a client, and the kill harness.
#![forbid(unsafe_code)]
#![expect(clippy::indexing_slicing, reason = "test code: what is not there fails the test")]

pub mod appliance;
pub mod array;
pub mod cgroup;
pub mod daemon;
pub mod far;
pub mod ganesha;
pub mod http;
pub mod kills;
pub mod lab;
pub mod leftovers;
pub mod machine;
pub mod nfs;
pub mod pool;
pub mod programs;
pub mod replicas;
pub mod site;
pub mod ssh_server;
pub mod story;
pub mod tenants;
pub mod verbs;
