//! Statements that wait for locks of others: too long, or in a circle.

use std::time::Duration;

use kaireon_core::store::{HistoryQuery, RecordBatch};
use kaireon_core::{Effect, ErrorKind, InteractionStore};
use kaireon_store_pg::{PgStore, PgStoreConfig};
use kaireon_testkit::proxy::Direction::ToServer;
use kaireon_testkit::proxy::{PostgresFraming, Proxy, Rule, postgres};
use sqlx::Connection;

use crate::kill::Load;
use crate::place::{LONG, Place, answer, event, facts, insist, run, server, until};

/// What ends a wait for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    /// The store's own, which is short, so that it tries again until `write_wait` has passed.
    LockWait,
    /// The server's on the whole statement.
    StatementTimeout,
}

fn bounded(place: &Place, bound: Bound) -> PgStoreConfig {
    let mut config = place.config();
    match bound {
        Bound::LockWait => config.options.write_wait = Duration::from_millis(700),
        Bound::StatementTimeout => {
            config.connect.statement_timeout = Some(Duration::from_secs(2));
            config.options.lock_wait = LONG;
            config.options.write_wait = LONG;
        }
    }
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_customer_whom_a_slow_host_holds_is_a_timeout_and_all_others_go_on() {
    for bound in [Bound::LockWait, Bound::StatementTimeout] {
        let place = Place::shared().await;
        let store = PgStore::connect(bounded(&place, bound)).await.unwrap();
        let mut events = vec![event("anna", "first")];
        insist(&store, &events[0]).await;
        let mut host = place.connection().await;
        let mut transaction = host.begin().await.unwrap();
        let held = event("anna", "host");
        let recorded = store
            .record_in(&mut transaction, RecordBatch::live([held.clone()]))
            .await;
        assert_eq!(recorded.unwrap().into_values().unwrap(), [answer(&held, false)]);
        events.push(held);
        let load = Load::of(8, &store);
        let mut refused = Vec::new();
        for round in 0..2 {
            let own = event("anna", &format!("{round}"));
            let call = tokio::spawn({
                let (store, own) = (store.clone(), own.clone());
                async move { store.record_event(own).await }
            });
            // Whatever else it does, it does not stall these.
            load.progress(100).await;
            let told = tokio::time::timeout(LONG, call).await.unwrap().unwrap();
            let error = told.unwrap_err();
            let expected = (ErrorKind::Timeout, Effect::NotApplied, true);
            assert_eq!(facts(&error), expected, "{bound:?}: {error:?}");
            refused.push(own);
        }
        load.progress(100).await;
        transaction.commit().await.unwrap();
        for own in refused {
            assert_eq!(
                store.record_event(own.clone()).await.unwrap(),
                answer(&own, false)
            );
            events.push(own);
        }
        let (recorded, tries) = load.stop().await;
        assert_eq!(tries.unknown, 0, "{bound:?}: {tries:?}");
        events.extend(recorded);
        store.disconnect().await.unwrap();
        place.assert_exactly(&events, false).await;
        place.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_statement_that_takes_too_long_is_a_timeout_and_its_retry_is_new() {
    let place = Place::shared().await;
    let store = PgStore::connect(bounded(&place, Bound::StatementTimeout))
        .await
        .unwrap();
    let mut events = vec![event("anna", "first")];
    insist(&store, &events[0]).await;
    // At the second statement of a batch and at the third, each of which has something to roll back.
    for table in ["dedupe", "history"] {
        let mut somebody = place.connection().await;
        let lock = format!("BEGIN; LOCK TABLE {{s}}.{table} IN SHARE ROW EXCLUSIVE MODE");
        run(&mut somebody, &place.filled(&lock)).await;
        let batch = ["anna", "bert"].map(|name| event(name, &format!("{table}-{name}")));
        let told = store.record_events(RecordBatch::live(batch.clone())).await;
        for told in told.unwrap().into_results() {
            let error = told.unwrap_err();
            let expected = (ErrorKind::Timeout, Effect::NotApplied, true);
            assert_eq!(facts(&error), expected, "{table}: {error:?}");
        }
        let query = HistoryQuery::new(batch[0].tenant.clone(), batch[0].customer.clone());
        let read = store.history(query).await.unwrap().items.len();
        assert_eq!(
            read,
            events
                .iter()
                .filter(|event| event.customer.as_str() == "anna")
                .count()
        );
        run(&mut somebody, "ROLLBACK").await;
        somebody.close().await.unwrap();
        for event in batch {
            let again = store.record_event(event.clone()).await.unwrap();
            assert_eq!(again, answer(&event, false));
            events.push(event);
        }
    }
    store.disconnect().await.unwrap();
    place.assert_exactly(&events, false).await;
    place.close().await;
}

/// How a host ends its transaction.
#[derive(Clone, Copy, Debug)]
enum End {
    Commit,
    RollBack,
}

/// The store holds a customer and wants a key; the host has the key and wants the customer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_deadlock_with_a_host_is_broken_and_the_batch_is_written_once() {
    let server = server(&[("deadlock_timeout", "20ms")]).await;
    let place = Place::on(server.url()).await;
    let proxy = Proxy::start::<PostgresFraming>(server.address()).await.unwrap();
    let mut config = place.through(&proxy);
    config.options.lock_wait = LONG;
    config.options.write_wait = LONG;
    let store = PgStore::connect(config).await.unwrap();
    let mut config = place.config();
    config.options.write_wait = LONG;
    let beside = PgStore::connect(config).await.unwrap();
    let mut events = Vec::new();
    for customer in ["anna", "bert", "c0", "c1", "c2"] {
        let event = event(customer, &format!("first-{customer}"));
        insist(&store, &event).await;
        events.push(event);
    }
    for end in [End::RollBack, End::Commit] {
        let before = deadlocks(&place).await;
        let mut host = place.connection().await;
        // Who waits last finds the circle and is its victim: never the host.
        run(
            &mut host,
            "SET application_name = 'host'; SET deadlock_timeout = '1h'",
        )
        .await;
        let mut transaction = host.begin().await.unwrap();
        let of_the_host = [
            event("bert", &format!("key-{end:?}")),
            event("anna", &format!("other-{end:?}")),
        ];
        let first = RecordBatch::live([of_the_host[0].clone()]);
        let recorded = beside.record_in(&mut transaction, first).await.unwrap();
        assert_eq!(recorded.into_values().unwrap(), [answer(&of_the_host[0], false)]);
        // The customers are locked, and the keys are to be entered.
        let hold = Rule::on(ToServer, postgres::statement("BEGIN"));
        let hold = hold.then(ToServer, postgres::named(b'E'));
        let hold = proxy.arm(hold.then(ToServer, postgres::named(b'E')).hold());
        let mut batch = vec![event("anna", &format!("key-{end:?}"))];
        batch.extend((0..3).map(|n| event(&format!("c{n}"), &format!("{n}-{end:?}"))));
        let call = tokio::spawn({
            let (store, batch) = (store.clone(), RecordBatch::live(batch.clone()));
            async move { store.record_events(batch).await }
        });
        hold.fired().await;
        let second = RecordBatch::live([of_the_host[1].clone()]);
        let release = async {
            let waits = "SELECT count(*) FROM pg_stat_activity \
                         WHERE application_name = 'host' AND wait_event_type = 'Lock'";
            until("the host's wait", async || place.number(waits).await == 1).await;
            hold.release();
        };
        let (recorded, ()) = tokio::join!(beside.record_in(&mut transaction, second), release);
        let recorded = recorded.unwrap().into_values().unwrap();
        assert_eq!(recorded, [answer(&of_the_host[1], false)]);
        match end {
            End::Commit => transaction.commit().await.unwrap(),
            End::RollBack => transaction.rollback().await.unwrap(),
        }
        let told = tokio::time::timeout(LONG, call).await.unwrap().unwrap();
        let mut told = told.unwrap().into_results();
        let of_the_key = told.remove(0);
        for (event, told) in batch[1..].iter().zip(told) {
            assert_eq!(told.unwrap(), answer(event, false), "nobody is told of it");
        }
        events.extend(batch[1..].to_vec());
        match end {
            End::RollBack => {
                assert_eq!(of_the_key.unwrap(), answer(&batch[0], false));
                events.push(batch[0].clone());
            }
            End::Commit => {
                assert_eq!(of_the_key.unwrap_err().kind(), ErrorKind::Conflict);
                events.extend(of_the_host);
            }
        }
        until("a deadlock", async || deadlocks(&place).await > before).await;
    }
    store.disconnect().await.unwrap();
    beside.disconnect().await.unwrap();
    place.assert_exactly(&events, false).await;
}

async fn deadlocks(place: &Place) -> i64 {
    let count = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    place.number(count).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn writers_of_the_same_customers_and_keys_do_not_deadlock() {
    const TASKS: usize = 12;
    const ROUNDS: usize = 12;
    const KEYS: usize = 40;
    // A server of its own, whose deadlocks are these writers'. A store tries again by itself, so only the server knows.
    let server = server(&[("deadlock_timeout", "10ms")]).await;
    let place = Place::on(server.url()).await;
    let mut stores = Vec::new();
    for _ in 0..3 {
        stores.push(PgStore::connect(place.usual()).await.unwrap());
    }
    let events: Vec<Vec<_>> = (0..ROUNDS)
        .map(|round| {
            let event = |n: usize| event(&format!("c{}", n % 20), &format!("{round}-{n}"));
            (0..KEYS).map(event).collect()
        })
        .collect();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (store, mut events) = (stores[task % 3].clone(), events.clone());
            tokio::spawn(async move {
                let mut new = 0;
                for events in &mut events {
                    // Every task sends the same keys of the same customers, in an order of its own.
                    events.rotate_left(task * 7 % KEYS);
                    if task % 2 == 0 {
                        events.reverse();
                    }
                    let outcome = store
                        .record_events(RecordBatch::live(events.clone()))
                        .await
                        .unwrap();
                    let recorded = outcome.into_values().unwrap();
                    new += recorded.iter().filter(|recorded| recorded.is_new()).count();
                }
                new
            })
        })
        .collect();
    let mut new = 0;
    for task in tasks {
        new += task.await.unwrap();
    }
    assert_eq!(new, ROUNDS * KEYS, "each key is new once");
    for store in stores {
        store.disconnect().await.unwrap();
    }
    // A session tells of them when it ends.
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'";
    until("the sessions' end", async || place.number(sessions).await == 1).await;
    assert_eq!(deadlocks(&place).await, 0);
    place.assert_exactly(&events.concat(), false).await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_batch_that_fails_over_a_damaged_row_lets_go_of_its_locks_before_it_says_so() {
    let place = Place::shared().await;
    let store = PgStore::connect(place.config()).await.unwrap();
    let mut beside = place.connection().await;
    let mut events = vec![event("anna", "first")];
    insist(&store, &events[0]).await;
    for round in 0..3 {
        let own = event("anna", &format!("{round}"));
        run(
            &mut beside,
            &place.filled("UPDATE {s}.customers SET generation = 1::bigint << 40"),
        )
        .await;
        let error = store.record_event(own.clone()).await.unwrap_err();
        let expected = (ErrorKind::Corrupt, Effect::NotApplied, false);
        assert_eq!(facts(&error), expected, "{error:?}");
        // Fails where the row is locked; and so would the fence, which is let go with it.
        let repair = "BEGIN; SELECT FROM {s}.customers FOR UPDATE NOWAIT; UPDATE {s}.customers SET generation = 0; COMMIT";
        run(&mut beside, &place.filled(repair)).await;
        assert_eq!(
            store.record_event(own.clone()).await.unwrap(),
            answer(&own, false)
        );
        events.push(own);
    }
    beside.close().await.unwrap();
    store.disconnect().await.unwrap();
    place.assert_exactly(&events, false).await;
    place.close().await;
}
