//! Unlike stores: what they hold is the same though they keep it otherwise, and scan it in orders of their own.

use std::sync::Arc;

use futures_util::future::join_all;
use kaireon_core::{InteractionId, InteractionStore};
use kaireon_store_embedded::{EmbeddedConfig, EmbeddedStore};
use kaireon_store_pg::{PgConnectConfig, PgStore, PgStoreConfig, PgStoreOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;

use super::flaw::Flaw;
use super::live::compared;
use super::{Pair, in_memory};
use crate::switch::KEY;

async fn embedded() -> (Arc<dyn InteractionStore>, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig::at(dir.path().join("data")).with_master_key(KEY);
    (Arc::new(EmbeddedStore::open(config).await.unwrap()), dir)
}

/// A schema of its own on the server of the run.
struct Schema(String);

fn url() -> String {
    std::env::var("KAIREON_TEST_PG_URL").expect("KAIREON_TEST_PG_URL is set in service mode")
}

impl Schema {
    fn new() -> Self {
        let id = InteractionId::fresh().to_string().replace('-', "");
        Self(format!("kaireon_test_{}", &id[12..]))
    }

    async fn store(&self) -> Arc<dyn InteractionStore> {
        let config = PgStoreConfig {
            connect: PgConnectConfig {
                url: url(),
                ..PgConnectConfig::default()
            },
            options: PgStoreOptions::default()
                .with_schema(&self.0)
                .with_master_key(KEY),
        };
        PgStore::migrate(&config).await.unwrap();
        Arc::new(PgStore::connect(config).await.unwrap())
    }

    async fn drop(self) {
        let mut connection = PgConnection::connect(&url()).await.unwrap();
        let drop = format!("DROP SCHEMA {} CASCADE", self.0);
        connection.execute(AssertSqlSafe(drop)).await.unwrap();
    }
}

/// Each flaw between two stores, the first of which has the lane; then they are disconnected.
async fn each(
    source: Arc<dyn InteractionStore>,
    target: Arc<dyn InteractionStore>,
    flaw: Flaw,
    seed: u64,
) -> u64 {
    let pair = Pair::of(source, target);
    pair.fill().await;
    let written = compared(&pair, flaw, seed).await;
    for store in [pair.source, pair.target] {
        store.disconnect().await.unwrap();
    }
    written
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_and_memory_are_compared_while_both_are_written_to() {
    let runs = Flaw::ALL.into_iter().zip(0..).map(|(flaw, seed)| async move {
        let (store, dir) = embedded().await;
        let written = match seed % 2 {
            0 => each(store, in_memory(), flaw, seed).await,
            _ => each(in_memory(), store, flaw, seed).await,
        };
        drop(dir);
        written
    });
    let mut written = 0;
    for run in runs {
        written += run.await;
    }
    assert!(written > 0);
}

/// Some at a time: every run has a pool of connections.
async fn against_postgres(target_is_postgres: bool) {
    let flaws: Vec<_> = Flaw::ALL.into_iter().zip(0..).collect();
    let mut written = 0;
    for some in flaws.chunks(3) {
        let runs = some.iter().map(|&(flaw, seed)| async move {
            let ((store, dir), schema) = (embedded().await, Schema::new());
            let postgres = schema.store().await;
            let written = match target_is_postgres {
                true => each(store, postgres, flaw, seed).await,
                false => each(postgres, store, flaw, seed).await,
            };
            schema.drop().await;
            drop(dir);
            written
        });
        written += join_all(runs).await.into_iter().sum::<u64>();
    }
    assert!(written > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn embedded_is_compared_with_postgres_while_both_are_written_to() {
    against_postgres(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn postgres_is_compared_with_embedded_while_both_are_written_to() {
    against_postgres(false).await;
}
