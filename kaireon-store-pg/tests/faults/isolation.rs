//! Databases whose transactions are by default under another isolation than the store's.

use kaireon_core::outbox::Lane;
use kaireon_core::relay::{Relay, RelayConfig};
use kaireon_core::store::{Epoch, Erasure, ErasureId, FenceRequest};
use kaireon_core::{CustomerId, InteractionStore, TenantId};
use kaireon_store_pg::PgStore;

use crate::place::{LONG, Notes, Place, answer, event, server, until};

/// Under a snapshot of the whole transaction, whoever waited for a lock fails with a serialization failure as soon as
/// the row was changed meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_database_that_is_serializable_by_default_fails_nobody_and_records_once() {
    const TASKS: usize = 12;
    let server = server(&[]).await;
    let place = Place::on(server.url()).await;
    let mut events = Vec::new();
    let notes = Notes::default();
    for level in ["repeatable read", "serializable"] {
        let default = format!("ALTER DATABASE postgres SET default_transaction_isolation = '{level}'");
        place.run(&default).await;
        // Two processes, in effect.
        let mut stores = Vec::new();
        for _ in 0..2 {
            let mut config = place.config();
            config.options.writers = 2;
            stores.push(PgStore::connect(config).await.unwrap());
        }
        let relays: Vec<_> = stores
            .iter()
            .map(|store| {
                let config = RelayConfig::new(Lane::Publish);
                Relay::spawn(store.outbox().unwrap(), notes.clone(), config)
            })
            .collect();
        let writers: Vec<_> = (0..TASKS)
            .map(|task| {
                let store = stores[task % 2].clone();
                // All of them for the same few customers.
                let name = |n: usize| (format!("c{}", (task + n) % 4), format!("{level}-{task}-{n}"));
                let events = (0..25).map(name).map(|(customer, key)| event(&customer, &key));
                let events: Vec<_> = events.collect();
                tokio::spawn(async move {
                    for event in &events {
                        let recorded = store.record_event(event.clone()).await.unwrap();
                        assert_eq!(recorded, answer(event, false));
                    }
                    events
                })
            })
            .collect();
        let tenant = TenantId::new("t").unwrap();
        for n in 0..10 {
            let request = FenceRequest {
                tenant: tenant.clone(),
                epoch: Epoch::ZERO,
                lanes: None,
            };
            stores[n % 2].raise_fence(request).await.unwrap();
            let erasure = Erasure {
                tenant: tenant.clone(),
                customer: CustomerId::new("nobody").unwrap(),
                id: ErasureId::new(format!("{level}-{n}")).unwrap(),
            };
            stores[n % 2].erase_customer(erasure).await.unwrap();
        }
        for writer in writers {
            events.extend(writer.await.unwrap());
        }
        // A relay that drains has no eye on the ranges of others, which may be between two of them.
        until("the relays' delivery", async || place.rows().await.1 == 0).await;
        for relay in relays {
            relay.drain(LONG).await.unwrap();
        }
        for store in stores {
            store.disconnect().await.unwrap();
        }
    }
    notes.assert_delivered(&events);
    place.assert_exactly(&events, true).await;
}
