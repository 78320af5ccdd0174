mod slow;
mod troubled;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use self::troubled::Troubled;
use super::*;
use crate::memory::MemoryStore;
use crate::outbox::{DeadLetterQuery, LaneSet, OutboxEntry, OutboxPayload};
use crate::{Interaction, InteractionStore};

type Answer = Box<dyn Fn(&Interaction, usize) -> Delivered + Send + Sync>;

/// Notes what was delivered, in order, and answers as told; the number says how often an entry was tried before.
struct Notes {
    seen: Mutex<Vec<(String, String)>>,
    tried: Mutex<HashMap<String, usize>>,
    answer: Answer,
}

#[derive(Clone)]
struct Recorder(Arc<Notes>);

impl Recorder {
    fn new(answer: impl Fn(&Interaction, usize) -> Delivered + Send + Sync + 'static) -> Self {
        Self(Arc::new(Notes {
            seen: Mutex::default(),
            tried: Mutex::default(),
            answer: Box::new(answer),
        }))
    }

    fn seen(&self) -> Vec<(String, String)> {
        self.0.seen.lock().clone()
    }

    /// The offers that a customer's events carried, first deliveries only.
    fn order_of(&self, customer: &str) -> Vec<String> {
        let mut first = HashSet::new();
        let of_customer = self
            .seen()
            .into_iter()
            .filter(|(seen, _)| seen == customer)
            .map(|(_, offer)| offer);
        of_customer.filter(|offer| first.insert(offer.clone())).collect()
    }
}

#[async_trait]
impl LaneSink for Recorder {
    async fn deliver(&self, entries: &[OutboxEntry]) -> Vec<Delivered> {
        let mut failed = HashSet::new();
        let mut outcomes = Vec::new();
        for entry in entries {
            let OutboxPayload::Interaction(interaction) = &entry.payload else {
                panic!("only interactions here")
            };
            let customer = interaction.customer.as_str().to_owned();
            if failed.contains(&customer) {
                outcomes.push(Delivered::NotAttempted);
                continue;
            }
            let tries = {
                let mut tried = self.0.tried.lock();
                let tries = tried.entry(interaction.id.to_string()).or_default();
                *tries += 1;
                *tries - 1
            };
            let outcome = (self.0.answer)(interaction, tries);
            match outcome {
                Delivered::Done => self.0.seen.lock().push((customer, interaction.offer.to_string())),
                Delivered::Failed(_) => drop(failed.insert(customer)),
                _ => {}
            }
            outcomes.push(outcome);
        }
        outcomes
    }
}

async fn record(store: &MemoryStore, customer: &str, offer: &str) {
    let event = Interaction::builder("t", customer)
        .offer(offer)
        .creative("k")
        .channel("web")
        .build()
        .unwrap();
    store.record_event(event).await.unwrap();
}

