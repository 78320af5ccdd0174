//! A server that is killed under load, as the target and as the source; a target that is slow, or refuses one row.

use std::time::{Duration, Instant};

use kaireon_core::outbox::{DeadLetterId, DeadLetterQuery, Lane};
use kaireon_migrate::{DualWrite, Missing, OperatorStatus, Phase, Step};
use kaireon_testkit::proxy::{Direction, Flow, Link, Proxy, Unframed};
use kaireon_testkit::server::{PostgresServer, Shutdown};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::ledger::{Piece, Writer};
use super::place::{FIRST, Place, server};
use super::stand::{Stand, lacks};
use super::taken::Taken;

fn lag(status: &OperatorStatus) -> Duration {
    let migration = status.migration.as_ref().unwrap();
    migration.replication.unwrap().lag
}

/// Killed, away for so long, and there again.
async fn outage(server: &mut PostgresServer, away: Duration) {
    server.stop(Shutdown::Kill).await.unwrap();
    tokio::time::sleep(away).await;
    server.restart().await.unwrap();
}

async fn target_is_down(away: Duration) -> (u64, Duration) {
    let mut server = server().await;
    let stand = Stand::begin(|folder| [folder, Place::at(server.url())]).await;
    stand
        .take(&[Taken::Start, Taken::BeginBackfill, Taken::Backfill])
        .await;
    server.stop(Shutdown::Kill).await.unwrap();
    let down = Instant::now();
    stand.progress(50).await;
    let grows = |status: &OperatorStatus| lag(status) > Duration::from_millis(500);
    let before = stand.shown("lag", grows).await;
    let too_much = |missing: &Missing| matches!(missing, Missing::SmallerLag { .. });
    let is_told = |status: &OperatorStatus| lacks(status, too_much) && down.elapsed() >= away;
    let told = stand.shown("that the lag is too much", is_told).await;
    assert!(lag(&told) > lag(&before));
    let waiting = |status: &OperatorStatus| status.migration.as_ref().unwrap().replication.unwrap().waiting;
    assert!(waiting(&told) > 0, "{told:?}");
    assert_eq!(told.phase, Phase::Verifying);
    stand.is_refused(too_much).await;
    stand.progress(50).await;
    server.restart().await.unwrap();
    stand.take(&[Taken::PassGate, Taken::CutOver]).await;
    stand.progress(50).await;
    let acknowledged = stand.ledger.count();
    stand.end().await;
    (acknowledged, lag(&told))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_target_that_was_killed_and_is_back_has_everything() {
    target_is_down(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "soak: a target that is down for a minute"]
async fn a_target_that_was_down_for_a_minute_has_everything() {
    let (acknowledged, lag) = target_is_down(Duration::from_secs(60)).await;
    let lag = lag.as_millis();
    println!(r#"kaireon-soak {{"acknowledged": {acknowledged}, "lag_ms": {lag}, "lost": 0}}"#);
}

/// Killed in the midst of each step.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_source_that_is_killed_in_the_midst_of_each_step_loses_nothing() {
    let mut server = server().await;
    let stand = Stand::begin(|folder| [Place::at(server.url()), folder]).await;
    for step in [
        Taken::Start,
        Taken::BeginBackfill,
        Taken::Backfill,
        Taken::PassGate,
        Taken::CutOver,
    ] {
        let killed = async {
            tokio::time::sleep(Duration::from_millis(fastrand::u64(..150))).await;
            outage(&mut server, Duration::from_millis(300)).await;
        };
        tokio::join!(step.take(&stand.host), killed);
        stand.progress(20).await;
    }
    // It is the other side by now.
    outage(&mut server, Duration::from_millis(300)).await;
    stand.progress(20).await;
    stand.end().await;
}

/// Who does not wait for the other side is not held up by it, and who does is for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_target_that_does_not_answer_or_is_slow_holds_nobody_up() {
    let server = server().await;
    let proxy = Proxy::start::<Unframed>(server.address()).await.unwrap();
    let stand = Stand::begin(|folder| [folder, Place::at(proxy.in_url(&server.url()))]).await;
    let directions = [Direction::ToServer, Direction::ToClient];
    let set = |link| directions.map(|direction| proxy.set(direction, link));
    let slow = Link {
        delay: Duration::from_millis(15),
        ..Link::default()
    };
    set(slow);
    stand
        .take(&[Taken::Start, Taken::BeginBackfill, Taken::Backfill])
        .await;
    for (dual_write, more) in [
        (DualWrite::Async, 200),
        (DualWrite::BestEffort, 32),
        (
            DualWrite::Strict {
                budget: Duration::from_millis(300),
            },
            32,
        ),
    ] {
        stand
            .host
            .change(Step::SetDualWrite { dual_write })
            .await
            .unwrap();
        set(Link {
            flow: Flow::Stall,
            ..Link::default()
        });
        // What was on its way is there.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let answered = proxy.carried(Direction::ToClient);
        stand.progress(more).await;
        assert_eq!(
            proxy.carried(Direction::ToClient),
            answered,
            "{dual_write:?}: the target answered meanwhile"
        );
        set(slow);
    }
    stand.take(&[Taken::PassGate, Taken::CutOver]).await;
    stand.progress(50).await;
    stand.end().await;
}

/// What a table is told about a row, what it answers then, and what takes that away.
const REFUSALS: [[&str; 2]; 2] = [
    [
        "ALTER TABLE {s}.history ADD CONSTRAINT refuses CHECK (idempotency_key <> '{key}') NOT VALID",
        "ALTER TABLE {s}.history DROP CONSTRAINT refuses",
    ],
    [
        "CREATE FUNCTION {s}.refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'no' USING DETAIL = 'of a host'; END $$;
         CREATE TRIGGER refuses BEFORE INSERT ON {s}.history FOR EACH ROW
             WHEN (NEW.idempotency_key = '{key}') EXECUTE FUNCTION {s}.refuse()",
        "DROP TRIGGER refuses ON {s}.history",
    ],
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_row_that_the_target_refuses_is_set_aside_and_holds_the_gate_until_it_is_replayed() {
    let stand = Stand::begin(|folder| [folder, Place::on(FIRST)]).await;
    let Place::Schema { url, schema } = &stand.host.plan.places[1] else {
        panic!("the target is a server");
    };
    stand
        .take(&[Taken::Start, Taken::BeginBackfill, Taken::Backfill])
        .await;
    let mut connection = PgConnection::connect(url).await.unwrap();
    let lane = stand.host.stores[0].outbox().unwrap();
    for [refuse, allow] in REFUSALS {
        let writer = Writer {
            process: 0,
            writer: 3,
        };
        // Of those that are still to come.
        let next = stand.ledger.acknowledged()[&writer] + 8;
        let number = (next..).find(|&number| !Piece { writer, number }.is_decision());
        let piece = Piece {
            writer,
            number: number.unwrap(),
        };
        let text = |text: &str| text.replace("{s}", schema).replace("{key}", &piece.key());
        connection.execute(AssertSqlSafe(text(refuse))).await.unwrap();
        let told = |missing: &Missing| matches!(missing, Missing::NoDeadLetters { dead_letters: 1 });
        let refused = stand.shown("a dead letter", |status| lacks(status, told)).await;
        let replication = refused.migration.unwrap().replication.unwrap();
        assert_eq!(replication.dead_letters, 1);
        stand.is_refused(told).await;
        // It holds up nobody else's.
        let caught_up = |status: &OperatorStatus| lag(status) < Duration::from_secs(1);
        stand.shown("that the others pass", caught_up).await;
        connection.execute(AssertSqlSafe(text(allow))).await.unwrap();
        let letters = lane.dead_letters(DeadLetterQuery::new(Lane::Replicate)).await;
        let letters = letters.unwrap().items.into_iter();
        let ids = letters.map(|letter| DeadLetterId {
            range: letter.entry.range,
            position: letter.entry.position,
        });
        let ids = ids.collect();
        assert_eq!(lane.replay(Lane::Replicate, ids).await.unwrap(), 1);
        let gone = |status: &OperatorStatus| {
            !lacks(status, |missing| matches!(missing, Missing::NoDeadLetters { .. }))
        };
        stand.shown("that it was replayed", gone).await;
    }
    connection.close().await.unwrap();
    stand.take(&[Taken::PassGate, Taken::CutOver]).await;
    stand.progress(50).await;
    stand.end().await;
}
