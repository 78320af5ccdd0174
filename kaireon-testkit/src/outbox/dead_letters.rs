//! What cannot be delivered is moved aside, counted, listed, and can be replayed.

use kaireon_core::ErrorKind;
use kaireon_core::outbox::{DeadLetter, DeadLetterId, DeadLetterQuery, Lane, LaneSet, Position, Verdict};

use super::{drain, fetch, host_event, ids, lease_all, poison_all, settled};
use crate::StoreFixture;
use crate::world::{Built, Need, World};

async fn listed(
    outbox: &std::sync::Arc<dyn kaireon_core::Outbox>,
    lane: Lane,
    limit: u32,
) -> Vec<DeadLetter> {
    let mut query = DeadLetterQuery {
        limit,
        ..DeadLetterQuery::new(lane)
    };
    let mut all = Vec::new();
    loop {
        let page = outbox.dead_letters(query.clone()).await.unwrap();
        all.extend(page.items);
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return all,
        }
    }
}

fn id_of(letter: &DeadLetter) -> DeadLetterId {
    DeadLetterId {
        range: letter.entry.range,
        position: letter.entry.position,
    }
}

/// A poisoned entry leaves the order and blocks nobody; it is listed with its reason, and counts.
pub async fn a_poisoned_entry_is_moved_aside_and_blocks_nobody(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
    for n in 0..4 {
        world
            .record(&world.event("anna").id(format!("{n}")).built())
            .await;
    }
    let leases = lease_all(&outbox, Lane::Publish, "relay").await;
    let entries = fetch(&outbox, &leases, 10).await.unwrap();
    let settlements = vec![
        settled(&entries[0], Verdict::Delivered),
        settled(&entries[1], Verdict::Poisoned("too large".into())),
    ];
    outbox.settle(&leases, settlements).await.unwrap();
    assert_eq!(ids(&fetch(&outbox, &leases, 10).await.unwrap()), ["2", "3"]);
    let status = outbox.status(Lane::Publish).await.unwrap();
    assert_eq!((status.backlog, status.dead_letters), (2, 1));
    let letters = listed(&outbox, Lane::Publish, 10).await;
    let [letter] = &letters[..] else {
        panic!("one was moved aside")
    };
    assert_eq!(
        (&letter.entry, letter.reason.as_str()),
        (&entries[1], "too large")
    );
    outbox.release(leases).await.unwrap();
    drain(&outbox, Lane::Publish, "relay").await;
    let status = outbox.status(Lane::Publish).await.unwrap();
    assert!(!status.is_empty(), "a dead letter counts as undelivered");
    assert_eq!(
        listed(&outbox, Lane::Archive, 10).await,
        [],
        "a lane has dead letters of its own"
    );
}

/// Dead letters are listed by range and position, once, in pages of any size.
pub async fn dead_letters_are_listed_by_range_and_position(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    outbox
        .append(
            (0..25)
                .map(|n| host_event(&world, Some(&format!("c{}", n % 9)), &format!("e{n}")))
                .collect(),
        )
        .await
        .unwrap();
    assert_eq!(poison_all(&outbox, Lane::Publish).await.len(), 25);
    for limit in [1, 4, 25, 1_000] {
        let found = listed(&outbox, Lane::Publish, limit).await;
        assert_eq!(found.len(), 25, "pages of {limit}");
        assert!(found.windows(2).all(|pair| id_of(&pair[0]) < id_of(&pair[1])));
        assert!(found.iter().all(|letter| letter.reason == "cannot be read"));
    }
    for limit in [0, 1_001] {
        let query = DeadLetterQuery {
            limit,
            ..DeadLetterQuery::new(Lane::Publish)
        };
        let error = world.refused(outbox.dead_letters(query).await, ErrorKind::InvalidInput);
        assert_eq!(error.field(), Some("limit"));
    }
}

/// Replayed letters are new entries behind all others, and are letters no longer.
pub async fn replayed_dead_letters_come_behind_all_others(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    let append = async |id: &str| {
        outbox
            .append(vec![host_event(&world, Some("anna"), id)])
            .await
            .unwrap()
    };
    append("a").await;
    append("b").await;
    poison_all(&outbox, Lane::Publish).await;
    append("c").await;
    let letters = listed(&outbox, Lane::Publish, 10).await;
    let unknown = DeadLetterId {
        range: letters[0].entry.range,
        position: Position(u64::MAX),
    };
    let replayed = outbox
        .replay(Lane::Publish, vec![id_of(&letters[0]), unknown])
        .await
        .unwrap();
    assert_eq!(replayed, 1, "only what was found is replayed");
    let status = outbox.status(Lane::Publish).await.unwrap();
    assert_eq!((status.backlog, status.dead_letters), (2, 1));
    assert_eq!(
        outbox
            .replay(Lane::Publish, vec![id_of(&letters[0])])
            .await
            .unwrap(),
        0,
        "it is a letter no longer"
    );
    assert_eq!(
        outbox
            .replay(Lane::Archive, vec![id_of(&letters[1])])
            .await
            .unwrap(),
        0,
        "another lane has no such letter"
    );
    append("d").await;
    assert_eq!(
        outbox
            .replay(Lane::Publish, letters.iter().map(id_of).collect())
            .await
            .unwrap(),
        1
    );
    assert_eq!(listed(&outbox, Lane::Publish, 10).await, []);
    assert_eq!(
        ids(&drain(&outbox, Lane::Publish, "relay").await),
        ["c", "a", "d", "b"]
    );
}

/// A replayed letter is a new entry of the same event: its id, its payload, and the generation it was accepted under, so
/// that an erasure finds it as it would have found the entry.
pub async fn a_replayed_dead_letter_is_the_same_event_under_the_same_generation(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox, Need::Erasure]).await {
        return;
    }
    let outbox = world.outbox();
    outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
    // Generation zero would be kept by chance.
    world.erase("anna", "first").await;
    world.record(&world.event("anna").id("again").built()).await;
    let before = poison_all(&outbox, Lane::Publish).await;
    assert_eq!(before.len(), 1);
    assert_ne!(before[0].generation, kaireon_core::store::Generation::ZERO);
    let letters = listed(&outbox, Lane::Publish, 10).await;
    outbox
        .replay(Lane::Publish, vec![id_of(&letters[0])])
        .await
        .unwrap();
    let leases = lease_all(&outbox, Lane::Publish, "relay").await;
    let after = fetch(&outbox, &leases, 10).await.unwrap();
    let [entry] = &after[..] else {
        panic!("one was replayed")
    };
    let what = |entry: &kaireon_core::outbox::OutboxEntry| {
        (
            entry.tenant.clone(),
            entry.range,
            entry.generation,
            entry.payload.clone(),
        )
    };
    assert_eq!(what(entry), what(&before[0]));
    assert!(entry.position > before[0].position);
    outbox.release(leases).await.unwrap();
    world.erase("anna", "second").await;
    let leases = lease_all(&outbox, Lane::Publish, "relay").await;
    assert_eq!(fetch(&outbox, &leases, 10).await.unwrap(), []);
    assert!(outbox.status(Lane::Publish).await.unwrap().is_empty());
}
