use std::time::Duration;

use kaireon_core::store::Recorded;
use kaireon_core::{Interaction, InteractionStore};

use super::{Filter, Seen};
use crate::{EmbeddedConfig, EmbeddedStore};

/// Distinct keys that look random.
fn key(number: u64) -> [u8; 17] {
    let mut key = [b'i'; 17];
    let digest = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    key[..16].copy_from_slice(&(digest ^ digest >> 61).to_be_bytes());
    key
}

#[test]
fn what_was_inserted_is_never_denied_and_little_else_is_held() {
    let mut filter = Filter::new(16 << 10);
    for number in 0..10_000 {
        filter.insert(&key(number));
        assert!(filter.holds(&key(number)));
    }
    assert!((0..10_000).all(|number| filter.holds(&key(number))));
    let others = (10_000..20_000).filter(|number| filter.holds(&key(*number)));
    let others = others.count();
    assert!(others < 500, "{others} of 10,000 at 13 bits a key");
}

#[test]
fn nothing_is_denied_before_all_is_known() {
    let mut seen = Seen::new(1 << 10, false);
    assert!(seen.may_hold(&key(1)));
    seen.complete = true;
    assert!(!seen.may_hold(&key(1)));
    seen.insert(&key(1));
    assert!(seen.may_hold(&key(1)));
}

fn event(number: u32) -> Interaction {
    Interaction::builder("t", format!("c{}", number % 10))
        .offer("o")
        .creative("k")
        .channel("web")
        .idempotency_key(format!("k{number}"))
        .build()
        .unwrap()
}

async fn learned(store: &EmbeddedStore) {
    while !store.shared().seen.lock().is_complete() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn keys_from_before_an_opening_are_known_before_and_after_they_were_learned() {
    let dir = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig::at(dir.path().join("data"));
    let store = EmbeddedStore::open(config.clone()).await.unwrap();
    assert!(
        store.shared().seen.lock().is_complete(),
        "a new store has nothing to learn"
    );
    let first: Vec<_> = (0..300).map(event).collect();
    for event in &first {
        assert!(store.record_event(event.clone()).await.unwrap().is_new());
    }
    store.disconnect().await.unwrap();
    drop(store);
    let store = EmbeddedStore::open(config).await.unwrap();
    // Whether it has learned them or not.
    for event in &first {
        let again = store.record_event(event.clone()).await.unwrap();
        assert_eq!(again, Recorded::Duplicate(event.id.clone()));
    }
    let late: Vec<_> = (300..400).map(event).collect();
    for event in &late {
        assert!(store.record_event(event.clone()).await.unwrap().is_new());
    }
    learned(&store).await;
    for event in first.iter().chain(&late) {
        let again = store.record_event(event.clone()).await.unwrap();
        assert_eq!(again, Recorded::Duplicate(event.id.clone()));
    }
    store.disconnect().await.unwrap();
}