async fn store_with_lane() -> (MemoryStore, Arc<dyn Outbox>) {
    let store = MemoryStore::new();
    let outbox = store.outbox().unwrap();
    outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
    (store, outbox)
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn entries_arrive_in_commit_order_per_customer_and_are_settled() {
    let (store, outbox) = store_with_lane().await;
    for round in 0..20 {
        for customer in ["a", "b", "c"] {
            record(&store, customer, &format!("o{round:02}")).await;
        }
    }
    let recorder = Recorder::new(|_, _| Delivered::Done);
    let config = RelayConfig {
        max_entries: 7,
        ..RelayConfig::new(Lane::Publish)
    };
    let relay = Relay::spawn(Arc::clone(&outbox), recorder.clone(), config);
    relay.drain(LONG).await.unwrap();
    let expected: Vec<String> = (0..20).map(|round| format!("o{round:02}")).collect();
    for customer in ["a", "b", "c"] {
        assert_eq!(recorder.order_of(customer), expected);
    }
    assert_eq!(relay.stats().delivered, 60);
    assert!(outbox.status(Lane::Publish).await.unwrap().is_empty());
}

#[tokio::test]
async fn poison_is_moved_aside_and_those_behind_it_go_on() {
    let (store, outbox) = store_with_lane().await;
    for offer in ["o1", "poison", "o2"] {
        record(&store, "a", offer).await;
    }
    let recorder = Recorder::new(|interaction, _| match interaction.offer.as_str() {
        "poison" => Delivered::from_error(Error::invalid("event", "is too large")),
        _ => Delivered::Done,
    });
    let relay = Relay::spawn(
        Arc::clone(&outbox),
        recorder.clone(),
        RelayConfig::new(Lane::Publish),
    );
    relay.drain(LONG).await.unwrap();
    assert_eq!(recorder.order_of("a"), ["o1", "o2"]);
    let query = DeadLetterQuery {
        lane: Lane::Publish,
        limit: 10,
        cursor: None,
    };
    let dead = outbox.dead_letters(query).await.unwrap().items;
    assert_eq!(dead.len(), 1);
    assert!(dead[0].reason.contains("too large"));
    assert_eq!(relay.stats().poisoned, 1);
}

#[tokio::test(start_paused = true)]
async fn a_passing_failure_keeps_the_order_and_holds_up_nobody_else() {
    let (store, outbox) = store_with_lane().await;
    for customer in 0..8 {
        for offer in ["o1", "o2", "o3"] {
            record(&store, &format!("c{customer}"), offer).await;
        }
    }
    let recorder = Recorder::new(|interaction, tries| {
        let fails = interaction.customer.as_str() == "c3" && interaction.offer.as_str() == "o2" && tries < 5;
        if fails {
            Delivered::from_error(Error::new(ErrorKind::Unavailable, "away"))
        } else {
            Delivered::Done
        }
    });
    let relay = Relay::spawn(outbox, recorder.clone(), RelayConfig::new(Lane::Publish));
    relay.drain(LONG).await.unwrap();
    for customer in 0..8 {
        assert_eq!(recorder.order_of(&format!("c{customer}")), ["o1", "o2", "o3"]);
    }
    let seen = recorder.seen();
    let last_of_others = seen.iter().rposition(|(customer, _)| customer != "c3").unwrap();
    let retried = seen
        .iter()
        .position(|(customer, offer)| customer == "c3" && offer == "o2")
        .unwrap();
    assert!(
        retried > last_of_others,
        "the others waited for the failing customer"
    );
    assert_eq!(relay.stats().failed, 5);
}

#[tokio::test]
async fn an_entry_written_while_the_relay_waits_wakes_it() {
    let (store, outbox) = store_with_lane().await;
    let recorder = Recorder::new(|_, _| Delivered::Done);
    let config = RelayConfig {
        max_idle: Duration::from_secs(3_600),
        ..RelayConfig::new(Lane::Publish)
    };
    let config = RelayConfig {
        lease_ttl: Duration::from_secs(36_000),
        ..config
    };
    let relay = Relay::spawn(outbox, recorder.clone(), config);
    for round in 0..50 {
        record(&store, "a", &format!("o{round}")).await;
        // Only a wake-up can end the hour's wait.
        tokio::time::timeout(LONG, async {
            while recorder.seen().len() <= round {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .unwrap();
    }
    relay.stop(LONG).await.unwrap();
}

#[tokio::test]
async fn two_relays_share_a_lane_and_one_takes_over_from_a_dead_one() {
    let (store, outbox) = store_with_lane().await;
    let recorder = Recorder::new(|_, _| Delivered::Done);
    let config = || RelayConfig {
        lease_ttl: Duration::from_millis(300),
        ..RelayConfig::new(Lane::Publish)
    };
    let first = Relay::spawn(Arc::clone(&outbox), recorder.clone(), config());
    let second = Relay::spawn(Arc::clone(&outbox), recorder.clone(), config());
    for customer in 0..200 {
        record(&store, &format!("c{customer}"), "o1").await;
    }
    tokio::time::timeout(LONG, async {
        while first.stats().delivered == 0 || second.stats().delivered == 0 || recorder.seen().len() < 200 {
            record(&store, "late", "o").await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("first {:?}, second {:?}", first.stats(), second.stats()));
    // Dropped, not stopped: its leases are not given back.
    drop(first);
    for customer in 0..200 {
        record(&store, &format!("c{customer}"), "o2").await;
    }
    tokio::time::timeout(LONG, async {
        while !outbox.status(Lane::Publish).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    for customer in 0..200 {
        assert_eq!(recorder.order_of(&format!("c{customer}")), ["o1", "o2"]);
    }
    second.drain(LONG).await.unwrap();
}

#[tokio::test]
async fn draining_past_its_deadline_is_a_timeout_and_leaves_the_entries() {
    let (store, outbox) = store_with_lane().await;
    record(&store, "a", "o1").await;
    let recorder = Recorder::new(|_, _| Delivered::Failed(Error::new(ErrorKind::Unavailable, "away")));
    let relay = Relay::spawn(Arc::clone(&outbox), recorder, RelayConfig::new(Lane::Publish));
    let error = relay.drain(Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(outbox.status(Lane::Publish).await.unwrap().backlog, 1);
    // A second call finds nothing to do.
    relay.drain(LONG).await.unwrap();
}

#[tokio::test]
async fn a_drain_whose_future_is_dropped_is_waited_for_by_the_next() {
    let (store, outbox) = store_with_lane().await;
    record(&store, "a", "o1").await;
    let recorder = Recorder::new(|_, tries| match tries {
        0..4 => Delivered::Failed(Error::new(ErrorKind::Unavailable, "away")),
        _ => Delivered::Done,
    });
    let relay = Relay::spawn(
        Arc::clone(&outbox),
        recorder.clone(),
        RelayConfig::new(Lane::Publish),
    );
    let first = tokio::time::timeout(Duration::from_millis(1), relay.drain(LONG)).await;
    assert!(first.is_err(), "it was to be dropped half-way");
    relay.drain(LONG).await.unwrap();
    assert_eq!(recorder.order_of("a"), ["o1"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_asks_to_be_left_alone_for_ever_does_not_end_the_relay() {
    let (store, outbox) = store_with_lane().await;
    record(&store, "a", "o1").await;
    let recorder = Recorder::new(|_, _| {
        let away = Error::new(ErrorKind::RateLimited, "away").with_retry_after(Duration::MAX);
        Delivered::Failed(away)
    });
    let config = RelayConfig {
        status_every: Duration::MAX,
        lease_ttl: Duration::from_secs(3_600),
        ..RelayConfig::new(Lane::Publish)
    };
    let relay = Relay::spawn(outbox, recorder, config);
    let late = relay.drain(Duration::from_secs(60)).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout, "{late}");
    assert_eq!(relay.stats().failed, 1, "it was left alone");
}

#[tokio::test]
async fn a_drain_without_a_deadline_and_a_batch_of_no_entries_deliver_all_the_same() {
    let (store, outbox) = store_with_lane().await;
    for offer in ["o1", "o2"] {
        record(&store, "a", offer).await;
    }
    let recorder = Recorder::new(|_, _| Delivered::Done);
    let config = RelayConfig {
        max_entries: 0,
        ..RelayConfig::new(Lane::Publish)
    };
    let relay = Relay::spawn(outbox, recorder.clone(), config);
    relay.drain(Duration::MAX).await.unwrap();
    assert_eq!(recorder.order_of("a"), ["o1", "o2"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_read_ahead_behind_a_failure_waits_for_it() {
    const OFFERS: [&str; 6] = ["o1", "o2", "o3", "o4", "o5", "o6"];
    for (max_entries, min_pause) in [(1, 20), (2, 20), (3, 20), (3, 0), (5, 20), (24, 20)] {
        let (store, outbox) = store_with_lane().await;
        for offer in OFFERS {
            for customer in ["a", "b", "c", "d"] {
                record(&store, customer, offer).await;
            }
        }
        let recorder = Recorder::new(|interaction, tries| {
            let fails =
                matches!(interaction.offer.as_str(), "o2" | "o5") && interaction.customer.as_str() != "d";
            if fails && tries < 3 {
                Delivered::from_error(Error::new(ErrorKind::Unavailable, "away"))
            } else {
                Delivered::Done
            }
        });
        let config = RelayConfig {
            max_entries,
            min_pause: Duration::from_millis(min_pause),
            ..RelayConfig::new(Lane::Publish)
        };
        let relay = Relay::spawn(outbox, recorder.clone(), config);
        relay.drain(LONG).await.unwrap();
        for customer in ["a", "b", "c", "d"] {
            assert_eq!(recorder.order_of(customer), OFFERS, "{max_entries} at once");
        }
        assert_eq!(recorder.seen().len(), 24, "nothing comes twice");
    }
}

/// Takes everything, and returns from its first call when the outbox was read again meanwhile.
struct Awaiting(Arc<Troubled>);

#[async_trait]
impl LaneSink for Awaiting {
    async fn deliver(&self, entries: &[OutboxEntry]) -> Vec<Delivered> {
        self.0.deliveries.send_modify(|deliveries| *deliveries += 1);
        let mut fetches = self.0.fetches.subscribe();
        fetches.wait_for(|fetches| *fetches >= 2).await.unwrap();
        entries.iter().map(|_| Delivered::Done).collect()
    }
}

#[tokio::test]
async fn a_batch_is_delivered_while_the_next_is_read_and_the_last_is_settled() {
    let (store, outbox) = store_with_lane().await;
    for n in 0..20 {
        record(&store, &format!("c{n}"), "o").await;
    }
    let troubled = Arc::new(Troubled::new(Arc::clone(&outbox), 2));
    let config = RelayConfig {
        max_entries: 4,
        ..RelayConfig::new(Lane::Publish)
    };
    let relay = Relay::spawn(Arc::clone(&troubled) as _, Awaiting(troubled), config);
    relay.drain(LONG).await.unwrap();
    assert_eq!(relay.stats().delivered, 20);
    assert!(outbox.status(Lane::Publish).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_settled_is_settled_later_and_not_delivered_again() {
    for kind in [ErrorKind::Unavailable, ErrorKind::Fenced, ErrorKind::Timeout] {
        let (store, outbox) = store_with_lane().await;
        for n in 0..20 {
            record(&store, &format!("c{}", n % 7), &format!("o{n:02}")).await;
        }
        let troubled = Troubled::new(Arc::clone(&outbox), 0);
        troubled
            .failures
            .lock()
            .extend((0..3).map(|_| Error::new(kind, "away")));
        let recorder = Recorder::new(|_, _| Delivered::Done);
        let config = RelayConfig {
            max_entries: 4,
            ..RelayConfig::new(Lane::Publish)
        };
        let relay = Relay::spawn(Arc::new(troubled), recorder.clone(), config);
        relay.drain(LONG).await.unwrap();
        assert_eq!(
            (recorder.seen().len(), relay.stats().delivered),
            (20, 20),
            "{kind}"
        );
        assert!(outbox.status(Lane::Publish).await.unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_relay_whose_share_was_not_to_be_had_does_not_take_its_lane_for_empty() {
    let (store, outbox) = store_with_lane().await;
    record(&store, "c", "o").await;
    let troubled = Troubled::new(Arc::clone(&outbox), 0);
    // What it holds is answered, which is nothing yet, and the request for more is not.
    let away = Error::new(ErrorKind::Unavailable, "away");
    troubled.refusals.lock().extend([None, Some(away)]);
    let recorder = Recorder::new(|_, _| Delivered::Done);
    let config = RelayConfig::new(Lane::Publish);
    let lease_ttl = config.lease_ttl;
    let relay = Relay::spawn(Arc::new(troubled), recorder.clone(), config);
    let begun = tokio::time::Instant::now();
    relay.drain(LONG).await.unwrap();
    assert_eq!(recorder.seen().len(), 1);
    assert!(
        begun.elapsed() < lease_ttl / 3,
        "it asks again before its next renewal"
    );
    assert!(outbox.status(Lane::Publish).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_relay_that_is_stopped_settles_what_it_has_delivered() {
    let (store, outbox) = store_with_lane().await;
    for n in 0..200 {
        record(&store, &format!("c{}", n % 7), &format!("o{n:03}")).await;
    }
    let recorder = Recorder::new(|_, _| Delivered::Done);
    let config = RelayConfig {
        max_entries: 4,
        ..RelayConfig::new(Lane::Publish)
    };
    let relay = Relay::spawn(Arc::clone(&outbox), recorder.clone(), config.clone());
    while recorder.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    relay.stop(LONG).await.unwrap();
    let left = outbox.status(Lane::Publish).await.unwrap().backlog;
    assert_eq!(recorder.seen().len() as u64 + left, 200);
    Relay::spawn(outbox, recorder.clone(), config)
        .drain(LONG)
        .await
        .unwrap();
    assert_eq!(recorder.seen().len(), 200, "nothing comes twice");
}

/// Says nothing of the entries it is handed.
struct Silent(std::sync::atomic::AtomicU64);

#[async_trait]
impl LaneSink for Arc<Silent> {
    async fn deliver(&self, _: &[OutboxEntry]) -> Vec<Delivered> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Vec::new()
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_sink_says_nothing_of_is_tried_again_after_a_pause() {
    let (store, outbox) = store_with_lane().await;
    record(&store, "a", "o1").await;
    let sink = Arc::new(Silent(Default::default()));
    let config = RelayConfig {
        min_pause: Duration::from_secs(1),
        ..RelayConfig::new(Lane::Publish)
    };
    let relay = Relay::spawn(Arc::clone(&outbox), Arc::clone(&sink), config);
    tokio::time::sleep(Duration::from_secs(20)).await;
    let asked = sink.0.load(Ordering::SeqCst);
    assert!((2..10).contains(&asked), "asked {asked} times");
    assert_eq!(outbox.status(Lane::Publish).await.unwrap().backlog, 1);
    drop(relay);
}

#[tokio::test]
async fn a_host_event_of_a_customer_goes_out_under_the_customers_key_unless_it_has_one() {
    use crate::memory::MemoryPublisher;
    use crate::outbox::HostEvent;
    use crate::publisher::{EventPublisher, Subscription};
    use crate::{CustomerId, Event, TenantId};

    let (store, outbox) = store_with_lane().await;
    let publisher: Arc<dyn EventPublisher> = Arc::new(MemoryPublisher::new());
    let own = Event::new("own.v1", &1).unwrap();
    let topics = [own.event_type().clone(), crate::EventType::interaction_recorded()];
    let mut events = publisher.subscribe(Subscription::to(topics)).await.unwrap();
    let keyed = own.clone().with_key("own key").unwrap();
    record(&store, "a", "o1").await;
    let customer = || Some(CustomerId::new("a").unwrap());
    let host = |customer, event| HostEvent {
        tenant: TenantId::new("t").unwrap(),
        customer,
        event,
    };
    let hosts = [(customer(), own.clone()), (customer(), keyed), (None, own)];
    let hosts = hosts.into_iter().map(|(customer, event)| host(customer, event));
    // Each on its own: without a customer an event lies in another range.
    for event in hosts {
        outbox.append(vec![event]).await.unwrap();
    }
    let relay = Relay::spawn(
        outbox,
        PublishSink::new(Arc::clone(&publisher)),
        RelayConfig::new(Lane::Publish),
    );
    relay.drain(LONG).await.unwrap();
    let mut keys = Vec::new();
    for _ in 0..4 {
        let mut delivery = events.next_delivery().await.unwrap().unwrap();
        delivery.ack().await.unwrap();
        keys.push(delivery.event().key().map(str::to_owned));
    }
    let of_customer = Some("t\u{1f}a".to_owned());
    assert_eq!(
        keys,
        [of_customer.clone(), of_customer, Some("own key".to_owned()), None]
    );
}

#[test]
fn what_a_relay_does_is_measured_by_lane_and_says_nothing_of_customers() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let (store, outbox) = store_with_lane().await;
            for (customer, offer) in [("secret-1", "o1"), ("secret-2", "poison"), ("secret-3", "o2")] {
                record(&store, customer, offer).await;
            }
            let recorder = Recorder::new(|interaction, tries| match (interaction.offer.as_str(), tries) {
                ("poison", _) => Delivered::from_error(Error::invalid("event", "is too large")),
                ("o2", 0) => Delivered::from_error(Error::new(ErrorKind::Unavailable, "away")),
                _ => Delivered::Done,
            });
            let config = RelayConfig {
                status_every: Duration::from_millis(1),
                ..RelayConfig::new(Lane::Publish)
            };
            let relay = Relay::spawn(Arc::clone(&outbox), recorder, config);
            while relay.stats().delivered < 2 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            // Measured once more, when all was settled.
            tokio::time::sleep(Duration::from_millis(20)).await;
            record(&store, "secret-4", "o3").await;
            relay.drain(LONG).await.unwrap();
        });
    });
    let mut found = HashMap::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let labels: Vec<_> = key
            .key()
            .labels()
            .map(|label| (label.key(), label.value()))
            .collect();
        assert_eq!(labels, [("lane", "publish")], "{key:?}");
        let value = match value {
            DebugValue::Counter(count) => count as f64,
            DebugValue::Gauge(value) => value.into_inner(),
            DebugValue::Histogram(values) => values.len() as f64,
        };
        found.insert(key.key().name().to_owned(), value);
    }
    for (name, expected) in [
        ("kaireon.outbox.delivered", 3.0),
        ("kaireon.outbox.poisoned", 1.0),
        ("kaireon.outbox.failed", 1.0),
        ("kaireon.outbox.lag", 3.0),
        ("kaireon.outbox.dead_letters", 1.0),
        ("kaireon.outbox.relays", 1.0),
        ("kaireon.outbox.ranges", 64.0),
    ] {
        assert_eq!(found.remove(name), Some(expected), "{name}");
    }
    assert!(found.remove("kaireon.outbox.backlog").is_some());
    assert!(
        found
            .remove("kaireon.outbox.oldest_age")
            .is_some_and(|age| age < 60.0)
    );
    assert!(found.is_empty(), "not in the list: {found:?}");
}
