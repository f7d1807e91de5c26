//! Named command templates: the guest names a template and fills its slots, a [`CommandRunner`] runs it.

pub mod fake;

use crate::call::Call;
use async_trait::async_trait;
use std::fmt::Debug;

/// Who runs commands at a backend's place.
#[async_trait]
pub trait CommandRunner: Send + Sync + Debug {}

/// The `execute` interface of one call.
#[derive(Debug, Clone, Copy)]
pub struct Execute<'call> {
    call: &'call Call,
}

impl<'call> Execute<'call> {
    pub(crate) const fn new(call: &'call Call) -> Self {
        Self { call }
    }

    /// The call it belongs to.
    #[must_use]
    pub const fn call(&self) -> &'call Call {
        self.call
    }
}
