//! A customer's history: newest first, in pages that neither skip nor repeat.

use std::sync::Arc;

use kaireon_core::store::{HistoryCursor, HistoryFilter, HistoryQuery, MAX_PAGE};
use kaireon_core::{ChannelId, CreativeId, ErrorKind, Interaction, InteractionId, InteractionType, OfferId};
use tokio::sync::{Semaphore, watch};

use crate::StoreFixture;
use crate::world::{Built, Need, World, newest_first, noon, same, together};

/// Newest first by timestamp, then id.
pub async fn history_is_newest_first(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::History]).await {
        return;
    }
    let times = [3_000, -86_400_000, 0, 1, -31_536_000_000, 2_999, 86_400_000];
    let events: Vec<_> = times
        .iter()
        .map(|&at| world.event("anna").timestamp(noon(at)).built())
        .collect();
    for event in &events {
        world.record(event).await;
    }
    let found = world.history("anna").await;
    assert!(
        found.windows(2).all(|pair| pair[0].timestamp > pair[1].timestamp),
        "newest first"
    );
    assert_eq!(found, newest_first(&events));
    assert_eq!(world.history("nobody").await, []);
}

/// Many rows of one millisecond come over the pages exactly once, at every page size.
pub async fn history_of_equal_timestamps_is_paged_exactly_once_at_every_size(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::History]).await {
        return;
    }
    let event = |n: usize| {
        let id = ["a", "b", "aa", "A", "é", "a.b", "10", "9"][n % 8];
        world
            .event("anna")
            .id(format!("{id}-{}", n / 8))
            .timestamp(noon(i64::try_from(n / 14).unwrap()))
            .built()
    };
    let events: Vec<_> = (0..28).map(event).collect();
    world.record_all(&events).await;
    let expected = newest_first(&events);
    for limit in 1..=30 {
        let found = world.history_by(world.history_query("anna"), limit).await;
        same(&found, &expected, &format!("pages of {limit}"));
    }
}

/// Two records of one id and timestamp under two keys are both there, and paged apart.
pub async fn history_keeps_two_records_of_one_id_and_timestamp(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let events: Vec<_> = (0..6).map(|_| world.event("anna").id("same").built()).collect();
    world.record_all(&events).await;
    if world.can(&[Need::History]).await {
        for limit in [1, 2, 4, 1_000] {
            let found = world.history_by(world.history_query("anna"), limit).await;
            same(&found, &newest_first(&events), &format!("pages of {limit}"));
        }
    }
    assert_eq!(world.counted("anna").await, 6);
}

async fn some_history(world: &World<'_>) -> Vec<Interaction> {
    let event = |n: i64| {
        let kind = ["impression", "click", "page_view"][usize::try_from(n % 3).unwrap()];
        let event = world
            .event("anna")
            .timestamp(noon(n * 1_000))
            .interaction_type(InteractionType::parse(kind).unwrap());
        event
            .offer(format!("offer-{}", n % 4))
            .creative(format!("creative-{}", n % 5))
            .channel(format!("ch-{}", n % 2))
            .built()
    };
    let events: Vec<_> = (0..60).map(event).collect();
    world.record_all(&events).await;
    events
}

/// Each part of a filter that is given must match; pages count what matches.
pub async fn history_is_filtered_by_what_was_shown(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::History]).await {
        return;
    }
    let events = some_history(&world).await;
    let filters = [
        HistoryFilter {
            offer: Some(OfferId::new("offer-1").unwrap()),
            ..HistoryFilter::default()
        },
        HistoryFilter {
            creative: Some(CreativeId::new("creative-2").unwrap()),
            ..HistoryFilter::default()
        },
        HistoryFilter {
            channel: Some(ChannelId::new("ch-1").unwrap()),
            ..HistoryFilter::default()
        },
        HistoryFilter {
            interaction_types: vec![InteractionType::Click],
            ..HistoryFilter::default()
        },
        HistoryFilter {
            interaction_types: vec![
                InteractionType::Click,
                InteractionType::parse("page_view").unwrap(),
            ],
            offer: Some(OfferId::new("offer-3").unwrap()),
            ..HistoryFilter::default()
        },
        HistoryFilter {
            offer: Some(OfferId::new("offer").unwrap()),
            ..HistoryFilter::default()
        },
    ];
    for (filter, count) in filters.into_iter().zip([15, 12, 30, 20, 10, 0]) {
        let expected: Vec<_> = newest_first(&events)
            .into_iter()
            .filter(|event| filter.matches(event))
            .collect();
        assert_eq!(expected.len(), count);
        for limit in [1, 4, 50] {
            let query = HistoryQuery {
                filter: filter.clone(),
                ..world.history_query("anna")
            };
            same(
                &world.history_by(query, limit).await,
                &expected,
                &format!("pages of {limit}"),
            );
        }
    }
}

