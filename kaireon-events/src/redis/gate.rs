//! Calls come in as long as the publisher is connected, and a disconnect waits for those that are in.

use kaireon_core::Result;
use tokio::sync::{RwLock, RwLockReadGuard};

use super::error::disconnected;

/// Open at first.
#[derive(Debug)]
pub(super) struct Gate(RwLock<bool>);

/// A call that is in.
pub(super) type Inside<'g> = RwLockReadGuard<'g, bool>;

impl Gate {
    pub(super) fn new() -> Self {
        Self(RwLock::new(true))
    }

    /// Comes in; what is held keeps the gate from being closed.
    pub(super) async fn enter(&self, operation: &'static str) -> Result<Inside<'_>> {
        let inside = self.0.read().await;
        match *inside {
            true => Ok(inside),
            false => Err(disconnected(operation)),
        }
    }

    /// Lets nobody in any more, and returns when everybody is out.
    pub(super) async fn close(&self) {
        *self.0.write().await = false;
    }
}
