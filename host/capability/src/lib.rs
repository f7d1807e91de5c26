//! The host's services for drivers: what a guest may import, each with its rights, its policy and its provider. No wasm here.
//!
//! The sandbox makes one [`Backend`](backend::Backend) for each generation and one [`Call`](call::Call) for each driver call; every
//! imported function is one method of a handle that the call lends. Nothing is allowed by default: what the manifest declares, the
//! grant allows and the site's ceiling permits is allowed, everything else is a [`CapabilityError`](bulkhead_model::error::CapabilityError)
//! that names the one declared line that would allow it. Every host call becomes an effect in the ledger, allowed or not.
//!
//! A failure is a value: the guest sees its code and text, the ledger its outcome. What a call holds ends when the call is dropped.
#![forbid(unsafe_code)]

mod argument;
pub mod backend;
pub mod call;
mod claim;
pub mod clock;
pub mod config;
pub mod dbus;
pub mod encode;
pub mod execute;
pub mod files;
mod grant;
pub mod http;
pub mod intercept;
pub mod job;
mod let_go;
pub mod lock;
pub mod log;
pub mod network_allocation;
mod number;
pub mod ownership;
pub mod private_data;
pub mod record;
pub mod resolve;
pub mod root;
pub mod seal;
pub mod secret;
pub mod service;
pub mod slot;
pub mod testing;
mod xml;
