//! Retention: rows before the watermark are invisible at once, and nothing new lies before it.

use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::store::{Accepted, Generation, HistoryCursor, HistoryQuery, Origin, RecordBatch, Recorded};
use kaireon_core::time::{Timestamp, from_millis};
use kaireon_core::{ErrorKind, Interaction};

use crate::StoreFixture;
use crate::outbox::{drain, ids};
use crate::world::{Built, Need, World, fold, newest_first, noon};

const DAY: i64 = 86_400_000;

async fn ten_days(world: &World<'_>) -> Vec<Interaction> {
    let events: Vec<_> = (0..10)
        .map(|n| {
            world
                .event(&format!("c{}", n % 2))
                .timestamp(noon(n * DAY))
                .built()
        })
        .collect();
    world.record_all(&events).await;
    events
}

fn of(events: &[Interaction], customer: &str, world: &World<'_>) -> Vec<Interaction> {
    events
        .iter()
        .filter(|event| event.customer == world.customer(customer))
        .cloned()
        .collect()
}

/// Rows before the watermark are in no history and no scan; the row at it stays.
pub async fn purged_rows_are_invisible_at_once(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Purge]).await {
        return;
    }
    let events = ten_days(&world).await;
    let receipt = world.purge(noon(4 * DAY)).await;
    assert_eq!((receipt.watermark, receipt.interactions), (noon(4 * DAY), 4));
    let kept: Vec<_> = events
        .iter()
        .filter(|event| event.timestamp >= noon(4 * DAY))
        .cloned()
        .collect();
    assert_eq!(kept.len(), 6);
    for customer in ["c0", "c1"] {
        assert_eq!(
            world.summaries(customer).await,
            fold(&of(&events, customer, &world)),
            "summaries stay"
        );
        if world.can.history {
            assert_eq!(
                world.history(customer).await,
                newest_first(&of(&kept, customer, &world))
            );
        }
    }
    if world.can.scan {
        let mut found: Vec<_> = world
            .scan(&world.tenant, 4)
            .await
            .into_iter()
            .map(|found| found.value)
            .collect();
        found.sort_by_key(HistoryCursor::after);
        assert_eq!(found, kept);
    }
}

/// Decisions go with the watermark too, and a retry of one finds that it was there.
pub async fn purged_decisions_are_gone(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Purge, Need::Decisions]).await {
        return;
    }
    let (old, new) = (world.decision("old", "anna", 1), world.decision("new", "anna", 1));
    let new = new.edited(|fields| fields.timestamp = noon(DAY)).unwrap();
    for decision in [&old, &new] {
        world.store.record_decision(decision.clone()).await.unwrap();
    }
    let receipt = world.purge(noon(1)).await;
    assert_eq!((receipt.interactions, receipt.decisions), (0, 1));
    assert_eq!(world.store.decision(&world.tenant, &old.id).await.unwrap(), None);
    assert_eq!(
        world.store.decision(&world.tenant, &new.id).await.unwrap(),
        Some(new)
    );
    let again = world.store.record_decision(old.clone()).await.unwrap();
    assert_eq!(again, Recorded::Duplicate(old.id.clone()));
    assert_eq!(
        world.store.decision(&world.tenant, &old.id).await.unwrap(),
        None,
        "a retry brings nothing back"
    );
    let late = world.decision("late", "anna", 1);
    let error = world.refused(world.store.record_decision(late).await, ErrorKind::InvalidInput);
    assert_eq!(error.field(), Some("timestamp"));
}

/// A retry of a purged interaction is a duplicate and brings nothing back.
pub async fn a_retry_of_a_purged_interaction_is_a_duplicate(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Purge]).await {
        return;
    }
    let events = ten_days(&world).await;
    world.purge(noon(5 * DAY)).await;
    for event in &events {
        let again = world.store.record_event(event.clone()).await.unwrap();
        assert_eq!(again, Recorded::Duplicate(event.id.clone()));
    }
    assert_eq!(
        world.summaries("c0").await,
        fold(&of(&events, "c0", &world)),
        "a retry counts nothing"
    );
    if world.can.history {
        assert_eq!(world.history("c0").await.len(), 2);
    }
}