/// `from` is included and `until` is not.
pub async fn history_is_bounded_by_time(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::History]).await {
        return;
    }
    let events = some_history(&world).await;
    for (from, until, count) in [
        (Some(10_000), None, 50),
        (None, Some(10_000), 10),
        (Some(10_000), Some(20_000), 10),
        (Some(10_001), Some(20_001), 10),
        (Some(10_000), Some(10_000), 0),
        (Some(20_000), Some(10_000), 0),
        (Some(59_000), None, 1),
        (None, Some(0), 0),
    ] {
        let (from, until) = (from.map(noon), until.map(noon));
        let inside = |event: &Interaction| {
            from.is_none_or(|from| event.timestamp >= from)
                && until.is_none_or(|until| event.timestamp < until)
        };
        let expected: Vec<_> = newest_first(&events).into_iter().filter(inside).collect();
        assert_eq!(expected.len(), count);
        for limit in [1, 7, 1_000] {
            let query = HistoryQuery {
                from,
                until,
                ..world.history_query("anna")
            };
            same(
                &world.history_by(query, limit).await,
                &expected,
                &format!("pages of {limit}"),
            );
        }
    }
}

/// What existed at the first page is returned exactly once, whatever is written meanwhile.
pub async fn history_cursors_are_stable_under_concurrent_writes(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::History]).await {
        return;
    }
    let events = some_history(&world).await;
    let mut query = HistoryQuery {
        limit: 7,
        ..world.history_query("anna")
    };
    let mut found = Vec::new();
    let mut late = Vec::new();
    loop {
        let page = world.store.history(query.clone()).await.unwrap();
        // Newer ones, older ones, and ones in between, behind and before the cursor.
        for at in [100_000, -100_000, 30_500, 5_500] {
            let event = world.event("anna").timestamp(noon(at)).built();
            world.record(&event).await;
            late.push(event.id.clone());
        }
        found.extend(page.items);
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => break,
        }
        assert!(found.len() < 1_000, "a history ends");
    }
    let old: Vec<_> = found
        .iter()
        .filter(|event| !late.contains(&event.id))
        .cloned()
        .collect();
    assert_eq!(
        old,
        newest_first(&events),
        "what existed at the start comes once, in its order"
    );
    let mut ids: Vec<InteractionId> = found.iter().map(|event| event.id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), found.len(), "nothing comes twice");
}

