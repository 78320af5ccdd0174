//! What only the real server can show of the outbox: transactions that commit late, that stay open, relays that die,
//! relays in several pools, and numbers of another cluster.

#[path = "outbox/asides.rs"]
mod asides;
#[path = "outbox/measured.rs"]
mod measured;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::outbox::{
    Destination, FetchFrom, Lane, LaneSet, Lease, LeaseRequest, OutboxEntry, RANGES, Settlement, Verdict,
    range_of,
};
use kaireon_core::relay::{Delivered, LaneSink, Relay, RelayConfig};
use kaireon_core::store::RecordBatch;
use kaireon_core::time::SystemClock;
use kaireon_core::{Interaction, InteractionStore, Outbox, TenantId};
use kaireon_store_pg::{PgStore, PgStoreConfig};
use kaireon_testkit::StoreFixture;
use parking_lot::Mutex;
use sqlx::postgres::PgListener;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

use crate::fixture::{Fixture, connection};

const LONG: Duration = Duration::from_secs(60);

/// A store with the `publish` lane in force, on the machine's clock.
async fn open(fixture: &Fixture) -> (PgStore, Arc<dyn Outbox>) {
    let config = fixture.config(fixture.schema());
    let options = config.options.with_clock(Arc::new(SystemClock));
    let store = fixture.connect(PgStoreConfig { options, ..config }).await;
    let outbox = store.outbox().unwrap();
    outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
    (store, outbox)
}

fn event(customer: &str, id: &str) -> Interaction {
    let builder = Interaction::builder("tenant", customer).id(id);
    builder
        .offer("offer")
        .creative("creative")
        .channel("web")
        .build()
        .unwrap()
}

async fn record(store: &PgStore, customer: &str, id: &str) {
    store.record_event(event(customer, id)).await.unwrap();
}

async fn record_in(store: &PgStore, transaction: &mut PgConnection, customer: &str, id: &str) {
    let batch = RecordBatch::live([event(customer, id)]);
    store
        .record_in(transaction, batch)
        .await
        .unwrap()
        .into_values()
        .unwrap();
}

async fn lease_all(outbox: &Arc<dyn Outbox>, owner: &str, ttl: Duration) -> Vec<Lease> {
    let request = LeaseRequest {
        lane: Lane::Publish,
        owner: owner.to_owned(),
        ttl,
        max_ranges: RANGES,
        destination: Destination::unnamed(),
    };
    outbox.lease(request).await.unwrap().leases
}

async fn fetch(outbox: &Arc<dyn Outbox>, leases: &[Lease], limit: u32) -> Vec<OutboxEntry> {
    let from = leases.iter().map(|lease| FetchFrom::all(lease.clone()));
    outbox.fetch(from.collect(), limit).await.unwrap()
}

async fn settle(outbox: &Arc<dyn Outbox>, leases: &[Lease], entries: &[OutboxEntry]) {
    let delivered = |entry: &OutboxEntry| Settlement {
        range: entry.range,
        position: entry.position,
        verdict: Verdict::Delivered,
    };
    outbox
        .settle(leases, entries.iter().map(delivered).collect())
        .await
        .unwrap();
}

/// Fetches and settles until nothing is left; the ids in the order of delivery.
async fn drain(outbox: &Arc<dyn Outbox>, leases: &[Lease], limit: u32) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        let entries = fetch(outbox, leases, limit).await;
        if entries.is_empty() {
            return told;
        }
        settle(outbox, leases, &entries).await;
        told.extend(entries.iter().map(|entry| entry.to_event().id().to_owned()));
    }
}

/// Notes what is delivered, per customer.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<BTreeMap<String, Vec<String>>>>);

impl Notes {
    fn count(&self) -> usize {
        self.0.lock().values().map(Vec::len).sum()
    }
}

