//! Sinks that take longer than a lease lasts, and an outbox that does not answer meanwhile. Leases end by the tests'
//! paused clock.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use tokio::time::{Instant, sleep};

use super::troubled::Standing;
use super::*;
use crate::memory::{MemoryOptions, MemoryPlace};
use crate::outbox::ERASURE_PATIENCE;
use crate::publisher::{EventPublisher, PublisherCapabilities, Subscriber, Subscription};
use crate::store::{Erasure, ErasureId};
use crate::time::{Clock, SystemClock, Timestamp};
use crate::wrap::Timeout;
use crate::{CustomerId, Event, TenantId};

/// Goes with the runtime's clock.
#[derive(Debug)]
struct Paused {
    start: Instant,
    base: Timestamp,
}

impl Clock for Paused {
    fn now(&self) -> Timestamp {
        let passed = TimeDelta::from_std(self.start.elapsed()).unwrap();
        crate::time::truncate(self.base + passed)
    }
}

async fn paused_store() -> (MemoryStore, Arc<dyn Outbox>) {
    let clock = Paused {
        start: Instant::now(),
        base: SystemClock.now(),
    };
    let store = MemoryPlace::new(MemoryOptions::default().with_clock(clock)).open();
    let outbox = store.outbox().unwrap();
    outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
    (store, outbox)
}

