//! Machines whose clocks are wrong, differ, or are set back.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use kaireon_core::outbox::{Destination, Lane, LeaseRequest, RANGES};
use kaireon_core::relay::{Relay, RelayConfig};
use kaireon_core::store::Purge;
use kaireon_core::time::{Clock, SystemClock, TimeSource, Timestamp};
use kaireon_core::{Interaction, InteractionStore};
use kaireon_store_pg::PgStore;

use crate::kill::Load;
use crate::place::{LONG, Notes, Place, answer, event, insist, until};

/// The clock of a machine that is off by so many milliseconds.
#[derive(Clone, Debug, Default)]
struct Off(Arc<AtomicI64>);

impl Off {
    fn by(by: TimeDelta) -> Self {
        let off = Self::default();
        off.set(by);
        off
    }

    fn set(&self, by: TimeDelta) {
        self.0.store(by.num_milliseconds(), Ordering::SeqCst);
    }
}

impl Clock for Off {
    fn now(&self) -> Timestamp {
        SystemClock.now() + TimeDelta::milliseconds(self.0.load(Ordering::SeqCst))
    }

    fn source(&self) -> TimeSource {
        TimeSource::Real
    }
}

async fn under(place: &Place, clock: &Off) -> PgStore {
    let mut config = place.config();
    config.options = config.options.with_clock(Arc::new(clock.clone()));
    PgStore::connect(config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_clock_that_is_set_back_and_forth_loses_doubles_and_reorders_nothing() {
    let place = Place::shared().await;
    let (wild, five) = (Off::default(), Off::by(TimeDelta::seconds(5)));
    let stores = [under(&place, &wild).await, under(&place, &five).await];
    let notes = Notes::default();
    let relays = stores.each_ref().map(|store| {
        let config = RelayConfig {
            lease_ttl: Duration::from_secs(2),
            ..RelayConfig::new(Lane::Publish)
        };
        Relay::spawn(store.outbox().unwrap(), notes.clone(), config)
    });
    let loads = [
        Load::under("wild-", 8, &stores[0]),
        Load::under("five-", 8, &stores[1]),
    ];
    for off in [
        TimeDelta::hours(-3),
        TimeDelta::days(-40),
        TimeDelta::days(2),
        TimeDelta::seconds(-5),
        TimeDelta::zero(),
    ] {
        wild.set(off);
        for load in &loads {
            load.progress(60).await;
        }
    }
    let mut events = Vec::new();
    for load in loads {
        let (recorded, tries) = load.stop().await;
        assert_eq!((tries.unknown, tries.duplicates), (0, 0), "{tries:?}");
        events.extend(recorded);
    }
    // One that is recorded on one machine and tried again on the other, in either direction.
    for (n, (one, other)) in [(0, 1), (1, 0)].into_iter().enumerate() {
        let event = event("both", &format!("{n}"));
        insist(&stores[one], &event).await;
        let again = stores[other].record_event(event.clone()).await.unwrap();
        assert_eq!(again, answer(&event, true));
        events.push(event);
    }
    // A relay that drains has no eye on the ranges of others, which may be between two of them.
    until("the relays' delivery", async || place.rows().await.1 == 0).await;
    for relay in relays {
        relay.drain(LONG).await.unwrap();
    }
    notes.assert_in_order(&events);
    for store in stores {
        store.disconnect().await.unwrap();
    }
    place.assert_exactly(&events, true).await;
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn leases_go_by_the_servers_clock_whatever_the_machines_say() {
    let place = Place::shared().await;
    let clock = Off::default();
    let (wrong, right) = (under(&place, &clock).await, under(&place, &Off::default()).await);
    let (wrong, right) = (wrong.outbox().unwrap(), right.outbox().unwrap());
    let request = |owner: &str, ttl: Duration| LeaseRequest {
        lane: Lane::Archive,
        owner: owner.to_owned(),
        ttl,
        max_ranges: RANGES,
        destination: Destination::unnamed(),
    };
    for days in [-40, 40] {
        clock.set(TimeDelta::days(days));
        for (holder, other) in [(&wrong, &right), (&right, &wrong)] {
            let begun = SystemClock.now();
            let held = holder.lease(request("holder", LONG)).await.unwrap().leases;
            assert_eq!(held.len(), usize::from(RANGES));
            let ends = held[0].expires - begun;
            assert!(ends > TimeDelta::zero() && ends < TimeDelta::from_std(LONG * 2).unwrap());
            let taken = other.lease(request("other", LONG)).await.unwrap().leases;
            assert!(taken.is_empty(), "{days} days");
            holder.release(held).await.unwrap();
            // Nobody renews this one, and it ends all the same.
            let short = holder.lease(request("short", Duration::from_millis(200))).await;
            assert_eq!(short.unwrap().leases.len(), usize::from(RANGES));
            until("the end of a lease", async || {
                let taken = other.lease(request("other", LONG)).await.unwrap().leases;
                taken.len() == usize::from(RANGES)
            })
            .await;
            let taken = other.lease(request("other", LONG)).await.unwrap().leases;
            other.release(taken).await.unwrap();
        }
    }
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_key_is_known_for_the_whole_horizon_whatever_the_machines_clocks_say() {
    let days = TimeDelta::days;
    for (recorder, purger) in [
        (days(-40), days(0)),
        (days(0), days(40)),
        (days(-20), days(20)),
        (TimeDelta::seconds(-5), TimeDelta::seconds(5)),
    ] {
        let place = Place::shared().await;
        let recording = under(&place, &Off::by(recorder)).await;
        let mut config = place.config();
        config.options = config.options.with_clock(Arc::new(Off::by(purger)));
        let purging = PgStore::connect(config.clone()).await.unwrap();
        let event = event("anna", "key").edited(|fields| fields.timestamp -= TimeDelta::minutes(10));
        let event: Interaction = event.unwrap();
        insist(&recording, &event).await;
        let purge = Purge {
            tenant: event.tenant.clone(),
            before: event.timestamp + TimeDelta::minutes(5),
        };
        assert_eq!(purging.purge_before(purge.clone()).await.unwrap().interactions, 1);
        for store in [&recording, &purging] {
            let again = store.record_event(event.clone()).await.unwrap();
            assert_eq!(again, answer(&event, true), "{recorder} {purger}");
        }
        let known =
            "SELECT count(*) FROM {s}.dedupe WHERE arrived BETWEEN now() - interval '1 hour' AND now()";
        assert_eq!(place.number(known).await, 1);
        assert_eq!(place.rows().await, (0, 1));
        // And for no longer than it has to, or it would be known for ever.
        config.options.dedupe_horizon = Duration::ZERO;
        let forgetting = PgStore::connect(config).await.unwrap();
        assert_eq!(forgetting.purge_before(purge).await.unwrap().interactions, 0);
        assert_eq!(place.number("SELECT count(*) FROM {s}.dedupe").await, 0);
        for store in [recording, purging, forgetting] {
            store.disconnect().await.unwrap();
        }
        place.close().await;
    }
}
