//! The words of Bulkhead as types: ids, records, statuses, grants, templates, errors and blame.
//!
//! Every other crate speaks these. Nothing here does I/O, waits or locks; what can be checked about a value is checked when it is
//! made, so that a value that exists is sound from the edge inwards.
#![forbid(unsafe_code)]

pub mod ability;
pub mod access;
pub mod base_option;
pub mod call;
pub mod canonical;
pub mod contract;
pub mod effect;
pub mod error;
pub mod export;
pub mod grant;
pub mod id;
pub mod key;
pub mod manifest;
pub mod migration;
pub mod network;
pub mod operation;
pub mod pattern;
pub mod place;
pub mod replica;
pub mod scope;
pub mod secret;
pub mod server_update;
pub mod share;
pub mod share_group;
pub mod share_server;
pub mod size;
pub mod snapshot;
pub mod statistics;
pub mod status;
pub mod suggestion;
pub mod target;
pub mod tenure;
pub mod text;
pub mod time;
pub mod xml_path;
