//! Several relays share the work of a lane and lose or double nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::Outbox;
use kaireon_core::outbox::{Lane, LaneSet, OutboxEntry, RANGES, Verdict};
use kaireon_core::relay::{Delivered, LaneSink, Relay, RelayConfig};
use kaireon_core::store::{Erasure, ErasureId, Tombstone, TombstoneQuery};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{TTL, drain, fetch, ids, lease, lease_all, settled};
use crate::StoreFixture;
use crate::world::{Built, Need, World, noon, together};

/// One relay: it asks for its share, delivers, settles, and now and then gives everything back.
async fn relay(
    outbox: Arc<dyn Outbox>,
    name: String,
    done: Arc<AtomicBool>,
    told: Arc<Mutex<Vec<(String, String)>>>,
) {
    let mut share = RANGES;
    for round in 0_u32.. {
        let leased = lease(&outbox, Lane::Publish, &name, TTL, share).await;
        share = RANGES.div_ceil(leased.owners);
        let entries = fetch(&outbox, &leased.leases, 16).await.unwrap();
        if entries.is_empty() {
            if done.load(Ordering::SeqCst) && outbox.status(Lane::Publish).await.unwrap().backlog == 0 {
                outbox.release(leased.leases).await.unwrap();
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Told before it is settled, as a relay tells; it holds the range, so nobody else tells it meanwhile.
        for entry in &entries {
            told.lock()
                .push((entry.partition().to_owned(), entry.to_event().id().to_owned()));
        }
        let settlements = entries
            .iter()
            .map(|entry| settled(entry, Verdict::Delivered))
            .collect();
        outbox.settle(&leased.leases, settlements).await.unwrap();
        if round % 7 == 6 {
            outbox.release(leased.leases).await.unwrap();
            tokio::task::yield_now().await;
        }
    }
}

/// Relays on two handles deliver what writers record meanwhile: each entry once, each customer in order.
pub async fn several_relays_deliver_each_entry_once_and_in_order(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let second = world.second_handle().await;
    world
        .outbox()
        .set_lanes(LaneSet::of(&[Lane::Publish]))
        .await
        .unwrap();
    let (done, told) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let start = |n: usize| {
        let outbox = if n.is_multiple_of(2) {
            world.outbox()
        } else {
            second.outbox().unwrap()
        };
        relay(outbox, format!("relay-{n}"), Arc::clone(&done), Arc::clone(&told))
    };
    // They end with the case, also when it fails.
    let mut relays: JoinSet<()> = (0..3).map(start).collect();
    let writer = |task: i64| {
        let store = Arc::clone(&world.store);
        let event = |n: i64| {
            let event = world
                .event(&format!("c{task}-{}", n % 5))
                .id(format!("{task}-{n:03}"));
            event.timestamp(noon(-n)).built()
        };
        let events: Vec<_> = (0..60).map(event).collect();
        async move {
            for event in events {
                store.record_event(event).await.unwrap();
            }
        }
    };
    together((0..4).map(writer)).await;
    done.store(true, Ordering::SeqCst);
    while let Some(ended) = relays.join_next().await {
        ended.unwrap();
    }
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (customer, id) in told.lock().drain(..) {
        found.entry(customer).or_default().push(id);
    }
    assert_eq!(
        found.values().map(Vec::len).sum::<usize>(),
        240,
        "each entry is told once"
    );
    for (customer, ids) in found {
        assert!(
            ids.windows(2).all(|pair| pair[0] < pair[1]),
            "in order, customer number {}",
            customer.len()
        );
    }
}

/// A relay that stops in the middle leaves what it did not settle to the next, in order.
pub async fn a_relay_that_stops_leaves_the_rest_to_the_next(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
    for n in 0..10 {
        world
            .record(&world.event("anna").id(format!("{n}")).built())
            .await;
    }
    let ttl = Duration::from_millis(300);
    let first = lease(&outbox, Lane::Publish, "first", ttl, RANGES).await.leases;
    let entries = fetch(&outbox, &first, 6).await.unwrap();
    let settlements = entries[..4]
        .iter()
        .map(|entry| settled(entry, Verdict::Delivered))
        .collect();
    outbox.settle(&first, settlements).await.unwrap();
    world.pass(ttl + Duration::from_millis(100)).await;
    let rest = drain(&outbox, Lane::Publish, "second").await;
    assert_eq!(ids(&rest), ["4", "5", "6", "7", "8", "9"]);
}

/// Two handles hold the ranges in turn, each for a part of what waits, while more is recorded: each entry is settled
/// once, each customer's in order.
pub async fn ranges_that_go_back_and_forth_lose_nothing(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outboxes = [world.outbox(), world.second_handle().await.outbox().unwrap()];
    outboxes[0]
        .set_lanes(LaneSet::of(&[Lane::Publish]))
        .await
        .unwrap();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut recorded, mut settled_so_far) = (0, 0);
    for round in 0..24 {
        let outbox = &outboxes[round % 2];
        if round < 12 {
            for _ in 0..5 {
                let event = world
                    .event(&format!("c{}", recorded % 3))
                    .id(format!("{recorded:03}"));
                world.record(&event.built()).await;
                recorded += 1;
            }
        }
        let held = lease(
            outbox,
            Lane::Publish,
            &format!("relay-{}", round % 2),
            TTL,
            RANGES,
        )
        .await;
        let held = held.leases;
        let entries = fetch(outbox, &held, 7).await.unwrap();
        // The last one read is left to the other, as are all behind it.
        let kept = entries.len().saturating_sub(usize::from(round < 20));
        let settlements = entries[..kept].iter();
        let settlements = settlements.map(|entry| settled(entry, Verdict::Delivered));
        outbox.settle(&held, settlements.collect()).await.unwrap();
        for entry in &entries[..kept] {
            let told = found.entry(entry.partition().to_owned()).or_default();
            told.push(entry.to_event().id().to_owned());
            settled_so_far += 1;
        }
        outbox.release(held).await.unwrap();
    }
    assert_eq!((recorded, settled_so_far), (60, 60), "each is settled once");
    for told in found.values() {
        assert!(told.windows(2).all(|pair| pair[0] < pair[1]), "{told:?}");
    }
    assert!(outboxes[0].status(Lane::Publish).await.unwrap().is_empty());
}

/// Waits in its first delivery until it is let go on; notes what was delivered after a receipt was given.
struct Held {
    customer: String,
    /// Whether a delivery has begun, and whether it may end.
    begun: watch::Sender<bool>,
    goes_on: watch::Sender<bool>,
    receipt_given: AtomicBool,
    told: Mutex<Vec<(bool, String)>>,
}

struct Holding(Arc<Held>);

#[async_trait]
impl LaneSink for Holding {
    async fn deliver(&self, entries: &[OutboxEntry]) -> Vec<Delivered> {
        let Self(held) = self;
        held.begun.send_replace(true);
        let mut goes_on = held.goes_on.subscribe();
        goes_on.wait_for(|goes_on| *goes_on).await.unwrap();
        let mut told = held.told.lock();
        for entry in entries {
            let late = held.receipt_given.load(Ordering::SeqCst) && entry.partition() == held.customer;
            told.push((late, entry.to_event().id().to_owned()));
        }
        entries.iter().map(|_| Delivered::Done).collect()
    }
}

/// What a relay has in hand of an erased customer, being delivered or read ahead, is delivered before the receipt is
/// given or never.
pub async fn nothing_that_was_read_ahead_is_delivered_after_the_receipt(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox, Need::Erasure]).await {
        return;
    }
    let outbox = world.outbox();
    outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
    for n in 0..9 {
        world
            .record(&world.event("anna").id(format!("anna-{n}")).built())
            .await;
    }
    let sink = Arc::new(Held {
        customer: world.customer("anna").as_str().to_owned(),
        begun: watch::Sender::new(false),
        goes_on: watch::Sender::new(false),
        receipt_given: AtomicBool::new(false),
        told: Mutex::default(),
    });
    let config = RelayConfig {
        max_entries: 2,
        max_idle: Duration::from_millis(50),
        ..RelayConfig::new(Lane::Publish)
    };
    let relay = Relay::spawn(Arc::clone(&outbox), Holding(Arc::clone(&sink)), config);
    let mut begun = sink.begun.subscribe();
    begun.wait_for(|begun| *begun).await.unwrap();
    let other = world.second_handle().await;
    let request = Erasure {
        tenant: world.tenant.clone(),
        customer: world.customer("anna"),
        id: ErasureId::fresh(),
    };
    let erases = async {
        // By another handle than the relay's: of stores that processes share, it is another process's.
        other.erase_customer(request).await.unwrap();
        sink.receipt_given.store(true, Ordering::SeqCst);
    };
    // A store that waits for nobody has given its receipt by then.
    let goes_on = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        sink.goes_on.send_replace(true);
    };
    tokio::join!(erases, goes_on);
    world.record(&world.event("anna").id("anna-again").built()).await;
    world.record(&world.event("bert").id("bert").built()).await;
    relay.drain(TTL).await.unwrap();
    let told = sink.told.lock().clone();
    let late: Vec<_> = told
        .iter()
        .filter(|(late, id)| *late && id != "anna-again")
        .collect();
    assert!(late.is_empty(), "delivered after the receipt: {late:?}");
    let ids: Vec<_> = told.iter().map(|(_, id)| id.as_str()).collect();
    assert!(
        ids.contains(&"bert") && ids.contains(&"anna-again"),
        "the relay goes on: {ids:?}"
    );
    assert!(ids.len() < 9, "what it did not have in hand is gone: {ids:?}");
}

