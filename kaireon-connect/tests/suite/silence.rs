//! Servers that answer no more: no wait is without end.

use std::time::Duration;

use kaireon_connect::postgres::{Migration, Migrations, PgClient, PgConnectConfig, Phase};
use kaireon_core::{Effect, Error, ErrorKind};
use kaireon_testkit::proxy::Direction::{ToClient, ToServer};
use kaireon_testkit::proxy::{Cut, Flow, Link, PostgresFraming, Proxy, Rule, postgres};
use sqlx::Row;

use crate::place::{connect, direct, in_schema, unique, variable};

/// Longer than anything here takes on a machine however slow: whoever waits so long waits for ever.
const LONG: Duration = Duration::from_secs(120);

async fn soon<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, call).await.expect("it ends")
}

async fn proxy() -> Proxy {
    let url = variable("KAIREON_TEST_PG_URL");
    let rest = url.split_once("://").unwrap().1;
    let authority = rest.split(['/', '?']).next().unwrap();
    let address = authority.rsplit_once('@').unwrap().1;
    Proxy::start::<PostgresFraming>(address).await.unwrap()
}

/// One that takes a connection for broken after two seconds.
fn impatient(proxy: &Proxy) -> PgConnectConfig {
    PgConnectConfig {
        url: proxy.in_url(&variable("KAIREON_TEST_PG_URL")),
        ..direct()
    }
    .with_statement_timeout(Duration::from_secs(1))
    .with_acquire_timeout(Duration::from_secs(1))
    .with_max_connections(1)
}

fn facts(error: &Error) -> (ErrorKind, Effect, bool) {
    (error.kind(), error.effect(), error.is_transient())
}

