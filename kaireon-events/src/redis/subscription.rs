//! The task of one subscription: it takes what comes from the server at once, so that the server never waits for a
//! subscriber, and hands it on as far as there is room.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kaireon_connect::redis::{RedisHeard, RedisListener};
use kaireon_core::{Event, Result};
use tokio::sync::{oneshot, watch};

use super::mailbox::Mailbox;

/// What went wrong for subscribers.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) lost: AtomicU64,
    pub(super) gaps: AtomicU64,
    pub(super) unreadable: AtomicU64,
}

/// Where what is heard goes.
pub(super) struct Carrier {
    pub(super) listener: RedisListener,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) counters: Arc<Counters>,
}

/// However the task ends, the stream does.
struct Closing(Arc<Mailbox>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Carrier {
    /// Runs until the subscriber has left, or the publisher ends and what was published before has come.
    pub(super) async fn run(mut self, mut ended: watch::Receiver<()>, mut left: oneshot::Receiver<()>) {
        let _closing = Closing(Arc::clone(&self.mailbox));
        loop {
            let heard = tokio::select! {
                biased;
                _ = &mut left => return,
                _ = ended.changed() => break,
                heard = self.listener.next() => heard,
            };
            match heard {
                Some(heard) => hand_on(heard, &self.mailbox, &self.counters),
                None => break,
            }
        }
        for heard in self.listener.rest().await {
            hand_on(heard, &self.mailbox, &self.counters);
        }
    }
}

fn hand_on(heard: RedisHeard, mailbox: &Mailbox, counters: &Counters) {
    match heard {
        RedisHeard::Gap => {
            counters.gaps.fetch_add(1, Ordering::Relaxed);
            mailbox.gap();
        }
        RedisHeard::Message { channel, payload } => match read(&channel, &payload) {
            Ok(event) => {
                if !mailbox.put(event) {
                    counters.lost.fetch_add(1, Ordering::Relaxed);
                }
            }
            // Anybody may publish anything to a channel.
            Err(error) => {
                counters.unreadable.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(channel, %error, "passed over a message that is no event of its channel");
            }
        },
    }
}

fn read(channel: &str, payload: &[u8]) -> Result<Event> {
    let event = Event::from_envelope(payload)?;
    match event.event_type().as_str() == channel {
        true => Ok(event),
        false => Err(kaireon_core::Error::invalid("type", "is not the channel's")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_envelope_of_the_channels_own_type_is_an_event() {
        let event = Event::new("model.updated.v1", &7).unwrap();
        assert_eq!(read("model.updated.v1", &event.envelope()).unwrap(), event);
        assert_eq!(
            read("other.v1", &event.envelope()).unwrap_err().field(),
            Some("type")
        );
        assert!(read("model.updated.v1", b"hello").is_err());
    }
}
