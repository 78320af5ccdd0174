//! From start to cut-over, and back.

use std::num::NonZeroU32;

use kaireon_core::{Effect, ErrorKind};
use kaireon_migrate::{BackfillState, Drive, Next, Outcome, Phase, Set, Throttling, WithoutRows};

use super::*;
use crate::backfill::in_time;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_goes_there_and_back_and_each_status_says_what_comes_next() {
    let (world, _relays) = world(120).await;
    let operator = operator(&world);
    let next = async || operator.status(&tenant()).await.unwrap().next;
    assert_eq!(next().await, Next::Start);
    let started = operator.start(&tenant(), start(), &asked()).await.unwrap();
    assert_eq!((started.outcome, started.from), (Outcome::Taken, Phase::Single));
    assert_eq!(next().await, Next::Export);
    let exported = operator.export(&tenant()).await.unwrap();
    let scan = exported.stores[0].scan.unwrap();
    assert_eq!(
        (
            scan.interactions + exported.stores[0].lane.interactions,
            exported.stores.len()
        ),
        (120, 1)
    );
    assert_eq!(next().await, Next::Backfill);
    let filled = in_time(operator.backfill(&tenant(), &asked())).await.unwrap();
    assert!(filled.begun && filled.complete);
    assert_eq!(filled.progress.unwrap().rows_done, 144);
    assert_eq!(next().await, Next::Verify);
    let verified = in_time(operator.verify(&tenant(), &asked())).await.unwrap();
    assert!(
        verified.clean && verified.passed && verified.gate.is_empty(),
        "{verified:?}"
    );
    // The archive was asked whom it names as purged.
    assert_eq!(verified.without_rows, WithoutRows::Compared);
    assert_eq!(next().await, Next::CutOver);
    let moved = in_time(operator.cut_over(&tenant(), &asked())).await.unwrap();
    assert_eq!((moved.outcome, moved.from), (Outcome::Taken, Phase::Ready));
    assert!(moved.overridden.is_empty());
    let status = moved.status;
    assert_eq!((status.authority.as_str(), status.reads.as_str()), ("new", "new"));
    assert_eq!(status.next, Next::AwaitSafety);
    assert!(status.migration.unwrap().safety_left.unwrap() > 6 * DAY);
    let again = operator.cut_over(&tenant(), &asked()).await.unwrap();
    assert_eq!(again.outcome, Outcome::AlreadyTaken);
    world.is_equal().await;
    // What is recorded now is on the new store, and reaches the old one; then the way back.
    world.switch.record_event(backfill::event(500)).await.unwrap();
    let back = in_time(operator.roll_back(&tenant(), &asked())).await.unwrap();
    assert_eq!((back.outcome, back.from), (Outcome::Taken, Phase::CutOver));
    assert_eq!(
        (back.status.authority.as_str(), back.status.next),
        ("old", Next::Start)
    );
    assert_eq!(held(&world.source).await, (121, 24));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_again_goes_on_and_begins_nothing_anew() {
    let (world, _relays) = world(40).await;
    let operator = operator(&world);
    operator.start(&tenant(), start(), &asked()).await.unwrap();
    let again = operator.start(&tenant(), start(), &asked()).await.unwrap();
    assert_eq!(again.outcome, Outcome::AlreadyTaken);
    operator.export(&tenant()).await.unwrap();
    let second = operator.export(&tenant()).await.unwrap();
    assert_eq!(second.stores[0].lane.objects, 0);
    operator.backfill(&tenant(), &asked()).await.unwrap();
    let second = operator.backfill(&tenant(), &asked()).await.unwrap();
    assert!(second.complete && !second.begun && second.progress.is_none());
    assert_eq!(second.status.phase, Phase::Verifying);
    operator.begin_backfill_again(&tenant(), &asked()).await.unwrap();
    let third = operator.backfill(&tenant(), &asked()).await.unwrap();
    assert!(third.complete && !third.begun);
    assert_eq!(third.progress.unwrap().duplicates, 48);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_over_before_its_time_says_what_is_missing_and_takes_force() {
    let (world, _relays) = world(20).await;
    let operator = operator(&world);
    let none = operator.cut_over(&tenant(), &asked()).await.unwrap_err();
    assert!(matches!(missing(&none)[..], [Missing::Phase { .. }]), "{none:?}");
    operator.start(&tenant(), start(), &asked()).await.unwrap();
    let early = operator.cut_over(&tenant(), &asked()).await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::Conflict);
    assert_eq!(missing(&early), [Missing::Backfill, Missing::Verification]);
    let status = operator.status(&tenant()).await.unwrap();
    assert_eq!(status.phase, Phase::DualWrite);
    let gate = status.migration.unwrap().gate;
    assert_eq!(
        words(&gate),
        ["the backfill is not complete", "the stores were not compared"]
    );
    let forced = operator.cut_over(&tenant(), &asked().forced()).await.unwrap();
    assert_eq!(forced.outcome, Outcome::Taken);
    assert_eq!(
        words(&forced.overridden),
        [
            "the gate was not passed",
            "the backfill is not complete",
            "the stores were not compared"
        ]
    );
    assert_eq!(words(&forced.status.migration.unwrap().overridden).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_whose_lane_is_not_emptied_is_not_taken_and_is_told_as_such() {
    let (world, mut relays) = world(20).await;
    moved(&world).await;
    // The replicate relays; the others go on.
    for relay in relays.drain(..2) {
        relay.stop(Duration::from_secs(30)).await.unwrap();
    }
    world.switch.record_event(backfill::event(500)).await.unwrap();
    let operator = operator(&world);
    let back = in_time(operator.roll_back(&tenant(), &asked())).await.unwrap();
    assert_eq!(back.outcome, Outcome::NotTaken);
    let migration = back.status.migration.unwrap();
    assert_eq!(
        (back.status.phase, migration.replication.unwrap().waiting),
        (Phase::CutOver, 1)
    );
    let _relays = operator.relays().unwrap();
    let back = in_time(operator.roll_back(&tenant(), &asked())).await.unwrap();
    assert_eq!((back.outcome, back.status.phase), (Outcome::Taken, Phase::Single));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_by_another_operator_holds_until_it_is_taken_back() {
    let (world, _relays) = world(400).await;
    let (running, other) = (operator(&world), operator(&world));
    running.start(&tenant(), start(), &asked()).await.unwrap();
    running.export(&tenant()).await.unwrap();
    assert_eq!(other.pause(&tenant()).await.unwrap().pace.drive, Drive::Paused);
    let run = tokio::spawn(async move { running.backfill(&tenant(), &asked()).await });
    let paused = async {
        loop {
            let status = other.status(&tenant()).await.unwrap();
            let backfill = status.migration.unwrap().backfill;
            if let Some(backfill) = backfill.filter(|backfill| backfill.state == BackfillState::Paused) {
                assert_eq!(
                    (backfill.eta, status.next),
                    (None, Next::Resume),
                    "nothing is known of its end"
                );
                return backfill.rows_done;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert_eq!(in_time(paused).await, 0);
    let rate = NonZeroU32::new(100_000).unwrap();
    let throttling = Throttling {
        max_rows_per_second: Set::To(rate),
        ..Throttling::default()
    };
    let throttled = other.throttle(&tenant(), throttling).await.unwrap();
    assert_eq!(
        (throttled.pace.drive, throttled.pace.max_rows_per_second),
        (Drive::Paused, Some(rate))
    );
    let throttling = Throttling {
        max_rows_per_second: Set::Off,
        target_latency: Set::To(DAY),
    };
    let pace = other.throttle(&tenant(), throttling).await.unwrap().pace;
    assert_eq!((pace.max_rows_per_second, pace.target_latency), (None, Some(DAY)));
    other.resume(&tenant()).await.unwrap();
    assert!(in_time(run).await.unwrap().unwrap().complete);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_tells_the_rest_when_a_store_is_away() {
    let (world, _relays) = world(20).await;
    operator(&world)
        .start(&tenant(), start(), &asked())
        .await
        .unwrap();
    world.source.disconnect().await.unwrap();
    let status = operator(&world).status(&tenant()).await.unwrap();
    assert_eq!(status.phase, Phase::DualWrite);
    assert_eq!(status.migration.unwrap().replication, None);
    assert!(
        status
            .away
            .iter()
            .any(|away| away.what == "the replicate lane of old"),
        "{:?}",
        status.away
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_archive_an_export_says_that_it_needs_one() {
    let (world, _relays) = world(1).await;
    let operator = Operator::new(world.switch.clone(), None);
    operator.start(&tenant(), start(), &asked()).await.unwrap();
    assert_eq!(
        operator.export(&tenant()).await.unwrap_err().kind(),
        ErrorKind::Config
    );
    let refused = operator.backfill(&tenant(), &asked()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    let status = operator.status(&tenant()).await.unwrap();
    assert_eq!(status.away.len(), 1, "{:?}", status.away);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_to_a_store_that_is_away_changes_nothing() {
    let (world, _relays) = world(1).await;
    world.target.disconnect().await.unwrap();
    let operator = operator(&world);
    let away = operator.start(&tenant(), start(), &asked()).await.unwrap_err();
    assert_eq!(
        (away.kind(), away.effect()),
        (ErrorKind::Unavailable, Effect::NotApplied)
    );
    let status = operator.status(&tenant()).await.unwrap();
    assert_eq!((status.phase, status.version), (Phase::Single, 0));
}
