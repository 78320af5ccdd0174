//! A real streaming replica: before it is promoted, and after.

use std::time::Duration;

use kaireon_core::outbox::Lane;
use kaireon_core::relay::{Relay, RelayConfig};
use kaireon_core::store::{
    Epoch, Erasure, ErasureId, FenceRequest, FenceState, HistoryQuery, Purge, RecordBatch, SummaryQuery,
};
use kaireon_core::{Effect, Error, ErrorKind, InteractionStore, TenantId};
use kaireon_store_pg::PgStore;
use kaireon_testkit::proxy::{PostgresFraming, Proxy};
use kaireon_testkit::server::{PostgresServer, Shutdown};
use sqlx::Connection;

use crate::kill::Load;
use crate::place::{LONG, Notes, Place, answer, event, facts, insist, server, until};

fn tenant() -> TenantId {
    TenantId::new("t").unwrap()
}

/// Waits until a replica shows what its primary has committed.
async fn caught_up(primary: &Place, standby: &Place) {
    until("the replica's catching up", async || {
        let count = "SELECT count(*) FROM {s}.outbox";
        standby.number(count).await == primary.number(count).await
    })
    .await;
}

async fn promote(standby: &Place) {
    let promoted = standby
        .number("SELECT pg_promote(true, 120)::integer::bigint")
        .await;
    assert_eq!(promoted, 1);
}

fn relay(store: &PgStore, notes: &Notes) -> Relay {
    let config = RelayConfig {
        lease_ttl: Duration::from_secs(2),
        ..RelayConfig::new(Lane::Publish)
    };
    Relay::spawn(store.outbox().unwrap(), notes.clone(), config)
}

fn assert_read_only(what: &str, error: &Error) {
    let told = (ErrorKind::Unavailable, Effect::NotApplied, true);
    assert_eq!(facts(error), told, "{what}: {error:?}");
}