#[async_trait]
impl LaneSink for Notes {
    async fn deliver(&self, entries: &[OutboxEntry]) -> Vec<Delivered> {
        // Others get a turn between taking and settling, as with a broker.
        tokio::task::yield_now().await;
        let mut notes = self.0.lock();
        for entry in entries {
            let told = notes.entry(entry.partition().to_owned()).or_default();
            told.push(entry.to_event().id().to_owned());
        }
        entries.iter().map(|_| Delivered::Done).collect()
    }
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let wait = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(LONG, wait).await.is_ok(), "{what}");
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn what_commits_late_with_an_older_number_is_delivered() {
    let fixture = Fixture::new();
    let (store, outbox) = open(&fixture).await;
    let leases = lease_all(&outbox, "relay", LONG).await;
    let mut host = connection().await;
    let mut transaction = host.begin().await.unwrap();
    record_in(&store, &mut transaction, "slow", "late-1").await;
    for n in 0..200 {
        record(&store, &format!("c{}", n % 90), &format!("{n}")).await;
        if n % 50 == 20 {
            record_in(&store, &mut transaction, "slow", &format!("late-{n}")).await;
        }
    }
    // Every range has been read beyond the positions of the open transaction.
    let told = drain(&outbox, &leases, 30).await;
    assert_eq!(told.len(), 200);
    assert_eq!(drain(&outbox, &leases, 30).await, Vec::<String>::new());
    assert_eq!(outbox.status(Lane::Publish).await.unwrap().backlog, 0);
    transaction.commit().await.unwrap();
    assert_eq!(outbox.status(Lane::Publish).await.unwrap().backlog, 5);
    let late = drain(&outbox, &leases, 2).await;
    assert_eq!(late, ["late-1", "late-20", "late-70", "late-120", "late-170"]);
    assert!(outbox.status(Lane::Publish).await.unwrap().is_empty());
    fixture.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_record_in_an_older_transaction_comes_behind_what_was_acknowledged_before_its_call() {
    let fixture = Fixture::new();
    let (store, outbox) = open(&fixture).await;
    let mut host = connection().await;
    let mut transaction = host.begin().await.unwrap();
    // The transaction has its number before the others have theirs.
    transaction.execute("SELECT pg_current_xact_id()").await.unwrap();
    for n in 0..4 {
        record(&store, "anna", &format!("before-{n}")).await;
    }
    record_in(&store, &mut transaction, "anna", "in").await;
    transaction.commit().await.unwrap();
    record(&store, "anna", "behind").await;
    let leases = lease_all(&outbox, "relay", LONG).await;
    let told = drain(&outbox, &leases, 1).await;
    assert_eq!(
        told,
        ["before-0", "before-1", "before-2", "before-3", "in", "behind"]
    );
    fixture.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_savepoint_that_was_rolled_back_is_not_told_and_those_that_were_kept_are() {
    let fixture = Fixture::new();
    let (store, outbox) = open(&fixture).await;
    let leases = lease_all(&outbox, "relay", LONG).await;
    let mut host = connection().await;
    let mut transaction = host.begin().await.unwrap();
    record_in(&store, &mut transaction, "anna", "outer").await;
    let mut kept = transaction.begin().await.unwrap();
    record_in(&store, &mut kept, "anna", "kept").await;
    kept.commit().await.unwrap();
    let mut undone = transaction.begin().await.unwrap();
    record_in(&store, &mut undone, "anna", "undone").await;
    undone.rollback().await.unwrap();
    record_in(&store, &mut transaction, "anna", "last").await;
    // Others go past it meanwhile.
    record(&store, "bert", "other").await;
    assert_eq!(drain(&outbox, &leases, 10).await, ["other"]);
    transaction.commit().await.unwrap();
    assert_eq!(drain(&outbox, &leases, 10).await, ["outer", "kept", "last"]);
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_relay_that_dies_is_replaced_within_seconds() {
    let fixture = Fixture::new();
    let (store, outbox) = open(&fixture).await;
    let (_, other) = open(&fixture).await;
    let config = || RelayConfig {
        lease_ttl: Duration::from_secs(1),
        ..RelayConfig::new(Lane::Publish)
    };
    let (first_notes, second_notes) = (Notes::default(), Notes::default());
    let first = Relay::spawn(outbox, first_notes.clone(), config());
    record(&store, "c0", "first").await;
    until("the first relay delivers", || first_notes.count() == 1).await;
    let second = Relay::spawn(other, second_notes.clone(), config());
    // Dropped, not stopped: nothing is given back.
    drop(first);
    for n in 0..200 {
        record(&store, &format!("c{n}"), &format!("{n}")).await;
    }
    let begun = std::time::Instant::now();
    until("the second relay delivers all", || {
        first_notes.count() + second_notes.count() >= 201
    })
    .await;
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "a lease of a second lasts so long"
    );
    second.drain(LONG).await.unwrap();
    assert!(
        store
            .outbox()
            .unwrap()
            .status(Lane::Publish)
            .await
            .unwrap()
            .is_empty()
    );
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn relays_in_two_pools_keep_each_customers_order_while_a_transaction_stays_open() {
    let fixture = Fixture::new();
    let (store, outbox) = open(&fixture).await;
    let (second_store, other) = open(&fixture).await;
    // Holds the horizon back, and has a number of its own, for the whole run.
    let mut host = connection().await;
    let mut long = host.begin().await.unwrap();
    long.execute("SELECT pg_current_xact_id()").await.unwrap();
    let notes = Notes::default();
    let config = || RelayConfig {
        max_entries: 40,
        lease_ttl: Duration::from_millis(900),
        ..RelayConfig::new(Lane::Publish)
    };
    let done = Arc::new(AtomicBool::new(false));
    // One relay stays, another comes and goes.
    let stays = Relay::spawn(outbox, notes.clone(), config());
    let comes_and_goes = {
        let (notes, done) = (notes.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            while !done.load(Ordering::Relaxed) {
                let relay = Relay::spawn(Arc::clone(&other), notes.clone(), config());
                tokio::time::sleep(Duration::from_millis(400)).await;
                relay.stop(LONG).await.unwrap();
            }
        })
    };
    let writers = (0..6).map(|task| {
        let store = if task % 2 == 0 {
            store.clone()
        } else {
            second_store.clone()
        };
        tokio::spawn(async move {
            for n in 0..150 {
                record(&store, &format!("c{task}-{}", n % 3), &format!("{task}-{n:04}")).await;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    until("all is delivered", || notes.count() >= 900).await;
    done.store(true, Ordering::Relaxed);
    comes_and_goes.await.unwrap();
    stays.drain(LONG).await.unwrap();
    for (customer, told) in &*notes.0.lock() {
        // Repeats may come later; what counts is each one's first delivery.
        let mut first: Vec<&String> = Vec::new();
        told.iter().for_each(|id| {
            if !first.contains(&id) {
                first.push(id);
            }
        });
        assert!(first.is_sorted(), "{customer}: {told:?}");
        assert_eq!(first.len(), 50, "{customer}");
    }
    long.rollback().await.unwrap();
    fixture.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_settlement_and_a_take_over_exclude_each_other() {
    let fixture = Fixture::new();
    let (store, outbox) = open(&fixture).await;
    let (_, other) = open(&fixture).await;
    record(&store, "anna", "1").await;
    let first = lease_all(&outbox, "first", Duration::from_millis(300)).await;
    let entries = fetch(&outbox, &first, 10).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    // Holds the range as a settlement under way does.
    let mut beside = connection().await;
    let mut settling = beside.begin().await.unwrap();
    let hold = format!(
        "SELECT FROM {}.outbox_ranges WHERE lane = 0 AND range = {} FOR SHARE",
        fixture.schema(),
        entries[0].range
    );
    settling.execute(AssertSqlSafe(hold)).await.unwrap();
    let takes = tokio::spawn(async move { lease_all(&other, "second", LONG).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(
        !takes.is_finished(),
        "a range is not taken from under a settlement"
    );
    settling.commit().await.unwrap();
    assert_eq!(takes.await.unwrap().len(), usize::from(RANGES));
    let late = vec![Settlement {
        range: entries[0].range,
        position: entries[0].position,
        verdict: Verdict::Delivered,
    }];
    let error = outbox.settle(&first, late).await.unwrap_err();
    assert_eq!(error.kind(), kaireon_core::ErrorKind::Fenced);
    assert_eq!(outbox.status(Lane::Publish).await.unwrap().backlog, 1);
    fixture.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn another_pool_is_woken_by_what_is_written() {
    let fixture = Fixture::new();
    let (store, _) = open(&fixture).await;
    let (_, other) = open(&fixture).await;
    let mut seen = listens(&other).await;
    for n in 0..20 {
        let waits = other.wait(Lane::Publish, seen, LONG);
        let id = n.to_string();
        let writes = record(&store, "anna", &id);
        let (woken, ()) = tokio::join!(tokio::time::timeout(Duration::from_secs(20), waits), writes);
        let count = woken.expect("only a notification can end this wait").unwrap();
        assert_ne!(count, seen);
        seen = count;
    }
    fixture.close().await;
}

/// Waits until an outbox is woken by notifications: until then it looks by itself, and so ends its waits unasked.
async fn listens(outbox: &Arc<dyn Outbox>) -> u64 {
    let mut seen = outbox.wait(Lane::Publish, 0, LONG).await.unwrap();
    loop {
        let begun = std::time::Instant::now();
        let at_most = Duration::from_secs(2);
        seen = outbox.wait(Lane::Publish, seen, at_most).await.unwrap();
        if begun.elapsed() >= at_most {
            return seen;
        }
        assert!(seen < 100, "it never listens");
    }
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_host_that_tells_of_its_commit_wakes_relays_here_and_elsewhere_and_notifies_in_no_transaction() {
    let fixture = Fixture::new();
    let (store, here) = open(&fixture).await;
    let (_, elsewhere) = open(&fixture).await;
    let mut seen_elsewhere = listens(&elsewhere).await;
    let mut seen_here = here.wait(Lane::Publish, 0, LONG).await.unwrap();
    let mut host = connection().await;
    let incarnation = format!("SELECT incarnation FROM {}.meta", fixture.schema());
    let incarnation: i64 = host.fetch_one(AssertSqlSafe(incarnation)).await.unwrap().get(0);
    let mut listener = PgListener::connect(&crate::fixture::url()).await.unwrap();
    listener
        .listen(&format!("kaireon_outbox_{incarnation:016x}"))
        .await
        .unwrap();
    let pid: i32 = host.fetch_one("SELECT pg_backend_pid()").await.unwrap().get(0);
    for n in 0..5 {
        let mut transaction = host.begin().await.unwrap();
        record_in(&store, &mut transaction, "anna", &n.to_string()).await;
        transaction.commit().await.unwrap();
        store.wake();
        for (outbox, seen) in [(&here, &mut seen_here), (&elsewhere, &mut seen_elsewhere)] {
            let woken = async {
                // A look by itself ends a wait with the same count.
                loop {
                    let count = outbox.wait(Lane::Publish, *seen, LONG).await.unwrap();
                    if count != *seen {
                        return count;
                    }
                }
            };
            let count = tokio::time::timeout(Duration::from_secs(20), woken).await;
            *seen = count.expect("only being told can end this wait");
        }
        let told = tokio::time::timeout(Duration::from_secs(20), listener.recv()).await;
        let told = told.expect("others were notified").unwrap();
        assert_ne!(
            told.process_id(),
            pid.unsigned_abs(),
            "the host's transaction notified"
        );
    }
    // Whatever else was told: nothing of it by the host.
    while let Ok(told) = tokio::time::timeout(Duration::from_millis(200), listener.recv()).await {
        assert_ne!(told.unwrap().process_id(), pid.unsigned_abs());
    }
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn what_a_host_commits_without_a_word_is_looked_for_at_once_here_and_found_elsewhere() {
    let fixture = Fixture::new();
    let (store, here) = open(&fixture).await;
    let (_, elsewhere) = open(&fixture).await;
    listens(&here).await;
    listens(&elsewhere).await;
    let mut host = connection().await;
    for (outbox, max_idle) in [
        // Nothing but what the record itself sets off ends this wait in time.
        (here, Duration::from_secs(3_600)),
        (elsewhere, RelayConfig::new(Lane::Publish).max_idle),
    ] {
        let notes = Notes::default();
        let config = RelayConfig {
            max_idle,
            lease_ttl: Duration::from_secs(36_000),
            ..RelayConfig::new(Lane::Publish)
        };
        let relay = Relay::spawn(outbox, notes.clone(), config);
        let begun = std::time::Instant::now();
        let mut recorded = 0;
        // A host that commits when the looks are already seldom is found at the next pace only: it tries again.
        while notes.count() == 0 {
            assert!(begun.elapsed() < LONG, "{max_idle:?}: nothing was found");
            let mut transaction = host.begin().await.unwrap();
            record_in(
                &store,
                &mut transaction,
                "anna",
                &format!("{max_idle:?}-{recorded}"),
            )
            .await;
            transaction.commit().await.unwrap();
            recorded += 1;
            for _ in 0..200 {
                if notes.count() == 0 {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
        relay.drain(LONG).await.unwrap();
        assert_eq!(notes.count(), recorded);
    }
    fixture.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn what_was_recorded_behind_a_late_entry_does_not_pass_it_while_others_are_in_flight() {
    let fixture = Fixture::new();
    let (store, outbox) = open(&fixture).await;
    let leases = lease_all(&outbox, "relay", LONG).await;
    let tenant = TenantId::new("tenant").unwrap();
    let range = range_of(&tenant, "anna");
    let neighbour = (0..).map(|n| format!("n{n}"));
    let neighbour = neighbour
        .into_iter()
        .find(|customer| range_of(&tenant, customer) == range)
        .expect("ranges are few");
    let mut host = connection().await;
    let mut transaction = host.begin().await.unwrap();
    record_in(&store, &mut transaction, "anna", "late").await;
    record(&store, &neighbour, "in flight").await;
    let in_flight = fetch(&outbox, &leases, 10).await;
    assert_eq!(in_flight.len(), 1);
    transaction.commit().await.unwrap();
    record(&store, "anna", "behind").await;
    let from = leases.iter().map(|lease| {
        let in_hand = in_flight.iter().filter(|entry| entry.range == lease.range);
        FetchFrom::but(lease.clone(), in_hand.map(|entry| entry.position).collect())
    });
    let next = outbox.fetch(from.collect(), 1).await.unwrap();
    let next: Vec<_> = next
        .iter()
        .map(|entry| entry.to_event().id().to_owned())
        .collect();
    assert_eq!(next, ["late"]);
    settle(&outbox, &leases, &in_flight).await;
    assert_eq!(drain(&outbox, &leases, 10).await, ["late", "behind"]);
    fixture.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn the_next_holder_goes_on_where_the_last_one_saved() {
    let fixture = Fixture::new();
    let (store, outbox) = open(&fixture).await;
    let (_, other) = open(&fixture).await;
    let mut host = connection().await;
    let mut transaction = host.begin().await.unwrap();
    record_in(&store, &mut transaction, "slow", "late").await;
    for n in 0..100 {
        record(&store, &format!("c{n}"), &format!("{n}")).await;
    }
    let leases = lease_all(&outbox, "first", LONG).await;
    let entries = fetch(&outbox, &leases, 60).await;
    settle(&outbox, &leases, &entries[..50]).await;
    outbox.release(leases).await.unwrap();
    let mut beside = connection().await;
    let saved = format!(
        "SELECT count(*), max(low) FROM {}.outbox_cursors",
        fixture.schema()
    );
    let saved = beside.fetch_one(AssertSqlSafe(saved)).await.unwrap();
    assert!(
        saved.get::<i64, _>(0) > 0 && saved.get::<i64, _>(1) > 0,
        "a release saves"
    );
    transaction.commit().await.unwrap();
    let leases = lease_all(&other, "second", LONG).await;
    let mut told = drain(&other, &leases, 9).await;
    told.sort();
    let mut expected: Vec<String> = entries[50..]
        .iter()
        .map(|entry| entry.to_event().id().to_owned())
        .collect();
    let first: Vec<String> = entries
        .iter()
        .map(|entry| entry.to_event().id().to_owned())
        .collect();
    expected.extend((0..100).map(|n| n.to_string()).filter(|id| !first.contains(id)));
    expected.push("late".to_owned());
    expected.sort();
    assert_eq!(told, expected);
    fixture.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn numbers_of_another_cluster_hide_nothing() {
    let fixture = Fixture::new();
    let (store, outbox) = open(&fixture).await;
    let leases = lease_all(&outbox, "before", LONG).await;
    for n in 0..30 {
        record(&store, &format!("c{}", n % 10), &format!("old-{n:02}")).await;
    }
    let entries = fetch(&outbox, &leases, 12).await;
    settle(&outbox, &leases, &entries).await;
    outbox.release(leases).await.unwrap();
    store.disconnect().await.unwrap();
    // As a dump leaves it in a cluster that is younger: rows from the future, and cursors by numbers that have not
    // come yet and will come to others, over all that is there.
    let mut beside = connection().await;
    let schema = fixture.schema();
    let moved = format!(
        "UPDATE {schema}.outbox SET xid = (900000000000 + position)::text::xid8; \
         UPDATE {schema}.outbox_cursors SET cluster = cluster - 1, low = 1000000000, until = '900000000900', \
             seen = '900000000800:900000000800:'"
    );
    beside.execute(sqlx::raw_sql(AssertSqlSafe(moved))).await.unwrap();
    let (store, outbox) = open(&fixture).await;
    for n in 0..30 {
        record(&store, &format!("c{}", n % 10), &format!("young-{n:02}")).await;
    }
    assert_eq!(outbox.status(Lane::Publish).await.unwrap().backlog, 48);
    let leases = lease_all(&outbox, "after", LONG).await;
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    loop {
        let entries = fetch(&outbox, &leases, 7).await;
        if entries.is_empty() {
            break;
        }
        settle(&outbox, &leases, &entries).await;
        for entry in entries {
            told.entry(entry.partition().to_owned())
                .or_default()
                .push(entry.to_event().id().to_owned());
        }
    }
    assert_eq!(told.values().map(Vec::len).sum::<usize>(), 48);
    for (customer, told) in told {
        assert!(
            told.is_sorted(),
            "old before young, each in order, of {customer}: {told:?}"
        );
    }
    fixture.close().await;
}
