use kaireon_core::store::{Generation, SummaryQuery};
use kaireon_core::summary::Contribution;
use kaireon_core::summary::packed::{MAX_PACKED_BYTES, Packed};
use kaireon_core::{CustomerId, Interaction, InteractionStore, TenantId, time};

use super::*;
use crate::client::Space;
use crate::{codec, keys};

fn interaction(number: i64) -> Interaction {
    let day = number % 40;
    Interaction::builder("t", "c")
        .id(format!("i{number}"))
        .offer(format!("o{}", number % 7))
        .creative("k")
        .channel("web")
        .timestamp(time::from_millis(1_775_000_000_000 + day * 86_400_000 + number).unwrap())
        .build()
        .unwrap()
}

/// The key of the one customer.
fn key() -> Slice {
    keys::customer(&TenantId::new("t").unwrap(), &CustomerId::new("c").unwrap()).into()
}

fn fold(number: i64, generation: u32) -> Fold {
    let mut contribution = Vec::new();
    Contribution::of(&interaction(number)).put(&mut contribution);
    Fold {
        key: key(),
        generation: Generation(generation),
        contribution: contribution.into(),
    }
}

/// The count of all interactions, whatever is closed or packed.
fn total(own: &Own) -> u64 {
    let mut packed = own.packed.clone();
    let mut closed = own.closed.clone();
    packed.spill(&mut closed);
    let all = |summary: &&kaireon_core::Summary| {
        summary.period == kaireon_core::Period::ALL_TIME
            && summary.dimension == kaireon_core::Dimension::Channel
    };
    closed
        .iter()
        .filter(all)
        .map(|summary| summary.stats.interactions())
        .sum()
}

fn own(stored: Option<&[u8]>, folds: &Folds) -> Own {
    Own::of(stored, &folds.parts(&key())).unwrap().unwrap()
}

#[test]
fn however_many_wait_and_however_they_are_sealed_each_counts_once() {
    let folds = Folds::new();
    for number in 0..500 {
        folds.push(number as u64 + 1, &[], vec![fold(number, 0)]).unwrap();
        if number % 90 == 89 {
            folds.seal().unwrap();
        }
        assert_eq!(total(&own(None, &folds)), number as u64 + 1);
    }
    let mut packed = Packed::new();
    let mut closed = Vec::new();
    for number in 0..500 {
        packed.record(&interaction(number), &mut closed);
    }
    let mut all = SummaryQuery::new(TenantId::new("t").unwrap(), CustomerId::new("c").unwrap());
    all.periods.clear();
    let folded = own(None, &folds);
    assert_eq!(
        folded.packed.answer(&all, folded.closed),
        packed.answer(&all, closed)
    );
}

#[test]
fn what_a_value_has_is_not_added_again() {
    let folds = Folds::new();
    for number in 0..10 {
        folds.push(number as u64 + 1, &[], vec![fold(number, 0)]).unwrap();
    }
    let before = folds.parts(&key());
    let value = own(None, &folds).encode();
    assert_eq!(codec::own_of(&value).unwrap().1, 10);
    let again = Own::of(Some(&value), &before).unwrap().unwrap();
    assert!(!again.is_new);
    folds.push(11, &[], vec![fold(11, 0), fold(12, 0)]).unwrap();
    let sealed = folds.seal().unwrap();
    assert_eq!(sealed, 11);
}

#[test]
fn a_raised_generation_takes_nothing_of_the_one_before() {
    let folds = Folds::new();
    folds.push(1, &[], vec![fold(1, 0), fold(2, 0)]).unwrap();
    let value = own(None, &folds).encode();
    folds.push(2, &[key()], vec![fold(3, 1)]).unwrap();
    let raised = own(Some(&value), &folds);
    assert_eq!((raised.generation, total(&raised)), (Generation(1), 1));
    // One that was drawn before and comes late has no place.
    folds.push(3, &[], vec![fold(4, 0)]).unwrap();
    assert_eq!(total(&own(Some(&value), &folds)), 1);
}

#[test]
fn memory_is_counted_down_to_nothing() {
    let folds = Folds::new();
    for number in 0..200 {
        folds.push(number as u64 + 1, &[], vec![fold(number, 0)]).unwrap();
        if number == 150 {
            folds.seal().unwrap();
        }
    }
    // Some forty days of seven offers, and what is not folded yet.
    let most = 64 * 256 + MAX_PACKED_BYTES + 600 * 160;
    let waiting = folds.bytes.load(Ordering::Acquire);
    assert!(waiting > 0 && waiting < most, "{waiting}");
    folds.seal().unwrap();
    folds.forget_sealed([key()].iter());
    assert_eq!(folds.bytes.load(Ordering::Acquire), 0);
    assert!(folds.parts(&key()).is_empty());
    assert_eq!(folds.logged_upto(150, 1_000).len(), 150);
    folds.forget_logged(150);
    assert_eq!(folds.logged_upto(u64::MAX, 1_000).len(), 50);
}

