//! What a comparison holds in memory, how fast it reads, and what it is asked to leave out.

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::store::Purge;
use kaireon_migrate::{Kind, VerifyConfig, Why};
use parking_lot::Mutex;

use super::{Pair, config, days_ago, put, row};
use crate::switch::tenant;

/// A tenant of 2,000 customers with ten rows each, 300 of which one side lacks.
async fn large() -> Pair {
    let pair = Pair::equal().await;
    for customer in 0..2_000 {
        let name = format!("many-{customer}");
        let rows: Vec<_> = (0..10)
            .map(|number| row(&name, number, days_ago(number)))
            .collect();
        let has = |number: usize| customer >= 300 || number != 4;
        let target = rows.iter().enumerate().filter(|(number, _)| has(*number));
        put(pair.target.as_ref(), target.map(|(_, row)| row.clone())).await;
        put(pair.source.as_ref(), rows).await;
    }
    pair
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_bounded_whatever_the_number_of_rows_customers_and_differences() {
    let pair = large().await;
    let wide = pair.verifier(config()).run().await.unwrap();
    let bounded = VerifyConfig {
        suspects: 150,
        customers: 100,
        passes: 20,
        samples: 7,
        ..config()
    };
    let narrow = pair.verifier(bounded.clone()).run().await.unwrap();
    for report in [&wide, &narrow] {
        let rows = report.of(Kind::Interactions).unwrap();
        assert_eq!(
            (rows.missing, rows.extra, rows.different),
            (300, 0, 0),
            "{rows:?}"
        );
        assert_eq!(rows.equal, 20_000 - 300 + 181, "{rows:?}");
        let summaries = report.of(Kind::Summaries).unwrap();
        assert_eq!(report.evidence().not_compared, 0);
        // Of each of the 300 customers: three dimensions in a day of its own, and some in longer periods.
        assert!(summaries.missing >= 900, "{summaries:?}");
    }
    let of = |report: &kaireon_migrate::VerifyReport| {
        let summaries = report.of(Kind::Summaries).unwrap().clone();
        (
            summaries.equal,
            summaries.missing,
            summaries.extra,
            summaries.different,
        )
    };
    assert_eq!(of(&wide), of(&narrow));
    assert!(narrow.suspects_held <= 150, "{}", narrow.suspects_held);
    // Parts are as large as a keyed digest makes them: the first decides how many there are.
    assert!(narrow.customers_held <= 250, "{}", narrow.customers_held);
    assert!(wide.suspects_held >= 300 && wide.customers_held > 2_000);
    assert!(
        narrow.read > 2 * wide.read,
        "it reads again rather than hold more"
    );
    assert_eq!(narrow.of(Kind::Interactions).unwrap().samples.len(), 7);
    // With too few passes, what is left was not compared.
    let few = VerifyConfig { passes: 3, ..bounded };
    let report = pair.verifier(few).run().await.unwrap();
    let rows = report.of(Kind::Interactions).unwrap();
    assert!(rows.missing < 300);
    let left = rows
        .not_compared
        .iter()
        .find(|part| part.why == Why::TooMany)
        .unwrap();
    // Two of them may share a range.
    assert!((280..=300).contains(&(left.parts + rows.missing)), "{rows:?}");
}

#[tokio::test(start_paused = true)]
async fn rows_are_read_at_the_rate_that_is_asked_for() {
    let pair = Pair::equal().await;
    let config = VerifyConfig {
        rows_per_second: Some(100),
        ..config()
    };
    let begun = tokio::time::Instant::now();
    let report = pair.verifier(config).run().await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    // In virtual time: 422 rows and tombstones of both sides at least, and the summaries of 30 customers.
    assert!(report.read >= 422);
    assert!(begun.elapsed() >= Duration::from_millis(report.read * 10));
}

#[tokio::test]
async fn progress_is_told_and_who_stops_leaves_nothing() {
    let pair = Pair::equal().await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&told);
    let verifier = pair
        .verifier(config())
        .with_progress(move |progress| seen.lock().push(progress));
    let report = verifier.run().await.unwrap();
    let last = told.lock().last().copied().unwrap();
    assert_eq!((last.kind, last.read), (Kind::Tombstones, report.read));
    let begun = tokio::time::timeout(Duration::from_micros(1), verifier.run()).await;
    drop(begun);
    assert!(verifier.run().await.unwrap().is_clean(), "it begins again");
}

#[tokio::test]
async fn what_retention_took_from_one_side_is_left_out_where_that_is_asked() {
    let pair = Pair::equal().await;
    let before = days_ago(3);
    let purged = pair
        .target
        .purge_before(Purge {
            tenant: tenant(),
            before,
        })
        .await
        .unwrap();
    assert!(purged.interactions > 0);
    let report = pair.verifier(config()).run().await.unwrap();
    let rows = report.of(Kind::Interactions).unwrap();
    assert_eq!(rows.missing, purged.interactions, "{rows:?}");
    let kept = VerifyConfig {
        kept_from: Some(before),
        ..config()
    };
    let report = pair.verifier(kept).run().await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(
        report.of(Kind::Interactions).unwrap().left_out,
        purged.interactions
    );
    // Nor does whoever reads the evidence take it for a comparison of everything.
    let evidence = report.evidence();
    assert!(evidence.left_out >= purged.interactions, "{evidence:?}");
    assert_eq!(evidence.kept_from, Some(before));
    let whole = pair.verifier(config()).run().await.unwrap().evidence();
    assert_eq!((whole.left_out, whole.kept_from), (0, None));
}
