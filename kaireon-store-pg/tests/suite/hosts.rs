//! Transactions of the host's, beside and around the store's.

use std::time::{Duration, Instant};

use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::store::{Epoch, FenceRequest, HistoryQuery, RecordBatch, Recorded, SummaryQuery};
use kaireon_core::{CustomerId, ErrorKind, Interaction, InteractionStore, TenantId};
use kaireon_store_pg::PgStore;
use kaireon_testkit::StoreFixture;
use sqlx::{Connection, Executor, PgConnection};

use crate::fixture::{Fixture, connection};

fn event(customer: &str, key: &str) -> Interaction {
    let shown = Interaction::builder("t", customer)
        .offer("o")
        .creative("k")
        .channel("web");
    shown.idempotency_key(key).build().unwrap()
}

fn tenant() -> TenantId {
    TenantId::new("t").unwrap()
}

/// How many of a customer's interactions the history holds, which the summaries must agree with.
async fn counted(store: &PgStore, customer: &str) -> u64 {
    let customer = CustomerId::new(customer).unwrap();
    let rows = store
        .history(HistoryQuery::new(tenant(), customer.clone()))
        .await
        .unwrap();
    let summaries = store
        .get_summaries(SummaryQuery::new(tenant(), customer))
        .await
        .unwrap();
    let total = summaries.iter().filter(|summary| summary.period.key() == "all");
    let total: u64 = total.map(|summary| summary.stats.interactions()).sum();
    assert_eq!(total, rows.items.len() as u64 * 3);
    rows.items.len() as u64
}

async fn in_host(
    store: &PgStore,
    connection: &mut PgConnection,
    event: &Interaction,
) -> kaireon_core::Result<Recorded> {
    let outcome = store
        .record_in(connection, RecordBatch::live([event.clone()]))
        .await?;
    Ok(outcome.into_values()?.remove(0))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
async fn what_a_host_records_in_its_transaction_shares_its_fate() {
    let fixture = Fixture::new();
    let store = fixture.store().await;
    let outbox = store.outbox().unwrap();
    outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
    let mut host = connection().await;
    let first = event("anna", "a");
    for (commit, expected) in [(false, 0), (true, 1)] {
        let mut transaction = host.begin().await.unwrap();
        let recorded = in_host(&store, &mut transaction, &first).await.unwrap();
        assert!(recorded.is_new());
        assert_eq!(
            in_host(&store, &mut transaction, &first).await.unwrap(),
            Recorded::Duplicate(first.id.clone())
        );
        assert_eq!(counted(&store, "anna").await, 0, "nobody else sees it before");
        if commit {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
        }
        assert_eq!(counted(&store, "anna").await, expected);
        assert_eq!(outbox.status(Lane::Publish).await.unwrap().backlog, expected);
    }
    let again = store.record_event(first.clone()).await.unwrap();
    assert_eq!(again, Recorded::Duplicate(first.id.clone()));
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
async fn a_customer_whom_a_host_holds_keeps_nobody_else_waiting() {
    let fixture = Fixture::new();
    let store = fixture.store().await;
    store.record_event(event("known", "0")).await.unwrap();
    let mut host = connection().await;
    let mut transaction = host.begin().await.unwrap();
    // One who has a row, and one whose row the host makes.
    for customer in ["known", "new"] {
        in_host(
            &store,
            &mut transaction,
            &event(customer, &format!("host-{customer}")),
        )
        .await
        .unwrap();
    }
    let held: Vec<_> = ["known", "new"]
        .into_iter()
        .map(|customer| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .record_event(event(customer, &format!("own-{customer}")))
                    .await
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let begun = Instant::now();
    let others = (0..50).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .record_event(event(&format!("other-{n}"), &format!("other-{n}")))
                .await
        })
    });
    for other in others.collect::<Vec<_>>() {
        assert!(other.await.unwrap().unwrap().is_new());
    }
    // Far below `write_wait`, after which the held ones would have been given up; a bound and not a measurement.
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert!(
        held.iter().all(|held| !held.is_finished()),
        "they wait for the host"
    );
    transaction.commit().await.unwrap();
    for held in held {
        assert!(held.await.unwrap().unwrap().is_new());
    }
    assert_eq!(
        (counted(&store, "known").await, counted(&store, "new").await),
        (3, 2)
    );
    fixture.close().await;
}

