//! Archives of stores on real servers, read by a program that knows nothing of us.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::support::{archive, counted, decision, each_once, in_force, interaction, key, store, tenant};
use kaireon_archive::{Archive, ArchiveConfig, Compression, ExportConfig, Exporter, Kind, Place};
use kaireon_connect::postgres::PgConnectConfig;
use kaireon_core::{InteractionId, InteractionStore};
use kaireon_store_pg::{PgStore, PgStoreConfig, PgStoreOptions};
use sqlx::{AssertSqlSafe, Connection, Executor};

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is set in service mode"))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn postgresql_is_exported_by_scan_and_lane_under_writers() {
    let url = variable("KAIREON_TEST_PG_URL");
    let schema = format!(
        "kaireon_archive_{}",
        &InteractionId::fresh().to_string().replace('-', "")[12..]
    );
    let connect = PgConnectConfig {
        url: url.clone(),
        ..PgConnectConfig::default()
    };
    let options = PgStoreOptions::default()
        .with_schema(&schema)
        .with_master_key(key());
    let config = PgStoreConfig { connect, options };
    PgStore::migrate(&config).await.unwrap();
    let store: Arc<dyn InteractionStore> = Arc::new(PgStore::connect(config).await.unwrap());
    for number in 0..200 {
        store.record_event(interaction("acme", number)).await.unwrap();
        store.record_decision(decision("acme", number)).await.unwrap();
    }
    in_force(&store).await;
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(Place::folder(folder.path()).unwrap()).await;
    let acme = tenant("acme");
    let config = ExportConfig {
        page: 50,
        max_buffered_bytes: 20_000,
        ..ExportConfig::new("main").with_tenants([acme.clone()])
    };
    let exporter = Exporter::new(archive.clone(), Arc::clone(&store), config).unwrap();
    let writer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in 200..500 {
                store.record_event(interaction("acme", number)).await.unwrap();
            }
        })
    };
    let scan = exporter.scan(&acme).await.unwrap();
    assert!(scan.ended.is_some() && scan.interactions >= 200 && scan.decisions == 200);
    while !writer.is_finished() {
        exporter.export_once().await.unwrap();
    }
    writer.await.unwrap();
    let last = exporter.export_once().await.unwrap();
    assert!(last.complete && last.failed.is_empty(), "{last:?}");
    each_once(&counted(folder.path(), &acme, Kind::Interactions), "key-", 0..500);
    each_once(&counted(folder.path(), &acme, Kind::Decisions), "rec-", 0..200);
    let states = archive.export_state(&acme).await.unwrap();
    assert!(states[0].complete_through.is_some());
    exporter.release().await.unwrap();
    store.disconnect().await.unwrap();
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    let drop = format!("DROP SCHEMA {schema} CASCADE");
    connection.execute(AssertSqlSafe(drop)).await.unwrap();
}

const QUERY: &str = r#"
import duckdb, json, sys
glob = sys.argv[1]
rows = duckdb.sql(f"""
    SELECT count(*), count(DISTINCT idempotency_key), sum("value"::DECIMAL(38, 6))::VARCHAR,
           count(*) FILTER (interaction_type = 'impression'),
           bool_and(strftime("timestamp"::TIMESTAMP, '%Y-%m-%d') = format('{{:04d}}-{{:02d}}-{{:02d}}', year::INT, month::INT, day::INT))
    FROM read_json('{glob}', format = 'newline_delimited', hive_partitioning = true,
        columns = {{idempotency_key: 'VARCHAR', "value": 'VARCHAR', interaction_type: 'VARCHAR', "timestamp": 'VARCHAR'}})
""").fetchall()
days = duckdb.sql(f"""
    SELECT format('{{:04d}}-{{:02d}}-{{:02d}}', year::INT, month::INT, day::INT) AS date, count(*)
    FROM read_json_auto('{glob}', format = 'newline_delimited', hive_partitioning = true) GROUP BY ALL ORDER BY ALL
""").fetchall()
print(json.dumps([rows[0], days]))
"#;

#[tokio::test]
#[ignore = "needs duckdb: set KAIREON_TEST_DUCKDB_PYTHON"]
async fn duckdb_reads_the_partitions_by_a_glob_and_agrees_on_counts_and_sums() {
    for compression in [Compression::None, Compression::Zstd] {
        let folder = tempfile::tempdir().unwrap();
        let store = store().await;
        let mut sum = 0_i128;
        for number in 0..400 {
            let event = interaction("acme", number);
            sum += i128::from(event.value.unwrap().micros());
            store.record_event(event).await.unwrap();
        }
        let config = ArchiveConfig::new(Place::folder(folder.path()).unwrap(), key())
            .with_compression(compression)
            .with_max_object_bytes(10_000);
        let archive = Archive::open(config).await.unwrap();
        let exporter = Exporter::new(archive.clone(), store, ExportConfig::new("main")).unwrap();
        assert_eq!(exporter.export_once().await.unwrap().interactions, 400);
        let acme = tenant("acme");
        let days = archive.days(&acme, Kind::Interactions).await.unwrap();
        // The name of a batch that was closed after a kill: an empty object.
        let [year, month, date] = ["2026", "04", "29"];
        let closed = format!(
            "exports/acme/interaction_history/year={year}/month={month}/day={date}/batch-closed{}",
            if compression == Compression::None {
                ".json"
            } else {
                ".json.zst"
            }
        );
        std::fs::write(folder.path().join(closed), "").unwrap();
        let glob = format!(
            "{}/exports/acme/interaction_history/*/*/*/*.json*",
            folder.path().display()
        );
        let answer = ask(&variable("KAIREON_TEST_DUCKDB_PYTHON"), &glob);
        let expected_sum = kaireon_core::ValueSum::from_micros(sum).to_string();
        let row = &answer[0];
        assert_eq!((row[0].as_u64(), row[1].as_u64()), (Some(400), Some(400)));
        let found = row[2].as_str().unwrap();
        assert_eq!(found.trim_end_matches('0').trim_end_matches('.'), expected_sum);
        assert_eq!((row[3].as_u64(), row[4].as_bool()), (Some(200), Some(true)));
        let by_day: Vec<_> = (answer[1].as_array().unwrap().iter())
            .map(|day| (day[0].as_str().unwrap().to_owned(), day[1].as_u64().unwrap()))
            .collect();
        let expected: Vec<_> = days
            .iter()
            .map(|day| (day.day.to_string(), day.records))
            .collect();
        assert_eq!(by_day, expected);
    }
}

fn ask(python: &str, glob: &str) -> serde_json::Value {
    assert!(Path::new(python).exists(), "{python}");
    let output = Command::new(python).args(["-c", QUERY, glob]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}
