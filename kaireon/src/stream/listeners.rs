//! Who listens to a publisher in this process.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use kaireon_core::Result;
use kaireon_core::publisher::{Signal, Subscriber};
use tokio::sync::watch;

/// How many listen to a publisher in this process. Its streams have it in common, also those of a set that takes the
/// publisher over: whoever subscribed before a reset is told by the streams behind it.
#[derive(Debug, Default)]
pub(crate) struct Listeners(watch::Sender<usize>);

impl Listeners {
    pub(super) fn any(&self) -> bool {
        *self.0.borrow() > 0
    }

    /// Tells of whoever comes and goes.
    pub(super) fn watch(&self) -> watch::Receiver<usize> {
        self.0.subscribe()
    }

    /// Counts one in, until it is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> Listening {
        self.0.send_modify(|count| *count += 1);
        Listening(Arc::clone(self))
    }
}

/// One subscriber that counts as listening.
#[derive(Debug)]
pub(super) struct Listening(Arc<Listeners>);

impl Listening {
    /// Goes on for as long as this subscription lives.
    pub(super) fn with(self, subscriber: Subscriber) -> Subscriber {
        Subscriber::new(Counted {
            subscriber,
            _listening: self,
        })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

/// A subscription that counts as listening while it lives.
struct Counted {
    subscriber: Subscriber,
    _listening: Listening,
}

impl Stream for Counted {
    type Item = Result<Signal>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.subscriber).poll_next(context)
    }
}
