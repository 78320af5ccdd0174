//! Connections that rest between two reads: nobody asks them anything, and nobody else goes without them.

use std::time::Duration;

use kaireon_connect::postgres::{PgClient, PgConnectConfig};
use sqlx::Executor;

use crate::place::{connect, direct};

/// Longer than anything here takes but on a machine that stands still.
const LONG: Duration = Duration::from_secs(20);

async fn read(client: &PgClient) -> i32 {
    let mut reader = client.reader().await.unwrap();
    let pid = client
        .scalar("SELECT pg_backend_pid()")
        .fetch_all(&mut *reader)
        .await
        .unwrap();
    reader.rest();
    pid[0]
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(LONG, waiting).await;
    assert!(waited.is_ok(), "{what}");
}

fn of_two() -> PgConnectConfig {
    direct().with_max_connections(2).with_acquire_timeout(LONG)
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_reader_that_rests_is_the_next_and_does_not_pass_through_the_pool() {
    let client = connect(of_two()).await;
    let first = read(&client).await;
    for _ in 0..20 {
        // The pool would not have it before the server has answered to a sign of life, and so would open another.
        assert_eq!(read(&client).await, first);
        assert_eq!(client.pool().size(), 1);
    }
    client.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn whoever_needs_a_connection_gets_one_that_rests() {
    let client = connect(of_two()).await;
    let first = read(&client).await;
    // A unit of work, beside another that holds the pool's last.
    let held = client.acquire().await.unwrap();
    let other = client.acquire().await.unwrap();
    drop((held, other));
    read(&client).await;
    let units = (client.begin().await.unwrap(), client.begin().await.unwrap());
    drop(units);
    // A host that asks the pool itself.
    read(&client).await;
    let pool = client.pool();
    let both = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    drop(both);
    assert!(first > 0);
    client.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn readers_never_keep_the_last_connection() {
    let client = connect(direct().with_max_connections(1).with_acquire_timeout(LONG)).await;
    for _ in 0..3 {
        read(&client).await;
        assert!(format!("{client:?}").contains("resting: 0"));
        drop(client.pool().acquire().await.unwrap());
        client.commit(client.begin().await.unwrap()).await.unwrap();
    }
    client.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn the_pool_has_a_reader_back_when_nobody_reads() {
    let client = connect(of_two()).await;
    read(&client).await;
    assert_eq!((client.pool().size(), client.pool().num_idle()), (1, 0));
    until("the pool has it back", async || client.pool().num_idle() == 1).await;
    read(&client).await;
    until("and once more", async || client.pool().num_idle() == 1).await;
    client.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_pool_is_closed_with_what_rests() {
    let client = connect(of_two()).await;
    read(&client).await;
    tokio::time::timeout(LONG, client.close()).await.unwrap();
    assert_eq!(client.pool().size(), 0);
    assert!(client.reader().await.is_err());
    // By a host who closes its own pool.
    let client = connect(of_two()).await;
    read(&client).await;
    tokio::time::timeout(LONG, client.pool().close()).await.unwrap();
    assert_eq!(client.pool().size(), 0);
}

#[test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
fn a_client_may_be_dropped_outside_its_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (client, pool) = runtime.block_on(async {
        let client = connect(of_two()).await;
        read(&client).await;
        let pool = client.pool().clone();
        (client, pool)
    });
    drop(client);
    // It went back to the pool and is as good as before.
    let answer = runtime.block_on(async {
        let one = pool.acquire().await.unwrap().execute("SELECT 1").await;
        pool.close().await;
        one
    });
    assert_eq!(answer.unwrap().rows_affected(), 1);
}
