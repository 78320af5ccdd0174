//! Customer ids, idempotency keys and attributes are in no log, span, metric label, error text or `Debug`.
//!
//! Every case is watched for it; these make sure that there is something to see.

use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::store::{HistoryQuery, RecordBatch, ScanQuery, SummaryQuery};
use kaireon_core::{ErrorKind, InteractionId, OfferId};

use crate::StoreFixture;
use crate::outbox::{drain, host_event};
use crate::world::{Built, World, noon};

/// Every operation runs on marked data; whoever watches the case finds nothing of it.
pub async fn no_operation_logs_or_measures_personal_data(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let event = world
        .event("anna")
        .attributes(serde_json::json!({ world.mark("name"): world.mark("value") }))
        .built();
    world.record(&event).await;
    world.store.record_event(event.clone()).await.unwrap();
    let wrong = event
        .edited(|fields| fields.offer = OfferId::new("other").unwrap())
        .unwrap();
    let outcome = world
        .store
        .record_events(RecordBatch::live([wrong, world.event("bert").built()]))
        .await
        .unwrap();
    assert!(
        !format!("{outcome:?}").contains(&world.mark("")),
        "an outcome tells personal data"
    );
    world.summaries("anna").await;
    if world.can.history {
        world.history("anna").await;
    }
    if world.can.scan {
        world.scan(&world.tenant, 1).await;
    }
    if world.can.decisions {
        let decision = world.decision("r", "anna", 1);
        world.store.record_decision(decision.clone()).await.unwrap();
        world.store.decision(&world.tenant, &decision.id).await.unwrap();
    }
    if world.can.outbox {
        let outbox = world.outbox();
        outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
        world.record(&world.event("anna").built()).await;
        outbox
            .append(vec![host_event(&world, Some("anna"), "host")])
            .await
            .unwrap();
        drain(&outbox, Lane::Publish, "relay").await;
    }
    if world.can.erasure {
        world.erase("anna", "ticket-1").await;
    }
    if world.can.purge {
        world.purge(noon(1)).await;
    }
    let shown = format!("{:?} {:?}", world.store, world.store.outbox());
    assert!(
        !shown.contains(&world.mark("")),
        "a store's Debug tells personal data"
    );
    world.store.disconnect().await.unwrap();
}

/// Errors of every kind that a caller can make happen say what was wrong, not whose it was.
pub async fn no_error_tells_personal_data(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let event = world
        .event("anna")
        .attributes(serde_json::json!({ "mail": world.mark("mail") }))
        .built();
    world.record(&event).await;
    let wrong = event.edited(|fields| {
        fields.id = InteractionId::new(world.mark("id")).unwrap();
        fields.offer = OfferId::new("other").unwrap();
    });
    world.refused(
        world.store.record_event(wrong.unwrap()).await,
        ErrorKind::Conflict,
    );
    if world.can.history {
        let query = HistoryQuery {
            limit: 0,
            ..world.history_query("anna")
        };
        world.refused(world.store.history(query).await, ErrorKind::InvalidInput);
    }
    if world.can.scan {
        let cursor = kaireon_core::store::ScanCursor::new(world.mark("cursor"));
        let query = ScanQuery {
            cursor: Some(cursor),
            ..ScanQuery::new(world.tenant.clone())
        };
        world.refused(world.store.scan(query).await, ErrorKind::InvalidInput);
    }
    if world.can.purge {
        world.purge(noon(0)).await;
        let early = world.event("anna").timestamp(noon(-1)).built();
        world.refused(world.store.record_event(early).await, ErrorKind::InvalidInput);
    }
    world.store.disconnect().await.unwrap();
    let query = SummaryQuery::new(world.tenant.clone(), world.customer("anna"));
    world.refused(world.store.get_summaries(query).await, ErrorKind::Unavailable);
    world.refused(
        world.store.record_event(world.event("anna").built()).await,
        ErrorKind::Unavailable,
    );
}