/// Takes its time for each batch, and counts how often each entry was told.
#[derive(Clone)]
struct Slow {
    takes: Duration,
    told: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Slow {
    fn new(takes: Duration) -> Self {
        Self {
            takes,
            told: Arc::default(),
        }
    }
}

#[async_trait]
impl LaneSink for Slow {
    async fn deliver(&self, entries: &[OutboxEntry]) -> Vec<Delivered> {
        sleep(self.takes).await;
        let mut told = self.told.lock();
        for entry in entries {
            *told.entry(entry.to_event().id().to_owned()).or_default() += 1;
        }
        entries.iter().map(|_| Delivered::Done).collect()
    }
}

const TTL: Duration = Duration::from_secs(10);

fn config(owner: &str) -> RelayConfig {
    RelayConfig {
        owner: owner.to_owned(),
        lease_ttl: TTL,
        max_entries: 4,
        ..RelayConfig::new(Lane::Publish)
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_slower_than_a_lease_is_told_each_entry_once() {
    let (store, outbox) = paused_store().await;
    for n in 0..12 {
        record(&store, &format!("c{n}"), "o").await;
    }
    let slow = Slow::new(3 * TTL);
    let relay = Relay::spawn(Arc::clone(&outbox), slow.clone(), config("slow"));
    sleep(2 * TTL).await;
    // One who comes meanwhile gets nothing of what is being delivered.
    let quick = Slow::new(Duration::ZERO);
    let other = Relay::spawn(Arc::clone(&outbox), quick.clone(), config("quick"));
    sleep(30 * TTL).await;
    assert!(outbox.status(Lane::Publish).await.unwrap().is_empty());
    relay.stop(LONG).await.unwrap();
    other.stop(LONG).await.unwrap();
    let (slow, quick) = (slow.told.lock().clone(), quick.told.lock().clone());
    assert!(slow.len() >= 4, "the slow one settles what it delivers: {slow:?}");
    assert_eq!(slow.len() + quick.len(), 12, "each is told by one of them");
    let mut times = slow.values().chain(quick.values());
    assert!(times.all(|times| *times == 1), "{slow:?} {quick:?}");
}

#[tokio::test(start_paused = true)]
async fn a_delivery_whose_leases_end_is_given_up_and_made_again() {
    let (store, outbox) = paused_store().await;
    record(&store, "a", "o1").await;
    let troubled = Arc::new(Troubled::new(Arc::clone(&outbox), 0));
    let slow = Slow::new(2 * TTL);
    let relay = Relay::spawn(Arc::clone(&troubled) as _, slow.clone(), config("slow"));
    sleep(TTL / 10).await;
    *troubled.refusal.lock() = Some(Error::new(ErrorKind::Unavailable, "away"));
    // Another one has it as soon as the lease has ended, and the first one says nothing more of it.
    sleep(TTL).await;
    let quick = Slow::new(Duration::ZERO);
    let other = Relay::spawn(Arc::clone(&outbox), quick.clone(), config("quick"));
    sleep(5 * TTL).await;
    assert_eq!(quick.told.lock().len(), 1);
    assert!(slow.told.lock().is_empty(), "its delivery was given up in time");
    *troubled.refusal.lock() = None;
    other.stop(LONG).await.unwrap();
    record(&store, "a", "o2").await;
    sleep(5 * TTL).await;
    assert_eq!(slow.told.lock().len(), 1, "it goes on when it holds ranges again");
    relay.stop(LONG).await.unwrap();
}

/// A stream that takes events one by one.
#[derive(Debug)]
struct OneByOne {
    takes: Duration,
    published: Mutex<Vec<String>>,
}

#[async_trait]
impl EventPublisher for OneByOne {
    fn capabilities(&self) -> PublisherCapabilities {
        crate::memory::MemoryPublisher::new().capabilities()
    }

    async fn publish(&self, event: Event) -> Result<()> {
        sleep(self.takes).await;
        self.published.lock().push(event.id().to_owned());
        Ok(())
    }

    async fn subscribe(&self, _: Subscription) -> Result<Subscriber> {
        Err(Error::unsupported("one by one", "subscribe"))
    }

    async fn disconnect(&self) -> Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_too_slow_for_a_whole_batch_is_given_smaller_ones() {
    let (store, outbox) = paused_store().await;
    for n in 0..600 {
        record(&store, &format!("c{n}"), "o").await;
    }
    let publisher = Arc::new(OneByOne {
        takes: Duration::from_millis(30),
        published: Mutex::default(),
    });
    // 166 of them at most.
    let limited = Timeout::new(Arc::clone(&publisher), Duration::from_secs(5));
    let config = RelayConfig::new(Lane::Publish);
    let relay = Relay::spawn(outbox, PublishSink::new(Arc::new(limited)), config);
    relay.drain(Duration::from_secs(600)).await.unwrap();
    assert_eq!(relay.stats().delivered, 600);
    let published = publisher.published.lock();
    let distinct: HashSet<_> = published.iter().collect();
    assert_eq!(distinct.len(), 600);
    assert!(published.len() < 2 * 600, "few come twice: {}", published.len());
}

#[tokio::test(start_paused = true)]
async fn what_the_lane_does_not_tell_of_itself_stops_no_delivery() {
    let error = Error::new(ErrorKind::Timeout, "counts for ever");
    for standing in [Standing::Fails(error), Standing::Hangs] {
        let (store, outbox) = paused_store().await;
        let troubled = Troubled::new(Arc::clone(&outbox), 0);
        *troubled.standing.lock() = standing;
        record(&store, "a", "o1").await;
        let recorder = Recorder::new(|_, _| Delivered::Done);
        let relay = Relay::spawn(Arc::new(troubled), recorder.clone(), config("relay"));
        sleep(Duration::from_secs(1)).await;
        assert_eq!(recorder.order_of("a"), ["o1"]);
        // Due again.
        sleep(Duration::from_secs(60)).await;
        record(&store, "a", "o2").await;
        relay.drain(LONG).await.unwrap();
        assert_eq!(recorder.order_of("a"), ["o1", "o2"]);
    }
}

fn erasure() -> Erasure {
    Erasure {
        tenant: TenantId::new("t").unwrap(),
        customer: CustomerId::new("a").unwrap(),
        id: ErasureId::new("first").unwrap(),
    }
}

#[tokio::test(start_paused = true)]
async fn an_erasure_waits_for_what_is_in_hand_and_not_for_ever() {
    let (store, outbox) = paused_store().await;
    for offer in ["o1", "o2"] {
        record(&store, "a", offer).await;
    }
    let slow = Slow::new(100 * TTL);
    let relay = Relay::spawn(Arc::clone(&outbox), slow.clone(), config("slow"));
    sleep(TTL / 10).await;
    // Its leases are renewed all the time.
    let begun = Instant::now();
    let error = store.erase_customer(erasure()).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, true));
    assert!(begun.elapsed() >= ERASURE_PATIENCE);
    // A process that ends gives nothing back: its leases end.
    drop(relay);
    let begun = Instant::now();
    store.erase_customer(erasure()).await.unwrap();
    assert!(begun.elapsed() <= TTL);
    assert!(slow.told.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_read_under_leases_that_ended_meanwhile_is_read_again() {
    let (store, outbox) = paused_store().await;
    for offer in ["o1", "o2", "o3", "o4", "o5", "o6"] {
        record(&store, "a", offer).await;
    }
    let troubled = Arc::new(Troubled::new(Arc::clone(&outbox), 0));
    let slow = Slow::new(TTL / 2);
    let config = RelayConfig {
        max_entries: 2,
        ..config("slow")
    };
    let relay = Relay::spawn(Arc::clone(&troubled) as _, slow.clone(), config);
    sleep(TTL / 10).await;
    // The first batch is told; the second, read ahead, is given up half-way, for the leases end.
    *troubled.refusal.lock() = Some(Error::new(ErrorKind::Unavailable, "away"));
    sleep(2 * TTL).await;
    let before = slow.told.lock().len();
    store.erase_customer(erasure()).await.unwrap();
    *troubled.refusal.lock() = None;
    sleep(20 * TTL).await;
    assert_eq!(
        slow.told.lock().len(),
        before,
        "nothing of the erased is told after the receipt"
    );
    record(&store, "a", "again").await;
    relay.drain(LONG).await.unwrap();
    assert_eq!(slow.told.lock().len(), before + 1);
}