/// `CREATE TABLE … PARTITION OF` waits for all who use the table, and all who come later wait behind it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
async fn a_month_that_is_missing_is_made_while_a_host_keeps_its_transaction_open() {
    let fixture = Fixture::new();
    let store = fixture.store().await;
    let mut host = connection().await;
    let mut transaction = host.begin().await.unwrap();
    in_host(&store, &mut transaction, &event("anna", "host"))
        .await
        .unwrap();
    let late = Interaction::builder("t", "bert")
        .offer("o")
        .creative("k")
        .channel("web");
    let late = late.timestamp("2004-02-29T12:00:00Z".parse().unwrap());
    let late = late.idempotency_key("late").build().unwrap();
    assert!(store.record_event(late).await.unwrap().is_new());
    assert!(store.record_event(event("bert", "now")).await.unwrap().is_new());
    assert_eq!(counted(&store, "anna").await, 0, "the host's is still open");
    transaction.commit().await.unwrap();
    assert_eq!(
        (counted(&store, "anna").await, counted(&store, "bert").await),
        (1, 2)
    );
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
async fn a_customer_who_is_held_too_long_is_a_timeout_and_not_applied() {
    let fixture = Fixture::new();
    let mut config = fixture.config(fixture.schema());
    config.options.write_wait = Duration::from_millis(200);
    let store = fixture.connect(config).await;
    store.record_event(event("anna", "0")).await.unwrap();
    let mut host = connection().await;
    let mut transaction = host.begin().await.unwrap();
    in_host(&store, &mut transaction, &event("anna", "host"))
        .await
        .unwrap();
    let error = store.record_event(event("anna", "own")).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (ErrorKind::Timeout, kaireon_core::Effect::NotApplied)
    );
    assert!(error.is_transient());
    transaction.rollback().await.unwrap();
    assert_eq!(counted(&store, "anna").await, 1);
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
async fn what_record_in_refuses_leaves_the_hosts_transaction_as_it_was() {
    let fixture = Fixture::new();
    let store = fixture.store().await;
    let mut host = connection().await;
    let mut transaction = host.begin().await.unwrap();
    transaction
        .execute("CREATE TEMPORARY TABLE mine (n int) ON COMMIT DROP")
        .await
        .unwrap();
    in_host(&store, &mut transaction, &event("anna", "a"))
        .await
        .unwrap();
    let other = event("anna", "a").edited(|fields| fields.offer = kaireon_core::OfferId::new("p").unwrap());
    let conflict = in_host(&store, &mut transaction, &other.unwrap())
        .await
        .unwrap_err();
    assert_eq!(conflict.kind(), ErrorKind::Conflict);
    let timeout: String = sqlx::query_scalar("SELECT current_setting('lock_timeout')")
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
    assert_eq!(timeout, "0", "the host's settings are the host's");
    transaction.execute("INSERT INTO mine VALUES (1)").await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(counted(&store, "anna").await, 1);

    let mut transaction = host.begin().await.unwrap();
    transaction
        .execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        .await
        .unwrap();
    let refused = in_host(&store, &mut transaction, &event("anna", "b"))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    transaction.commit().await.unwrap();

    let request = FenceRequest {
        tenant: tenant(),
        epoch: Epoch(2),
        lanes: None,
    };
    store.raise_fence(request).await.unwrap();
    let mut transaction = host.begin().await.unwrap();
    let refused = in_host(&store, &mut transaction, &event("anna", "b"))
        .await
        .unwrap_err();
    assert_eq!(
        refused.kind(),
        ErrorKind::Unsupported,
        "who knows of no switch cannot know the authority"
    );
    let aware = RecordBatch::live([event("anna", "b")]).with_epoch(Epoch(1));
    let outcome = store.record_in(&mut transaction, aware).await.unwrap();
    assert_eq!(outcome.into_values().unwrap_err().kind(), ErrorKind::Fenced);
    let aware = RecordBatch::live([event("anna", "b")]).with_epoch(Epoch(2));
    assert!(
        store
            .record_in(&mut transaction, aware)
            .await
            .unwrap()
            .into_values()
            .unwrap()[0]
            .is_new()
    );
    transaction.commit().await.unwrap();
    assert_eq!(counted(&store, "anna").await, 2);
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
async fn hosts_that_lock_in_opposite_orders_are_told_to_run_again_and_lose_nothing() {
    let fixture = Fixture::new();
    let store = fixture.store().await;
    let both = |one: &'static str, other: &'static str, name: &'static str| {
        let store = store.clone();
        async move {
            let mut tries = 0;
            loop {
                tries += 1;
                let mut host = connection().await;
                let mut transaction = host.begin().await.unwrap();
                let mut failed = None;
                for customer in [one, other] {
                    let event = event(customer, &format!("{name}-{customer}"));
                    match in_host(&store, &mut transaction, &event).await {
                        Ok(recorded) => assert!(recorded.is_new()),
                        Err(error) => failed = Some(error),
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                match failed {
                    None => {
                        transaction.commit().await.unwrap();
                        return tries;
                    }
                    Some(error) => {
                        assert!(error.is_transient(), "{error}");
                        transaction.rollback().await.unwrap();
                    }
                }
            }
        }
    };
    let (one, other) = tokio::join!(both("anna", "bert", "one"), both("bert", "anna", "other"));
    assert!(one + other > 2, "the two have met");
    assert_eq!(
        (counted(&store, "anna").await, counted(&store, "bert").await),
        (2, 2)
    );
    fixture.close().await;
}
