//! Writers that are stopped at a put, lose their leases or are overtaken by an erasure or a scan, and then come back.

use std::sync::Arc;
use std::time::Duration;

use crate::support::dying::{counted_in, shared, texts};
use crate::support::gate::Gate;
use crate::support::{archive, customer_name, each_once, interaction, store, tenant};
use kaireon_archive::{Archive, ExportConfig, Exported, Exporter};
use kaireon_core::outbox::Lane;
use kaireon_core::store::{Erasure, ErasureId};
use kaireon_core::{CustomerId, InteractionStore, Result};
use object_store::memory::InMemory;
use tokio::task::JoinHandle;

const RECORDS: u64 = 30;

/// The puts of a round, in their order: the plan, a filter, a batch, a manifest.
const PUTS: [&str; 4] = [
    "_plans/",
    "_customers/",
    "interaction_history/year",
    "_manifests/",
];

fn exporter(archive: Archive, store: &Arc<dyn InteractionStore>, ttl: Duration) -> Exporter {
    let config = ExportConfig {
        lease_ttl: ttl,
        min_pause: Duration::ZERO,
        ..ExportConfig::new("main")
    };
    Exporter::new(archive, Arc::clone(store), config).unwrap()
}

async fn filled() -> Arc<dyn InteractionStore> {
    let store = store().await;
    for number in 0..RECORDS {
        store.record_event(interaction("acme", number)).await.unwrap();
    }
    store
}

/// An exporter that stands before a put.
async fn stopped(
    store: &Arc<dyn InteractionStore>,
    inner: &Arc<InMemory>,
    part: &str,
    ttl: Duration,
) -> (Arc<Gate>, JoinHandle<Result<Exported>>) {
    let gate = Gate::before(inner, part);
    let late = exporter(archive(shared(&gate)).await, store, ttl);
    let stands = Arc::clone(&gate);
    let task = tokio::spawn(async move {
        loop {
            let exported = late.export_once().await;
            // On a machine that is busy with other things its leases may be over before it is at the put.
            if stands.was_met() {
                return exported;
            }
        }
    });
    gate.arrived().await;
    (gate, task)
}

/// Exports until nothing waits: whoever holds leases and stands still loses them with time.
async fn finish(exporter: &Exporter, store: &Arc<dyn InteractionStore>) {
    let outbox = store.outbox().unwrap();
    while outbox.status(Lane::Archive).await.unwrap().backlog > 0 {
        let _ = exporter.export_once().await;
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_exporter_that_lost_its_leases_writes_nothing_twice_when_it_comes_back() {
    for part in PUTS {
        let (store, inner) = (filled().await, Arc::new(InMemory::new()));
        let (gate, task) = stopped(&store, &inner, part, Duration::from_millis(50)).await;
        let place = shared(&inner);
        let next = exporter(archive(place).await, &store, Duration::from_millis(300));
        finish(&next, &store).await;
        let counts = counted_in(&inner, "interaction_history", "idempotency_key").await;
        each_once(&counts, "key-", 0..RECORDS);
        gate.open();
        let _ = task.await.unwrap();
        let counts = counted_in(&inner, "interaction_history", "idempotency_key").await;
        each_once(&counts, "key-", 0..RECORDS);
        // What it left open is settled by the next pass.
        next.export_once().await.unwrap();
        let counts = counted_in(&inner, "interaction_history", "idempotency_key").await;
        each_once(&counts, "key-", 0..RECORDS);
    }
}

#[tokio::test]
async fn an_exporter_that_an_erasure_overtook_brings_nobody_back() {
    let request = Erasure {
        tenant: tenant("acme"),
        customer: CustomerId::new(customer_name(3)).unwrap(),
        id: ErasureId::new("ticket").unwrap(),
    };
    let others = || (0..RECORDS).filter(|number| number % 10 != 3);
    for part in PUTS {
        let (store, inner) = (filled().await, Arc::new(InMemory::new()));
        let (gate, task) = stopped(&store, &inner, part, Duration::from_millis(50)).await;
        let receipt = store.erase_customer(request.clone()).await.unwrap();
        let place = archive(shared(&inner)).await;
        place.erase(&request, receipt.generation).await.unwrap();
        gate.open();
        let _ = task.await.unwrap();
        for (path, text) in texts(&inner).await {
            assert!(!text.contains(&customer_name(3)), "{path}, stopped at {part}");
        }
        let next = exporter(place, &store, Duration::from_millis(300));
        finish(&next, &store).await;
        for (path, text) in texts(&inner).await {
            assert!(!text.contains(&customer_name(3)), "{path}, stopped at {part}");
        }
        let counts = counted_in(&inner, "interaction_history", "idempotency_key").await;
        each_once(&counts, "key-", others());
    }
}

#[tokio::test]
async fn an_exporter_that_a_scan_overtook_writes_nothing_twice() {
    let acme = tenant("acme");
    for part in PUTS {
        let (store, inner) = (filled().await, Arc::new(InMemory::new()));
        let (gate, task) = stopped(&store, &inner, part, Duration::from_millis(50)).await;
        let place = archive(shared(&inner)).await;
        let next = exporter(place, &store, Duration::from_millis(300));
        let scan = next.scan(&acme).await.unwrap();
        assert!(scan.ended.is_some());
        gate.open();
        let _ = task.await.unwrap();
        finish(&next, &store).await;
        let counts = counted_in(&inner, "interaction_history", "idempotency_key").await;
        each_once(&counts, "key-", 0..RECORDS);
    }
}
