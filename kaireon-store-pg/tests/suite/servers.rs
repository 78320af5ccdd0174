//! That the servers of the suite are those it names, and what only a pooler can get wrong.

use std::sync::Arc;
use std::time::Duration;

use kaireon_connect::postgres::{PgClient, PgSession, StatementMode};
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::store::{HistoryQuery, RecordBatch};
use kaireon_core::{CustomerId, Interaction, InteractionStore, TenantId};
use kaireon_store_pg::{PgConnectConfig, PgStore, PgStoreConfig};
use kaireon_testkit::StoreFixture;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

use crate::fixture::{Fixture, PGBOUNCER, PGBOUNCER_NEW, POSTGRES, POSTGRES_18, Server};

const PATIENCE: Duration = Duration::from_secs(60);

async fn client(server: Server) -> PgClient {
    let fixture = Fixture::on(server);
    PgClient::connect(fixture.config(fixture.schema()).connect)
        .await
        .unwrap()
}

async fn is_found(server: Server, session: PgSession) {
    let client = client(server).await;
    assert_eq!(client.session(), session);
    client.close().await;
}

#[tokio::test]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
async fn without_a_pooler_sessions_are_the_connections_own() {
    is_found(POSTGRES, PgSession::Own).await;
}

#[tokio::test]
#[ignore = "pgbouncer: set KAIREON_TEST_PGBOUNCER_URL"]
async fn behind_an_old_pooler_no_statement_is_kept() {
    is_found(PGBOUNCER, PgSession::Shared(StatementMode::UncachedInTransaction)).await;
}

#[tokio::test]
#[ignore = "pgbouncer-new: set KAIREON_TEST_PGBOUNCER_NEW_URL"]
async fn behind_a_later_pooler_statements_are_kept() {
    is_found(PGBOUNCER_NEW, PgSession::Shared(StatementMode::Cached)).await;
}

#[tokio::test]
#[ignore = "postgres-18: set KAIREON_TEST_PG18_URL"]
async fn the_latest_server_is_18_or_newer() {
    let client = client(POSTGRES_18).await;
    assert!(client.server().version >= 180_000);
    client.close().await;
}

fn event(customer: &str, key: String) -> Interaction {
    let shown = Interaction::builder("t", customer)
        .offer("o")
        .creative("k")
        .channel("web");
    shown.idempotency_key(key).build().unwrap()
}

