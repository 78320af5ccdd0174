//! Wakers on their way out of a lock.

use std::task::Waker;

/// Wakers to call once every lock is released: waking, and dropping a waker, may run code of the executor's and
/// even drop a subscriber, which takes the locks again.
#[derive(Default)]
#[must_use = "whoever waits is only woken by `wake`"]
pub(super) struct Wakes {
    /// The usual case, kept without an allocation.
    first: Option<Waker>,
    more: Vec<Waker>,
}

impl Wakes {
    /// Adds one.
    pub(super) fn push(&mut self, waker: Waker) {
        if self.first.is_none() {
            self.first = Some(waker);
        } else {
            self.more.push(waker);
        }
    }

    /// Wakes them all.
    pub(super) fn wake(self) {
        let Self { first, more } = self;
        for waker in first.into_iter().chain(more) {
            waker.wake();
        }
    }
}
