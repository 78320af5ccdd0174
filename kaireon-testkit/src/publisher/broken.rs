//! Deliberately wrong publishers, by which the suite is shown to bite.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{FutureExt, Stream};
use kaireon_core::memory::MemoryPublisher;
use kaireon_core::publisher::{
    Acknowledge, Answer, Delivery, PublisherCapabilities, Settling, Signal, StartAt, Subscriber, Subscription,
};
use kaireon_core::store::BatchOutcome;
use kaireon_core::{Event, EventPublisher, EventType, Result};
use parking_lot::Mutex;

use super::PublisherFixture;

/// One altered rule of a publisher that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// Every seventh event is not published, and nobody is told.
    DropsSilently,
    /// Every member of a group receives everything.
    GroupDeliversToAll,
    /// What was handed out counts as acknowledged.
    NeverRedelivers,
    /// Every attempt is the first.
    ForgetsAttempts,
    /// What is nacked or dropped waits for its timeout.
    NacksWaitForTheTimeout,
    /// What hangs stays with whoever has it.
    IgnoresAckTimeouts,
    /// What cannot be processed comes again for ever.
    IgnoresMaxAttempts,
    /// What a member has is lost with it.
    LeavingMemberTakesAlong,
    /// A slow subscriber is not told what it lost.
    LosesInSilence,
    /// A batch is published from its end.
    ReversesBatches,
    /// Every second event is overtaken by the next.
    ReordersKeys,
    /// The streams end before what was accepted.
    EndsWithoutDraining,
    /// Calls work on after `disconnect`.
    WorksAfterDisconnect,
    /// Says that nobody subscribes.
    SaysNobodyListens,
    /// A subscription to the past begins now.
    TakesAnyStart,
}

impl Flaw {
    /// Every flaw.
    pub const ALL: &[Self] = &[
        Self::DropsSilently,
        Self::GroupDeliversToAll,
        Self::NeverRedelivers,
        Self::ForgetsAttempts,
        Self::NacksWaitForTheTimeout,
        Self::IgnoresAckTimeouts,
        Self::IgnoresMaxAttempts,
        Self::LeavingMemberTakesAlong,
        Self::LosesInSilence,
        Self::ReversesBatches,
        Self::ReordersKeys,
        Self::EndsWithoutDraining,
        Self::WorksAfterDisconnect,
        Self::SaysNobodyListens,
        Self::TakesAnyStart,
    ];

