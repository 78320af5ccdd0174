//! Units of several statements whose server goes away without a word, at each point that tells outcomes apart.

use std::time::Duration;

use kaireon_core::outbox::{
    Destination, FetchFrom, HostEvent, Lane, LaneSet, Lease, LeaseRequest, RANGES, Settlement, Verdict,
};
use kaireon_core::store::{
    Epoch, Erasure, ErasureId, FenceRequest, Generation, Purge, Tombstone, TombstoneQuery,
};
use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::{CustomerId, Effect, ErrorKind, Event, Interaction, InteractionStore, Result, TenantId};
use kaireon_store_pg::PgStore;
use kaireon_testkit::proxy::Direction::{ToClient, ToServer};
use kaireon_testkit::proxy::{Cut, Rule, postgres};

use crate::network::impatient;
use crate::place::{LONG, Place, event, facts, insist};

fn tenant() -> TenantId {
    TenantId::new("t").unwrap()
}

fn customer(name: &str) -> CustomerId {
    CustomerId::new(name).unwrap()
}

/// Where a unit's server goes away, and what its caller is told.
fn faults() -> [(Rule, Effect); 5] {
    let unit = || Rule::on(ToServer, postgres::statement("BEGIN"));
    [
        (
            Rule::on(ToClient, postgres::command_complete("BEGIN")).withhold(),
            Effect::NotApplied,
        ),
        (
            unit().then(ToServer, postgres::named(b'E')).withhold(),
            Effect::NotApplied,
        ),
        (
            // What begins it is ready first.
            unit()
                .then(ToClient, postgres::ready_for_query())
                .then(ToClient, postgres::ready_for_query())
                .withhold(),
            Effect::NotApplied,
        ),
        (
            unit().then(ToServer, postgres::query("COMMIT")).withhold(),
            Effect::Unknown,
        ),
        (
            unit()
                .then(ToClient, postgres::command_complete("COMMIT"))
                .withhold(),
            Effect::Unknown,
        ),
    ]
}

