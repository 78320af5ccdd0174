//! Units of work that the server gives up, as it does to break a deadlock or for a serialization failure: every
//! operation is done, and nobody is told.

use std::time::Duration;

use kaireon_core::outbox::{
    DeadLetterId, Destination, FetchFrom, HostEvent, Lane, LaneSet, Lease, LeaseRequest, OutboxEntry, RANGES,
    Settlement, Verdict,
};
use kaireon_core::settings::{SettingVersion, SettingWrite, SettingsStore};
use kaireon_core::store::{
    Epoch, Erasure, ErasureId, FenceRequest, Generation, Purge, RecordBatch, Tombstone,
};
use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::{CustomerId, ErrorKind, Event, InteractionStore, TenantId};
use kaireon_store_pg::{PgSettings, PgSettingsConfig, PgStore};
use sqlx::Connection;

use crate::place::{Place, answer, event, insist};

/// The codes of a serialization failure and of a deadlock.
const CODES: [&str; 2] = ["40001", "40P01"];

/// What is done to a table whose rows are judged at the commit.
const AT_COMMIT: &str = "COMMIT of INSERT";

/// Has the server give up the first transaction that does this to a table.
async fn arm(place: &Place, what: &str, table: &str, code: &str) {
    let trigger = match what {
        AT_COMMIT => format!(
            "CREATE CONSTRAINT TRIGGER give_up AFTER INSERT ON {{s}}.{table} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
        ),
        what => format!("CREATE TRIGGER give_up BEFORE {what} ON {{s}}.{table} FOR EACH STATEMENT"),
    };
    // The number is drawn for good, whatever becomes of the transaction.
    place
        .run(&format!(
            "CREATE SEQUENCE {{s}}.tries; \
             CREATE FUNCTION {{s}}.give_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF nextval('{{s}}.tries') = 1 THEN RAISE EXCEPTION 'given up' USING ERRCODE = '{code}'; END IF; \
             RETURN NULL; END $$; \
             {trigger} EXECUTE FUNCTION {{s}}.give_up()"
        ))
        .await;
}

/// Takes it back; returns how often a transaction came there.
async fn disarm(place: &Place, table: &str) -> i64 {
    let tries = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {s}.tries";
    let tries = place.number(tries).await;
    place
        .run(&format!(
            "DROP TRIGGER give_up ON {{s}}.{table}; DROP FUNCTION {{s}}.give_up(); DROP SEQUENCE {{s}}.tries"
        ))
        .await;
    tries
}

/// Does something whose first try is given up.
async fn given_up<T>(
    place: &Place,
    (what, table): (&str, &str),
    code: &str,
    call: impl Future<Output = kaireon_core::Result<T>>,
) -> T {
    arm(place, what, table, code).await;
    let done = call.await;
    let tries = disarm(place, table).await;
    let done = done.unwrap_or_else(|error| panic!("{what} {table}, {code}: {error:?}"));
    assert!(tries > 1, "{what} {table}, {code}: {tries}");
    done
}

fn tenant() -> TenantId {
    TenantId::new("t").unwrap()
}

