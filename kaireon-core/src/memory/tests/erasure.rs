use super::*;

#[tokio::test]
async fn only_records_of_another_store_carry_a_generation() {
    let (store, _) = store();
    let batch = |origin, generation| RecordBatch {
        records: vec![Record {
            value: event("a"),
            generation,
        }],
        origin,
        epoch: Epoch::ZERO,
    };
    for wrong in [
        batch(Origin::Live, Some(Generation::ZERO)),
        batch(Origin::Replicated, None),
        batch(Origin::Backfill, None),
    ] {
        let error = only(store.record_events(wrong).await.unwrap()).unwrap_err();
        assert_eq!(error.field(), Some("generation"));
    }
    assert_eq!(rows(&store).await.len(), 0);
}

#[tokio::test]
async fn a_record_of_a_higher_generation_takes_the_lower_ones_away() {
    let (store, _) = store();
    store.record_event(event("before")).await.unwrap();
    assert!(replicate(&store, at(1, event("after"))).await.unwrap().is_new());
    let left = rows(&store).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].idempotency_key.as_str(), "after");
    assert_eq!(counted(&store).await, 1);
    let refused = replicate(&store, at(0, event("late"))).await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.effect()),
        (ErrorKind::Erased, Effect::NotApplied)
    );
    assert!(!refused.is_transient());
    // The tombstone that it ran ahead of changes nothing any more.
    let page = store.tombstones(TombstoneQuery::new(tenant())).await.unwrap();
    store.install_tombstones(&tenant(), page.items).await.unwrap();
    assert_eq!(rows(&store).await.len(), 1);
}

#[tokio::test]
async fn a_known_key_is_a_duplicate_also_under_an_erased_generation() {
    let (store, _) = store();
    store.record_event(event("a")).await.unwrap();
    store.erase_customer(erasure("1")).await.unwrap();
    assert!(!store.record_event(event("a")).await.unwrap().is_new());
    assert!(!replicate(&store, at(0, event("a"))).await.unwrap().is_new());
    assert!(!replicate(&store, at(5, event("a"))).await.unwrap().is_new());
    assert_eq!((rows(&store).await.len(), counted(&store).await), (0, 0));
    // A duplicate raises nothing.
    let page = store.tombstones(TombstoneQuery::new(tenant())).await.unwrap();
    assert_eq!(page.items[0].generation, Generation(1));
}

#[tokio::test]
async fn a_receipt_is_repeated_for_its_id_and_another_id_erases_again() {
    let place = MemoryPlace::new(MemoryOptions::default().with_lanes(LaneSet::of(&Lane::ALL)));
    let store = place.open();
    store.record_event(event("a")).await.unwrap();
    store.record_event(event("b")).await.unwrap();
    let first = store.erase_customer(erasure("1")).await.unwrap();
    let counts: Vec<_> = first
        .deleted
        .iter()
        .map(|(place, count)| (place.as_str(), *count))
        .collect();
    assert_eq!(
        counts,
        [("decisions", 0), ("history", 2), ("outbox", 6), ("summaries", 12)]
    );
    store.record_event(event("c")).await.unwrap();
    assert_eq!(store.erase_customer(erasure("1")).await.unwrap(), first);
    assert_eq!(rows(&store).await.len(), 1);
    let second = store.erase_customer(erasure("2")).await.unwrap();
    assert_eq!((second.generation, second.deleted["history"]), (Generation(2), 1));
}

#[tokio::test]
async fn tombstones_move_to_a_store_with_the_same_master_key() {
    let options = || MemoryOptions::default().with_master_key(MasterKey::new([7; 32]));
    let (from, to) = (
        MemoryStore::with_options(options()),
        MemoryStore::with_options(options()),
    );
    to.record_event(event("a")).await.unwrap();
    from.erase_customer(erasure("1")).await.unwrap();
    let page = from.tombstones(TombstoneQuery::new(tenant())).await.unwrap();
    to.install_tombstones(&tenant(), page.items.clone())
        .await
        .unwrap();
    assert_eq!(rows(&to).await.len(), 0);
    // Never lowered.
    let lower = Tombstone {
        generation: Generation::ZERO,
        ..page.items[0].clone()
    };
    to.install_tombstones(&tenant(), vec![lower]).await.unwrap();
    assert_eq!(to.tombstones(TombstoneQuery::new(tenant())).await.unwrap(), page);
}
