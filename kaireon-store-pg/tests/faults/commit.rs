//! Connections that are cut around the commit, told apart by the protocol's messages.

use kaireon_connect::postgres::{PgFault, Phase};
use kaireon_core::store::{RecordBatch, Recorded};
use kaireon_core::{Effect, ErrorKind, Interaction, InteractionStore, Result};
use kaireon_store_pg::PgStore;
use kaireon_testkit::proxy::Direction::{ToClient, ToServer};
use kaireon_testkit::proxy::{Cut, Rule, postgres};
use sqlx::Connection;

use crate::place::{Place, answer, event};

/// How far a commit comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// The server never reads it.
    NotSent,
    /// The server commits, and its answer is lost.
    NotAnswered,
    /// The server commits, and the answer arrives before the connection ends.
    Answered,
}

/// Every way to lose a connection around a commit.
const LOSSES: [(Reach, Cut); 6] = [
    (Reach::NotSent, Cut::Fin),
    (Reach::NotSent, Cut::Reset),
    (Reach::NotAnswered, Cut::Fin),
    (Reach::NotAnswered, Cut::Reset),
    (Reach::Answered, Cut::Fin),
    (Reach::Answered, Cut::Reset),
];

impl Reach {
    fn rule(self, how: Cut) -> Rule {
        match self {
            Self::NotSent => Rule::on(ToServer, postgres::query("COMMIT")).cut_before(how),
            Self::NotAnswered => Rule::on(ToClient, postgres::command_complete("COMMIT")).cut_before(how),
            Self::Answered => Rule::on(ToClient, postgres::command_complete("COMMIT"))
                .then(ToClient, postgres::ready_for_query())
                .cut_after(how),
        }
    }

    /// The same for the commit that follows one whose answer is still to come.
    fn rule_of_next(self, how: Cut) -> Rule {
        let first = Rule::on(ToClient, postgres::command_complete("COMMIT"));
        match self {
            Self::NotSent => first.then(ToServer, postgres::query("COMMIT")).cut_before(how),
            Self::NotAnswered => first
                .then(ToClient, postgres::command_complete("COMMIT"))
                .cut_before(how),
            Self::Answered => first
                .then(ToClient, postgres::command_complete("COMMIT"))
                .then(ToClient, postgres::ready_for_query())
                .cut_after(how),
        }
    }

    fn is_committed(self) -> bool {
        self != Self::NotSent
    }

    /// Asserts what the caller was told.
    fn assert_told(self, event: &Interaction, told: Result<Recorded>) {
        match (self, told) {
            (Self::Answered, told) => assert_eq!(told.unwrap(), answer(event, false)),
            (_, Ok(told)) => panic!("{self:?}: {told:?}"),
            (_, Err(error)) => {
                assert_eq!(
                    (error.kind(), error.effect()),
                    (ErrorKind::Unavailable, Effect::Unknown),
                    "{error:?}"
                );
                assert!(error.is_transient());
            }
        }
    }
}

/// Records something first, so that the next commit is that of the next record.
async fn warm(store: &PgStore) -> Interaction {
    let first = event("first", "first");
    assert!(store.record_event(first.clone()).await.unwrap().is_new());
    first
}

