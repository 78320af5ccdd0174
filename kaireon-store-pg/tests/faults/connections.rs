//! Servers that have no connection left: for anybody, or for the store's role.

use std::time::Duration;

use kaireon_core::store::HistoryQuery;
use kaireon_core::{CustomerId, Effect, ErrorKind, InteractionStore, TenantId};
use kaireon_store_pg::PgStore;
use sqlx::{Connection, PgConnection};

use crate::place::{Place, event, insist, server};

/// Takes every connection that is left.
async fn take_all(url: &str) -> Vec<PgConnection> {
    let mut taken = Vec::new();
    loop {
        match PgConnection::connect(url).await {
            Ok(connection) => taken.push(connection),
            Err(error) => {
                let code = error.as_database_error().and_then(|error| error.code());
                assert_eq!(code.as_deref(), Some("53300"), "{error}");
                return taken;
            }
        }
    }
}

/// What is asked of both bounds: `admin` is somebody whom the bound leaves a way in, `url` one of those it is for.
async fn is_told_and_heals(place: &Place, admin: &str, url: &str) {
    let mut admin = PgConnection::connect(admin).await.unwrap();
    let mut config = place.config();
    config.connect.acquire_timeout = Duration::from_millis(500);
    config.connect.application_name = place.schema().to_owned();
    let store = PgStore::connect(config.clone()).await.unwrap();
    let mut events = vec![event("anna", "first")];
    insist(&store, &events[0]).await;
    for round in 0..3 {
        let mut taken = take_all(url).await;
        // What the store had is taken from it as well.
        let ended = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE application_name = $1";
        let ended: i64 = sqlx::query_scalar(ended)
            .bind(place.schema().to_owned())
            .fetch_one(&mut admin)
            .await
            .unwrap();
        taken.extend(take_all(url).await);
        assert!(ended > 0 && !taken.is_empty());
        let event = event("anna", &format!("{round}"));
        let calls: Vec<_> = (0..8)
            .map(|caller| {
                let record = self::event(&format!("c{caller}"), &format!("{round}-{caller}"));
                let (store, given) = (store.clone(), record.clone());
                (
                    record,
                    tokio::spawn(async move { store.record_event(given).await }),
                )
            })
            .collect();
        let mut errors = vec![store.record_event(event.clone()).await.unwrap_err()];
        events.push(event);
        for (record, call) in calls {
            errors.push(call.await.unwrap().unwrap_err());
            events.push(record);
        }
        let query = HistoryQuery::new(TenantId::new("t").unwrap(), CustomerId::new("anna").unwrap());
        errors.push(store.history(query).await.unwrap_err());
        // A host that starts at such a moment.
        let starting = PgStore::connect(config.clone()).await.unwrap_err();
        assert_eq!(starting.kind(), ErrorKind::RateLimited, "{starting:?}");
        errors.push(starting);
        for error in errors {
            let kinds = [ErrorKind::RateLimited, ErrorKind::Unavailable];
            assert!(kinds.contains(&error.kind()), "{error:?}");
            assert_eq!((error.effect(), error.is_transient()), (Effect::NotApplied, true));
        }
        for connection in taken {
            connection.close().await.unwrap();
        }
        // Nobody opens the store again. What was told to be not applied is new.
        for event in events.iter().skip(1 + round * 9) {
            let tries = insist(&store, event).await;
            assert_eq!((tries.unknown, tries.duplicates), (0, 0));
        }
    }
    store.disconnect().await.unwrap();
    place.assert_exactly(&events, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_server_without_a_connection_left_is_transient_and_the_store_heals_alone() {
    let settings = [("max_connections", "14"), ("superuser_reserved_connections", "3")];
    let server = server(&settings).await;
    let admin = server.url();
    let plain = plain_role(&admin, "").await;
    let place = Place::on(plain.clone()).await;
    is_told_and_heals(&place, &admin, &plain).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_role_without_a_connection_left_is_transient_and_the_store_heals_alone() {
    let server = server(&[]).await;
    let admin = server.url();
    let plain = plain_role(&admin, "CONNECTION LIMIT 5").await;
    let place = Place::on(plain.clone()).await;
    is_told_and_heals(&place, &admin, &plain).await;
}

/// A role that is no superuser and may make the tables; how it is reached.
async fn plain_role(admin: &str, bound: &str) -> String {
    let mut connection = PgConnection::connect(admin).await.unwrap();
    let make = format!("CREATE ROLE plain LOGIN {bound}; GRANT CREATE ON DATABASE postgres TO plain");
    crate::place::run(&mut connection, &make).await;
    connection.close().await.unwrap();
    admin.replace("postgres@", "plain@")
}