/// Asks an operation at each of the points: it must answer, and work when the way is open again. `prepared` makes, over
/// a way without faults, what the operation is asked of.
async fn ask<T>(
    prepare: impl AsyncFn(&PgStore, usize) -> T,
    operation: impl AsyncFn(&PgStore, &T) -> Result<()>,
) {
    let place = Place::shared().await;
    let proxy = place.proxy().await;
    let direct = PgStore::connect(place.config()).await.unwrap();
    insist(&direct, &event("anna", "first")).await;
    let store = PgStore::connect(impatient(&place, &proxy)).await.unwrap();
    // What a handle asks once, it has asked.
    store.fence(&tenant()).await.unwrap();
    insist(&store, &event("anna", "second")).await;
    for (n, (rule, effect)) in faults().into_iter().enumerate() {
        let prepared = prepare(&direct, n).await;
        let lost = proxy.arm(rule);
        let told = tokio::time::timeout(LONG, operation(&store, &prepared)).await;
        let error = told.expect("it answers").unwrap_err();
        lost.fired().await;
        assert_eq!(
            facts(&error),
            (ErrorKind::Unavailable, effect, true),
            "{n}: {error:?}"
        );
        // The server learns of the end, and lets go what the unit held.
        proxy.cut(Cut::Reset).await;
        let again = async {
            loop {
                match operation(&store, &prepared).await {
                    Ok(()) => return,
                    Err(error) => assert!(error.is_transient(), "{n}: {error:?}"),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LONG, again).await.expect("it heals");
    }
    let ended = async {
        store.disconnect().await.unwrap();
        direct.disconnect().await.unwrap();
    };
    tokio::time::timeout(LONG, ended).await.expect("it disconnects");
    place.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn an_erasure_whose_server_is_silent_is_told_so_and_goes_on_when_asked_again() {
    ask(
        async |store, n| {
            let name = format!("c{n}");
            insist(store, &event(&name, &format!("erased-{n}"))).await;
            Erasure {
                tenant: tenant(),
                customer: customer(&name),
                id: ErasureId::fresh(),
            }
        },
        async |store, request| {
            let receipt = store.erase_customer(request.clone()).await?;
            assert_eq!(receipt.deleted["history"], 1);
            Ok(())
        },
    )
    .await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn tombstones_whose_server_is_silent_are_installed_when_asked_again() {
    ask(
        async |store, n| {
            let name = customer(&format!("c{n}"));
            let erasure = Erasure {
                tenant: tenant(),
                customer: name,
                id: ErasureId::fresh(),
            };
            store.erase_customer(erasure).await.unwrap();
            let page = store.tombstones(TombstoneQuery::new(tenant())).await.unwrap();
            let stones = page.items.into_iter();
            stones
                .map(|stone| Tombstone {
                    generation: Generation(stone.generation.0 + 1),
                    ..stone
                })
                .collect::<Vec<_>>()
        },
        async |store, stones| store.install_tombstones(&tenant(), stones.clone()).await,
    )
    .await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_purge_whose_server_is_silent_is_told_so_and_goes_on_when_asked_again() {
    ask(
        async |_, n| Purge {
            tenant: tenant(),
            before: SystemClock.now() - chrono::TimeDelta::days(100 - i64::try_from(n).unwrap()),
        },
        async |store, request| store.purge_before(request.clone()).await.map(drop),
    )
    .await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_fence_whose_server_is_silent_is_raised_when_asked_again() {
    ask(
        async |_, n| FenceRequest {
            tenant: tenant(),
            epoch: Epoch(n as u64 + 1),
            lanes: None,
        },
        async |store, request| {
            let state = store.raise_fence(request.clone()).await?;
            assert_eq!(state.epoch, request.epoch);
            Ok(())
        },
    )
    .await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn lanes_whose_server_is_silent_are_set_when_asked_again() {
    ask(
        async |_, _| (),
        async |store, ()| {
            let outbox = store.outbox().unwrap();
            outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await
        },
    )
    .await;
}

async fn lease(store: &PgStore, owner: &str) -> Result<Vec<Lease>> {
    let request = LeaseRequest {
        lane: Lane::Publish,
        owner: owner.to_owned(),
        ttl: Duration::from_secs(600),
        max_ranges: RANGES,
        destination: Destination::unnamed(),
    };
    let leased = store.outbox().unwrap().lease(request).await?;
    Ok(leased.leases)
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn leases_whose_server_is_silent_are_had_when_asked_again() {
    ask(
        async |_, _| (),
        async |store, ()| {
            assert_eq!(lease(store, "me").await?.len(), usize::from(RANGES));
            Ok(())
        },
    )
    .await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn leases_whose_server_is_silent_are_given_back_when_asked_again() {
    ask(
        async |store, n| lease(store, &format!("owner-{n}")).await.unwrap(),
        async |store, leases| {
            assert_eq!(leases.len(), usize::from(RANGES));
            store.outbox().unwrap().release(leases.clone()).await
        },
    )
    .await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn entries_whose_server_is_silent_are_settled_when_asked_again() {
    ask(
        async |store, n| {
            insist(store, &event("anna", &format!("settled-{n}"))).await;
            let leases = lease(store, "me").await.unwrap();
            let from = leases.iter().cloned().map(FetchFrom::all);
            let outbox = store.outbox().unwrap();
            let found = outbox.fetch(from.collect(), 100).await.unwrap();
            assert!(!found.is_empty());
            let settlements: Vec<_> = found
                .iter()
                .map(|entry| Settlement {
                    range: entry.range,
                    position: entry.position,
                    verdict: Verdict::Delivered,
                })
                .collect();
            (leases, settlements)
        },
        async |store, (leases, settlements)| {
            store.outbox().unwrap().settle(leases, settlements.clone()).await
        },
    )
    .await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn events_of_a_host_whose_server_is_silent_are_appended_when_asked_again() {
    ask(
        async |_, n| {
            let payload = serde_json::json!({ "n": n });
            HostEvent {
                tenant: tenant(),
                customer: Some(customer("anna")),
                event: Event::new("model.updated.v1", &payload).unwrap(),
            }
        },
        async |store, event| store.outbox().unwrap().append(vec![event.clone()]).await,
    )
    .await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_month_or_a_tenant_that_cannot_be_made_leaves_its_records_not_applied() {
    let place = Place::shared().await;
    let proxy = place.proxy().await;
    let store = PgStore::connect(impatient(&place, &proxy)).await.unwrap();
    let mut events = vec![event("anna", "first")];
    insist(&store, &events[0]).await;
    let built = |tenant: &str, days: i64| -> Interaction {
        let shown = Interaction::builder(tenant, "anna")
            .offer("o")
            .creative("k")
            .channel("web");
        let at = SystemClock.now() - chrono::TimeDelta::days(days);
        shown.timestamp(at).build().unwrap()
    };
    // Also where nobody knows whether the month or the tenant was made.
    for (n, (rule, _)) in faults().into_iter().enumerate().skip(1) {
        let late = 300 + 31 * i64::try_from(n).unwrap();
        let record = match n % 2 {
            0 => built("t", late),
            _ => built(&format!("other-{n}"), 0),
        };
        let lost = proxy.arm(rule);
        let told = tokio::time::timeout(LONG, store.record_event(record.clone())).await;
        let error = told.expect("it answers").unwrap_err();
        lost.fired().await;
        assert_eq!(
            facts(&error),
            (ErrorKind::Unavailable, Effect::NotApplied, true),
            "{error:?}"
        );
        proxy.cut(Cut::Reset).await;
        insist(&store, &record).await;
        events.extend((record.tenant == tenant()).then_some(record));
    }
    let mine = place.number("SELECT count(*) FROM {s}.history h JOIN {s}.customers c ON c.id = h.customer JOIN {s}.tenants t ON t.id = c.tenant WHERE t.name = 't'");
    assert_eq!(mine.await, i64::try_from(events.len()).unwrap());
    store.disconnect().await.unwrap();
    place.close().await;
}
