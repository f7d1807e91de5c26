//! The HTTP doors of a share manager: the OpenStack shared-file-systems API for tenants, and the operator API.
//!
//! Handlers check, convert and call the manager; they decide nothing. [`tenant_router`] is what listens on a network address,
//! [`operator_router`] what listens on the unix socket in the state directory: it serves the tenant routes too, for whatever project
//! the operator names, because whoever can open that socket is the operator.
//!
//! Errors leave as OpenStack faults with a stable code and our own words. What a driver wrote is told to operators only.
#![forbid(unsafe_code)]

mod access_key;
mod authentication;
mod body;
mod clean;
mod error;
mod health;
mod json;
mod microversion;
mod operator;
mod request;
mod router;
mod serve;
mod v2;

pub use access_key::AccessKeyReader;
pub use authentication::{Authentication, Token, TokenDigest};
pub use microversion::{LATEST, Microversion};
pub use router::{ApiSettings, operator_router, tenant_router};
pub use serve::{OperatorSocket, serve_network, serve_socket};
