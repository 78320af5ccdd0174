//! What readers see of a write that is under way: all of it, or nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::store::{Isolation, RecordBatch};

use crate::StoreFixture;
use crate::suite::declared_away;
use crate::world::{Built, World, noon};

/// How many interactions the summaries count; all groups must agree, since each interaction is in all of them.
async fn counted_alike(world: &World<'_>) -> u64 {
    let found = world.summaries("anna").await;
    let counts: BTreeSet<_> = found.iter().map(|found| found.stats.interactions()).collect();
    assert!(
        counts.len() <= 1 && matches!(found.len(), 0 | 12),
        "a read shows a part of a write: {} groups that count {counts:?}",
        found.len()
    );
    counts.into_iter().next().unwrap_or_default()
}

/// While one writes, a reader finds what is in the summaries also in the history and in the outbox, and the other
/// way round: a write appears everywhere at once.
pub async fn a_reader_never_sees_a_part_of_a_write(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if world.can.isolation != Isolation::Isolated {
        declared_away(&world.can.backend, "isolation");
        return;
    }
    let outbox = world.store.outbox();
    if let Some(outbox) = &outbox {
        outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
    }
    let events: Vec<_> = (0..60)
        .map(|n| world.event("anna").timestamp(noon(n)).built())
        .collect();
    let (store, written) = (Arc::clone(&world.store), Arc::new(AtomicBool::new(false)));
    let writer = tokio::spawn({
        let (events, written) = (events.clone(), Arc::clone(&written));
        async move {
            for events in events.chunks(6) {
                // Each record of a batch is a write of its own.
                store.record_event(events[0].clone()).await.unwrap();
                let batch = RecordBatch::live(events[1..].to_vec());
                store.record_events(batch).await.unwrap().into_values().unwrap();
            }
            written.store(true, Ordering::SeqCst);
        }
    });
    loop {
        let ended = written.load(Ordering::SeqCst) || writer.is_finished();
        let before = counted_alike(&world).await;
        let mut others = Vec::new();
        if world.can.history {
            others.push(("history", world.history("anna").await.len() as u64));
        }
        if let Some(outbox) = &outbox {
            others.push(("outbox", outbox.status(Lane::Publish).await.unwrap().backlog));
        }
        let after = counted_alike(&world).await;
        for (place, found) in others {
            assert!(
                (before..=after).contains(&found),
                "the {place} has {found} where the summaries had {before} before and {after} after"
            );
        }
        if ended {
            break;
        }
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
    world.holds("anna", &events).await;
}