/// What an erasure waits for, where a relay has entries of the customer in hand, is the receipt alone: the entries of every
/// lane are gone by then, also where nobody calls again.
pub async fn an_erasure_that_waits_for_a_relay_has_done_all_but_the_receipt(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox, Need::Erasure]).await {
        return;
    }
    let outbox = world.outbox();
    let lanes = [Lane::Publish, Lane::Replicate];
    outbox.set_lanes(LaneSet::of(&lanes)).await.unwrap();
    for _ in 0..3 {
        world.record(&world.event("anna").built()).await;
    }
    let leases = lease_all(&outbox, Lane::Publish, "slow").await;
    assert_eq!(fetch(&outbox, &leases, 10).await.unwrap().len(), 3);
    let request = Erasure {
        tenant: world.tenant.clone(),
        customer: world.customer("anna"),
        id: ErasureId::fresh(),
    };
    let emptied = async {
        for lane in lanes {
            while !outbox.backlog(lane, &world.tenant).await.unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    tokio::select! {
        told = world.store.erase_customer(request.clone()) => panic!("nothing was given back: {told:?}"),
        () = emptied => {}
    }
    outbox.release(leases).await.unwrap();
    let receipt = world.store.erase_customer(request).await.unwrap();
    assert_eq!(receipt.deleted["outbox"], 6, "what the first call deleted");
}

/// Who installs the tombstone of another store waits for a relay as an erasure does, and so does a second call behind one that
/// was cut short: this store may have been the authority, whose relay tells of the customer still.
pub async fn a_tombstone_that_is_installed_waits_for_a_relay(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox, Need::Erasure, Need::Replication]).await {
        return;
    }
    world.record(&world.event("anna").built()).await;
    world.erase("anna", "ticket-1").await;
    let query = TombstoneQuery::new(world.tenant.clone());
    let first = world.store.tombstones(query).await.unwrap().items.remove(0);
    let stone = Tombstone {
        generation: first.generation.next().unwrap(),
        ..first
    };
    let outbox = world.outbox();
    outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
    world.record(&world.event("anna").built()).await;
    world.record(&world.event("bert").built()).await;
    let leases = lease_all(&outbox, Lane::Publish, "slow").await;
    assert_eq!(fetch(&outbox, &leases, 10).await.unwrap().len(), 2);
    let install = || world.store.install_tombstones(&world.tenant, vec![stone.clone()]);
    for call in ["the first", "the second"] {
        let emptied = async {
            while outbox
                .backlog(Lane::Publish, &world.tenant)
                .await
                .unwrap()
                .waiting
                > 1
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // A store that waits for nobody has answered by then.
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        tokio::select! {
            told = install() => panic!("{call} call was answered with nothing given back: {told:?}"),
            () = emptied => {}
        }
    }
    outbox.release(leases).await.unwrap();
    install().await.unwrap();
}