/// A new live interaction before the watermark is refused by name; at it, it is taken.
pub async fn a_new_interaction_before_the_watermark_is_refused(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Purge]).await {
        return;
    }
    world.purge(noon(0)).await;
    let (before, at) = (
        world.event("anna").timestamp(noon(-1)).built(),
        world.event("anna").timestamp(noon(0)).built(),
    );
    let error = world.refused(
        world.store.record_event(before.clone()).await,
        ErrorKind::InvalidInput,
    );
    assert_eq!((error.field(), error.is_transient()), (Some("timestamp"), false));
    let batch = RecordBatch::live([before.clone(), at.clone(), before.clone()]);
    let results = world.store.record_events(batch).await.unwrap().into_results();
    assert_eq!(results[0].as_ref().unwrap_err().field(), Some("timestamp"));
    assert_eq!(
        results[1].as_ref().unwrap(),
        &Recorded::new(at.id.clone()),
        "it fails alone"
    );
    assert_eq!(results[2].as_ref().unwrap_err().field(), Some("timestamp"));
    // Its key is still free.
    let later = before.edited(|fields| fields.timestamp = noon(5)).unwrap();
    world.record(&later).await;
    world.holds("anna", &[at, later]).await;
}

/// The watermark is the highest ever asked for.
pub async fn a_watermark_is_never_moved_back(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Purge]).await {
        return;
    }
    ten_days(&world).await;
    world.purge(noon(5 * DAY)).await;
    let receipt = world.purge(noon(2 * DAY)).await;
    assert_eq!((receipt.watermark, receipt.interactions), (noon(5 * DAY), 0));
    let event = world.event("anna").timestamp(noon(3 * DAY)).built();
    let error = world.refused(world.store.record_event(event).await, ErrorKind::InvalidInput);
    assert_eq!(error.field(), Some("timestamp"));
    let receipt = world.purge(noon(6 * DAY)).await;
    assert_eq!((receipt.watermark, receipt.interactions), (noon(6 * DAY), 1));
}

/// A record of another origin before the watermark is counted and remembered but leaves no row.
pub async fn a_replicated_record_before_the_watermark_counts_but_leaves_no_row(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Purge, Need::Replication]).await {
        return;
    }
    world.purge(noon(0)).await;
    let mut events = Vec::new();
    for origin in [Origin::Replicated, Origin::Backfill] {
        let event = world.event("anna").timestamp(noon(-DAY)).built();
        let accepted = Accepted {
            value: event.clone(),
            generation: Generation::ZERO,
        };
        for expected in [
            Recorded::new(event.id.clone()),
            Recorded::Duplicate(event.id.clone()),
        ] {
            let batch = RecordBatch::accepted(origin, [accepted.clone()]);
            assert_eq!(
                world
                    .store
                    .record_events(batch)
                    .await
                    .unwrap()
                    .into_values()
                    .unwrap(),
                [expected]
            );
        }
        events.push(event);
    }
    assert_eq!(
        world.summaries("anna").await,
        fold(&events),
        "as if it had come before the purge"
    );
    if world.can.history {
        assert_eq!(world.history("anna").await, []);
    }
    if !world.can.decisions {
        return;
    }
    for origin in [Origin::Replicated, Origin::Backfill] {
        let decision = world.decision(&format!("r-{origin:?}"), "anna", 1);
        let decision = decision.edited(|fields| fields.timestamp = noon(-DAY)).unwrap();
        let accepted = Accepted {
            value: decision.clone(),
            generation: Generation::ZERO,
        };
        for expected in [
            Recorded::new(decision.id.clone()),
            Recorded::Duplicate(decision.id.clone()),
        ] {
            let batch = RecordBatch::accepted(origin, [accepted.clone()]);
            let recorded = world.store.record_decisions(batch).await.unwrap();
            assert_eq!(recorded.into_values().unwrap(), [expected]);
        }
        let found = world.store.decision(&world.tenant, &decision.id).await;
        assert_eq!(found.unwrap(), None, "a purged decision leaves no row");
    }
}

