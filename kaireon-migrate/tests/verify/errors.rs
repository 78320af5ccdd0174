//! A store that fails, does not answer, or does not follow is never a pass.

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::{ErrorKind, InteractionStore};
use kaireon_migrate::{Kind, Side, VerifyConfig, VerifyReport, Why};
use kaireon_testkit::fault::{Fault, Faulty, Plan};

use super::{Pair, config, put, put_decision, row};

/// Every read of a comparison, and the kind that is not compared where it fails.
const READS: [(&str, Kind); 6] = [
    ("scan", Kind::Interactions),
    ("history", Kind::Interactions),
    ("scan_decisions", Kind::Decisions),
    ("decision", Kind::Decisions),
    ("get_summaries", Kind::Summaries),
    ("tombstones", Kind::Tombstones),
];

/// Equal stores, of which one meets these faults. Something in them has to be looked at one by one: what is ahead of the
/// clock always is.
async fn faulty(side: Side, plan: &Plan) -> Pair {
    let pair = Pair::equal().await;
    let tomorrow = SystemClock.now() + Duration::from_secs(3_600);
    for store in [&pair.source, &pair.target] {
        put(store.as_ref(), [row("still-1", 90, tomorrow)]).await;
        put_decision(store.as_ref(), super::decision("still-1", 90, "flow", tomorrow)).await;
    }
    let wrap = |store: Arc<dyn InteractionStore>| -> Arc<dyn InteractionStore> {
        Arc::new(Faulty::new(store, plan.clone()))
    };
    match side {
        Side::Source => Pair::of(wrap(pair.source), pair.target),
        Side::Target => Pair::of(pair.source, wrap(pair.target)),
    }
}

fn check(report: &VerifyReport, kind: Kind, side: Side, error: ErrorKind) {
    let context = format!("{kind:?} of {side:?}: {report:?}");
    assert!(!report.is_clean(), "{context}");
    let evidence = report.evidence();
    assert!(evidence.not_compared > 0, "{context}");
    assert_eq!(evidence.differences(), 0, "{context}");
    let reasons = &report.of(kind).unwrap().not_compared;
    let expected = Why::Failed { side, error };
    assert!(reasons.iter().any(|part| part.why == expected), "{context}");
}

#[tokio::test]
async fn a_read_that_fails_is_never_a_pass() {
    for side in [Side::Source, Side::Target] {
        for (operation, kind) in READS {
            let plan = Plan::script([(operation, Fault::Before); 40]);
            let pair = faulty(side, &plan).await;
            let report = pair.verifier(config()).run().await.unwrap();
            assert!(plan.made() >= 3, "{operation}");
            check(&report, kind, side, ErrorKind::Unavailable);
        }
    }
}

#[tokio::test]
async fn a_read_that_is_not_answered_is_never_a_pass() {
    let config = VerifyConfig {
        read_deadline: Duration::from_millis(100),
        ..config()
    };
    for side in [Side::Source, Side::Target] {
        for (operation, kind) in READS {
            let plan = Plan::script([(operation, Fault::Hang); 40]);
            let pair = faulty(side, &plan).await;
            let report = pair.verifier(config.clone()).run().await.unwrap();
            check(&report, kind, side, ErrorKind::Timeout);
        }
    }
}

#[tokio::test]
async fn a_store_that_hangs_is_not_asked_about_everything() {
    let config = VerifyConfig {
        read_deadline: Duration::from_millis(50),
        give_up_after: 6,
        concurrency: 4,
        ..config()
    };
    for side in [Side::Source, Side::Target] {
        let plan = Plan::script([("get_summaries", Fault::Hang); 4_000]);
        let pair = faulty(side, &plan).await;
        let report = pair.verifier(config.clone()).run().await.unwrap();
        check(&report, Kind::Summaries, side, ErrorKind::Timeout);
        check(&report, Kind::Tombstones, side, ErrorKind::Timeout);
        assert!(plan.made() <= 10, "{} of thirty customers", plan.made());
    }
}

#[tokio::test]
async fn failures_that_are_not_in_a_row_are_no_reason_to_give_up() {
    let once = [("scan", Fault::Before), ("tombstones", Fault::Before)];
    let plan = Plan::script(once);
    let pair = faulty(Side::Target, &plan).await;
    let config = VerifyConfig {
        give_up_after: 2,
        concurrency: 1,
        ..config()
    };
    let report = pair.verifier(config).run().await.unwrap();
    assert_eq!(plan.made(), 2);
    assert!(report.is_clean(), "{report:?}");
}

#[tokio::test]
async fn a_failure_that_passes_is_read_over() {
    for (operation, _) in READS {
        let plan = Plan::script([(operation, Fault::Before)]);
        let pair = faulty(Side::Target, &plan).await;
        let report = pair.verifier(config()).run().await.unwrap();
        assert_eq!(plan.made(), 1, "{operation}");
        assert!(report.is_clean(), "{operation}: {report:?}");
    }
}

#[tokio::test]
async fn a_store_that_goes_away_in_between_is_never_a_pass() {
    let plan = Plan::script([]);
    let pair = faulty(Side::Target, &plan).await;
    let cut = plan.clone();
    let verifier = pair
        .verifier(config())
        .with_progress(move |progress| cut.cut_off(progress.kind == Kind::Decisions));
    let report = verifier.run().await.unwrap();
    assert!(plan.made() > 0);
    assert!(!report.is_clean(), "{report:?}");
    assert!(report.of(Kind::Interactions).unwrap().is_clean());
    assert!(!report.of(Kind::Decisions).unwrap().is_clean());
    assert!(!report.of(Kind::Summaries).unwrap().is_clean());
}

#[tokio::test]
async fn what_waits_in_a_lane_that_stands_still_is_not_compared() {
    let pair = Pair::equal().await;
    pair.source
        .record_event(row("still-1", 91, SystemClock.now()))
        .await
        .unwrap();
    let config = VerifyConfig {
        lane_wait: Duration::from_millis(50),
        ..config()
    };
    let report = pair.verifier(config.clone()).run().await.unwrap();
    assert_eq!(report.evidence().differences(), 0, "{report:?}");
    for kind in [Kind::Interactions, Kind::Summaries] {
        let reasons = &report.of(kind).unwrap().not_compared;
        assert!(reasons.iter().all(|part| part.why == Why::Behind), "{report:?}");
        assert!(!reasons.is_empty(), "{report:?}");
    }
    // Once it moves, all is well.
    let relay = pair.relay(1, 5);
    let report = pair.verifier(super::config()).run().await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    drop(relay);
}

#[tokio::test]
async fn bounds_of_zero_are_refused() {
    let pair = Pair::equal().await;
    let wrong = [
        VerifyConfig {
            suspects: 0,
            ..config()
        },
        VerifyConfig {
            rounds: 0,
            ..config()
        },
        VerifyConfig {
            give_up_after: 0,
            ..config()
        },
        VerifyConfig {
            rows_per_second: Some(0),
            ..config()
        },
    ];
    for config in wrong {
        let error = pair.verifier(config).run().await.unwrap_err();
        assert_eq!(error.field(), Some("config"));
    }
}