fn customer(name: &str) -> CustomerId {
    CustomerId::new(name).unwrap()
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_batch_that_is_given_up_is_written_once_and_nobody_is_told() {
    let place = Place::shared().await;
    let store = PgStore::connect(place.config()).await.unwrap();
    let mut events = vec![event("anna", "first")];
    insist(&store, &events[0]).await;
    for code in CODES {
        for (what, table) in [
            ("UPDATE", "customers"),
            ("INSERT", "dedupe"),
            ("INSERT", "history"),
            ("INSERT", "outbox"),
            (AT_COMMIT, "outbox"),
        ] {
            let batch = ["anna", "bert"].map(|name| event(name, &format!("{name}-{what}-{table}-{code}")));
            let call = store.record_events(RecordBatch::live(batch.clone()));
            let recorded = given_up(&place, (what, table), code, call).await;
            let expected = batch.each_ref().map(|event| answer(event, false));
            assert_eq!(recorded.into_values().unwrap(), expected, "{table}");
            events.extend(batch);
        }
        let mut other = event("anna", &format!("other-{code}"));
        other = other
            .edited(|fields| fields.tenant = TenantId::new(format!("of-{code}")).unwrap())
            .unwrap();
        let recorded = given_up(
            &place,
            ("INSERT", "tenants"),
            code,
            store.record_event(other.clone()),
        )
        .await;
        assert_eq!(recorded, answer(&other, false));
        let erasure = Erasure {
            tenant: other.tenant.clone(),
            customer: other.customer.clone(),
            id: ErasureId::fresh(),
        };
        store.erase_customer(erasure).await.unwrap();
    }
    place
        .run("DELETE FROM {s}.dedupe d USING {s}.tenants t WHERE t.id = d.tenant AND t.name <> 't'")
        .await;
    store.disconnect().await.unwrap();
    place.assert_exactly(&events, false).await;
    place.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_hosts_transaction_that_is_given_up_is_the_hosts_to_run_again() {
    let place = Place::shared().await;
    let store = PgStore::connect(place.config()).await.unwrap();
    let mut host = place.connection().await;
    for code in CODES {
        let event = event("anna", code);
        arm(&place, "INSERT", "history", code).await;
        let mut transaction = host.begin().await.unwrap();
        let told = store
            .record_in(&mut transaction, RecordBatch::live([event.clone()]))
            .await;
        let error = told.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(error.is_transient());
        transaction.rollback().await.unwrap();
        let mut transaction = host.begin().await.unwrap();
        let told = store
            .record_in(&mut transaction, RecordBatch::live([event.clone()]))
            .await;
        assert_eq!(told.unwrap().into_values().unwrap(), [answer(&event, false)]);
        transaction.commit().await.unwrap();
        assert_eq!(disarm(&place, "history").await, 2);
    }
    store.disconnect().await.unwrap();
    place.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn erasures_purges_and_fences_that_are_given_up_are_done() {
    let place = Place::shared().await;
    let store = PgStore::connect(place.config()).await.unwrap();
    for (round, code) in (1..).zip(CODES) {
        for place_of in [
            ("INSERT", "tombstones"),
            ("DELETE", "history"),
            ("DELETE", "erasing"),
        ] {
            let name = format!("{}-{code}", place_of.1);
            insist(&store, &event(&name, &name)).await;
            let erasure = Erasure {
                tenant: tenant(),
                customer: customer(&name),
                id: ErasureId::fresh(),
            };
            let call = store.erase_customer(erasure);
            let receipt = given_up(&place, place_of, code, call).await;
            assert_eq!(receipt.deleted.get("history"), Some(&1), "{place_of:?}");
        }
        let stone = Tombstone {
            customer: kaireon_core::digest::Digest::from_bytes([round; 16]),
            generation: Generation(1),
        };
        let of = tenant();
        let installed = store.install_tombstones(&of, vec![stone]);
        given_up(&place, ("INSERT", "tombstones"), code, installed).await;
        // Of another tenant: records here know of no epoch.
        let request = FenceRequest {
            tenant: TenantId::new("fenced").unwrap(),
            epoch: Epoch(u64::from(round)),
            lanes: None,
        };
        let raised = given_up(&place, ("UPDATE", "tenants"), code, store.raise_fence(request)).await;
        assert_eq!(raised.epoch, Epoch(u64::from(round)));
        for place_of in [
            ("UPDATE", "tenants"),
            ("DELETE", "history"),
            ("DELETE", "decisions"),
            ("DELETE", "dedupe"),
        ] {
            let purge = Purge {
                tenant: tenant(),
                before: SystemClock.now() - chrono::TimeDelta::days(30),
            };
            given_up(&place, place_of, code, store.purge_before(purge)).await;
        }
    }
    assert_eq!(place.number("SELECT count(*) FROM {s}.erasing").await, 0);
    assert_eq!(place.number("SELECT count(*) FROM {s}.history").await, 0);
    store.disconnect().await.unwrap();
    place.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn what_a_relay_and_a_host_ask_of_the_outbox_is_done_though_it_is_given_up() {
    let place = Place::shared().await;
    let store = PgStore::connect(place.config()).await.unwrap();
    let outbox = store.outbox().unwrap();
    let request = LeaseRequest {
        lane: Lane::Publish,
        owner: "me".to_owned(),
        ttl: Duration::from_secs(600),
        max_ranges: RANGES,
        destination: Destination::unnamed(),
    };
    let fetch = async |leases: &[Lease]| -> Vec<OutboxEntry> {
        let from = leases.iter().cloned().map(FetchFrom::all);
        outbox.fetch(from.collect(), 10).await.unwrap()
    };
    for code in CODES {
        let told = HostEvent {
            tenant: tenant(),
            customer: Some(customer("anna")),
            event: Event::new("model.updated.v1", &serde_json::json!({})).unwrap(),
        };
        given_up(&place, ("INSERT", "outbox"), code, outbox.append(vec![told])).await;
        let leased = outbox.lease(request.clone());
        let leases = given_up(&place, ("INSERT", "outbox_relays"), code, leased)
            .await
            .leases;
        assert_eq!(leases.len(), usize::from(RANGES));
        let entries = fetch(&leases).await;
        assert_eq!(entries.len(), 1, "appended once");
        let settle = |entry: &OutboxEntry, verdict| Settlement {
            range: entry.range,
            position: entry.position,
            verdict,
        };
        let poisoned = settle(&entries[0], Verdict::Poisoned("no".to_owned()));
        let settled = outbox.settle(&leases, vec![poisoned]);
        given_up(&place, ("INSERT", "outbox_dead"), code, settled).await;
        let id = DeadLetterId {
            range: entries[0].range,
            position: entries[0].position,
        };
        let replayed = outbox.replay(Lane::Publish, vec![id]);
        assert_eq!(
            given_up(&place, ("DELETE", "outbox_dead"), code, replayed).await,
            1
        );
        let entries = fetch(&leases).await;
        assert_eq!(entries.len(), 1, "replayed once");
        let settled = outbox.settle(&leases, vec![settle(&entries[0], Verdict::Delivered)]);
        given_up(&place, ("DELETE", "outbox"), code, settled).await;
        given_up(&place, ("UPDATE", "outbox_ranges"), code, outbox.release(leases)).await;
        let lanes = LaneSet::of(&[Lane::Publish]);
        given_up(&place, ("UPDATE", "meta"), code, outbox.set_lanes(lanes)).await;
        let changed = outbox.change_lanes(lanes, LaneSet::NONE);
        assert_eq!(given_up(&place, ("UPDATE", "meta"), code, changed).await, lanes);
    }
    assert_eq!(outbox.status(Lane::Publish).await.unwrap().backlog, 0);
    store.disconnect().await.unwrap();
    place.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_swap_of_settings_that_is_given_up_is_done_once() {
    // Beside the store's tables: both may live in one schema.
    let place = Place::shared().await;
    let config = PgSettingsConfig::at(place.url()).with_schema(place.schema());
    PgSettings::migrate(&config).await.unwrap();
    let settings = PgSettings::connect(config).await.unwrap();
    let mut expected = SettingVersion::NONE;
    for code in CODES {
        let write = SettingWrite {
            tenant: tenant(),
            expected,
            id: kaireon_core::ChangeId::fresh(),
            author: "test".to_owned(),
            reason: "test".to_owned(),
            at: SystemClock.now(),
            document: "{}".into(),
        };
        given_up(&place, ("UPDATE", "changes"), code, settings.swap(write)).await;
        expected = expected.next();
        assert_eq!(settings.changes().await.unwrap(), expected.0);
    }
    settings.disconnect().await.unwrap();
    place.close().await;
}
