//! A server whose disk is full: that of its tables, and that of its log.

use std::time::Duration;

use kaireon_core::outbox::Lane;
use kaireon_core::relay::{Relay, RelayConfig};
use kaireon_core::store::{HistoryQuery, RecordBatch};
use kaireon_core::{Attributes, Effect, ErrorKind, Interaction, InteractionStore};
use kaireon_store_pg::PgStore;
use kaireon_testkit::server::{Disk, OnDisk};

use crate::kill::Load;
use crate::place::{LONG, Notes, Place, answer, event, facts, insist, server_on};

/// An event that takes much of the disk: its attributes cannot be compressed.
fn large(customer: &str, key: &str) -> Interaction {
    let mut state = key
        .bytes()
        .fold(7_u64, |state, byte| state.wrapping_mul(31) + u64::from(byte));
    let noise: String = (0..60_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'0' + u8::try_from(state >> 58).unwrap())
        })
        .collect();
    let attributes = serde_json::json!({ "noise": noise });
    let edited = event(customer, key).edited(|fields| {
        fields.attributes = Attributes::from_value(attributes).unwrap();
    });
    edited.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root: mounts a small disk under a server"]
async fn a_full_disk_is_told_as_one_and_when_room_returns_every_record_is_there_once() {
    let disk = Disk::of_mebibytes(96).await.unwrap();
    let server = server_on(&disk, OnDisk::Data, &[]).await;
    let place = Place::on(server.url()).await;
    let store = PgStore::connect(place.config()).await.unwrap();
    let relaying = PgStore::connect(place.config()).await.unwrap();
    let notes = Notes::default();
    let relay = Relay::spawn(
        relaying.outbox().unwrap(),
        notes.clone(),
        RelayConfig::new(Lane::Publish),
    );
    let mut events = Vec::new();
    for round in 0..3 {
        for n in 0..8 {
            let event = large("anna", &format!("{round}-before-{n}"));
            assert!(store.record_event(event.clone()).await.unwrap().is_new());
            events.push(event);
        }
        let ballast = disk.fill().unwrap();
        // What still finds room in blocks that are there is recorded.
        let mut refused = Vec::new();
        for n in 0.. {
            assert!(n < 500, "the disk does not get full");
            let event = large("anna", &format!("{round}-full-{n}"));
            match store.record_event(event.clone()).await {
                Ok(recorded) => {
                    assert!(recorded.is_new());
                    events.push(event);
                }
                Err(error) => {
                    let told = (ErrorKind::StorageFull, Effect::NotApplied, true);
                    assert_eq!(facts(&error), told, "{error:?}");
                    assert!(error.retry_after().is_some());
                    refused.push(event);
                }
            }
            if refused.len() == 10 {
                break;
            }
        }
        let batch: Vec<_> = (0..20)
            .map(|n| large(&format!("b{n}"), &format!("{round}-batch-{n}")))
            .collect();
        let told = store
            .record_events(RecordBatch::live(batch.clone()))
            .await
            .unwrap();
        for told in told.into_results() {
            let told = facts(&told.unwrap_err());
            assert_eq!(told, (ErrorKind::StorageFull, Effect::NotApplied, true));
        }
        // What is there can be read.
        let query = HistoryQuery {
            limit: 1_000,
            ..HistoryQuery::new(events[0].tenant.clone(), events[0].customer.clone())
        };
        assert_eq!(store.history(query).await.unwrap().items.len(), of_anna(&events));
        ballast.throw_off().unwrap();
        for event in refused.into_iter().chain(batch) {
            let again = store.record_event(event.clone()).await.unwrap();
            assert_eq!(again, answer(&event, false));
            events.push(event);
        }
    }
    relay.drain(LONG).await.unwrap();
    notes.assert_in_order(&events);
    store.disconnect().await.unwrap();
    relaying.disconnect().await.unwrap();
    place.assert_exactly(&events, true).await;
}

fn of_anna(events: &[Interaction]) -> usize {
    let of_anna = events.iter().filter(|event| event.customer.as_str() == "anna");
    of_anna.count()
}

/// PostgreSQL stops when it cannot extend its log: the writers' connections end, at their commit or before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root: mounts a small disk under a server"]
async fn a_full_log_stops_the_server_and_when_room_returns_every_record_is_there_once() {
    let disk = Disk::of_mebibytes(24).await.unwrap();
    let settings = [("min_wal_size", "2MB"), ("max_wal_size", "8MB")];
    let mut server = server_on(&disk, OnDisk::Log, &settings).await;
    let place = Place::on(server.url()).await;
    let store = PgStore::connect(place.config()).await.unwrap();
    let relaying = PgStore::connect(place.config()).await.unwrap();
    let notes = Notes::default();
    let config = RelayConfig {
        lease_ttl: Duration::from_secs(2),
        ..RelayConfig::new(Lane::Publish)
    };
    let relay = Relay::spawn(relaying.outbox().unwrap(), notes.clone(), config);
    let load = Load::of(16, &store);
    let mut large_ones = Vec::new();
    for round in 0..2 {
        load.progress(100).await;
        let ballast = disk.fill().unwrap();
        // Segments that are there already are filled first.
        let stopped = async {
            for n in 0.. {
                let event = large("large", &format!("large-{round}-{n}"));
                match store.record_event(event.clone()).await {
                    Ok(recorded) => {
                        assert!(recorded.is_new());
                        large_ones.push(event);
                    }
                    Err(error) => return (event, error),
                }
            }
            unreachable!("the log does not get full")
        };
        let (event, error) = tokio::time::timeout(LONG, stopped).await.unwrap();
        let kinds = [ErrorKind::StorageFull, ErrorKind::Unavailable];
        assert!(kinds.contains(&error.kind()) && error.is_transient(), "{error:?}");
        println!("told {} {:?}", error.kind(), error.effect());
        ballast.throw_off().unwrap();
        // It began anew by itself, or gave up for want of room.
        server.restart().await.unwrap();
        let again = crate::place::insist_after_doubt(&store, &event).await;
        assert!(
            again.is_new() || error.effect() == Effect::Unknown,
            "what was not applied is new"
        );
        large_ones.push(event);
        let event = large("large", &format!("large-{round}-after"));
        insist(&store, &event).await;
        large_ones.push(event);
    }
    load.progress(100).await;
    let (mut events, tries) = load.stop().await;
    println!("{} records, {tries:?}", events.len());
    events.extend(large_ones);
    relay.drain(LONG).await.unwrap();
    notes.assert_in_order(&events);
    store.disconnect().await.unwrap();
    relaying.disconnect().await.unwrap();
    place.assert_exactly(&events, true).await;
}
