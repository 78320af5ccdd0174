//! Servers that are killed or restarted under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kaireon_core::outbox::Lane;
use kaireon_core::relay::{Relay, RelayConfig};
use kaireon_core::store::{HistoryQuery, RecordBatch};
use kaireon_core::{CustomerId, Interaction, InteractionStore, TenantId};
use kaireon_store_pg::PgStore;
use kaireon_testkit::server::Shutdown;
use tokio::task::JoinHandle;

use crate::place::{LONG, Notes, Place, Tries, event, insist, server};

/// Writers that record one event after the other until they are stopped, each for customers of its own.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    writers: Vec<JoinHandle<(Vec<Interaction>, Tries)>>,
}

impl Load {
    pub(crate) fn of(writers: usize, store: &PgStore) -> Self {
        Self::under("", writers, store)
    }

    /// Their customers and keys begin with a name.
    pub(crate) fn under(name: &str, writers: usize, store: &PgStore) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicU64::new(0));
        let writers = (0..writers).map(|writer| {
            let (store, stop, acknowledged) = (store.clone(), Arc::clone(&stop), Arc::clone(&acknowledged));
            let name = name.to_owned();
            tokio::spawn(async move {
                let (mut events, mut tries) = (Vec::new(), Tries::default());
                while !stop.load(Ordering::Relaxed) {
                    // The history of a customer is read in one page, so nobody has more than that holds.
                    let customer = format!("{name}c{writer:02}-{}", events.len() / 900);
                    let event = event(&customer, &format!("{name}{writer}-{}", events.len()));
                    tries.add(insist(&store, &event).await);
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                    events.push(event);
                }
                (events, tries)
            })
        });
        let writers = writers.collect();
        Self {
            stop,
            acknowledged,
            writers,
        }
    }

    /// Waits until so many more are acknowledged.
    pub(crate) async fn progress(&self, more: u64) {
        let until = self.acknowledged.load(Ordering::Relaxed) + more;
        let progress = async {
            while self.acknowledged.load(Ordering::Relaxed) < until {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(LONG, progress).await.unwrap();
    }

    /// Stops the writers; what they recorded, in each one's order, and how often they were told of a failure.
    pub(crate) async fn stop(self) -> (Vec<Interaction>, Tries) {
        self.stop.store(true, Ordering::Relaxed);
        let (mut all, mut sum) = (Vec::new(), Tries::default());
        for writer in self.writers {
            let (events, tries) = writer.await.unwrap();
            all.extend(events);
            sum.add(tries);
        }
        (all, sum)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn what_64_writers_were_told_survives_kills_of_the_server_and_is_delivered_in_order() {
    let mut server = server(&[]).await;
    let place = Place::on(server.url()).await;
    let store = PgStore::connect(place.usual()).await.unwrap();
    let relaying = PgStore::connect(place.usual()).await.unwrap();
    let notes = Notes::default();
    let config = RelayConfig {
        lease_ttl: Duration::from_secs(2),
        ..RelayConfig::new(Lane::Publish)
    };
    let relay = Relay::spawn(relaying.outbox().unwrap(), notes.clone(), config);
    let load = Load::of(64, &store);
    // Kills at other points of the writers' work, as many records apart as writers are answered at a time and more.
    for more in [300, 701, 150, 433] {
        load.progress(more).await;
        server.stop(Shutdown::Kill).await.unwrap();
        server.restart().await.unwrap();
    }
    load.progress(200).await;
    let (events, tries) = load.stop().await;
    // A batch that is cut before its commit is tried again inside, so callers may have noticed nothing.
    println!("{} records, {tries:?}", events.len());
    relay.drain(LONG).await.unwrap();
    notes.assert_in_order(&events);
    store.disconnect().await.unwrap();
    relaying.disconnect().await.unwrap();
    place.assert_exactly(&events, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_store_goes_on_over_a_restart_of_its_server_without_being_opened_again() {
    const AT_ONCE: usize = 16;
    let mut server = server(&[]).await;
    let place = Place::on(server.url()).await;
    let store = PgStore::connect(place.usual()).await.unwrap();
    let notes = Notes::default();
    let relay = Relay::spawn(
        store.outbox().unwrap(),
        notes.clone(),
        RelayConfig::new(Lane::Publish),
    );
    let mut events = Vec::new();
    for round in 0..3 {
        // Reads and writes at once, so that the pool holds many connections, all of which the restart cuts. What
        // rested through it must not fail the first who uses it.
        let calls: Vec<_> = (0..AT_ONCE)
            .map(|call| {
                let event = event(&format!("c{call}"), &format!("{round}-{call}"));
                events.push(event.clone());
                let store = store.clone();
                tokio::spawn(async move {
                    let query = HistoryQuery::new(TenantId::new("t").unwrap(), event.customer.clone());
                    let read = store.history(query).await.unwrap().items.len();
                    assert_eq!(read, round);
                    assert!(store.record_event(event).await.unwrap().is_new());
                })
            })
            .collect();
        for call in calls {
            call.await.unwrap();
        }
        let batch: Vec<_> = (0..20)
            .map(|n| event(&format!("b{n}"), &format!("{round}-bulk-{n}")))
            .collect();
        let outcome = store
            .record_events(RecordBatch::live(batch.clone()))
            .await
            .unwrap();
        assert!(
            outcome
                .into_values()
                .unwrap()
                .iter()
                .all(|recorded| recorded.is_new())
        );
        events.extend(batch);
        server.stop(Shutdown::Fast).await.unwrap();
        server.restart().await.unwrap();
    }
    store.ping().await.unwrap();
    let customer = CustomerId::new("c0").unwrap();
    let query = HistoryQuery::new(TenantId::new("t").unwrap(), customer);
    assert_eq!(store.history(query).await.unwrap().items.len(), 3);
    relay.drain(LONG).await.unwrap();
    notes.assert_in_order(&events);
    store.disconnect().await.unwrap();
    place.assert_exactly(&events, true).await;
}
