//! Tables of another version, months, the last number of a tenant, and rows that somebody else has written.

use chrono::TimeDelta;
use kaireon_core::store::{HistoryQuery, Purge, RecordBatch, ScanQuery, SummaryQuery};
use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::{
    Attributes, CustomerId, Decision, DecisionFields, DecisionFlowKey, ErrorKind, Interaction,
    InteractionStore, RecommendationId, TenantId,
};
use kaireon_store_pg::PgStore;
use kaireon_testkit::StoreFixture;
use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::fixture::{Fixture, connection};

fn tenant() -> TenantId {
    TenantId::new("t").unwrap()
}

fn event(customer: &str, key: &str) -> kaireon_core::InteractionBuilder {
    let shown = Interaction::builder("t", customer)
        .offer("o")
        .creative("k")
        .channel("web");
    shown.idempotency_key(key)
}

/// Runs statements beside the store, `{s}` standing for the schema.
async fn run(fixture: &Fixture, sql: &str) {
    let mut connection = connection().await;
    let script = sqlx::raw_sql(AssertSqlSafe(sql.replace("{s}", fixture.schema())));
    connection.execute(script).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
async fn tables_one_version_newer_are_worked_with_and_those_that_need_a_newer_library_are_refused_by_name() {
    let fixture = Fixture::new();
    let store = fixture.store().await;
    let config = fixture.config(fixture.schema());
    let version = PgStore::migrate(&config).await.unwrap().version;
    let next = version + 1;
    // What the next version may do: add.
    let mut expand: String = [
        "meta",
        "tenants",
        "customers",
        "history",
        "decisions",
        "dedupe",
        "outbox",
        "erasing",
    ]
    .map(|table| format!("ALTER TABLE {{s}}.{table} ADD COLUMN later text;"))
    .concat();
    expand += &format!("INSERT INTO {{s}}.store_versions VALUES ({next}, 'what comes later', {version})");
    run(&fixture, &expand).await;
    let beside = PgStore::connect(config.clone()).await.unwrap();
    // The one that was open meanwhile, and one that is opened now.
    for (store, key) in [(&store, "a"), (&beside, "b")] {
        let shown = event("anna", key).build().unwrap();
        assert!(store.record_event(shown.clone()).await.unwrap().is_new());
        assert!(!store.record_event(shown).await.unwrap().is_new());
    }
    let found = beside
        .history(HistoryQuery::new(tenant(), CustomerId::new("anna").unwrap()))
        .await;
    assert_eq!(found.unwrap().items.len(), 2);
    let report = PgStore::migrate(&config).await.unwrap();
    assert_eq!((report.version, report.applied), (next, Vec::new()));
    beside.disconnect().await.unwrap();
    run(
        &fixture,
        &format!("UPDATE {{s}}.store_versions SET oldest_library = {next} WHERE version = {next}"),
    )
    .await;
    for refused in [
        PgStore::connect(config.clone()).await.unwrap_err(),
        PgStore::migrate(&config).await.unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::Config);
        assert!(refused.context().contains("what comes later"), "{refused}");
    }
    fixture.close().await;
}

async fn has_month(fixture: &Fixture, month: &str) -> bool {
    let mut connection = connection().await;
    let found = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(format!("{}.{month}", fixture.schema()))
        .fetch_one(&mut connection)
        .await;
    found.unwrap()
}

#[tokio::test]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
async fn a_month_that_was_in_use_when_it_was_emptied_is_dropped_by_the_next_purge() {
    let fixture = Fixture::new();
    let store = fixture.store().await;
    let late = event("anna", "late").timestamp("2015-02-28T12:00:00Z".parse().unwrap());
    assert!(store.record_event(late.build().unwrap()).await.unwrap().is_new());
    let purge = Purge {
        tenant: tenant(),
        before: "2015-03-01T00:00:00Z".parse().unwrap(),
    };
    let mut reader = connection().await;
    let mut reading = reader.begin().await.unwrap();
    let read = format!("SELECT FROM {}.history", fixture.schema());
    reading.execute(AssertSqlSafe(read)).await.unwrap();
    assert_eq!(store.purge_before(purge.clone()).await.unwrap().interactions, 1);
    assert!(has_month(&fixture, "history_2015_02").await, "it is in use");
    reading.rollback().await.unwrap();
    assert_eq!(store.purge_before(purge).await.unwrap().interactions, 0);
    assert!(!has_month(&fixture, "history_2015_02").await);
    fixture.close().await;
}

