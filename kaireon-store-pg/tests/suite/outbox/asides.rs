//! Entries that are moved aside, erased meanwhile, or cannot be read; and relays that are woken past a pooler.

use kaireon_core::CustomerId;
use kaireon_core::outbox::{DeadLetterId, DeadLetterQuery, Position};
use kaireon_core::store::{Erasure, ErasureId};

use super::*;
use crate::fixture::{PGBOUNCER, PGBOUNCER_NEW, Server};

fn erasure(customer: &str, id: &str) -> Erasure {
    Erasure {
        tenant: TenantId::new("tenant").unwrap(),
        customer: CustomerId::new(customer).unwrap(),
        id: ErasureId::new(id).unwrap(),
    }
}

/// Waits until somebody waits for a lock in the tables of a schema.
async fn somebody_waits(connection: &mut PgConnection, schema: &str) {
    let waiting = "SELECT count(*) FROM pg_stat_activity \
                   WHERE wait_event_type = 'Lock' AND position($1 in query) > 0";
    let wait = async {
        loop {
            let count = sqlx::query(waiting)
                .bind(schema)
                .fetch_one(&mut *connection)
                .await;
            if count.unwrap().get::<i64, _>(0) > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        tokio::time::timeout(LONG, wait).await.is_ok(),
        "nobody waits for a lock"
    );
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_letter_that_is_being_moved_aside_does_not_outlive_the_erasure() {
    let fixture = Fixture::new();
    let (store, outbox) = open(&fixture).await;
    record(&store, "anna", "1").await;
    let schema = fixture.schema();
    let (mut host, mut beside) = (connection().await, connection().await);
    // What a settlement does, held before its commit.
    let mut settling = host.begin().await.unwrap();
    let lock = format!("SELECT FROM {schema}.outbox_ranges WHERE lane = 0 FOR SHARE");
    settling.execute(AssertSqlSafe(lock)).await.unwrap();
    let bury = format!(
        "WITH gone AS (DELETE FROM {schema}.outbox RETURNING *) INSERT INTO {schema}.outbox_dead \
         (position, generation, enqueued_at, since, tenant, lane, range, customer, payload, reason) \
         SELECT position, generation, enqueued_at, now(), tenant, lane, range, customer, payload, 'too large' FROM gone"
    );
    settling.execute(AssertSqlSafe(bury)).await.unwrap();
    let erases = {
        let store = store.clone();
        tokio::spawn(async move { store.erase_customer(erasure("anna", "first")).await })
    };
    somebody_waits(&mut beside, schema).await;
    settling.commit().await.unwrap();
    let receipt = erases.await.unwrap().unwrap();
    assert_eq!(receipt.deleted["outbox"], 1, "{receipt:?}");
    assert!(outbox.status(Lane::Publish).await.unwrap().is_empty());
    fixture.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn an_entry_that_cannot_be_read_is_moved_aside_and_stops_nobody() {
    let fixture = Fixture::new();
    let (store, outbox) = open(&fixture).await;
    for id in ["1", "2", "3", "4"] {
        record(&store, "anna", id).await;
    }
    let mut host = connection().await;
    let schema = fixture.schema();
    let damage = format!(
        "UPDATE {schema}.outbox SET payload = '\\x07' WHERE position IN \
         (SELECT position FROM {schema}.outbox ORDER BY position LIMIT 2) RETURNING range, position"
    );
    let damaged = host.fetch_all(AssertSqlSafe(damage)).await.unwrap();
    assert_eq!(damaged.len(), 2);
    let leases = lease_all(&outbox, "relay", LONG).await;
    // Both are all that a first look of that size sees.
    assert_eq!(drain(&outbox, &leases, 2).await, ["3", "4"]);
    let status = outbox.status(Lane::Publish).await.unwrap();
    assert_eq!((status.backlog, status.dead_letters), (0, 2));
    // Letters that can be read are listed as ever, in pages of any size.
    record(&store, "anna", "5").await;
    let [entry] = &fetch(&outbox, &leases, 10).await[..] else {
        panic!("one waits")
    };
    let poisoned = Settlement {
        range: entry.range,
        position: entry.position,
        verdict: Verdict::Poisoned("too large".into()),
    };
    outbox.settle(&leases, vec![poisoned]).await.unwrap();
    for limit in [1, 2, 10] {
        let mut query = DeadLetterQuery {
            limit,
            ..DeadLetterQuery::new(Lane::Publish)
        };
        let mut reasons = Vec::new();
        loop {
            let page = outbox.dead_letters(query.clone()).await.unwrap();
            reasons.extend(page.items.into_iter().map(|letter| letter.reason));
            let Some(next) = page.next else { break };
            query.cursor = Some(next);
        }
        assert_eq!(reasons, ["too large"]);
    }
    // Once somebody has mended what lies there, it is replayed by its name.
    let mend = format!(
        "UPDATE {schema}.outbox_dead SET payload = (SELECT payload FROM {schema}.outbox_dead WHERE reason = 'too large')"
    );
    host.execute(AssertSqlSafe(mend)).await.unwrap();
    let ids = damaged.iter().map(|row| DeadLetterId {
        range: row.get::<i16, _>(0).cast_unsigned(),
        position: Position(row.get::<i64, _>(1).cast_unsigned()),
    });
    assert_eq!(outbox.replay(Lane::Publish, ids.collect()).await.unwrap(), 2);
    assert_eq!(drain(&outbox, &leases, 10).await, ["5", "5"]);
    fixture.close().await;
}

/// A writer behind a pooler, and a relay that is not.
async fn is_woken_past(pooler: Server) {
    let fixture = Fixture::new();
    let (_, outbox) = open(&fixture).await;
    let behind = Fixture::on(pooler);
    let config = behind.config(fixture.schema());
    let options = config.options.with_clock(Arc::new(SystemClock));
    let writer = behind.connect(PgStoreConfig { options, ..config }).await;
    listens(&outbox).await;
    let notes = Notes::default();
    let hour = Duration::from_secs(3_600);
    let config = RelayConfig {
        max_idle: hour,
        lease_ttl: 10 * hour,
        status_every: hour,
        ..RelayConfig::new(Lane::Publish)
    };
    let relay = Relay::spawn(outbox, notes.clone(), config);
    for n in 0..5 {
        record(&writer, "anna", &n.to_string()).await;
        until("a notification wakes the relay", || notes.count() > n).await;
    }
    relay.stop(LONG).await.unwrap();
    writer.disconnect().await.unwrap();
    fixture.close().await;
}

#[tokio::test]
#[ignore = "needs pgbouncer: set KAIREON_TEST_PGBOUNCER_URL"]
async fn a_relay_is_woken_by_a_writer_behind_an_old_pooler() {
    is_woken_past(PGBOUNCER).await;
}

#[tokio::test]
#[ignore = "needs pgbouncer-new: set KAIREON_TEST_PGBOUNCER_NEW_URL"]
async fn a_relay_is_woken_by_a_writer_behind_a_pooler() {
    is_woken_past(PGBOUNCER_NEW).await;
}
