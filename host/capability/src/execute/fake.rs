//! A command runner for tests.

use super::CommandRunner;
use async_trait::async_trait;

/// Runs nothing.
#[derive(Debug, Default)]
pub struct FakeRunner;

#[async_trait]
impl CommandRunner for FakeRunner {}
