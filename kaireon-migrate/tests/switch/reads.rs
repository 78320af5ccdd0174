//! Which store answers, and how old what it answers may be.

use std::time::Duration;

use kaireon_core::ErrorKind;
use kaireon_core::InteractionStore;
use kaireon_core::store::{HistoryQuery, ScanQuery};
use kaireon_migrate::{DualWrite, Step, SwitchConfig};

use super::{KEY, World, event, tenant};

async fn newest(store: &dyn InteractionStore) -> usize {
    let query = HistoryQuery::new(tenant(), kaireon_core::CustomerId::new("anna").unwrap());
    store.history(query).await.unwrap().items.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_follow_a_move_and_never_go_back_in_time() {
    let world = World::new();
    let (process, reader) = (world.process(), world.process());
    let relays = process.replicate();
    process.start(&world, DualWrite::Async).await;
    process.make_ready(&world).await;
    let (writer, stop) = (process.switch.clone(), tokio::sync::watch::channel(false));
    let written = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let writing = tokio::spawn({
        let (written, stop) = (std::sync::Arc::clone(&written), stop.1.clone());
        async move {
            let mut number = 0;
            while !*stop.borrow() {
                writer.record_event(event("anna", number)).await.unwrap();
                number += 1;
                written.store(number, std::sync::atomic::Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    });
    let reading = tokio::spawn({
        let (switch, stop) = (reader.switch.clone(), stop.1.clone());
        async move {
            let mut reads = 0;
            while !*stop.borrow() {
                let before = written.load(std::sync::atomic::Ordering::SeqCst).min(50);
                let found = newest(&switch).await as u64;
                assert!(
                    found.min(50) >= before,
                    "{found} were read after {before} were acknowledged"
                );
                reads += 1;
                tokio::task::yield_now().await;
            }
            reads
        }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let cut_over = process.ask(Step::CutOver, &world);
    process.migrator.change(&tenant(), &cut_over).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let back = process.ask(Step::RollBack, &world);
    process.migrator.change(&tenant(), &back).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.0.send_replace(true);
    writing.await.unwrap();
    assert!(reading.await.unwrap() > 0);
    drop(relays);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_does_not_go_on_where_its_tenant_was_moved() {
    let world = World::new();
    let process = world.process_with(SwitchConfig::new(KEY));
    let relays = process.replicate();
    for number in 0..4 {
        process.switch.record_event(event("anna", number)).await.unwrap();
    }
    let query = ScanQuery {
        limit: 2,
        ..ScanQuery::new(tenant())
    };
    let first = process.switch.scan(query.clone()).await.unwrap();
    assert_eq!(first.items.len(), 2);
    let next = ScanQuery {
        cursor: first.next,
        ..query.clone()
    };
    assert_eq!(process.switch.scan(next.clone()).await.unwrap().items.len(), 2);
    process.start(&world, DualWrite::Async).await;
    process.make_ready(&world).await;
    let cut_over = process.ask(Step::CutOver, &world);
    process.migrator.change(&tenant(), &cut_over).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let error = process.switch.scan(next).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::InvalidInput, Some("cursor"))
    );
    let all = ScanQuery::new(tenant());
    assert_eq!(
        process.switch.scan(all).await.unwrap().items.len(),
        4,
        "it begins again"
    );
    drop(relays);
}