#[tokio::test]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
async fn the_tenant_with_the_last_number_is_scanned_and_purged() {
    let fixture = Fixture::new();
    let store = fixture.store().await;
    run(
        &fixture,
        "INSERT INTO {s}.tenants (id, name) OVERRIDING SYSTEM VALUE VALUES (8388607, 't')",
    )
    .await;
    let at = kaireon_core::time::truncate(SystemClock.now() - TimeDelta::days(2));
    let shown = event("anna", "a").timestamp(at).build().unwrap();
    assert!(store.record_event(shown.clone()).await.unwrap().is_new());
    let fields = DecisionFields {
        id: RecommendationId::new("d").unwrap(),
        tenant: tenant(),
        customer: CustomerId::new("anna").unwrap(),
        flow: DecisionFlowKey::new("f").unwrap(),
        offers: Vec::new(),
        timestamp: at,
        attributes: Attributes::default(),
    };
    let decision = Decision::new(fields, &SystemClock).unwrap();
    assert!(store.record_decision(decision.clone()).await.unwrap().is_new());
    let scanned = store.scan(ScanQuery::new(tenant())).await.unwrap().items;
    assert_eq!(
        scanned.iter().map(|item| &item.value).collect::<Vec<_>>(),
        [&shown]
    );
    let scanned = store
        .scan_decisions(ScanQuery::new(tenant()))
        .await
        .unwrap()
        .items;
    assert_eq!(
        scanned.iter().map(|item| &item.value).collect::<Vec<_>>(),
        [&decision]
    );
    let purge = Purge {
        tenant: tenant(),
        before: at + TimeDelta::days(1),
    };
    let purged = store.purge_before(purge).await.unwrap();
    assert_eq!((purged.interactions, purged.decisions), (1, 1));
    let rows = format!("SELECT count(*) FROM {}.history", fixture.schema());
    let rows: i64 = sqlx::query_scalar(AssertSqlSafe(rows))
        .fetch_one(&mut connection().await)
        .await
        .unwrap();
    assert_eq!(rows, 0);
    fixture.close().await;
}

/// Half of a surrogate pair is JSON to the server and no text to anybody.
const LONE_SURROGATE: &str = r#"{"a":"\ud800"}"#;

#[tokio::test]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
async fn a_lone_surrogate_is_refused_at_construction_and_a_row_that_has_one_is_corrupt_and_no_other() {
    assert!(serde_json::from_str::<Attributes>(LONE_SURROGATE).is_err());
    assert!(serde_json::from_str::<serde_json::Value>(LONE_SURROGATE).is_err());
    let fixture = Fixture::new();
    let store = fixture.store().await;
    let now = kaireon_core::time::truncate(SystemClock.now());
    let of = |customer: &str, n: i64| {
        let shown = event(customer, &format!("{customer}-{n}"));
        let attributes = serde_json::json!({"a": "whole"});
        let shown = shown.timestamp(now - TimeDelta::minutes(n));
        shown.attributes(attributes).build().unwrap()
    };
    let events = [of("anna", 0), of("anna", 1), of("anna", 2), of("bert", 0)];
    store
        .record_events(RecordBatch::live(events.clone()))
        .await
        .unwrap()
        .into_values()
        .unwrap();
    let damage = format!(
        "UPDATE {{s}}.history SET attributes = '{LONE_SURROGATE}' WHERE id = '{}'",
        events[1].id
    );
    run(&fixture, &damage).await;
    let history = |customer: &str| HistoryQuery::new(tenant(), CustomerId::new(customer).unwrap());
    let corrupt = |error: kaireon_core::Error| {
        assert_eq!(
            (error.kind(), error.is_transient()),
            (ErrorKind::Corrupt, false),
            "{error:?}"
        );
        assert!(!format!("{error:?}").contains("d800"), "{error:?}");
    };
    corrupt(store.history(history("anna")).await.unwrap_err());
    corrupt(store.scan(ScanQuery::new(tenant())).await.unwrap_err());
    // Pages without it are read: others' pages, those before it, and those behind it.
    assert_eq!(store.history(history("bert")).await.unwrap().items, events[3..]);
    let first = HistoryQuery {
        limit: 1,
        ..history("anna")
    };
    let first = store.history(first).await.unwrap();
    assert_eq!(first.items, events[..1]);
    let second = HistoryQuery {
        limit: 1,
        cursor: first.next,
        ..history("anna")
    };
    corrupt(store.history(second).await.unwrap_err());
    let behind = HistoryQuery {
        until: Some(events[1].timestamp),
        ..history("anna")
    };
    assert_eq!(store.history(behind).await.unwrap().items, events[2..3]);
    // Nor does it hinder what does not read it.
    let summaries = SummaryQuery::new(tenant(), CustomerId::new("anna").unwrap());
    assert!(!store.get_summaries(summaries).await.unwrap().is_empty());
    assert!(!store.record_event(events[1].clone()).await.unwrap().is_new());
    assert!(store.record_event(of("anna", 3)).await.unwrap().is_new());
    fixture.close().await;
}