/// Pages read while other tasks write neither skip nor repeat what existed.
pub async fn history_is_complete_while_others_write(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::History]).await {
        return;
    }
    let events = some_history(&world).await;
    // Each page lets two go on, and the next is read once one of them has: the two meet however fast either is.
    let (turns, written) = (Arc::new(Semaphore::new(0)), watch::Sender::new(0_u32));
    let writer = |task: i64| {
        let (store, turns, written) = (Arc::clone(&world.store), Arc::clone(&turns), written.clone());
        // Some go before the reader, some behind.
        let more: Vec<_> = (0..20)
            .map(|n| if task % 2 == 0 { n } else { 19 - n })
            .map(|n| {
                world
                    .event("anna")
                    .id(format!("late-{task}-{n}"))
                    .timestamp(noon(n * 3_000 + task))
                    .built()
            })
            .collect();
        async move {
            for event in more {
                turns.acquire().await.expect("it is never closed").forget();
                store.record_event(event).await.unwrap();
                written.send_modify(|written| *written += 1);
            }
        }
    };
    let reader = async {
        let (mut limits, mut seen) = ([3, 10].into_iter().cycle(), written.subscribe());
        let mut let_go = 0;
        while let_go < 80 {
            let mut query = HistoryQuery {
                limit: limits.next().expect("a cycle has no end"),
                ..world.history_query("anna")
            };
            let mut found = Vec::new();
            loop {
                let page = world.store.history(query.clone()).await.unwrap();
                found.extend(page.items);
                let Some(next) = page.next else { break };
                query.cursor = Some(next);
                if let_go < 80 {
                    let before = *seen.borrow();
                    turns.add_permits(2);
                    let_go += 2;
                    let other = seen.wait_for(|written| *written > before).await;
                    drop(other.expect("a writer goes on"));
                }
            }
            found.retain(|event| !event.id.as_str().starts_with("late"));
            assert_eq!(found, newest_first(&events));
        }
    };
    tokio::join!(together((0..4).map(writer)), reader);
    assert_eq!(world.history("anna").await.len(), 60 + 80);
}

/// A cursor is one text on every store: it is taken after a way through text, and a made one is as good.
pub async fn history_cursors_go_through_text(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::History]).await {
        return;
    }
    let events = newest_first(&some_history(&world).await);
    let page = world
        .store
        .history(HistoryQuery {
            limit: 10,
            ..world.history_query("anna")
        })
        .await
        .unwrap();
    let cursor = page.next.expect("there is more");
    assert_eq!(
        cursor,
        HistoryCursor::after(&events[9]),
        "a cursor names the last item of its page"
    );
    let text = cursor.to_string();
    let query = |text: &str| HistoryQuery {
        cursor: Some(text.parse().unwrap()),
        ..world.history_query("anna")
    };
    assert_eq!(world.history_by(query(&text), 1_000).await, events[10..]);
    // The place of no row at all is a place all the same.
    let between = HistoryCursor {
        timestamp: noon(30_500),
        id: InteractionId::new("nobody").unwrap(),
        tie: 0,
    };
    let expected: Vec<_> = events
        .iter()
        .filter(|event| between.precedes(event))
        .cloned()
        .collect();
    assert_eq!(world.history_by(query(&between.to_string()), 4).await, expected);
    for wrong in ["", "x", "h1.1", "h1.x.0000000000000000.a", "1970"] {
        let error = wrong.parse::<HistoryCursor>().unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::InvalidInput, Some("cursor"))
        );
    }
}

/// The last page says that it is the last, also when it is full.
pub async fn history_ends_without_an_empty_page(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::History]).await {
        return;
    }
    some_history(&world).await;
    let mut query = HistoryQuery {
        limit: 30,
        ..world.history_query("anna")
    };
    let first = world.store.history(query.clone()).await.unwrap();
    assert_eq!(first.items.len(), 30);
    query.cursor = first.next;
    assert!(query.cursor.is_some(), "there is more behind the first page");
    let second = world.store.history(query).await.unwrap();
    assert_eq!((second.items.len(), second.next), (30, None));
    let whole = world
        .store
        .history(HistoryQuery {
            limit: 60,
            ..world.history_query("anna")
        })
        .await
        .unwrap();
    assert_eq!((whole.items.len(), whole.next), (60, None));
}

/// A limit is from 1 to 1,000; 50 unless asked for.
pub async fn history_limits_are_from_1_to_1000(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::History]).await {
        return;
    }
    some_history(&world).await;
    assert_eq!(
        world
            .store
            .history(world.history_query("anna"))
            .await
            .unwrap()
            .items
            .len(),
        50
    );
    for limit in [0, MAX_PAGE + 1, u32::MAX] {
        let query = HistoryQuery {
            limit,
            ..world.history_query("anna")
        };
        let error = world.refused(world.store.history(query).await, ErrorKind::InvalidInput);
        assert_eq!(error.field(), Some("limit"));
    }
    let query = HistoryQuery {
        limit: MAX_PAGE,
        ..world.history_query("anna")
    };
    assert_eq!(world.store.history(query).await.unwrap().items.len(), 60);
}
