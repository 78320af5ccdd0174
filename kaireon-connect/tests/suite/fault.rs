//! What goes wrong on a server, and what is told of it.

use std::time::Duration;

use kaireon_connect::postgres::{PgClient, PgFault, Phase};
use kaireon_core::{Effect, Error, ErrorKind};
use sqlx::{AssertSqlSafe, Row};

use crate::place::{at, connect, direct, in_schema, unique, variable};

async fn fault(client: &PgClient, sql: impl Into<String>) -> PgFault {
    let mut unit = client.begin().await.unwrap();
    let error = unit
        .execute(client.query(AssertSqlSafe(sql.into())))
        .await
        .map(drop)
        .unwrap_err();
    PgFault::new(&error, Phase::InTransaction)
}

fn facts(error: &Error) -> (ErrorKind, Effect, bool) {
    (error.kind(), error.effect(), error.is_transient())
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_statement_that_takes_too_long_is_a_timeout_and_not_applied() {
    let client = connect(direct().with_statement_timeout(Duration::from_millis(50))).await;
    let error = fault(&client, "SELECT pg_sleep(30)").await.into_error();
    assert_eq!(facts(&error), (ErrorKind::Timeout, Effect::NotApplied, true));
    client.close().await;
}

#[tokio::test]
#[ignore = "needs pgbouncer: set KAIREON_TEST_PGBOUNCER_URL"]
async fn a_statement_that_takes_too_long_behind_a_pooler_is_a_timeout_as_well() {
    let config = at("KAIREON_TEST_PGBOUNCER_URL").with_statement_timeout(Duration::from_millis(50));
    let client = connect(config).await;
    let error = fault(&client, "SELECT pg_sleep(30)").await.into_error();
    assert_eq!(facts(&error), (ErrorKind::Timeout, Effect::NotApplied, true));
    // It was of that transaction alone.
    let other = connect(at("KAIREON_TEST_PGBOUNCER_URL")).await;
    let mut unit = other.begin().await.unwrap();
    unit.execute(other.query("SELECT pg_sleep(0.2)")).await.unwrap();
    other.commit(unit).await.unwrap();
    client.close().await;
    other.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_lock_that_is_not_to_be_had_is_a_timeout() {
    let client = connect(direct().with_lock_timeout(Duration::from_millis(50))).await;
    let key = std::process::id();
    let lock = format!("SELECT pg_advisory_xact_lock(77, {key})");
    let mut holder = client.begin().await.unwrap();
    holder
        .execute(client.query(AssertSqlSafe(lock.clone())))
        .await
        .unwrap();
    let fault = fault(&client, lock).await;
    assert!(fault.is_lock_timeout());
    assert_eq!(
        facts(&fault.into_error()),
        (ErrorKind::Timeout, Effect::NotApplied, true)
    );
    drop(holder);
    client.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_read_only_server_is_unavailable_and_nothing_was_applied() {
    let mut config = direct();
    config
        .url
        .push_str("&options=-c%20default_transaction_read_only%3Don");
    let client = connect(config).await;
    let error = fault(&client, "CREATE TABLE public.never (a int)")
        .await
        .into_error();
    assert_eq!(facts(&error), (ErrorKind::Unavailable, Effect::NotApplied, true));
    assert!(error.retry_after().is_some());
    client.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn texts_that_quote_a_value_are_dropped_at_the_door() {
    in_schema(async |schema| {
        let client = connect(direct()).await;
        let mut unit = client.begin().await.unwrap();
        let make = "CREATE SCHEMA {s}; CREATE TABLE {s}.people (name text CONSTRAINT one_each PRIMARY KEY CHECK \
                    (name <> 'customer-8')); INSERT INTO {s}.people VALUES ('customer-7')";
        unit.script(schema.fill(make)).await
            .unwrap();
        client.commit(unit).await.unwrap();
        for (sql, kind, state) in [
            ("INSERT INTO {s}.people VALUES ('customer-7')", ErrorKind::Conflict, "23505"),
            ("INSERT INTO {s}.people VALUES ('customer-8')", ErrorKind::InvalidInput, "23514"),
            ("SELECT CASE WHEN name > '' THEN name::int END FROM {s}.people", ErrorKind::Internal, "22P02"),
            ("SELECT 'customer-7'::varchar(400)::name, 1 / (length('customer-7') - 10)", ErrorKind::InvalidInput, "22012"),
            ("DO $$ BEGIN RAISE EXCEPTION 'customer-7'; END $$", ErrorKind::InvalidInput, "P0001"),
        ] {
            let fault = fault(&client, schema.fill(sql)).await;
            assert_eq!((fault.kind(), fault.sqlstate()), (kind, Some(state)), "{sql}");
            let shown = format!("{fault} {fault:?}");
            let error = fault.into_error();
            let shown = format!("{shown} {error} {error:?}");
            assert!(!shown.contains("customer-"), "{shown}");
        }
        let unique = fault(&client, schema.fill("INSERT INTO {s}.people VALUES ('customer-7')")).await;
        assert_eq!(unique.constraint(), Some("one_each"));
        client.close().await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_nul_character_is_invalid_input() {
    let client = connect(direct()).await;
    let mut unit = client.begin().await.unwrap();
    let error = unit
        .execute(client.query("SELECT $1::text").bind("a\0b"))
        .await
        .map(drop)
        .unwrap_err();
    let fault = PgFault::new(&error, Phase::InTransaction);
    assert_eq!(
        (fault.kind(), fault.sqlstate()),
        (ErrorKind::InvalidInput, Some("22021"))
    );
    drop(unit);
    client.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_missing_table_says_what_to_run() {
    let client = connect(direct()).await;
    let error = fault(&client, "SELECT 1 FROM nowhere.history").await.into_error();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.context().contains("run migrate"), "{error}");
    client.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_session_that_is_ended_before_its_commit_leaves_the_outcome_unknown() {
    let client = connect(direct()).await;
    let mut unit = client.begin().await.unwrap();
    let session: i32 = unit
        .fetch_one(client.query("SELECT pg_backend_pid()"))
        .await
        .and_then(|row| row.try_get(0))
        .unwrap();
    end(&client, &format!("pid = {session}")).await;
    let error = client.commit(unit).await.unwrap_err();
    assert_eq!(
        facts(&error),
        (ErrorKind::Unavailable, Effect::Unknown, true),
        "{error:?}"
    );
    client.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn connections_that_were_cut_while_they_rested_are_passed_over() {
    let name = unique("rest");
    let client = connect(direct().with_max_connections(4).with_application_name(&name)).await;
    let mut units = Vec::new();
    for _ in 0..4 {
        units.push(client.begin().await.unwrap());
    }
    for unit in units {
        client.commit(unit).await.unwrap();
    }
    let other = connect(direct()).await;
    end(&other, &format!("application_name = '{name}'")).await;
    for _ in 0..4 {
        client.commit(client.begin().await.unwrap()).await.unwrap();
    }
    client.close().await;
    other.close().await;
}

/// Ends sessions, and waits until the server no longer has them.
async fn end(client: &PgClient, which: &str) {
    let ended = format!("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE {which}");
    let mut unit = client.begin().await.unwrap();
    let ended = unit.fetch_all(client.query(AssertSqlSafe(ended))).await.unwrap();
    client.commit(unit).await.unwrap();
    assert!(!ended.is_empty() && ended.iter().all(|ended| ended.get(0)));
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_deadlock_says_that_the_transaction_is_to_be_run_again() {
    let client = connect(direct().with_lock_timeout(None)).await;
    let key = |number: u32| format!("SELECT pg_advisory_xact_lock({number}, {})", std::process::id());
    let mut one = client.begin().await.unwrap();
    let mut two = client.begin().await.unwrap();
    let lock = |number: u32| client.query(AssertSqlSafe(key(number)));
    one.execute(lock(78)).await.unwrap();
    two.execute(lock(79)).await.unwrap();
    let (first, second) = tokio::join!(one.execute(lock(79)), async move {
        let outcome = two.execute(lock(78)).await;
        // Whoever is not the victim gets the lock when the victim is rolled back.
        if outcome.is_err() {
            drop(two);
        }
        outcome
    });
    let error = match (first, second) {
        (Err(error), _) | (_, Err(error)) => error,
        (Ok(_), Ok(_)) => panic!("nobody was the victim"),
    };
    let fault = PgFault::new(&error, Phase::Commit);
    assert!(fault.restarts_transaction(), "{fault:?}");
    drop(one);
    client.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_table_altered_under_a_prepared_statement_spoils_the_connection() {
    in_schema(async |schema| {
        let client = connect(direct().with_max_connections(1)).await;
        let url = variable("KAIREON_TEST_PG_URL");
        crate::place::run(
            &url,
            &schema.fill("CREATE SCHEMA {s}; CREATE TABLE {s}.t (a int)"),
        )
        .await;
        let read = schema.fill("SELECT * FROM {s}.t");
        let mut unit = client.begin().await.unwrap();
        unit.execute(client.query(AssertSqlSafe(read.clone())))
            .await
            .unwrap();
        client.commit(unit).await.unwrap();
        crate::place::run(&url, &schema.fill("ALTER TABLE {s}.t ADD b int")).await;
        let fault = fault(&client, read).await;
        assert!(fault.spoils_connection() && fault.is_transient(), "{fault:?}");
        client.close().await;
    })
    .await;
}
