//! Values that are ours, whatever lies between.

use kaireon_connect::postgres::{PgClient, PgConnectConfig, PgSession, PoolerMode, StatementMode};
use kaireon_core::ErrorKind;
use sqlx::Row;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::place::{at, connect, variable};

const OLD: &str = "KAIREON_TEST_PGBOUNCER_URL";
const NEW: &str = "KAIREON_TEST_PGBOUNCER_NEW_URL";

const CLIENTS: i64 = 40;
const EACH: i64 = 100;

/// Statements that a driver tells apart by their text alone; which one comes first differs from client to client, so
/// that one name stands for several statements.
const STATEMENTS: [&str; 5] = [
    "SELECT $1::bigint + 1",
    "SELECT $1::bigint + 2",
    "SELECT $1::bigint + 3",
    "SELECT $1::bigint + 4",
    "SELECT $1::bigint + 5",
];

/// What one query of the run asks for, and the right answer.
fn question(client: i64, query: i64) -> (&'static str, i64, i64) {
    let which = (client + query) % 5;
    let argument = client * 1_000_000 + query * 1_000;
    let statement = STATEMENTS[usize::try_from(which).unwrap()];
    (statement, argument, argument + which + 1)
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    right: i64,
    wrong: i64,
    failed: i64,
}

impl Tally {
    fn note<E>(&mut self, answer: Result<i64, E>, right: i64) {
        match answer {
            Ok(value) if value == right => self.right += 1,
            Ok(_) => self.wrong += 1,
            Err(_) => self.failed += 1,
        }
    }

    fn add(&mut self, other: &Self) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.failed += other.failed;
    }
}

async fn run<F>(client: impl Fn(i64) -> F) -> Tally
where
    F: Future<Output = Tally> + Send + 'static,
{
    let clients: Vec<_> = (0..CLIENTS).map(|number| tokio::spawn(client(number))).collect();
    let mut all = Tally::default();
    for client in clients {
        all.add(&client.await.unwrap());
    }
    all
}

/// Forty clients through the one client of ours, each query in a unit of work.
async fn units(client: &PgClient) -> Tally {
    run(|number| {
        let client = client.clone();
        async move {
            let mut tally = Tally::default();
            for query in 0..EACH {
                let (sql, argument, right) = question(number, query);
                let mut unit = client.begin().await.unwrap();
                let answer = unit
                    .fetch_one(client.query(sql).bind(argument))
                    .await
                    .and_then(|row| row.try_get(0));
                client.commit(unit).await.unwrap();
                tally.note::<sqlx::Error>(answer, right);
            }
            tally
        }
    })
    .await
}

/// The same by readers.
async fn reads(client: &PgClient) -> Tally {
    run(|number| {
        let client = client.clone();
        async move {
            let mut tally = Tally::default();
            for query in 0..EACH {
                let (sql, argument, right) = question(number, query);
                let mut reader = client.reader().await.unwrap();
                let answer = client.scalar(sql).bind(argument).fetch_one(&mut *reader).await;
                tally.note::<sqlx::Error>(answer, right);
            }
            tally
        }
    })
    .await
}

const ALL_RIGHT: Tally = Tally {
    right: CLIENTS * EACH,
    wrong: 0,
    failed: 0,
};