/// Asks every operation that writes.
async fn assert_writes_are_refused(store: &PgStore, place: &Place) {
    let known = event("anna", "refused");
    assert_read_only("record", &store.record_event(known.clone()).await.unwrap_err());
    let new_tenant = known.edited(|fields| fields.tenant = TenantId::new("u").unwrap());
    let new_tenant = store.record_event(new_tenant.unwrap()).await;
    assert_read_only("record for a new tenant", &new_tenant.unwrap_err());
    let batch = (0..5).map(|n| event(&format!("c{n}"), &format!("refused-{n}")));
    let told = store.record_events(RecordBatch::live(batch)).await.unwrap();
    for told in told.into_results() {
        assert_read_only("batch", &told.unwrap_err());
    }
    let mut host = place.connection().await;
    let mut transaction = host.begin().await.unwrap();
    let told = store
        .record_in(&mut transaction, RecordBatch::live([known.clone()]))
        .await;
    assert_read_only("record_in", &told.unwrap_err());
    transaction.rollback().await.unwrap();
    let erasure = Erasure {
        tenant: tenant(),
        customer: known.customer.clone(),
        id: ErasureId::new("ticket").unwrap(),
    };
    assert_read_only("erase", &store.erase_customer(erasure).await.unwrap_err());
    let purge = Purge {
        tenant: tenant(),
        before: known.timestamp - chrono::TimeDelta::days(400),
    };
    assert_read_only("purge", &store.purge_before(purge).await.unwrap_err());
    let fence = FenceRequest {
        tenant: tenant(),
        epoch: Epoch(1),
        lanes: None,
    };
    assert_read_only("fence", &store.raise_fence(fence).await.unwrap_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_store_on_a_replica_reads_and_its_writers_and_relay_wait_for_the_promotion() {
    let mut primary = server(&[]).await;
    let place = Place::on(primary.url()).await;
    let store = PgStore::connect(place.config()).await.unwrap();
    let mut events = Vec::new();
    for n in 0..20 {
        let event = event("anna", &format!("{n}"));
        insist(&store, &event).await;
        events.push(event);
    }
    store.disconnect().await.unwrap();
    let standby = primary.standby("twin", &[]).await.unwrap();
    let there = place.moved(standby.url());
    caught_up(&place, &there).await;
    let store = PgStore::connect(there.config()).await.unwrap();
    let query = HistoryQuery::new(tenant(), events[0].customer.clone());
    assert_eq!(store.history(query).await.unwrap().items.len(), 20);
    let query = SummaryQuery::new(tenant(), events[0].customer.clone());
    assert!(!store.get_summaries(query).await.unwrap().is_empty());
    assert_writes_are_refused(&store, &there).await;
    let notes = Notes::default();
    let relay = relay(&store, &notes);
    let load = Load::of(8, &store);
    primary.stop(Shutdown::Kill).await.unwrap();
    promote(&there).await;
    load.progress(50).await;
    let (recorded, tries) = load.stop().await;
    assert_eq!(tries.unknown, 0, "{tries:?}");
    events.extend(recorded);
    relay.drain(LONG).await.unwrap();
    notes.assert_in_order(&events);
    store.disconnect().await.unwrap();
    there.assert_exactly(&events, true).await;
}

/// A primary with a synchronous replica, a proxy that leads to the primary, and a schema there.
async fn pair(synchronous: bool) -> (PostgresServer, PostgresServer, Proxy, Place) {
    let primary = server(&[]).await;
    let place = Place::on(primary.url()).await;
    let standby = primary.standby("twin", &[]).await.unwrap();
    if synchronous {
        // By itself, because it is no statement for a transaction.
        place
            .run("ALTER SYSTEM SET synchronous_standby_names = 'twin'")
            .await;
        place.run("SELECT pg_reload_conf()").await;
        until("synchronous replication", async || {
            let synchronous = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
            place.number(synchronous).await == 1
        })
        .await;
    }
    let proxy = Proxy::start::<PostgresFraming>(primary.address()).await.unwrap();
    (primary, standby, proxy, place)
}

async fn fence(store: &PgStore) -> FenceState {
    store.fence(&tenant()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_fail_over_to_a_synchronous_replica_loses_nothing_and_the_hosts_go_on() {
    let (mut primary, standby, proxy, place) = pair(true).await;
    let there = place.moved(standby.url());
    let store = PgStore::connect(place.through(&proxy)).await.unwrap();
    let relaying = PgStore::connect(place.through(&proxy)).await.unwrap();
    let notes = Notes::default();
    let relay = relay(&relaying, &notes);
    let load = Load::of(32, &store);
    load.progress(300).await;
    let before = fence(&store).await;
    primary.stop(Shutdown::Kill).await.unwrap();
    // The address leads to the replica before that takes writes.
    proxy.redirect(standby.address());
    until("a refusal by the replica", async || {
        let told = store.record_event(event("other", "other")).await;
        told.is_err_and(|error| error.context().contains("read-only"))
    })
    .await;
    promote(&there).await;
    load.progress(200).await;
    let (mut events, tries) = load.stop().await;
    println!("{} records, {tries:?}", events.len());
    let other = event("other", "other");
    insist(&store, &other).await;
    events.push(other);
    let after = fence(&store).await;
    assert_ne!(after.incarnation, before.incarnation, "a fail-over is noticed");
    assert_eq!(fence(&relaying).await.incarnation, after.incarnation);
    relay.drain(LONG).await.unwrap();
    notes.assert_in_order(&events);
    store.disconnect().await.unwrap();
    relaying.disconnect().await.unwrap();
    there.assert_exactly(&events, true).await;
}

/// The replica has not what was committed last. That is lost, which nobody can help, but it is noticed, and what comes
/// after is recorded and delivered, although numbers of transactions and positions are given out a second time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_fail_over_to_a_replica_that_lags_is_noticed_and_what_comes_after_is_exact() {
    let (mut primary, mut standby, proxy, place) = pair(false).await;
    let there = place.moved(standby.url());
    let store = PgStore::connect(place.through(&proxy)).await.unwrap();
    let relaying = PgStore::connect(place.through(&proxy)).await.unwrap();
    let notes = Notes::default();
    let relay = relay(&relaying, &notes);
    let mut events = Vec::new();
    for n in 0..20 {
        let event = event(&format!("c{}", n % 4), &format!("{n}"));
        insist(&store, &event).await;
        events.push(event);
    }
    until("the relay's delivery", async || place.rows().await.1 == 0).await;
    caught_up(&place, &there).await;
    until("the replica's catching up", async || {
        there.rows().await == (20, 0)
    })
    .await;
    standby.stop(Shutdown::Fast).await.unwrap();
    let known = fence(&store).await;
    let mut lost = Vec::new();
    for n in 0..200 {
        let event = event(&format!("c{}", n % 4), &format!("lost-{n}"));
        insist(&store, &event).await;
        lost.push(event);
    }
    until("the relay's delivery", async || place.rows().await.1 == 0).await;
    let before = fence(&store).await;
    assert_eq!(before.incarnation, known.incarnation);
    assert!(before.sequence > known.sequence);
    primary.stop(Shutdown::Kill).await.unwrap();
    standby.restart().await.unwrap();
    promote(&there).await;
    proxy.redirect(standby.address());
    // The first of these is one of the lost, which its host tries again.
    for (n, again) in lost.iter().take(40).enumerate() {
        assert_eq!(insist(&store, again).await.duplicates, 0, "it was lost");
        events.push(again.clone());
        let event = event(&format!("c{}", n % 4), &format!("after-{n}"));
        insist(&store, &event).await;
        events.push(event);
    }
    let after = fence(&store).await;
    assert_ne!(after.incarnation, before.incarnation, "a fail-over is noticed");
    relay.drain(LONG).await.unwrap();
    notes.assert_delivered(&events);
    store.disconnect().await.unwrap();
    relaying.disconnect().await.unwrap();
    there.assert_exactly(&events, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn connections_that_lead_to_a_replica_are_given_up_when_the_address_leads_to_the_primary() {
    let (primary, standby, proxy, place) = pair(false).await;
    let there = place.moved(standby.url());
    // What a store is made with is written when it is first opened.
    let first = event("anna", "first");
    let maker = PgStore::connect(place.config()).await.unwrap();
    insist(&maker, &first).await;
    maker.disconnect().await.unwrap();
    until("the replica's catching up", async || {
        there.number("SELECT count(*) FROM pg_class WHERE relname = 'outbox' AND relnamespace = '{s}'::regnamespace").await == 1
            && there.rows().await == (1, 1)
    })
    .await;
    proxy.redirect(standby.address());
    let store = PgStore::connect(place.through(&proxy)).await.unwrap();
    let second = event("anna", "second");
    for _ in 0..4 {
        assert_read_only("record", &store.record_event(second.clone()).await.unwrap_err());
    }
    proxy.redirect(primary.address());
    let recorded = store.record_event(second.clone()).await.unwrap();
    assert_eq!(recorded, answer(&second, false));
    store.disconnect().await.unwrap();
    place.assert_exactly(&[first, second], false).await;
}