/// What was not delivered yet is delivered still: retention is about rows.
pub async fn undelivered_entries_outlive_a_purge(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Purge, Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    outbox.set_lanes(LaneSet::of(&Lane::ALL)).await.unwrap();
    let mut expected: Vec<_> = ten_days(&world)
        .await
        .iter()
        .map(|event| event.id.to_string())
        .collect();
    if world.can.decisions {
        let decision = world.decision("r", "c0", 1);
        world.store.record_decision(decision).await.unwrap();
        expected.push("r".to_owned());
    }
    expected.sort();
    crate::outbox::poison_all(&outbox, Lane::Archive).await;
    world.purge(noon(20 * DAY)).await;
    for lane in [Lane::Publish, Lane::Replicate] {
        let mut found = ids(&drain(&outbox, lane, "relay").await);
        found.sort();
        assert_eq!(found, expected, "what waits in {lane} stays");
    }
    let archive = outbox.status(Lane::Archive).await.unwrap();
    assert_eq!(
        archive.dead_letters,
        expected.len() as u64,
        "what was moved aside stays"
    );
}

/// A page that was begun before a purge goes on behind it, without what was purged.
pub async fn history_goes_on_over_a_purge(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Purge, Need::History]).await {
        return;
    }
    let events: Vec<_> = (0..10)
        .map(|n| world.event("anna").timestamp(noon(n * DAY)).built())
        .collect();
    world.record_all(&events).await;
    let query = HistoryQuery {
        limit: 3,
        ..world.history_query("anna")
    };
    let first = world.store.history(query.clone()).await.unwrap();
    world.purge(noon(5 * DAY)).await;
    let rest = world
        .history_by(
            HistoryQuery {
                cursor: first.next,
                ..query
            },
            3,
        )
        .await;
    let all: Vec<_> = first.items.into_iter().chain(rest).collect();
    assert_eq!(all, newest_first(&events[5..]));
}

/// A watermark before every row takes nothing away, also one before 1970, whose milliseconds are negative; nor does a
/// history that is asked for from such a time.
pub async fn a_purge_before_every_row_takes_nothing_away(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Purge]).await {
        return;
    }
    let events = ten_days(&world).await;
    let decision = world.decision("r", "c0", 1);
    if world.can.decisions {
        world.store.record_decision(decision.clone()).await.unwrap();
    }
    let last_before_1970 = from_millis(-1).unwrap();
    for before in [Timestamp::MIN_UTC, last_before_1970] {
        let receipt = world.purge(before).await;
        assert_eq!((receipt.interactions, receipt.decisions), (0, 0));
        if world.can.history {
            let own = newest_first(&of(&events, "c0", &world));
            assert_eq!(world.history("c0").await, own);
            let query = HistoryQuery {
                from: Some(before),
                ..world.history_query("c0")
            };
            assert_eq!(world.history_by(query.clone(), 2).await, own);
            let nothing = HistoryQuery {
                from: None,
                until: Some(before),
                ..query
            };
            assert_eq!(world.history_by(nothing, 2).await, []);
        }
        if world.can.scan {
            assert_eq!(world.scan(&world.tenant, 4).await.len(), events.len());
        }
        if world.can.decisions {
            let found = world.store.decision(&world.tenant, &decision.id).await.unwrap();
            assert_eq!(found.as_ref(), Some(&decision));
            if world.can.scan {
                let found = world.scan_decisions(&world.tenant, 4).await;
                assert_eq!(found.len(), 1);
            }
        }
    }
    let receipt = world.purge(last_before_1970).await;
    assert_eq!(receipt.watermark, last_before_1970);
}