/// The one connection of the pool was closed, so there is place for another.
async fn goes_on(client: &PgClient) {
    // The farewell to who is gone may take some seconds.
    let begun = async {
        loop {
            if let Ok(unit) = client.begin().await {
                return unit;
            }
        }
    };
    let unit = soon(begun).await;
    client.commit(unit).await.unwrap();
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_unit_whose_beginning_statement_or_commit_is_never_answered_is_given_up() {
    let proxy = proxy().await;
    let client = connect(impatient(&proxy)).await;
    for to_server in [true, false] {
        let rule = |sent: &'static str, tag: &'static str| {
            proxy.arm(if to_server {
                Rule::on(ToServer, postgres::statement(sent)).withhold()
            } else {
                Rule::on(ToClient, postgres::command_complete(tag)).withhold()
            })
        };
        let lost = rule("BEGIN", "BEGIN");
        let error = soon(client.begin()).await.map(drop).unwrap_err();
        lost.fired().await;
        assert_eq!(facts(&error), (ErrorKind::Unavailable, Effect::NotApplied, true));
        goes_on(&client).await;

        let lost = rule("SELECT 7", "SELECT");
        let mut unit = client.begin().await.unwrap();
        let error = soon(unit.fetch_one(client.query("SELECT 7"))).await.unwrap_err();
        lost.fired().await;
        let error = client.fault(Phase::InTransaction)(error);
        assert_eq!(facts(&error), (ErrorKind::Unavailable, Effect::NotApplied, true));
        drop(unit);
        goes_on(&client).await;

        let lost = rule("COMMIT", "COMMIT");
        let unit = client.begin().await.unwrap();
        let error = soon(client.commit(unit)).await.unwrap_err();
        lost.fired().await;
        assert_eq!(facts(&error), (ErrorKind::Unavailable, Effect::Unknown, true));
        goes_on(&client).await;
    }
    client.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn what_is_dropped_while_the_server_is_silent_does_not_keep_its_place_in_the_pool() {
    let proxy = proxy().await;
    let client = connect(impatient(&proxy)).await;
    for of_reader in [true, false] {
        if of_reader {
            let reader = client.reader().await.unwrap();
            // The sign of life that the pool asks for.
            let lost = proxy.arm(Rule::on(ToServer, postgres::named(b'S')).withhold());
            drop(reader);
            lost.fired().await;
        } else {
            let unit = client.begin().await.unwrap();
            let lost = proxy.arm(Rule::on(ToServer, postgres::query("ROLLBACK")).withhold());
            drop(unit);
            lost.fired().await;
        }
        goes_on(&client).await;
    }
    let reader = client.reader().await.unwrap();
    proxy.set(ToClient, swallowing());
    drop(reader);
    soon(client.close()).await;
}

fn swallowing() -> Link {
    Link {
        flow: Flow::Swallow,
        ..Link::default()
    }
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_statement_that_takes_its_time_is_waited_for_while_the_server_works_on_it() {
    let proxy = proxy().await;
    let client = connect(impatient(&proxy)).await;
    let mut unit = client.begin().await.unwrap();
    unit.take_time().await.unwrap();
    // Three times as long as another statement's answer is waited for.
    let sleep = unit.fetch_one(client.query("SELECT 8 FROM pg_sleep(6)"));
    assert_eq!(soon(sleep).await.unwrap().get::<i32, _>(0), 8);
    client.commit(unit).await.unwrap();
    for to_server in [true, false] {
        let mut unit = client.begin().await.unwrap();
        unit.take_time().await.unwrap();
        let lost = proxy.arm(if to_server {
            Rule::on(ToServer, postgres::statement("PERFORM")).withhold()
        } else {
            Rule::on(ToClient, postgres::command_complete("DO")).withhold()
        });
        let answer = unit.script("DO $$ BEGIN PERFORM pg_sleep(3); END $$".to_owned());
        let error = soon(answer).await.unwrap_err();
        lost.fired().await;
        let error = client.fault(Phase::InTransaction)(error);
        assert_eq!(facts(&error), (ErrorKind::Unavailable, Effect::NotApplied, true));
        drop(unit);
        goes_on(&client).await;
    }
    client.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_migration_that_is_never_answered_is_given_up_and_can_be_run_again() {
    const MADE: Migrations = Migrations {
        table: "versions",
        list: &[Migration {
            version: 1,
            name: "a table",
            statements: &["CREATE TABLE {s}.made (id integer)"],
            oldest_library: 1,
        }],
        oldest_database: 1,
    };
    in_schema(async |schema| {
        let proxy = proxy().await;
        let client = connect(impatient(&proxy)).await;
        for (rule, effect) in [
            (
                Rule::on(ToServer, postgres::statement("to_regclass")).withhold(),
                Effect::NotApplied,
            ),
            (
                Rule::on(ToServer, postgres::statement("pg_advisory_xact_lock")).withhold(),
                Effect::NotApplied,
            ),
            (
                Rule::on(ToClient, postgres::command_complete("CREATE TABLE")).withhold(),
                Effect::NotApplied,
            ),
            (
                Rule::on(ToServer, postgres::query("COMMIT")).withhold(),
                Effect::Unknown,
            ),
        ] {
            let lost = proxy.arm(rule);
            let error = soon(MADE.migrate(&client, &schema)).await.unwrap_err();
            lost.fired().await;
            assert_eq!(facts(&error), (ErrorKind::Unavailable, effect, true), "{error:?}");
            // Whoever waits for the lock of a session that is gone waits until the server learns of it.
            proxy.cut(Cut::Reset).await;
        }
        let lost = proxy.arm(Rule::on(ToClient, postgres::command_complete("SELECT")).withhold());
        let error = soon(MADE.plan(&client, &schema)).await.unwrap_err();
        lost.fired().await;
        assert!(error.is_transient(), "{error:?}");
        proxy.cut(Cut::Reset).await;
        let report = soon(MADE.migrate(&client, &schema)).await.unwrap();
        assert_eq!(report.applied, [1]);
        client.close().await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn an_ear_whose_server_went_away_without_a_word_says_so() {
    let proxy = proxy().await;
    let client = connect(impatient(&proxy).with_max_connections(2)).await;
    let channel = unique("channel");
    for direction in [ToServer, ToClient] {
        let mut ear = client.listen(&channel).await.unwrap().unwrap();
        // Longer than it waits before it asks for a sign of life.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        let mut unit = client.begin().await.unwrap();
        unit.execute(client.query("SELECT pg_notify($1, 'x')").bind(channel.clone()))
            .await
            .unwrap();
        client.commit(unit).await.unwrap();
        assert_eq!(soon(ear.hear()).await.unwrap(), "x");
        proxy.set(direction, swallowing());
        soon(ear.hear()).await.unwrap_err();
        proxy.heal().await.unwrap();
        proxy.cut(Cut::Reset).await;
    }
    client.close().await;
}