fn forty(url: &str) -> PgConnectConfig {
    at(url).with_max_connections(40)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs pgbouncer: set KAIREON_TEST_PGBOUNCER_URL"]
async fn every_value_is_right_behind_a_pooler_that_does_not_keep_statements() {
    let client = connect(forty(OLD)).await;
    let uncached = PgSession::Shared(StatementMode::UncachedInTransaction);
    assert_eq!(client.session(), uncached);
    assert_eq!(units(&client).await, ALL_RIGHT);
    assert_eq!(reads(&client).await, ALL_RIGHT);
    assert!(client.listen("any").await.unwrap().is_none());
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs pgbouncer-new: set KAIREON_TEST_PGBOUNCER_NEW_URL"]
async fn every_value_is_right_behind_a_pooler_that_keeps_statements() {
    let client = connect(forty(NEW)).await;
    assert_eq!(client.session(), PgSession::Shared(StatementMode::Cached));
    assert_eq!(units(&client).await, ALL_RIGHT);
    assert_eq!(reads(&client).await, ALL_RIGHT);
    assert!(client.listen("any").await.unwrap().is_none());
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn every_value_is_right_without_a_pooler() {
    let client = connect(forty("KAIREON_TEST_PG_URL")).await;
    assert_eq!(units(&client).await, ALL_RIGHT);
    assert_eq!(reads(&client).await, ALL_RIGHT);
    client.close().await;
}

/// Why all this is done: if this test should ever fail, the old pooler has learnt something.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs pgbouncer: set KAIREON_TEST_PGBOUNCER_URL"]
async fn the_driver_by_itself_goes_wrong_behind_the_old_pooler() {
    let options: PgConnectOptions = variable(OLD).parse().unwrap();
    let pool = PgPoolOptions::new()
        .max_connections(40)
        .connect_with(options.extra_float_digits(None::<i8>))
        .await
        .unwrap();
    let naive = run(|number| {
        let pool = pool.clone();
        async move {
            let mut tally = Tally::default();
            for query in 0..EACH {
                let (sql, argument, right) = question(number, query);
                let answer = sqlx::query_scalar(sql)
                    .bind(argument)
                    .persistent(false)
                    .fetch_one(&pool)
                    .await;
                tally.note::<sqlx::Error>(answer, right);
            }
            tally
        }
    })
    .await;
    println!("the driver by itself: {naive:?}");
    assert!(naive.wrong > 0, "{naive:?}");
    pool.close().await;
}

#[tokio::test]
#[ignore = "needs pgbouncer: set KAIREON_TEST_PGBOUNCER_URL"]
async fn sessions_that_are_declared_direct_and_are_shared_are_refused_by_the_old_pooler() {
    refused_as_direct(OLD).await;
}

#[tokio::test]
#[ignore = "needs pgbouncer-new: set KAIREON_TEST_PGBOUNCER_NEW_URL"]
async fn sessions_that_are_declared_direct_and_are_shared_are_refused_by_the_new_pooler() {
    refused_as_direct(NEW).await;
}

async fn refused_as_direct(url: &str) {
    let declared = at(url).with_pooler(PoolerMode::Direct);
    let error = PgClient::connect(declared).await.map(drop).unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::Config, Some("pooler")),
        "{error:?}"
    );
    // The host's own pool is asked as well.
    let options: PgConnectOptions = variable(url).parse().unwrap();
    let pool = PgPoolOptions::new().connect_lazy_with(options.extra_float_digits(None::<i8>));
    let config = PgConnectConfig::default();
    let found = PgClient::from_pool(pool.clone(), config.clone()).await.unwrap();
    assert!(matches!(found.session(), PgSession::Shared(_)));
    let error = PgClient::from_pool(pool.clone(), config.with_pooler(PoolerMode::Direct)).await;
    assert_eq!(error.map(drop).unwrap_err().field(), Some("pooler"));
    pool.close().await;
}

/// A probe that left its statement behind would be the very fault that it looks for.
#[tokio::test]
#[ignore = "needs pgbouncer: set KAIREON_TEST_PGBOUNCER_URL"]
async fn finding_out_leaves_nothing_on_the_sessions_of_a_pooler() {
    for _ in 0..20 {
        connect(at(OLD)).await.close().await;
    }
    // Sessions are met one after the other while the ones before are held.
    let mut held = Vec::new();
    for _ in 0..5 {
        let client = connect(at(OLD)).await;
        let mut unit = client.begin().await.unwrap();
        let left: i64 = unit.fetch_one(client.query("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%pg_prepared_statements WHERE%'")).await.and_then(|row| row.try_get(0))
            .unwrap();
        assert_eq!(left, 0);
        held.push((client, unit));
    }
}
