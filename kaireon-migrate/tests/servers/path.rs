//! The whole path, there and back and there for good, between unlike stores with callers all the time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kaireon_core::{ErrorKind, Result};
use kaireon_migrate::{DualWrite, Phase};

use super::host::{Host, LONG, Plan};
use super::judge::{are_same, judge};
use super::ledger::Ledger;
use super::load::{Callers, Load};
use super::place::{FIRST, Place, SECOND};

/// Does a step again until it is taken.
///
/// On a machine under load a gate may find the lane lagging for a moment, and a lane may not be emptied in time: then the
/// step is refused or not taken, and the operator asks again.
pub(crate) async fn step<F>(host: &Host, to: Phase, work: impl Fn() -> F)
where
    F: Future<Output = Result<kaireon_migrate::Known>>,
{
    let begun = Instant::now();
    let from = host.phase().await;
    loop {
        let done = work().await;
        match &done {
            Ok(known) if known.setting.phase == to => return,
            Ok(_) => {}
            Err(error) => {
                let passes = error.is_transient() || error.kind() == ErrorKind::Conflict;
                assert!(passes, "no way to {to}: {error:?}");
                // An earlier try was taken, and only its answer was lost: what it left is ended as the next host would.
                let moved = from != to && error.kind() == ErrorKind::Conflict;
                if moved && host.phase().await == to && host.migrator.finish(host.tenant()).await.is_ok() {
                    return;
                }
            }
        }
        // Before whoever waits for this gives up: what is said here is why.
        if begun.elapsed() > 2 * LONG {
            let phase = host.phase().await;
            panic!("no way from {phase} to {to}: {done:?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// From dual write to the other store.
pub(crate) async fn move_over(host: &Host, load: &Load, more: u64) {
    load.progress(more).await;
    step(host, Phase::Backfilling, || host.begin_backfill()).await;
    load.progress(more).await;
    host.backfill().await.unwrap();
    assert_eq!(host.phase().await, Phase::Verifying);
    let report = host.verify().await.unwrap();
    assert!(report.is_clean(), "while both are written to: {report:?}");
    step(host, Phase::Ready, || host.pass_gate()).await;
    load.progress(more).await;
    step(host, Phase::CutOver, || host.cut_over()).await;
    load.progress(more).await;
}

/// There, back, and there for good.
async fn path(places: [Place; 2], dual_write: DualWrite) {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan::new(folder.path(), places);
    let host = Host::open(&plan).await;
    let ledger = Arc::new(Ledger::at(folder.path()));
    let callers = Callers {
        writers: 64,
        readers: 16,
        rest: Duration::from_millis(150),
    };
    let load = Load::begin(&host, &ledger, callers);
    load.progress(300).await;
    host.start(dual_write).await.unwrap();
    move_over(&host, &load, 100).await;
    let report = host.verify().await.unwrap();
    assert!(report.is_clean(), "the old store is kept up: {report:?}");
    step(&host, Phase::Single, || host.roll_back()).await;
    load.progress(100).await;
    // Begun anew, on a store that holds most of it.
    host.start(DualWrite::Async).await.unwrap();
    move_over(&host, &load, 100).await;
    let before = load.end().await;
    let equal = are_same(&host).await;
    let load = Load::begin(&host, &ledger, callers);
    load.progress(100).await;
    host.finalise().await.unwrap();
    load.progress(100).await;
    let after = load.end().await;
    let verdict = judge(&host, &ledger).await;
    let sum = |of: fn(&super::load::Met) -> u64| of(&before) + of(&after);
    println!(
        "{verdict}, {equal} equal on both sides, {} reads, {} errors that a retry cured, {} erased",
        sum(|met| met.read.load(Ordering::SeqCst)),
        sum(|met| met.retried.load(Ordering::SeqCst)),
        ledger.erased().len(),
    );
    host.close().await;
    plan.remove().await;
}

fn folder_in(dir: &tempfile::TempDir) -> Place {
    Place::Folder(dir.path().join("data"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_tenant_goes_from_embedded_to_postgresql_and_back_and_there_for_good() {
    let dir = tempfile::tempdir().unwrap();
    path([folder_in(&dir), Place::on(FIRST)], DualWrite::BestEffort).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_tenant_goes_from_postgresql_to_embedded_and_back_and_there_for_good() {
    let dir = tempfile::tempdir().unwrap();
    path([Place::on(FIRST), folder_in(&dir)], DualWrite::Async).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres-18: set KAIREON_TEST_PG18_URL and KAIREON_TEST_PG_URL"]
async fn a_tenant_goes_from_one_postgresql_to_another_and_back_and_there_for_good() {
    let budget = Duration::from_secs(5);
    path(
        [Place::on(FIRST), Place::on(SECOND)],
        DualWrite::Strict { budget },
    )
    .await;
}
