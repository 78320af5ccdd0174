//! What the relay, the pool and the commits measure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::outbox::{Lane, OutboxEntry, Settlement, Verdict};
use kaireon_core::relay::{Delivered, LaneSink, Relay, RelayConfig};
use kaireon_testkit::StoreFixture;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tokio::sync::Semaphore;

use super::{LONG, Notes, fetch, lease_all, open, record, until};
use crate::fixture::Fixture;

/// Notes nothing before it may.
struct Held(Notes, Arc<Semaphore>);

#[async_trait]
impl LaneSink for Held {
    async fn deliver(&self, entries: &[OutboxEntry]) -> Vec<Delivered> {
        let _may = self.1.acquire().await.unwrap();
        self.0.deliver(entries).await
    }
}

/// What one look or several have found.
#[derive(Debug, Default)]
struct Measured(BTreeMap<(String, Vec<(String, String)>), f64>);

impl Measured {
    /// Looks, which sets everything that was measured to zero: counts add up, and a gauge is what it was set to last.
    fn look(&mut self, at: &Snapshotter) {
        for (key, _, _, found) in at.snapshot().into_vec() {
            let key = key.key();
            let labels = key
                .labels()
                .map(|label| (label.key().to_owned(), label.value().to_owned()));
            let value = self
                .0
                .entry((key.name().to_owned(), labels.collect()))
                .or_default();
            match found {
                DebugValue::Counter(count) => *value += f64::from(u32::try_from(count).unwrap()),
                DebugValue::Gauge(set) if set.into_inner() != 0.0 => *value = set.into_inner(),
                DebugValue::Gauge(_) => {}
                DebugValue::Histogram(values) => {
                    *value += values.iter().map(|value| value.into_inner()).sum::<f64>();
                }
            }
        }
    }

    fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        self.0.get(&(name.to_owned(), labels.collect())).copied()
    }

    fn of(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.get(name, labels)
            .unwrap_or_else(|| panic!("{name} of {labels:?} is not among {self:?}"))
    }
}

const LANE: [(&str, &str); 1] = [("lane", "publish")];

const SYSTEM: (&str, &str) = ("db.system.name", "postgresql");

fn connections(of: &Measured, schema: &str, state: &str) -> f64 {
    let labels = [
        SYSTEM,
        ("db.client.connection.pool.name", schema),
        ("db.client.connection.state", state),
    ];
    of.get("db.client.connection.count", &labels).unwrap_or_default()
}

fn most_connections(of: &Measured, schema: &str) -> f64 {
    let labels = [SYSTEM, ("db.client.connection.pool.name", schema)];
    of.of("db.client.connection.max", &labels)
}

#[test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
fn how_a_lane_a_pool_and_commits_stand_is_measured_without_a_word_of_customers() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(measure(&snapshotter)));
}

async fn measure(snapshotter: &Snapshotter) {
    let mut values = Measured::default();
    let fixture = Fixture::new();
    let (store, outbox) = open(&fixture).await;
    for n in 0..5 {
        record(&store, &format!("secret-{n}"), &n.to_string()).await;
    }
    let leases = lease_all(&outbox, "poisoner", LONG).await;
    let entries = fetch(&outbox, &leases, 1).await;
    let poisoned = Settlement {
        range: entries[0].range,
        position: entries[0].position,
        verdict: Verdict::Poisoned("cannot be read".to_owned()),
    };
    outbox.settle(&leases, vec![poisoned]).await.unwrap();
    outbox.release(leases).await.unwrap();
    let config = RelayConfig {
        status_every: Duration::from_secs(3_600),
        ..RelayConfig::new(Lane::Publish)
    };
    // It looks at the lane once, beside its first fetch: nothing is settled before that has ended.
    let (notes, may) = (Notes::default(), Arc::new(Semaphore::new(0)));
    let relay = Relay::spawn(outbox, Held(notes.clone(), Arc::clone(&may)), config);
    until("how the lane stands is measured", || {
        values.look(snapshotter);
        values.get("kaireon.outbox.ranges", &LANE).is_some()
    })
    .await;
    may.add_permits(1);
    relay.drain(LONG).await.unwrap();
    assert_eq!(notes.count(), 4);
    values.look(snapshotter);
    let schema = fixture.schema().to_owned();
    // It is looked at every second.
    until("the pool is measured at rest", || {
        // Of one moment, so not added up.
        let mut look = Measured::default();
        look.look(snapshotter);
        let (idle, used) = (
            connections(&look, &schema, "idle"),
            connections(&look, &schema, "used"),
        );
        if idle == 0.0 {
            return false;
        }
        let most = most_connections(&look, &schema);
        assert!(used + idle <= most, "{used} and {idle} of {most}");
        true
    })
    .await;
    fixture.close().await;
    assert!(!format!("{values:?}").contains("secret"), "{values:?}");
    assert_eq!(values.of("kaireon.outbox.backlog", &LANE), 4.0);
    assert_eq!(values.of("kaireon.outbox.dead_letters", &LANE), 1.0);
    assert_eq!(values.of("kaireon.outbox.relays", &LANE), 1.0);
    assert_eq!(values.of("kaireon.outbox.ranges", &LANE), 64.0);
    assert_eq!(values.of("kaireon.outbox.delivered", &LANE), 4.0);
    assert!(values.of("kaireon.outbox.oldest_age", &LANE) < 60.0);
    // Recorded one after the other: five commits of one.
    assert_eq!(values.of("kaireon.coalesce.items", &[SYSTEM]), 5.0);
    let mut pools = 0;
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        if key.key().name().starts_with("db.client.connection.") {
            let shows_nothing = matches!(value, DebugValue::Gauge(value) if value.into_inner() == 0.0);
            assert!(shows_nothing, "of a store that has ended: {key:?} {value:?}");
            pools += 1;
        }
    }
    assert_eq!(pools, 3);
}
