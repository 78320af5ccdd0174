//! Connections whose other side goes away without a word.

use std::time::Duration;

use kaireon_core::store::HistoryQuery;
use kaireon_core::{CustomerId, Effect, ErrorKind, InteractionStore, TenantId};
use kaireon_store_pg::{PgStore, PgStoreConfig};
use kaireon_testkit::proxy::Direction::{ToClient, ToServer};
use kaireon_testkit::proxy::{Flow, Link, Proxy, Rule, postgres};

use crate::place::{LONG, Place, answer, event, facts};

/// A store that takes a connection for broken after two seconds.
pub(crate) fn impatient(place: &Place, proxy: &Proxy) -> PgStoreConfig {
    let mut config = place.through(proxy);
    config.connect.statement_timeout = Some(Duration::from_secs(1));
    config.connect.acquire_timeout = Duration::from_secs(1);
    config
}

fn half_open() -> Link {
    Link {
        flow: Flow::Swallow,
        ..Link::default()
    }
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_commit_that_is_never_answered_is_unknown_and_the_store_goes_on() {
    let place = Place::shared().await;
    let proxy = place.proxy().await;
    let store = PgStore::connect(impatient(&place, &proxy)).await.unwrap();
    let mut events = vec![event("anna", "first")];
    assert!(store.record_event(events[0].clone()).await.unwrap().is_new());
    for (n, reaches_the_server) in [false, true].into_iter().enumerate() {
        let lost = if reaches_the_server {
            Rule::on(ToClient, postgres::command_complete("COMMIT")).withhold()
        } else {
            Rule::on(ToServer, postgres::query("COMMIT")).withhold()
        };
        let lost = proxy.arm(lost);
        // Two customers: where the commit did not reach the server, its transaction holds the customer's row until the
        // server ends it.
        let event = event(&format!("c{n}"), &format!("{n}"));
        let told = tokio::time::timeout(LONG, store.record_event(event.clone())).await;
        lost.fired().await;
        let error = told.unwrap().unwrap_err();
        assert_eq!(facts(&error), (ErrorKind::Unavailable, Effect::Unknown, true));
        // Whose connection it was is gone; nobody else waits for it.
        let other = self::event("other", &format!("other-{n}"));
        assert!(store.record_event(other.clone()).await.unwrap().is_new());
        proxy.heal().await.unwrap();
        proxy.cut(kaireon_testkit::proxy::Cut::Reset).await;
        let again = store.record_event(event.clone()).await.unwrap();
        assert_eq!(again, answer(&event, reaches_the_server));
        events.extend([event, other]);
    }
    store.disconnect().await.unwrap();
    place.assert_exactly(&events, false).await;
    place.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn connections_that_go_half_open_are_given_up_and_the_store_heals() {
    let place = Place::shared().await;
    let proxy = place.proxy().await;
    let store = PgStore::connect(impatient(&place, &proxy)).await.unwrap();
    let mut events = vec![event("anna", "first")];
    assert!(store.record_event(events[0].clone()).await.unwrap().is_new());
    for (n, direction) in [ToServer, ToClient].into_iter().enumerate() {
        proxy.set(direction, half_open());
        let event = event("anna", &format!("{n}"));
        let calls: Vec<_> = (0..8)
            .map(|caller| {
                let record = self::event(&format!("c{caller}"), &format!("{n}-{caller}"));
                let (store, given) = (store.clone(), record.clone());
                (
                    record,
                    tokio::spawn(async move { store.record_event(given).await }),
                )
            })
            .collect();
        let told = tokio::time::timeout(LONG, store.record_event(event.clone())).await;
        let error = told.unwrap().unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        let query = HistoryQuery::new(TenantId::new("t").unwrap(), CustomerId::new("anna").unwrap());
        let read = tokio::time::timeout(LONG, store.history(query)).await;
        assert!(read.unwrap().unwrap_err().is_transient());
        // What vanished does not come back, and the other side learns of the end.
        proxy.heal().await.unwrap();
        proxy.cut(kaireon_testkit::proxy::Cut::Reset).await;
        crate::place::insist_after_doubt(&store, &event).await;
        events.push(event);
        for (record, call) in calls {
            let _ = tokio::time::timeout(LONG, call).await.unwrap().unwrap();
            let again = crate::place::insist_after_doubt(&store, &record).await;
            assert_eq!(again.id(), &record.id);
            events.push(record);
        }
    }
    store.disconnect().await.unwrap();
    place.assert_exactly(&events, false).await;
    place.close().await;
}
