//! A whole tenant, once, in the store's own order, resumable.

use std::collections::BTreeSet;
use std::sync::Arc;

use kaireon_core::store::{Generation, MAX_PAGE, ScanCursor, ScanQuery};
use kaireon_core::{ErrorKind, Interaction, TenantId};

use crate::StoreFixture;
use crate::world::{Built, Need, World, noon, together};

async fn some_customers(world: &World<'_>) -> Vec<Interaction> {
    let event = |n: i64| {
        world
            .event(&format!("customer-{}", n % 13))
            .timestamp(noon(n * 50_000_000 % 7_000_000_000))
            .built()
    };
    let events: Vec<_> = (0..90).map(event).collect();
    world.record_all(&events).await;
    events
}

fn keys<'a>(events: impl IntoIterator<Item = &'a Interaction>) -> Vec<String> {
    let mut keys: Vec<_> = events
        .into_iter()
        .map(|event| event.idempotency_key.to_string())
        .collect();
    keys.sort();
    keys
}

/// Every interaction of the tenant exactly once, at any page size, as it was recorded.
pub async fn scan_returns_a_whole_tenant_exactly_once(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Scan]).await {
        return;
    }
    let events = some_customers(&world).await;
    let neighbour = TenantId::new(format!("{}-2", world.tenant)).unwrap();
    world
        .record(&world.event_of(&neighbour, "customer-1").built())
        .await;
    for limit in [1, 7, 90, 1_000] {
        let found = world.scan(&world.tenant, limit).await;
        assert!(found.iter().all(|found| found.generation == Generation::ZERO));
        assert_eq!(
            keys(found.iter().map(|found| &found.value)),
            keys(&events),
            "pages of {limit}"
        );
        for found in found {
            assert!(events.contains(&found.value), "a scanned row is the recorded one");
        }
    }
    assert_eq!(
        world
            .scan(&TenantId::new(format!("{}-3", world.tenant)).unwrap(), 10)
            .await,
        []
    );
}

/// A scan goes on from its cursor's text through another handle.
pub async fn scan_is_resumed_through_another_handle(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Scan]).await {
        return;
    }
    let events = some_customers(&world).await;
    let query = ScanQuery {
        limit: 40,
        ..ScanQuery::new(world.tenant.clone())
    };
    let first = world.store.scan(query.clone()).await.unwrap();
    let cursor = ScanCursor::new(first.next.expect("there is more").as_str());
    let other = world.second_handle().await;
    let rest = ScanQuery {
        cursor: Some(cursor),
        limit: 1_000,
        ..query
    };
    let second = other.scan(rest).await.unwrap();
    assert!(second.next.is_none());
    let found = first.items.iter().chain(&second.items).map(|found| &found.value);
    assert_eq!(keys(found), keys(&events));
}

/// What existed before a scan is in it exactly once, whatever is written meanwhile.
pub async fn scan_is_complete_while_others_write(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Scan]).await {
        return;
    }
    let events = some_customers(&world).await;
    let writer = |task: i64| {
        let store = Arc::clone(&world.store);
        let more: Vec<_> = (0..25)
            .map(|n| {
                world
                    .event(&format!("customer-{}", n % 17))
                    .timestamp(noon(task * 999 + n))
                    .built()
            })
            .collect();
        async move {
            for event in more {
                store.record_event(event).await.unwrap();
            }
        }
    };
    let writers = together((0..4).map(writer));
    let scanned = world.scan(&world.tenant, 5);
    let (_, found) = tokio::join!(writers, scanned);
    let found = keys(found.iter().map(|found| &found.value));
    let unique: BTreeSet<_> = found.iter().collect();
    assert_eq!(unique.len(), found.len(), "nothing comes twice");
    assert!(
        keys(&events).iter().all(|key| unique.contains(key)),
        "nothing that existed is missed"
    );
    assert_eq!(world.scan(&world.tenant, 1_000).await.len(), 90 + 100);
}

/// A cursor of something else is refused.
pub async fn scan_refuses_a_foreign_cursor(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Scan]).await {
        return;
    }
    some_customers(&world).await;
    for foreign in [
        "",
        "x",
        "h1.1715774400000.0000000000000000.a",
        "größe ☃",
        "../../etc",
        "%%%",
    ] {
        let query = || ScanQuery {
            cursor: Some(ScanCursor::new(foreign)),
            ..ScanQuery::new(world.tenant.clone())
        };
        let error = world.refused(world.store.scan(query()).await, ErrorKind::InvalidInput);
        assert_eq!(error.field(), Some("cursor"), "{foreign:?}");
        if world.can.decisions {
            let error = world.refused(world.store.scan_decisions(query()).await, ErrorKind::InvalidInput);
            assert_eq!(error.field(), Some("cursor"), "{foreign:?}");
        }
    }
}

/// A limit is from 1 to 1,000.
pub async fn scan_limits_are_from_1_to_1000(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Scan]).await {
        return;
    }
    for limit in [0, MAX_PAGE + 1] {
        let query = || ScanQuery {
            limit,
            ..ScanQuery::new(world.tenant.clone())
        };
        let error = world.refused(world.store.scan(query()).await, ErrorKind::InvalidInput);
        assert_eq!(error.field(), Some("limit"));
        if world.can.decisions {
            let error = world.refused(world.store.scan_decisions(query()).await, ErrorKind::InvalidInput);
            assert_eq!(error.field(), Some("limit"));
        }
    }
}