fn count(events: &[Interaction]) -> i64 {
    i64::try_from(events.len()).unwrap()
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_record_whose_commit_is_cut_is_unknown_and_its_retry_is_exact() {
    let place = Place::shared().await;
    let proxy = place.proxy().await;
    let store = PgStore::connect(place.through(&proxy)).await.unwrap();
    let mut events = vec![warm(&store).await];
    for (n, (reach, how)) in LOSSES.into_iter().enumerate() {
        let event = event("anna", &format!("{n}"));
        let cut = proxy.arm(reach.rule(how));
        let told = store.record_event(event.clone()).await;
        cut.fired().await;
        let there = count(&events) + i64::from(reach.is_committed());
        assert_eq!(place.rows().await, (there, there), "{reach:?} {how:?}");
        reach.assert_told(&event, told);
        let again = store.record_event(event.clone()).await.unwrap();
        assert_eq!(again, answer(&event, reach.is_committed()), "{reach:?} {how:?}");
        events.push(event);
    }
    store.disconnect().await.unwrap();
    place.assert_exactly(&events, false).await;
    place.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_batch_whose_commit_is_cut_is_unknown_item_by_item_and_its_retry_is_exact() {
    let place = Place::shared().await;
    let proxy = place.proxy().await;
    let store = PgStore::connect(place.through(&proxy)).await.unwrap();
    let mut events = vec![warm(&store).await];
    for (n, (reach, how)) in LOSSES.into_iter().enumerate() {
        let batch: Vec<_> = (0..40)
            .map(|item| event(&format!("c{}", item % 7), &format!("{n}-{item}")))
            .collect();
        let cut = proxy.arm(reach.rule(how));
        let told = store
            .record_events(RecordBatch::live(batch.clone()))
            .await
            .unwrap();
        cut.fired().await;
        let there = count(&events) + if reach.is_committed() { 40 } else { 0 };
        assert_eq!(place.rows().await, (there, there), "{reach:?} {how:?}");
        for (event, told) in batch.iter().zip(told.into_results()) {
            reach.assert_told(event, told);
        }
        let again = store
            .record_events(RecordBatch::live(batch.clone()))
            .await
            .unwrap();
        let expected: Vec<_> = batch
            .iter()
            .map(|event| answer(event, reach.is_committed()))
            .collect();
        assert_eq!(again.into_values().unwrap(), expected, "{reach:?} {how:?}");
        events.extend(batch);
    }
    store.disconnect().await.unwrap();
    place.assert_exactly(&events, false).await;
    place.close().await;
}

// On one thread, so that tasks that were spawned have queued their records when others have had their turn.
#[tokio::test(flavor = "current_thread")]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn callers_who_share_a_commit_that_is_cut_are_all_told_and_each_retry_is_exact() {
    const CALLERS: usize = 64;
    let place = Place::shared().await;
    let proxy = place.proxy().await;
    let store = PgStore::connect(place.through(&proxy)).await.unwrap();
    let mut events = vec![warm(&store).await];
    for (n, (reach, how)) in LOSSES.into_iter().enumerate() {
        // While this one's commit is held, all others gather for the next.
        let first = event("first", &format!("{n}-first"));
        let hold = proxy.arm(Rule::on(ToServer, postgres::query("COMMIT")).hold());
        let held = tokio::spawn({
            let (store, first) = (store.clone(), first.clone());
            async move { store.record_event(first).await }
        });
        hold.fired().await;
        let cut = proxy.arm(reach.rule_of_next(how));
        let calls: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let event = event(&format!("c{}", caller % 9), &format!("{n}-{caller}"));
                let (store, record) = (store.clone(), event.clone());
                (
                    event,
                    tokio::spawn(async move { store.record_event(record).await }),
                )
            })
            .collect();
        for _ in 0..CALLERS {
            tokio::task::yield_now().await;
        }
        hold.release();
        assert!(held.await.unwrap().unwrap().is_new());
        events.push(first);
        let mut told = Vec::new();
        for (event, call) in calls {
            told.push((event, call.await.unwrap()));
        }
        cut.fired().await;
        let there = count(&events) + if reach.is_committed() { 64 } else { 0 };
        assert_eq!(place.rows().await, (there, there), "{reach:?} {how:?}");
        for (event, told) in told {
            reach.assert_told(&event, told);
            let again = store.record_event(event.clone()).await.unwrap();
            assert_eq!(again, answer(&event, reach.is_committed()), "{reach:?} {how:?}");
            events.push(event);
        }
    }
    store.disconnect().await.unwrap();
    place.assert_exactly(&events, false).await;
    place.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_host_whose_commit_is_cut_runs_its_transaction_again_and_gets_the_exact_answer() {
    let place = Place::shared().await;
    place.run("CREATE TABLE {s}.orders (name text PRIMARY KEY)").await;
    let proxy = place.proxy().await;
    let config = place.through(&proxy);
    let store = PgStore::connect(config.clone()).await.unwrap();
    let mut events = vec![warm(&store).await];
    for (n, (reach, how)) in LOSSES.into_iter().enumerate() {
        let event = event("anna", &format!("{n}"));
        for attempt in 0..2 {
            // A host's own connection, through the same proxy, and its own row in the same transaction.
            let mut host = sqlx::PgConnection::connect(&config.connect.url).await.unwrap();
            let mut transaction = host.begin().await.unwrap();
            let batch = RecordBatch::live([event.clone()]);
            let recorded = store.record_in(&mut transaction, batch).await.unwrap();
            let applied = attempt == 1 && reach.is_committed();
            assert_eq!(recorded.into_values().unwrap(), [answer(&event, applied)]);
            sqlx::query(sqlx::AssertSqlSafe(
                place.filled("INSERT INTO {s}.orders VALUES ($1) ON CONFLICT DO NOTHING"),
            ))
            .bind(format!("{n}"))
            .execute(&mut *transaction)
            .await
            .unwrap();
            if attempt == 1 {
                transaction.commit().await.unwrap();
                host.close().await.unwrap();
                break;
            }
            let cut = proxy.arm(reach.rule(how));
            let committed = transaction.commit().await;
            cut.fired().await;
            let there = count(&events) + i64::from(reach.is_committed());
            assert_eq!(place.rows().await, (there, there), "{reach:?} {how:?}");
            let orders = place.number("SELECT count(*) FROM {s}.orders").await;
            assert_eq!(
                orders,
                there - 1,
                "the host's row and the record share their fate"
            );
            match committed {
                Ok(()) => assert_eq!(reach, Reach::Answered),
                Err(error) => {
                    assert_ne!(reach, Reach::Answered, "{error}");
                    // What a host learns that asks the same table.
                    let fault = PgFault::new(&error, Phase::Commit);
                    assert_eq!((fault.effect(), fault.is_transient()), (Effect::Unknown, true));
                }
            }
        }
        events.push(event);
    }
    store.disconnect().await.unwrap();
    place.assert_exactly(&events, false).await;
    place.close().await;
}
