//! What only a server can get wrong: tables, partitions, connections, and many writers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use kaireon_connect::postgres::PgConnectConfig;
use kaireon_core::digest::MasterKey;
use kaireon_core::store::{HistoryQuery, Purge, RecordBatch};
use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::wrap::{Retry, RetryPolicy};
use kaireon_core::{CustomerId, ErrorKind, Interaction, InteractionStore, TenantId};
use kaireon_store_pg::{PgStore, PgStoreConfig, PgStoreOptions};
use kaireon_testkit::StoreFixture;
use kaireon_testkit::crash::Driver;
use sqlx::{AssertSqlSafe, Executor, PgPool};

use crate::fixture::{Fixture, connection, url};

fn event(customer: &str, key: &str) -> kaireon_core::InteractionBuilder {
    let shown = Interaction::builder("t", customer)
        .offer("o")
        .creative("k")
        .channel("web");
    shown.idempotency_key(key)
}

fn whole(customer: &str) -> HistoryQuery {
    let customer = CustomerId::new(customer).unwrap();
    HistoryQuery {
        limit: 1_000,
        ..HistoryQuery::new(TenantId::new("t").unwrap(), customer)
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
async fn instances_that_start_at_once_make_the_tables_once() {
    let fixture = Fixture::new();
    let config = fixture.config(fixture.schema());
    let refused = PgStore::connect(config.clone()).await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.field()),
        (ErrorKind::Config, Some("schema"))
    );
    let plan = PgStore::migration_plan(&config).await.unwrap();
    assert!(
        plan.iter()
            .any(|step| step.statements.iter().any(|text| text.contains("CREATE TABLE")))
    );
    let starts: Vec<_> = (0..10)
        .map(|_| {
            let config = config.clone();
            tokio::spawn(async move {
                let report = PgStore::migrate(&config).await.unwrap();
                (report.applied, PgStore::connect(config).await.unwrap())
            })
        })
        .collect();
    let (mut applied, mut stores) = (Vec::new(), Vec::new());
    for start in starts {
        let (versions, store) = start.await.unwrap();
        applied.extend(versions);
        stores.push(store);
    }
    applied.sort_unstable();
    // Step 0 makes the schema and the list of versions, and is no version itself.
    let planned: Vec<_> = plan
        .iter()
        .map(|step| step.version)
        .filter(|version| *version > 0)
        .collect();
    assert_eq!(applied, planned, "each version is applied by one of them");
    assert_eq!(PgStore::migration_plan(&config).await.unwrap(), []);
    for (n, store) in stores.iter().enumerate() {
        assert!(
            store
                .record_event(event("anna", &n.to_string()).build().unwrap())
                .await
                .unwrap()
                .is_new()
        );
    }
    let mut other = config;
    other.options.master_key = Some(MasterKey::new([1; 32]));
    let refused = PgStore::connect(other).await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.field()),
        (ErrorKind::Config, Some("master_key"))
    );
    for store in stores {
        store.disconnect().await.unwrap();
    }
    fixture.close().await;
}

