//! Servers, and places on them that are a test's own and go with it.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kaireon_connect::postgres::{PgClient, PgConnectConfig, Schema};
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};

/// What a service's variable says. These tests are ignored where it is not set, so that here it must be.
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

pub(crate) fn direct() -> PgConnectConfig {
    at("KAIREON_TEST_PG_URL")
}

/// Patient enough for a machine that compiles at the same time.
pub(crate) fn at(name: &str) -> PgConnectConfig {
    PgConnectConfig::from_url(variable(name)).with_acquire_timeout(Duration::from_secs(30))
}

pub(crate) async fn connect(config: PgConnectConfig) -> PgClient {
    PgClient::connect(config).await.unwrap()
}

/// A name that no other test has, in this process or another.
pub(crate) fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("connect_{what}_{}_{next}", std::process::id())
}

/// Runs a test in a schema of its own, which is not made but is gone afterwards, also where the test fails.
pub(crate) async fn in_schema<F, T>(test: F)
where
    F: FnOnce(Schema) -> T,
    T: Future<Output = ()> + Send + 'static,
{
    let schema = Schema::new(&unique("schema")).unwrap();
    let outcome = tokio::spawn(test(schema.clone())).await;
    run(
        &variable("KAIREON_TEST_PG_URL"),
        &schema.fill("DROP SCHEMA IF EXISTS {s} CASCADE"),
    )
    .await;
    if let Err(failure) = outcome {
        std::panic::resume_unwind(failure.into_panic());
    }
}

/// The plain driver, without anything of ours.
async fn driver(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().unwrap();
    options.extra_float_digits(None::<i8>).connect().await.unwrap()
}

/// Runs statements by the plain driver.
pub(crate) async fn run(url: &str, sql: &str) {
    let mut connection = driver(url).await;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}
