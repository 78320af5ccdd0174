//! Each difference, with writers, erasures and a lane that lags going on all the time.

use std::sync::Arc;

use futures_util::future::join_all;

use super::flaw::{Flaw, counted_on};
use super::{Pair, Writers, config, count};
use crate::switch::tenant;

/// Compares while writers write; returns how much they wrote.
pub(crate) async fn compared(pair: &Pair, flaw: Flaw, seed: u64) -> u64 {
    flaw.make(pair).await;
    let relay = pair.relay(seed, 40);
    let writers = Writers::of(pair, seed);
    // In a task of its own: a comparison can be one.
    let verifier = pair.verifier(config());
    let report = tokio::spawn(async move { verifier.run().await }).await.unwrap();
    let written = writers.stop().await;
    flaw.check(&report.unwrap());
    drop(relay);
    written
}

#[tokio::test]
async fn still_stores_are_compared() {
    for flaw in Flaw::ALL {
        let pair = Pair::equal().await;
        flaw.make(&pair).await;
        let report = pair.verifier(config()).run().await.unwrap();
        flaw.check(&report);
        if flaw == Flaw::None {
            let rows = report.of(kaireon_migrate::Kind::Interactions).unwrap();
            assert_eq!(rows.equal, count(pair.source.as_ref(), &tenant()).await);
            assert!(report.of(kaireon_migrate::Kind::Summaries).unwrap().equal > rows.equal);
            assert_eq!(report.of(kaireon_migrate::Kind::Tombstones).unwrap().equal, 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_difference_is_found_and_no_other_while_both_are_written_to() {
    let mut written = 0;
    for seeds in [0..12_u64, 12..24, 24..36] {
        let runs = seeds.map(|seed| async move {
            let pair = Pair::equal().await;
            let flaw = Flaw::ALL[usize::try_from(seed).unwrap() % Flaw::ALL.len()];
            compared(&pair, flaw, seed).await
        });
        for writes in join_all(runs).await {
            assert!(writes > 0, "there was traffic in each");
            written += writes;
        }
    }
    println!("{written} writes meanwhile");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_side_that_lags_may_be_the_source() {
    use kaireon_migrate::{Kind, Side, Verifier};
    let pair = Pair::equal().await;
    Flaw::MissingRow.make(&pair).await;
    let relay = pair.relay(7, 40);
    let writers = Writers::of(&pair, 7);
    // The authority is the target now, which has a row that the source lacks.
    let verifier = Verifier::new(
        tenant(),
        Arc::clone(&pair.target),
        Arc::clone(&pair.source),
        Side::Target,
    );
    let report = verifier.with_config(config()).run().await.unwrap();
    writers.stop().await;
    Flaw::ExtraRow.check(&report);
    assert_eq!(report.of(Kind::Interactions).unwrap().extra, 1);
    drop(relay);
}

/// The summaries of a customer who is written to without pause are never alike at one moment. They are compared by what they
/// hold beside the last rows, which shows what is the same, and takes nothing for the same that is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_who_is_written_to_all_the_time_is_compared() {
    use kaireon_core::time::{Clock, SystemClock};
    use kaireon_migrate::{Kind, Side};
    let sides = [None, Some(Side::Source), Some(Side::Target)];
    let runs = sides.into_iter().flat_map(|side| [(side, false), (side, true)]);
    for (counts_more, comes_late) in runs {
        let pair = Pair::equal().await;
        match counts_more {
            Some(Side::Source) => counted_on(&pair, pair.source.as_ref()).await,
            Some(Side::Target) => counted_on(&pair, pair.target.as_ref()).await,
            None => {}
        }
        let relay = pair.relay(3, 30);
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let writing = tokio::spawn({
            let (source, stop) = (Arc::clone(&pair.source), Arc::clone(&stop));
            async move {
                let mut number = 1_000;
                while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                    number += 1;
                    let at = match comes_late {
                        true => SystemClock.now() - std::time::Duration::from_secs(600),
                        false => SystemClock.now(),
                    };
                    let made = super::row("still-5", number, at);
                    source.record_event(made).await.unwrap();
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
            }
        });
        let report = pair.verifier(config()).run().await.unwrap();
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        writing.await.unwrap();
        assert!(report.of(Kind::Interactions).unwrap().is_clean(), "{report:?}");
        let summaries = report.of(Kind::Summaries).unwrap();
        let (missing, extra) = (summaries.missing, summaries.extra);
        let unlike = missing + extra + summaries.different;
        let unknown: u64 = summaries.not_compared.iter().map(|part| part.parts).sum();
        let context = format!("{counts_more:?}, late {comes_late}: {report:?}");
        match (comes_late, counts_more) {
            (false, None) => assert_eq!(unlike + unknown, 0, "{context}"),
            // Of three dimensions the day, the week and the month of that row, and all time, which is written to all the
            // time.
            (false, Some(_)) => assert_eq!(unlike + unknown, 12, "{context}"),
            // What comes late all the time may be left open. It is taken neither for a difference nor for the same.
            (true, None) => assert_eq!(unlike, 0, "{context}"),
            (true, Some(_)) => assert!(!summaries.is_clean(), "{context}"),
        }
        drop(relay);
    }
}

/// A second erasure whose tombstone comes to the other side while it is looked for is no difference.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_is_on_its_way_is_no_difference() {
    use std::sync::atomic::{AtomicU32, Ordering};

    use kaireon_core::store::TombstoneQuery;
    use kaireon_migrate::Kind;
    let pair = Pair::equal().await;
    super::erase(pair.source.as_ref(), "still-3").await;
    let query = || TombstoneQuery::new(tenant());
    let install = |pair: &Pair| {
        let (source, target) = (Arc::clone(&pair.source), Arc::clone(&pair.target));
        move || {
            tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(async {
                    let stones = source.tombstones(query()).await.unwrap().items;
                    target.install_tombstones(&tenant(), stones).await.unwrap();
                });
            });
        }
    };
    install(&pair)();
    super::erase(pair.source.as_ref(), "still-3").await;
    let (pages, install) = (AtomicU32::new(0), install(&pair));
    let verifier = pair.verifier(config()).with_progress(move |progress| {
        // Both sides have been read for the second time, and are unlike.
        let is_second = progress.kind == Kind::Tombstones && progress.pass == 2;
        if is_second && pages.fetch_add(1, Ordering::SeqCst) == 1 {
            install();
        }
    });
    let report = verifier.run().await.unwrap();
    let stones = report.of(Kind::Tombstones).unwrap();
    assert_eq!(
        (stones.different, stones.missing, stones.extra),
        (0, 0, 0),
        "{report:?}"
    );
}