async fn partitions(fixture: &Fixture) -> Vec<String> {
    let list = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
                JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r' ORDER BY 1";
    let mut connection = connection().await;
    let names = sqlx::query_scalar(list).bind(fixture.schema().to_owned());
    names.fetch_all(&mut connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
async fn a_late_event_makes_its_month_and_the_month_goes_when_every_tenant_has_outgrown_it() {
    let fixture = Fixture::new();
    let stores = [fixture.store().await, fixture.store().await];
    assert_eq!(partitions(&fixture).await.len(), 3, "this month and two ahead");
    let at = |text: &str| text.parse().unwrap();
    let of = |tenant: &str, key: &str| {
        let shown = Interaction::builder(tenant, "anna")
            .offer("o")
            .creative("k")
            .channel("web");
        shown
            .idempotency_key(key)
            .timestamp(at("2015-02-28T23:59:59.999Z"))
            .build()
            .unwrap()
    };
    // Both find at once that the month is missing.
    let (one, other) = (of("t", "one"), of("u", "other"));
    let (one, other) = tokio::join!(stores[0].record_event(one), stores[1].record_event(other));
    assert!(one.unwrap().is_new() && other.unwrap().is_new());
    let late = "history_2015_02".to_owned();
    assert!(partitions(&fixture).await.contains(&late));
    for (tenant, is_left) in [("t", true), ("u", false)] {
        let tenant = TenantId::new(tenant).unwrap();
        let purge = Purge {
            tenant,
            before: at("2015-03-01T00:00:00Z"),
        };
        assert_eq!(stores[0].purge_before(purge).await.unwrap().interactions, 1);
        assert_eq!(partitions(&fixture).await.contains(&late), is_left);
    }
    // The other handle believes that the month is still there.
    let again = event("anna", "v")
        .timestamp(at("2015-02-01T00:00:00Z"))
        .build()
        .unwrap();
    let again = again
        .edited(|fields| fields.tenant = TenantId::new("v").unwrap())
        .unwrap();
    assert!(stores[1].record_event(again).await.unwrap().is_new());
    assert!(partitions(&fixture).await.contains(&late));
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
async fn a_pool_of_the_hosts_stays_open_after_a_disconnect() {
    let fixture = Fixture::new();
    let config = fixture.config(fixture.schema());
    PgStore::migrate(&config).await.unwrap();
    let pool = PgPool::connect(&url()).await.unwrap();
    let PgStoreConfig { connect, options } = config;
    let connect = PgConnectConfig {
        url: String::new(),
        ..connect
    };
    let store = PgStore::from_pool(pool.clone(), connect, options).await.unwrap();
    let event = event("anna", "a").build().unwrap();
    let mut transaction = pool.begin().await.unwrap();
    store
        .record_in(&mut transaction, RecordBatch::live([event.clone()]))
        .await
        .unwrap()
        .into_values()
        .unwrap();
    transaction.commit().await.unwrap();
    assert!(!store.record_event(event).await.unwrap().is_new());
    store.disconnect().await.unwrap();
    assert_eq!(
        sqlx::query_scalar::<_, i32>("SELECT 1")
            .fetch_one(&pool)
            .await
            .unwrap(),
        1
    );
    pool.close().await;
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
async fn attributes_come_back_as_the_very_bytes_that_were_recorded() {
    let fixture = Fixture::new();
    let store = fixture.store().await;
    let long = "x".repeat(65_536 - r#"{"a":""}"#.len());
    // A NUL, what looks like a lone surrogate, numbers that a float or jsonb would change, an order of members.
    for (n, attributes) in [
        r#"{"nul":"a\u0000b"}"#.to_owned(),
        r#"{"backslash":"\\ud800","snow":"☃","emoji":"😀"}"#.to_owned(),
        r#"{"z":1e-7,"a":18446744073709551615,"m":-0.0,"b":0.1,"big":1.7976931348623157e308}"#.to_owned(),
        format!(r#"{{"a":"{long}"}}"#),
    ]
    .into_iter()
    .enumerate()
    {
        let value: serde_json::Value = serde_json::from_str(&attributes).unwrap();
        let event = event("anna", &format!("k{n}")).attributes(value).build().unwrap();
        assert!(store.record_event(event.clone()).await.unwrap().is_new());
        let found = store.history(whole("anna")).await.unwrap().items;
        assert!(found.contains(&event), "{n}");
    }
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
async fn a_store_whose_connections_are_cut_goes_on_and_loses_and_doubles_nothing() {
    let fixture = Fixture::new();
    let mut config = fixture.config(fixture.schema());
    // By its name the connections are found that are to be cut.
    config.connect.application_name = fixture.schema().to_owned();
    let store = fixture.connect(config).await;
    let cut = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{}'",
        fixture.schema()
    );
    let killer = tokio::spawn(async move {
        let mut connection = connection().await;
        for _ in 0..40 {
            connection.execute(AssertSqlSafe(cut.clone())).await.unwrap();
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    });
    let policy = RetryPolicy {
        max_attempts: 60,
        max_elapsed: Duration::from_secs(60),
        ..RetryPolicy::default()
    };
    let retried: Arc<dyn InteractionStore> = Arc::new(Retry::new(store.clone(), policy));
    let writers: Vec<_> = (0..16)
        .map(|writer| {
            let store = Arc::clone(&retried);
            tokio::spawn(async move {
                for n in 0..40 {
                    let event = event(&format!("c{writer}"), &format!("{writer}-{n}"))
                        .build()
                        .unwrap();
                    // Whether it is new or found by its own retry, its id is its own.
                    assert_eq!(store.record_event(event.clone()).await.unwrap().id(), &event.id);
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    killer.await.unwrap();
    for writer in 0..16 {
        let found = retried.history(whole(&format!("c{writer}"))).await.unwrap();
        assert_eq!(found.items.len(), 40);
    }
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
async fn a_customer_of_many_offers_and_years_stays_small_and_is_read_whole() {
    let fixture = Fixture::new();
    let store = fixture.store().await;
    let begin = SystemClock.now() - TimeDelta::days(4_000);
    let events: Vec<_> = (0..2_000_i64)
        .map(|n| {
            let shown = Interaction::builder("t", "anna")
                .offer(format!("offer-{}", n % 300))
                .creative(format!("creative-{}", n % 40))
                .channel("web");
            shown.timestamp(begin + TimeDelta::days(n * 2)).build().unwrap()
        })
        .collect();
    for part in events.chunks(250) {
        store
            .record_events(RecordBatch::live(part.to_vec()))
            .await
            .unwrap()
            .into_values()
            .unwrap();
    }
    let mut connection = connection().await;
    let bytes = format!(
        "SELECT max(octet_length(packed)) FROM {}.customers",
        fixture.schema()
    );
    let bytes: i32 = sqlx::query_scalar(AssertSqlSafe(bytes))
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(bytes <= 6 * 1024, "{bytes}");
    let query =
        kaireon_core::store::SummaryQuery::new(TenantId::new("t").unwrap(), CustomerId::new("anna").unwrap());
    let summaries = store.get_summaries(query).await.unwrap();
    for period in ["all", "2020-02"] {
        let in_period =
            |event: &&Interaction| period == "all" || event.timestamp.to_rfc3339().starts_with(period);
        let expected = events.iter().filter(in_period).count() as u64 * 3;
        let found = summaries.iter().filter(|summary| summary.period.key() == period);
        assert_eq!(
            found.map(|summary| summary.stats.interactions()).sum::<u64>(),
            expected,
            "{period}"
        );
    }
    fixture.close().await;
}

async fn open_at(place: PathBuf) -> Arc<dyn InteractionStore> {
    let schema = place.file_name().unwrap().to_str().unwrap().to_owned();
    let options = PgStoreOptions::default()
        .with_schema(schema)
        .with_master_key(MasterKey::new([42; 32]));
    let config = PgStoreConfig::at(url()).with_options(options);
    PgStore::migrate(&config).await.unwrap();
    Arc::new(PgStore::connect(config).await.unwrap())
}

#[test]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let fixture = Fixture::new();
    let test = "server::nothing_acknowledged_is_lost_when_the_process_is_killed";
    let report = Driver::from_env(test, 6).run(Path::new(fixture.schema()), open_at);
    assert!(report.kills > 0);
    kaireon_testkit::suite::block_on(fixture.close());
}
