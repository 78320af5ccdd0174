//! Versions of tables, on a real server.

use kaireon_connect::postgres::{Migration, MigrationReport, MigrationStatus, Migrations, PgClient, Schema};
use kaireon_core::ErrorKind;
use sqlx::AssertSqlSafe;

use crate::place::{at, connect, direct, in_schema};

const FIRST: Migration = Migration {
    version: 1,
    name: "things",
    statements: &[
        "CREATE TABLE {s}.things (a int)",
        "INSERT INTO {s}.things VALUES (1)",
    ],
    oldest_library: 1,
};

const SECOND: Migration = Migration {
    version: 2,
    name: "more things",
    statements: &["CREATE TABLE {s}.more (a int); INSERT INTO {s}.things VALUES (2)"],
    oldest_library: 1,
};

const ONE: Migrations = Migrations {
    table: "versions",
    list: &[FIRST],
    oldest_database: 1,
};

const TWO: Migrations = Migrations {
    list: &[FIRST, SECOND],
    ..ONE
};

async fn count(client: &PgClient, schema: &Schema, of: &str) -> i64 {
    let mut reader = client.reader().await.unwrap();
    let sql = schema.fill(&format!("SELECT count(*) FROM {{s}}.{of}"));
    client
        .scalar(AssertSqlSafe(sql))
        .fetch_one(&mut *reader)
        .await
        .unwrap()
}

async fn ten_at_once(url: &'static str) {
    in_schema(async move |schema| {
        let mut instances = Vec::new();
        for _ in 0..10 {
            let schema = schema.clone();
            instances.push(tokio::spawn(async move {
                let client = connect(at(url).with_max_connections(2)).await;
                let report = TWO.migrate(&client, &schema).await.unwrap();
                client.close().await;
                report
            }));
        }
        let mut applied = Vec::new();
        for instance in instances {
            let MigrationReport {
                applied: some,
                version,
                ..
            } = instance.await.unwrap();
            assert_eq!(version, 2);
            applied.extend(some);
        }
        applied.sort_unstable();
        assert_eq!(applied, [1, 2], "each version was applied by one of them");
        let client = connect(direct()).await;
        assert_eq!(count(&client, &schema, "things").await, 2);
        assert_eq!(count(&client, &schema, "versions").await, 2);
        assert_eq!(
            TWO.check(&client, &schema).await.unwrap(),
            MigrationStatus::Current
        );
        client.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn ten_instances_at_once_migrate_once() {
    ten_at_once("KAIREON_TEST_PG_URL").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs pgbouncer: set KAIREON_TEST_PGBOUNCER_URL"]
async fn ten_instances_behind_a_pooler_migrate_once() {
    ten_at_once("KAIREON_TEST_PGBOUNCER_URL").await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_plan_is_what_would_run_and_changes_nothing() {
    in_schema(async |schema| {
        let client = connect(direct()).await;
        let plan = TWO.plan(&client, &schema).await.unwrap();
        let versions: Vec<u32> = plan.iter().map(|step| step.version).collect();
        assert_eq!(versions, [0, 1, 2]);
        let missing = TWO.check(&client, &schema).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::Config);
        assert!(missing.context().contains("run migrate"), "{missing}");
        // Whoever runs the plan by hand has the same tables.
        for statement in plan.iter().flat_map(|step| &step.statements) {
            let url = crate::place::variable("KAIREON_TEST_PG_URL");
            crate::place::run(&url, statement).await;
        }
        assert_eq!(count(&client, &schema, "things").await, 2);
        client.close().await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn nothing_is_planned_or_run_where_nothing_is_left() {
    in_schema(async |schema| {
        let client = connect(direct()).await;
        assert_eq!(TWO.migrate(&client, &schema).await.unwrap().applied, [1, 2]);
        assert!(TWO.plan(&client, &schema).await.unwrap().is_empty());
        let again = TWO.migrate(&client, &schema).await.unwrap();
        assert!(again.applied.is_empty() && again.version == 2);
        client.close().await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_version_that_fails_leaves_nothing_of_itself() {
    const BROKEN: Migrations = Migrations {
        list: &[
            FIRST,
            Migration {
                statements: &["CREATE TABLE {s}.half (a int)", "SELECT 1 / 0"],
                ..SECOND
            },
        ],
        ..ONE
    };
    in_schema(async |schema| {
        let client = connect(direct()).await;
        BROKEN.migrate(&client, &schema).await.unwrap_err();
        assert_eq!(
            ONE.check(&client, &schema).await.unwrap(),
            MigrationStatus::Current
        );
        let mut reader = client.reader().await.unwrap();
        let half: bool = client
            .scalar("SELECT to_regclass($1) IS NULL")
            .bind(schema.fill("{s}.half"))
            .fetch_one(&mut *reader)
            .await
            .unwrap();
        assert!(half);
        drop(reader);
        // Mended, it goes on from there.
        assert_eq!(TWO.migrate(&client, &schema).await.unwrap().applied, [2]);
        client.close().await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_library_one_version_older_works_and_an_older_one_is_refused_by_name() {
    const CONTRACTED: Migrations = Migrations {
        list: &[
            FIRST,
            SECOND,
            Migration {
                version: 3,
                name: "things are gone",
                statements: &["DROP TABLE {s}.things"],
                oldest_library: 2,
            },
        ],
        oldest_database: 2,
        ..ONE
    };
    in_schema(async |schema| {
        let client = connect(direct()).await;
        TWO.migrate(&client, &schema).await.unwrap();
        assert_eq!(
            ONE.check(&client, &schema).await.unwrap(),
            MigrationStatus::Ahead { found: 2 }
        );
        assert_eq!(
            CONTRACTED.check(&client, &schema).await.unwrap(),
            MigrationStatus::Behind { found: 2 }
        );
        CONTRACTED.migrate(&client, &schema).await.unwrap();
        assert_eq!(
            TWO.check(&client, &schema).await.unwrap(),
            MigrationStatus::Ahead { found: 3 }
        );
        for error in [
            ONE.check(&client, &schema).await.unwrap_err(),
            ONE.plan(&client, &schema).await.unwrap_err(),
            ONE.migrate(&client, &schema).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.context().contains("version 3 (things are gone)"), "{error}");
        }
        client.close().await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_role_that_was_given_a_schema_needs_no_right_to_make_one() {
    in_schema(async |schema| {
        let admin = crate::place::variable("KAIREON_TEST_PG_ADMIN_URL");
        let role = crate::place::unique("role");
        let make = format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'hunter2'; GRANT {role} TO app; CREATE SCHEMA {{s}} AUTHORIZATION {role}"
        );
        crate::place::run(&admin, &schema.fill(&make)).await;
        let mut config = direct();
        config.url = config.url.replacen("app:apppw", &format!("{role}:hunter2"), 1);
        let client = connect(config).await;
        let outcome = ONE.migrate(&client, &schema).await;
        client.close().await;
        let clear = format!("DROP SCHEMA {{s}} CASCADE; DROP ROLE {role}");
        crate::place::run(&admin, &schema.fill(&clear)).await;
        assert_eq!(outcome.unwrap().applied, [1]);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_read_only_server_is_not_migrated_and_says_so() {
    in_schema(async |schema| {
        let mut config = direct();
        config
            .url
            .push_str("&options=-c%20default_transaction_read_only%3Don");
        let client = connect(config).await;
        let error = ONE.migrate(&client, &schema).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.is_transient()),
            (ErrorKind::Unavailable, true)
        );
        client.close().await;
    })
    .await;
}