    /// The cases that must fail.
    #[must_use]
    pub fn caught_by(self) -> &'static [&'static str] {
        match self {
            Self::DropsSilently => &[
                "every_subscriber_receives_every_event",
                "one_subscription_receives_several_topics",
                "events_of_one_key_arrive_in_order",
                "a_batch_arrives_whole_and_in_order",
                "concurrent_publishers_lose_nothing",
                "each_event_goes_to_one_member",
                "each_group_receives_everything",
                "a_group_takes_nothing_from_a_lone_subscriber",
                "a_member_that_leaves_hands_over_what_it_had_not_acknowledged",
                "concurrent_members_neither_lose_nor_repeat",
                "a_slow_subscriber_loses_only_its_own_and_learns_how_many",
                "a_slow_group_learns_how_many_it_lost",
                "a_dropped_wait_loses_nothing",
                "disconnect_ends_streams_after_what_was_accepted",
            ],
            Self::GroupDeliversToAll => &[
                "each_event_goes_to_one_member",
                "a_member_that_leaves_hands_over_what_it_had_not_acknowledged",
                "concurrent_members_neither_lose_nor_repeat",
                "a_delivery_stuck_with_one_member_reaches_another",
                "a_slow_group_learns_how_many_it_lost",
            ],
            Self::NeverRedelivers => &[
                "a_member_that_leaves_hands_over_what_it_had_not_acknowledged",
                "a_nacked_delivery_comes_again_with_the_next_attempt",
                "a_dropped_delivery_comes_again",
                "an_unacknowledged_delivery_comes_again_after_its_timeout",
                "a_delivery_stuck_with_one_member_reaches_another",
                "after_the_last_attempt_it_is_given_up",
            ],
            Self::ForgetsAttempts => &[
                "a_nacked_delivery_comes_again_with_the_next_attempt",
                "a_dropped_delivery_comes_again",
                "an_unacknowledged_delivery_comes_again_after_its_timeout",
                "a_delivery_stuck_with_one_member_reaches_another",
                "after_the_last_attempt_it_is_given_up",
            ],
            Self::NacksWaitForTheTimeout => &[
                "a_nacked_delivery_comes_again_with_the_next_attempt",
                "a_dropped_delivery_comes_again",
                "after_the_last_attempt_it_is_given_up",
            ],
            Self::IgnoresAckTimeouts => &[
                "an_unacknowledged_delivery_comes_again_after_its_timeout",
                "a_delivery_stuck_with_one_member_reaches_another",
            ],
            Self::IgnoresMaxAttempts => &["after_the_last_attempt_it_is_given_up"],
            Self::LeavingMemberTakesAlong => {
                &["a_member_that_leaves_hands_over_what_it_had_not_acknowledged"]
            }
            Self::LosesInSilence => &[
                "a_slow_subscriber_loses_only_its_own_and_learns_how_many",
                "a_slow_group_learns_how_many_it_lost",
            ],
            Self::ReversesBatches => &["a_batch_arrives_whole_and_in_order"],
            Self::ReordersKeys => &["events_of_one_key_arrive_in_order"],
            Self::EndsWithoutDraining => &["disconnect_ends_streams_after_what_was_accepted"],
            Self::WorksAfterDisconnect => &[
                "disconnect_ends_streams_after_what_was_accepted",
                "after_disconnect_calls_are_unavailable_and_not_applied",
            ],
            Self::SaysNobodyListens => &["has_subscribers_follows_those_who_come_and_go"],
            Self::TakesAnyStart => &["where_a_subscription_may_begin_agrees_with_the_capabilities"],
        }
    }

    /// Cases that the flaw may also fail, as the tasks happen to run.
    #[must_use]
    pub fn may_fail(self) -> &'static [&'static str] {
        match self {
            Self::ReordersKeys => &[
                "a_batch_arrives_whole_and_in_order",
                "a_dropped_wait_loses_nothing",
                "a_slow_subscriber_loses_only_its_own_and_learns_how_many",
                "a_waiting_subscriber_is_woken",
                "after_disconnect_calls_are_unavailable_and_not_applied",
                "an_acknowledged_delivery_does_not_come_again",
                "concurrent_publishers_lose_nothing",
                "disconnect_ends_streams_after_what_was_accepted",
                "other_topics_are_not_received",
                "what_was_published_before_is_not_received",
            ],
            _ => &[],
        }
    }
}

/// Opens publishers with a flaw, or sound ones.
#[derive(Clone, Copy, Debug)]
pub struct Fixture(pub Option<Flaw>);

#[async_trait]
impl PublisherFixture for Fixture {
    async fn open(&self) -> Arc<dyn EventPublisher> {
        Arc::new(Broken {
            inner: Arc::new(MemoryPublisher::new()),
            flaw: self.0,
            published: AtomicU64::new(0),
            ended: Arc::default(),
        })
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(2)
    }
}

struct Broken {
    inner: Arc<MemoryPublisher>,
    flaw: Option<Flaw>,
    published: AtomicU64,
    ended: Arc<AtomicBool>,
}

impl Broken {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Broken({:?})", self.flaw)
    }
}

#[async_trait]
impl EventPublisher for Broken {
    fn capabilities(&self) -> PublisherCapabilities {
        self.inner.capabilities()
    }