#[test]
fn what_shrinks_when_it_is_folded_among_itself_is_counted_as_it_is() {
    let folds = Folds::new();
    for number in 0..2_000 {
        // All on one day, so that nothing closes.
        folds.push(number + 1, &[], vec![fold(0, 0)]).unwrap();
    }
    let waiting = folds.bytes.load(Ordering::Acquire);
    assert!(waiting < 16 << 10, "{waiting}");
    folds.seal().unwrap();
    folds.forget_sealed([key()].iter());
    assert_eq!(folds.bytes.load(Ordering::Acquire), 0);
}

#[test]
fn one_customer_of_many_events_needs_little_memory() {
    let folds = Folds::new();
    for number in 0..20_000 {
        folds
            .push(number as u64 + 1, &[], vec![fold(number % 40, 0)])
            .unwrap();
    }
    let waiting = folds.bytes.load(Ordering::Acquire);
    assert!(waiting < 2 << 20, "{waiting}");
}

/// A store in a new directory with three interactions of a customer, closed.
async fn closed_store(dir: &std::path::Path) -> (crate::EmbeddedConfig, SummaryQuery) {
    let config = crate::EmbeddedConfig::at(dir.join("store"));
    let store = crate::EmbeddedStore::open(config.clone()).await.unwrap();
    for number in 0..3 {
        store.record_event(interaction(number)).await.unwrap();
    }
    store.disconnect().await.unwrap();
    let query = SummaryQuery::new(TenantId::new("t").unwrap(), CustomerId::new("c").unwrap());
    (config, query)
}

/// Puts a row into the log of a closed store, as a crash between a fold and the trimming of its log leaves it.
fn leave_in_log(config: &crate::EmbeddedConfig, sequence: u64, folds: &[Fold]) {
    let engine = crate::client::Engine::open(&config.data_dir.join("db"), config).unwrap();
    let row = put_log(folds);
    let change = (Space::Folds, keys::fold(sequence).into(), Some(row.into()));
    engine.commit(vec![change]).unwrap().show();
}

async fn all_time(store: &crate::EmbeddedStore, query: &SummaryQuery) -> u64 {
    let found = store.get_summaries(query.clone()).await.unwrap();
    let all = |summary: &&kaireon_core::Summary| {
        summary.period == kaireon_core::Period::ALL_TIME
            && summary.dimension == kaireon_core::Dimension::Channel
    };
    found
        .iter()
        .filter(all)
        .map(|summary| summary.stats.interactions())
        .sum()
}

#[tokio::test]
async fn a_log_that_was_folded_before_a_crash_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let (config, query) = closed_store(dir.path()).await;
    leave_in_log(&config, 1, &[fold(0, 0)]);
    leave_in_log(&config, 1_000, &[fold(7, 0)]);
    let store = crate::EmbeddedStore::open(config.clone()).await.unwrap();
    assert_eq!(
        all_time(&store, &query).await,
        4,
        "the first is part of the value, the second is not"
    );
    store.disconnect().await.unwrap();
    drop(store);
    let store = crate::EmbeddedStore::open(config).await.unwrap();
    assert_eq!(all_time(&store, &query).await, 4);
    store.disconnect().await.unwrap();
}

#[tokio::test]
async fn a_log_of_an_erased_customer_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let (config, query) = closed_store(dir.path()).await;
    let store = crate::EmbeddedStore::open(config.clone()).await.unwrap();
    let id = kaireon_core::store::ErasureId::new("e").unwrap();
    let request = kaireon_core::store::Erasure {
        tenant: query.tenant.clone(),
        customer: query.customer.clone(),
        id,
    };
    store.erase_customer(request).await.unwrap();
    store.disconnect().await.unwrap();
    drop(store);
    leave_in_log(&config, 1_000, &[fold(7, 0)]);
    let store = crate::EmbeddedStore::open(config).await.unwrap();
    assert_eq!(store.get_summaries(query.clone()).await.unwrap(), []);
    store.disconnect().await.unwrap();
}

#[tokio::test]
async fn an_erasure_leaves_nothing_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let (config, query) = closed_store(dir.path()).await;
    let store = crate::EmbeddedStore::open(config.clone()).await.unwrap();
    store.record_event(interaction(9)).await.unwrap();
    let request = kaireon_core::store::Erasure {
        tenant: query.tenant.clone(),
        customer: query.customer.clone(),
        id: kaireon_core::store::ErasureId::new("e").unwrap(),
    };
    store.erase_customer(request).await.unwrap();
    assert!(store.shared().folds.logged_upto(u64::MAX, 1).is_empty());
    store.disconnect().await.unwrap();
}
