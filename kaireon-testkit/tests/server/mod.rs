//! A server of a test's own, with the programs that `cargo xtask services up` tells of; and the proxy before it.

use std::process::Command;

use kaireon_testkit::proxy::Direction::{ToClient, ToServer};
use kaireon_testkit::proxy::{Cut, PostgresFraming, Proxy, Rule, postgres};
use kaireon_testkit::server::{PostgresServer, Shutdown};

fn programs() -> String {
    std::env::var("KAIREON_TEST_PG_BINDIR").expect("set KAIREON_TEST_PG_BINDIR")
}

/// `psql` of the same folder; what it printed, or what it complained of.
async fn psql(url: &str, sql: &[&str]) -> Result<String, String> {
    let mut psql = Command::new(format!("{}/psql", programs()));
    psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet"]);
    for sql in sql {
        psql.args(["--command", sql]);
    }
    psql.arg(url);
    let run = tokio::task::spawn_blocking(move || psql.output().unwrap());
    let output = run.await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

#[tokio::test]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn what_was_committed_survives_a_kill_and_so_do_port_and_settings() {
    let mut server = PostgresServer::start(programs(), &[("max_connections", "17")])
        .await
        .unwrap();
    let url = server.url();
    psql(&url, &["CREATE TABLE t (n int)", "INSERT INTO t VALUES (1), (2)"])
        .await
        .unwrap();
    for how in [Shutdown::Kill, Shutdown::Fast] {
        server.stop(how).await.unwrap();
        psql(&url, &["SELECT 1"]).await.unwrap_err();
        // A second time is nothing.
        server.stop(how).await.unwrap();
        server.restart().await.unwrap();
        assert_eq!(server.url(), url);
        let found = psql(
            &url,
            &["SELECT count(*), current_setting('max_connections') FROM t"],
        )
        .await;
        assert_eq!(found.unwrap(), "2|17");
    }
    drop(server);
    psql(&url, &["SELECT 1"]).await.unwrap_err();
}

#[tokio::test]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn both_outcomes_of_a_lost_commit_happen_and_look_the_same_to_the_client() {
    let server = PostgresServer::start(programs(), &[]).await.unwrap();
    let proxy = Proxy::start::<PostgresFraming>(server.address()).await.unwrap();
    let (direct, through) = (server.url(), proxy.in_url(&server.url()));
    psql(&direct, &["CREATE TABLE t (n int)"]).await.unwrap();

    let never_read = Rule::on(ToServer, postgres::statement("COMMIT")).cut_before(Cut::Reset);
    let never_answered = Rule::on(ToClient, postgres::command_complete("COMMIT")).cut_before(Cut::Reset);
    for (rule, count) in [(never_read, "0"), (never_answered, "1")] {
        let armed = proxy.arm(rule);
        psql(&through, &["BEGIN", "INSERT INTO t VALUES (1)", "COMMIT"])
            .await
            .unwrap_err();
        assert!(armed.has_fired());
        assert_eq!(psql(&direct, &["SELECT count(*) FROM t"]).await.unwrap(), count);
    }
    // And one that is answered before the cut, after which the client finds nothing wrong with it.
    let armed = proxy.arm(
        Rule::on(ToClient, postgres::command_complete("COMMIT"))
            .then(ToClient, postgres::ready_for_query())
            .cut_after(Cut::Fin),
    );
    psql(&through, &["BEGIN", "INSERT INTO t VALUES (1)", "COMMIT"])
        .await
        .unwrap();
    armed.fired().await;
    assert_eq!(psql(&direct, &["SELECT count(*) FROM t"]).await.unwrap(), "2");
}

#[tokio::test]
async fn programs_that_are_not_there_are_an_error_that_names_them() {
    let error = PostgresServer::start("/no/such/folder", &[]).await.unwrap_err();
    assert!(error.to_string().contains("/no/such/folder/initdb"), "{error}");
}