    async fn publish(&self, event: Event) -> Result<()> {
        let number = self.published.fetch_add(1, Ordering::SeqCst);
        if self.has(Flaw::DropsSilently) && number % 7 == 6 {
            return Ok(());
        }
        if self.has(Flaw::ReordersKeys) && number.is_multiple_of(2) {
            let inner = Arc::clone(&self.inner);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(40)).await;
                inner.publish(event).await
            });
            return Ok(());
        }
        self.inner.publish(event).await
    }

    async fn publish_batch(&self, mut events: Vec<Event>) -> Result<BatchOutcome<()>> {
        if self.has(Flaw::ReversesBatches) {
            events.reverse();
        }
        let mut outcome = BatchOutcome::with_capacity(events.len());
        for event in events {
            outcome.push(self.publish(event).await);
        }
        Ok(outcome)
    }

    async fn subscribe(&self, mut subscription: Subscription) -> Result<Subscriber> {
        subscription.check()?;
        match self.flaw {
            Some(Flaw::GroupDeliversToAll) => subscription.group = None,
            Some(Flaw::IgnoresAckTimeouts) => subscription.ack_timeout = Duration::from_secs(86_400),
            Some(Flaw::IgnoresMaxAttempts) => subscription.max_attempts = u32::MAX,
            Some(Flaw::TakesAnyStart) => subscription.start = StartAt::Latest,
            _ => {}
        }
        let inner = self.inner.subscribe(subscription).await?;
        Ok(Subscriber::new(Reader {
            inner,
            flaw: self.flaw,
            held: Arc::new(Held {
                flaw: self.flaw,
                deliveries: Mutex::default(),
            }),
            handed_out: 0,
            ended: Arc::clone(&self.ended),
        }))
    }

    fn has_subscribers(&self, topic: &EventType) -> Option<bool> {
        match self.has(Flaw::SaysNobodyListens) {
            true => Some(false),
            false => self.inner.has_subscribers(topic),
        }
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }

    async fn disconnect(&self) -> Result<()> {
        if self.has(Flaw::WorksAfterDisconnect) {
            return Ok(());
        }
        self.ended.store(true, Ordering::SeqCst);
        self.inner.disconnect().await
    }
}

/// Hands deliveries on as its own, so that it can answer for them.
struct Reader {
    inner: Subscriber,
    flaw: Option<Flaw>,
    held: Arc<Held>,
    handed_out: u64,
    ended: Arc<AtomicBool>,
}

/// The true deliveries behind those that were handed on.
struct Held {
    flaw: Option<Flaw>,
    deliveries: Mutex<BTreeMap<u64, Delivery>>,
}

impl Held {
    fn answer(&self, token: u64, answer: Answer) {
        let taken = self.deliveries.lock().remove(&token);
        let Some(mut delivery) = taken else {
            return;
        };
        let settled = match answer {
            Answer::Ack => delivery.ack().now_or_never(),
            Answer::Nack if self.flaw == Some(Flaw::NacksWaitForTheTimeout) => {
                // Kept, so that it is neither answered nor dropped.
                self.deliveries.lock().insert(token, delivery);
                return;
            }
            Answer::Nack => delivery.nack().now_or_never(),
        };
        assert!(settled.is_some(), "the publisher in memory answers at once");
    }
}

impl Acknowledge for Held {
    fn settle(&self, token: u64, answer: Answer) -> Settling<'_> {
        self.answer(token, answer);
        Settling::Done(Ok(()))
    }

    fn abandoned(&self, token: u64) {
        self.answer(token, Answer::Nack);
    }
}

impl Stream for Reader {
    type Item = Result<Signal>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.flaw == Some(Flaw::EndsWithoutDraining) && self.ended.load(Ordering::SeqCst) {
                return Poll::Ready(None);
            }
            let signal = match Pin::new(&mut self.inner).poll_next(context) {
                Poll::Ready(Some(signal)) => signal?,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            };
            let delivery = match signal {
                Signal::Delivery(delivery) => delivery,
                Signal::Lost(_) if self.flaw == Some(Flaw::LosesInSilence) => continue,
                marker @ (Signal::Lost(_) | Signal::Gap) => return Poll::Ready(Some(Ok(marker))),
            };
            self.handed_out += 1;
            let token = self.handed_out;
            let attempt = match self.flaw {
                Some(Flaw::ForgetsAttempts) => 1,
                _ => delivery.attempt(),
            };
            let event = delivery.event().clone();
            self.held.deliveries.lock().insert(token, delivery);
            if self.flaw == Some(Flaw::NeverRedelivers) {
                self.held.answer(token, Answer::Ack);
            }
            let held: Arc<dyn Acknowledge> = Arc::<Held>::clone(&self.held);
            return Poll::Ready(Some(Ok(Signal::Delivery(Delivery::new(
                event, attempt, held, token,
            )))));
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.flaw == Some(Flaw::LeavingMemberTakesAlong) {
            let tokens: Vec<u64> = self.held.deliveries.lock().keys().copied().collect();
            for token in tokens {
                self.held.answer(token, Answer::Ack);
            }
        }
    }
}
