//! Reaching a server, or being told why not.

use std::time::{Duration, Instant};

use kaireon_connect::postgres::{PgClient, PgConnectConfig, PgSession, PoolerMode, StatementMode, TlsMode};
use kaireon_core::store::Durability;
use kaireon_core::{Effect, Error, ErrorKind};
use sqlx::Row;
use sqlx::postgres::PgPoolOptions;
use tokio::net::{TcpListener, TcpStream};

use crate::place::{at, connect, direct, unique, variable};

async fn refused(config: PgConnectConfig) -> Error {
    let error = PgClient::connect(config).await.map(drop).unwrap_err();
    assert_eq!(error.operation(), "connect", "{error:?}");
    assert_eq!(error.effect(), Effect::NotApplied, "{error:?}");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("apppw") && !shown.contains("hunter2"), "{shown}");
    error
}

async fn text(client: &PgClient, sql: &'static str) -> String {
    let mut unit = client.begin().await.unwrap();
    let answer = unit
        .fetch_one(client.query(sql))
        .await
        .and_then(|row| row.try_get(0))
        .unwrap();
    client.commit(unit).await.unwrap();
    answer
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_server_without_a_pooler_is_known_as_such() {
    let client = connect(direct()).await;
    assert_eq!(client.session(), PgSession::Own);
    let server = client.server();
    assert!(server.version >= 150_000 && !server.in_recovery);
    assert_eq!(server.durability, Durability::Durable);
    client.ping().await.unwrap();
    assert!(client.listen("any").await.unwrap().is_some());
    client.close().await;
    let closed = client.ping().await.unwrap_err();
    assert_eq!(
        (closed.kind(), closed.is_transient()),
        (ErrorKind::Unavailable, false)
    );
}

#[tokio::test]
#[ignore = "needs postgres-18: set KAIREON_TEST_PG18_URL"]
async fn a_later_server_is_known_as_well() {
    let client = connect(at("KAIREON_TEST_PG18_URL")).await;
    assert_eq!(client.session(), PgSession::Own);
    assert!(client.server().version >= 160_000);
    client.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn every_unit_of_work_runs_under_the_settings_asked_for() {
    let name = unique("app");
    let config = PgConnectConfig {
        url: format!(
            "{}&options=-c%20synchronous_commit%3Doff",
            variable("KAIREON_TEST_PG_URL")
        ),
        ..direct()
    };
    let config = config
        .with_statement_timeout(Duration::from_millis(1_234))
        .with_lock_timeout(None)
        .with_application_name(&name);
    let client = connect(config).await;
    assert_eq!(client.server().synchronous_commit, "on");
    for (sql, value) in [
        ("SELECT current_setting('synchronous_commit')", "on"),
        ("SELECT current_setting('statement_timeout')", "1234ms"),
        ("SELECT current_setting('lock_timeout')", "0"),
        (
            "SELECT current_setting('idle_in_transaction_session_timeout')",
            "1min",
        ),
        ("SELECT current_setting('application_name')", name.as_str()),
    ] {
        assert_eq!(text(&client, sql).await, value, "{sql}");
    }
    client.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_pool_of_the_hosts_keeps_its_sessions_and_gets_the_settings_with_each_transaction() {
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .connect(&variable("KAIREON_TEST_PG_URL"))
        .await
        .unwrap();
    let config = PgConnectConfig::default().with_lock_timeout(Duration::from_millis(777));
    let client = PgClient::from_pool(pool.clone(), config).await.unwrap();
    assert_eq!(client.session(), PgSession::Own);
    assert_eq!(
        text(&client, "SELECT current_setting('lock_timeout')").await,
        "777ms"
    );
    let after: String = sqlx::query_scalar("SELECT current_setting('lock_timeout')")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(after, "0");
    pool.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn verify_full_takes_a_server_that_its_authority_vouches_for() {
    let config = at("KAIREON_TEST_PG_TLS_URL").with_ca_file(variable("KAIREON_TEST_PG_CA"));
    let encrypted = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let client = connect(config).await;
    assert_eq!(text(&client, encrypted).await, "true");
    client.close().await;
    // The same by the URL alone.
    let url = format!(
        "{}&sslrootcert={}",
        variable("KAIREON_TEST_PG_TLS_URL"),
        variable("KAIREON_TEST_PG_CA")
    );
    let client = connect(PgConnectConfig { url, ..direct() }).await;
    assert_eq!(text(&client, encrypted).await, "true");
    client.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn verify_full_refuses_a_server_that_only_others_vouch_for() {
    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/other-ca.crt");
    for config in [
        at("KAIREON_TEST_PG_TLS_URL").with_ca_file(other),
        at("KAIREON_TEST_PG_TLS_URL")
            .with_ca_file(other)
            .with_tls(TlsMode::Require),
        // The roots of the web know no private server.
        at("KAIREON_TEST_PG_TLS_URL"),
        at("KAIREON_TEST_PG_TLS_URL").with_ca_file("/nowhere/ca.crt"),
    ] {
        let error = refused(config).await;
        assert_eq!(
            (error.kind(), error.is_transient()),
            (ErrorKind::Config, false),
            "{error:?}"
        );
    }
}

/// Passes one connection on after the other, from an address that no certificate names.
async fn forwarder(to: &str) -> std::net::SocketAddr {
    let to = to.to_owned();
    let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = TcpStream::connect(&to).await.unwrap();
            // Either side may end it as it likes.
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        }
    });
    address
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn verify_full_asks_for_the_very_name_and_verify_ca_does_not() {
    let url = variable("KAIREON_TEST_PG_TLS_URL");
    let (login, rest) = url.split_once('@').unwrap();
    let (server, rest) = rest.split_once('/').unwrap();
    let address = forwarder(server).await;
    let moved = PgConnectConfig {
        url: format!("{login}@{address}/{rest}"),
        ..direct()
    };
    let moved = moved.with_ca_file(variable("KAIREON_TEST_PG_CA"));
    assert_eq!(refused(moved.clone()).await.kind(), ErrorKind::Config);
    connect(moved.with_tls(TlsMode::VerifyCa).with_max_connections(1))
        .await
        .close()
        .await;
}

#[tokio::test]
#[ignore = "needs postgres-18: set KAIREON_TEST_PG18_URL"]
async fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let error = refused(at("KAIREON_TEST_PG18_URL").with_tls(TlsMode::Require)).await;
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_wrong_password_is_unauthorized_and_not_shown() {
    let url = variable("KAIREON_TEST_PG_URL").replacen("apppw", "hunter2", 1);
    let error = refused(PgConnectConfig { url, ..direct() }).await;
    assert_eq!(
        (error.kind(), error.is_transient()),
        (ErrorKind::Unauthorized, false)
    );
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_database_that_does_not_exist_is_a_wrong_configuration() {
    let url = variable("KAIREON_TEST_PG_URL").replacen("/app?", "/nowhere?", 1);
    let error = refused(PgConnectConfig { url, ..direct() }).await;
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_unavailable_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("postgres://app:hunter2@{address}/app?sslmode=disable");
    let error = refused(PgConnectConfig::from_url(url)).await;
    assert_eq!(
        (error.kind(), error.is_transient()),
        (ErrorKind::Unavailable, true)
    );
}

#[tokio::test]
async fn a_host_that_never_answers_is_unavailable_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("postgres://app:hunter2@{address}/app?sslmode=disable");
    let config = PgConnectConfig::from_url(url).with_acquire_timeout(Duration::from_millis(200));
    let began = Instant::now();
    let error = refused(config).await;
    assert_eq!(
        (error.kind(), error.is_transient()),
        (ErrorKind::Unavailable, true)
    );
    assert!(
        began.elapsed() >= Duration::from_millis(200),
        "it waited as long as it was told to"
    );
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_login_without_a_connection_left_is_rate_limited() {
    let role = unique("role");
    let admin = variable("KAIREON_TEST_PG_ADMIN_URL");
    let make = format!("CREATE ROLE {role} LOGIN PASSWORD 'hunter2' CONNECTION LIMIT 0");
    crate::place::run(&admin, &make).await;
    let url = variable("KAIREON_TEST_PG_URL").replacen("app:apppw", &format!("{role}:hunter2"), 1);
    let outcome = PgClient::connect(PgConnectConfig { url, ..direct() }).await;
    crate::place::run(&admin, &format!("DROP ROLE {role}")).await;
    let error = outcome.map(drop).unwrap_err();
    assert_eq!(
        (error.kind(), error.is_transient()),
        (ErrorKind::RateLimited, true),
        "{error:?}"
    );
    assert!(error.retry_after().is_some());
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_pool_that_is_used_up_is_rate_limited_and_recovers() {
    let config = direct()
        .with_max_connections(1)
        .with_acquire_timeout(Duration::from_millis(500));
    let client = connect(config).await;
    let held = client.begin().await.unwrap();
    let error = client.begin().await.map(drop).unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (ErrorKind::RateLimited, Effect::NotApplied)
    );
    drop(held);
    client.commit(client.begin().await.unwrap()).await.unwrap();
    client.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn what_is_declared_a_transaction_pooler_is_treated_as_one() {
    let client = connect(direct().with_pooler(PoolerMode::Transaction)).await;
    let uncached = PgSession::Shared(StatementMode::UncachedInTransaction);
    assert_eq!(client.session(), uncached);
    assert!(client.listen("any").await.unwrap().is_none());
    client.ping().await.unwrap();
    client.close().await;
}