/// More stores, writers and readers than the pooler has connections to the server, each with texts of its own: what
/// a pooler mixes up is an answer to another's question.
async fn answers_are_ones_own(server: Server) {
    const STORES: usize = 8;
    const WRITERS: usize = 6;
    const ROUNDS: usize = 10;
    let fixture = Arc::new(Fixture::on(server));
    let mut tasks = Vec::new();
    for place in 0..STORES {
        // Half of them share a schema, the others have the same tables under other names.
        let store = if place % 2 == 0 {
            fixture.open().await
        } else {
            fixture.elsewhere().await.unwrap()
        };
        for writer in 0..WRITERS {
            let store = Arc::clone(&store);
            tasks.push(tokio::spawn(async move {
                let customer = format!("c{place}-{writer}");
                let query = || {
                    let id = CustomerId::new(customer.clone()).unwrap();
                    HistoryQuery::new(TenantId::new("t").unwrap(), id)
                };
                for round in 0..ROUNDS {
                    let key = |n: usize| format!("{customer}-{round}-{n}");
                    let batch = (0..=writer).map(|n| event(&customer, key(n)));
                    let outcome = store.record_events(RecordBatch::live(batch)).await.unwrap();
                    assert!(outcome.into_values().unwrap().iter().all(|found| found.is_new()));
                    let again = store.record_event(event(&customer, key(0))).await.unwrap();
                    assert!(!again.is_new());
                    let found = store.history(query()).await.unwrap().items;
                    assert!(found.iter().all(|found| found.customer.as_str() == customer));
                    assert_eq!(
                        found.len(),
                        ((writer + 1) * (round + 1)).min(query().limit as usize)
                    );
                }
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "pgbouncer: set KAIREON_TEST_PGBOUNCER_URL"]
async fn behind_an_old_pooler_every_answer_is_ones_own() {
    answers_are_ones_own(PGBOUNCER).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "pgbouncer-new: set KAIREON_TEST_PGBOUNCER_NEW_URL"]
async fn behind_a_later_pooler_every_answer_is_ones_own() {
    answers_are_ones_own(PGBOUNCER_NEW).await;
}

/// Nothing tells a relay of what another process wrote, so it must look by itself, and before its wait is over.
async fn a_relay_looks_by_itself(server: Server) {
    let fixture = Fixture::on(server);
    let (writes, reads) = (fixture.store().await, fixture.store().await);
    let relay = reads.outbox().unwrap();
    relay.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
    let seen = relay.wait(Lane::Publish, 0, PATIENCE).await.unwrap();
    writes.record_event(event("anna", "a".to_owned())).await.unwrap();
    // No count of this handle has moved: that the wait ends is the look, and it ends long before it has to.
    let wait = relay.wait(Lane::Publish, seen, PATIENCE * 10);
    let count = tokio::time::timeout(PATIENCE, wait)
        .await
        .expect("it looks")
        .unwrap();
    assert_eq!(count, seen);
    assert_eq!(relay.status(Lane::Publish).await.unwrap().backlog, 1);
    fixture.close().await;
}

#[tokio::test]
#[ignore = "pgbouncer: set KAIREON_TEST_PGBOUNCER_URL"]
async fn behind_an_old_pooler_a_relay_looks_by_itself() {
    a_relay_looks_by_itself(PGBOUNCER).await;
}

#[tokio::test]
#[ignore = "pgbouncer-new: set KAIREON_TEST_PGBOUNCER_NEW_URL"]
async fn behind_a_later_pooler_a_relay_looks_by_itself() {
    a_relay_looks_by_itself(PGBOUNCER_NEW).await;
}

/// A pool of a host's, which knows its pooler.
fn host_pool(server: Server, connections: u32) -> PgPool {
    let options: PgConnectOptions = server.url().parse().unwrap();
    // An old pooler refuses the parameter that the driver otherwise sends.
    let options = options.extra_float_digits(None);
    PgPoolOptions::new()
        .max_connections(connections)
        .connect_lazy_with(options)
}

/// Hosts that keep a connection of the pooler's each, with statements of their own around the store's, on the pool that
/// the store has as well.
async fn hosts_record_in_their_transactions(server: Server) {
    const HOSTS: usize = 12;
    const ROUNDS: usize = 6;
    let fixture = Fixture::on(server);
    let PgStoreConfig { connect, options } = fixture.config(fixture.schema());
    PgStore::migrate(&PgStoreConfig {
        connect: connect.clone(),
        options: options.clone(),
    })
    .await
    .unwrap();
    let pool = host_pool(server, 40);
    let connect = PgConnectConfig {
        url: String::new(),
        ..connect
    };
    let store = PgStore::from_pool(pool.clone(), connect, options).await.unwrap();
    let outbox = store.outbox().unwrap();
    outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
    let kept = client(server).await.session().statements().is_persistent();
    let hosts: Vec<_> = (0..HOSTS)
        .map(|host| {
            let (store, pool) = (store.clone(), pool.clone());
            tokio::spawn(async move {
                let customer = format!("c{host}");
                for round in 0..ROUNDS {
                    let key = format!("{customer}-{round}");
                    let shown = event(&customer, key.clone());
                    let mut transaction = pool.begin().await.unwrap();
                    let own = sqlx::query_scalar("SELECT $1::text").bind(key).persistent(kept);
                    let own: String = own.fetch_one(&mut *transaction).await.unwrap();
                    let batch = RecordBatch::live([shown.clone()]);
                    let recorded = store.record_in(&mut transaction, batch).await.unwrap();
                    assert!(recorded.into_values().unwrap()[0].is_new());
                    let again = sqlx::query_scalar("SELECT $1::text || ''")
                        .bind(own)
                        .persistent(kept);
                    let again: String = again.fetch_one(&mut *transaction).await.unwrap();
                    assert_eq!(again, format!("{customer}-{round}"));
                    if round % 3 == 2 {
                        transaction.rollback().await.unwrap();
                    } else {
                        transaction.commit().await.unwrap();
                        store.wake();
                    }
                    let found = store.record_event(shown).await.unwrap();
                    assert_eq!(found.is_new(), round % 3 == 2, "the host's fate is the record's");
                }
                let id = CustomerId::new(customer).unwrap();
                let found = store
                    .history(HistoryQuery::new(TenantId::new("t").unwrap(), id.clone()))
                    .await;
                let found = found.unwrap().items;
                assert_eq!(found.len(), ROUNDS);
                assert!(found.iter().all(|found| found.customer == id));
            })
        })
        .collect();
    for host in hosts {
        host.await.unwrap();
    }
    let backlog = outbox.status(Lane::Publish).await.unwrap().backlog;
    assert_eq!(backlog, (HOSTS * ROUNDS) as u64);
    // What `wake` tells other processes passes a pooler, though hearing it does not.
    let mut beside = PgConnection::connect(&server.direct_url()).await.unwrap();
    let incarnation = format!("SELECT incarnation FROM {}.meta", fixture.schema());
    let incarnation: i64 = sqlx::query_scalar(AssertSqlSafe(incarnation))
        .fetch_one(&mut beside)
        .await
        .unwrap();
    let mut listener = PgListener::connect(&server.direct_url()).await.unwrap();
    let channel = format!("kaireon_outbox_{incarnation:016x}");
    listener.listen(&channel).await.unwrap();
    store.wake();
    let told = tokio::time::timeout(PATIENCE, listener.recv()).await;
    assert_eq!(told.expect("it is told").unwrap().channel(), channel);
    store.disconnect().await.unwrap();
    pool.close().await;
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
async fn without_a_pooler_hosts_record_in_their_transactions() {
    hosts_record_in_their_transactions(POSTGRES).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "pgbouncer: set KAIREON_TEST_PGBOUNCER_URL"]
async fn behind_an_old_pooler_hosts_record_in_their_transactions() {
    hosts_record_in_their_transactions(PGBOUNCER).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "pgbouncer-new: set KAIREON_TEST_PGBOUNCER_NEW_URL"]
async fn behind_a_later_pooler_hosts_record_in_their_transactions() {
    hosts_record_in_their_transactions(PGBOUNCER_NEW).await;
}
