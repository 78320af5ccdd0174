//! The streams of a set: one for each of its stores, to the same publisher.

use std::sync::Arc;

use kaireon_core::publisher::Subscriber;
use kaireon_core::{Error, ErrorKind, Result};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{EventStream, LanePolicy, Listeners, Wants};

/// The streams of a set, in the order of its stores.
#[derive(Debug)]
pub(crate) struct Streams {
    streams: Vec<Arc<EventStream>>,
    /// Who listens to their publisher.
    listeners: Arc<Listeners>,
}

impl Streams {
    pub(crate) fn new(streams: Vec<Arc<EventStream>>, listeners: Arc<Listeners>) -> Self {
        Self { streams, listeners }
    }

    pub(crate) fn listeners(&self) -> &Arc<Listeners> {
        &self.listeners
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<EventStream>> {
        self.streams.iter()
    }

    pub(crate) fn has(&self, stream: &Arc<EventStream>) -> bool {
        self.streams.iter().any(|other| Arc::ptr_eq(other, stream))
    }

    /// What is the publisher's is the same for each.
    pub(crate) fn policy(&self) -> LanePolicy {
        self.streams
            .first()
            .map_or(LanePolicy::Never, |stream| stream.use_of().policy)
    }

    pub(crate) async fn prepare(&self) -> Result<()> {
        for stream in &self.streams {
            stream.prepare().await?;
        }
        Ok(())
    }

    pub(crate) async fn start(&self) -> Result<()> {
        for stream in &self.streams {
            stream.start().await?;
        }
        Ok(())
    }

    /// Counts a subscriber in with each: it is told of what any of the stores records.
    ///
    /// # Errors
    /// As for [`EventStream::listen`]; it counts with none then.
    pub(crate) async fn listen(&self, mut subscriber: Subscriber, wants: Wants) -> Result<Subscriber> {
        for stream in &self.streams {
            subscriber = stream.listen(subscriber, wants).await?;
        }
        Ok(subscriber)
    }

    /// Drains those that `next` has not taken over, at the same time; `None` where it has taken over all.
    pub(crate) async fn drain(&self, next: Option<&Self>, deadline: Instant) -> Option<Result<()>> {
        let mut draining = JoinSet::new();
        for stream in &self.streams {
            if !next.is_some_and(|next| next.has(stream)) {
                let stream = Arc::clone(stream);
                draining.spawn(async move { stream.drain(deadline).await });
            }
        }
        let mut outcome = None;
        while let Some(ended) = draining.join_next().await {
            let panicked = |_| Err(Error::new(ErrorKind::Internal, "a stream ended by a panic"));
            let ended = ended.unwrap_or_else(panicked);
            outcome = Some(outcome.unwrap_or(Ok(())).and(ended));
        }
        outcome
    }
}
