//! The gate in front of each backend: counts the calls that are in, and lets none in once it is closed.
//!
//! It is what ends the intake at a shutdown, and what makes a handle that was taken before a reset answer
//! `Unavailable` although the backend behind it may live on in the next set.

mod cache;
mod limits;
mod outbox;
mod publisher;
mod search;
mod store;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kaireon_core::{Effect, Error, ErrorKind, Result};
use tokio::sync::Notify;

pub(crate) use cache::GatedCache;
pub(crate) use limits::{GatedBreaker, GatedLimiter};
pub(crate) use outbox::{Appends, GatedOutbox};
pub(crate) use publisher::GatedPublisher;
pub(crate) use search::GatedSearch;
pub(crate) use store::GatedStore;

/// The highest bit says that the gate is closed, the others count who is in.
const CLOSED: usize = 1 << (usize::BITS - 1);

#[derive(Debug)]
pub(crate) struct Gate {
    backend: Cow<'static, str>,
    state: AtomicUsize,
    empty: Notify,
}

/// The right to be in; given back on drop.
#[derive(Debug)]
pub(crate) struct Pass<'a>(&'a Gate);

impl Gate {
    pub(crate) fn new(backend: Cow<'static, str>) -> Arc<Self> {
        Arc::new(Self {
            backend,
            state: AtomicUsize::new(0),
            empty: Notify::new(),
        })
    }

    /// Lets a call in.
    pub(crate) fn enter(&self, operation: &'static str) -> Result<Pass<'_>> {
        let before = self.state.fetch_add(1, Ordering::AcqRel);
        let pass = Pass(self);
        if before & CLOSED == 0 {
            return Ok(pass);
        }
        drop(pass);
        Err(Error::new(
            ErrorKind::Unavailable,
            "this handle was taken before a reset or shutdown; take a new one",
        )
        .with_backend(self.backend.clone())
        .with_operation(operation)
        .with_effect(Effect::NotApplied)
        // Not on this handle.
        .with_transient(false))
    }

    /// Lets nobody in from now on.
    pub(crate) fn close(&self) {
        self.state.fetch_or(CLOSED, Ordering::AcqRel);
    }

    /// Waits until nobody is in.
    pub(crate) async fn emptied(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.empty.notified());
            // Listens before it looks, so that a leave in between is not missed.
            emptied.as_mut().enable();
            if self.state.load(Ordering::Acquire) & !CLOSED == 0 {
                return;
            }
            emptied.await;
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let before = self.0.state.fetch_sub(1, Ordering::AcqRel);
        if before == CLOSED | 1 {
            self.0.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_gate_refuses_and_is_empty_when_the_last_has_left() {
        let gate = Gate::new("test".into());
        let first = gate.enter("get").unwrap();
        let second = gate.enter("get").unwrap();
        gate.close();
        let refused = gate.enter("get").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        assert_eq!(refused.effect(), Effect::NotApplied);
        assert!(!refused.is_transient());
        let waiting = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.emptied().await }
        });
        drop(first);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(second);
        waiting.await.unwrap();
        gate.emptied().await;
    }
}
