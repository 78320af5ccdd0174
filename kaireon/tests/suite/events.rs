//! From a record to a subscriber, and when the outbox is written at all.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kaireon::core::event::{Event, EventType};
use kaireon::core::memory::MemoryStore;
use kaireon::core::outbox::{HostEvent, Lane};
use kaireon::core::publisher::{PublisherCapabilities, Subscriber, Subscription};
use kaireon::core::{Error, ErrorKind, EventPublisher, InteractionStore, Result, TenantId};
use kaireon::{Infra, Part, Status};

use crate::support::{LONG, config, in_memory, is_new, next_event, recorded_topic, shown, until};

async fn lane_is_on(infra: &Infra) -> bool {
    let outbox = infra.store().outbox().unwrap();
    outbox.lanes().await.unwrap().contains(Lane::Publish)
}

async fn backlog(infra: &Infra) -> u64 {
    let outbox = infra.store().outbox().unwrap();
    outbox.status(Lane::Publish).await.unwrap().backlog
}

#[tokio::test]
async fn what_is_recorded_after_subscribing_arrives_in_order() {
    let infra = in_memory().await;
    let mut events = infra.events().subscribe(recorded_topic()).await.unwrap();
    for key in ["k1", "k2", "k3"] {
        let event = shown("c", key);
        infra.store().record_event(event.clone()).await.unwrap();
        // A duplicate is no event.
        infra.store().record_event(event).await.unwrap();
    }
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(next_event(&mut events).await.id().to_owned());
    }
    let history = kaireon::core::store::HistoryQuery::new(
        TenantId::new("acme").unwrap(),
        kaireon::core::CustomerId::new("c").unwrap(),
    );
    let mut recorded = infra.store().history(history).await.unwrap().items;
    recorded.sort_by_key(|event| event.idempotency_key.clone());
    assert_eq!(
        ids,
        recorded
            .iter()
            .map(|event| event.id.to_string())
            .collect::<Vec<_>>()
    );
    assert!(infra.shutdown(LONG).await.is_clean());
    assert!(events.next().await.is_none(), "a fourth event");
}

#[tokio::test]
async fn the_outbox_is_written_only_while_somebody_subscribes() {
    let infra = in_memory().await;
    assert!(!lane_is_on(&infra).await);
    infra.store().record_event(shown("c", "before")).await.unwrap();
    assert_eq!(backlog(&infra).await, 0);

    let first = infra.events().subscribe(recorded_topic()).await.unwrap();
    assert!(lane_is_on(&infra).await, "on before subscribe returned");
    let mut second = infra.events().subscribe(recorded_topic()).await.unwrap();
    drop(first);
    // An event takes the way through the lane and its relay, which is longer than that to turning it off.
    infra.store().record_event(shown("c", "between")).await.unwrap();
    next_event(&mut second).await;
    until("what was delivered is settled", async || {
        backlog(&infra).await == 0
    })
    .await;
    assert!(lane_is_on(&infra).await, "off though one is left");
    drop(second);
    until("the lane is off", async || !lane_is_on(&infra).await).await;
    infra.store().record_event(shown("c", "after")).await.unwrap();
    assert_eq!(backlog(&infra).await, 0);

    // And on again.
    let mut third = infra.events().subscribe(recorded_topic()).await.unwrap();
    infra.store().record_event(shown("c", "again")).await.unwrap();
    assert_eq!(
        next_event(&mut third).await.event_type().as_str(),
        "interaction.recorded.v1"
    );
}

#[tokio::test]
async fn a_refused_subscription_leaves_the_lane_off() {
    let infra = in_memory().await;
    let error = infra.events().subscribe(Subscription::to([])).await.unwrap_err();
    assert_eq!(error.field(), Some("topics"));
    assert!(!lane_is_on(&infra).await);
}

/// An `Infra` over a store whose lane holds one entry of an earlier run.
async fn with_leftover(wait: Duration) -> (Infra, MemoryStore) {
    let store = MemoryStore::new();
    let outbox = store.outbox().unwrap();
    outbox
        .set_lanes(kaireon::core::outbox::LaneSet::of(&[
            Lane::Publish,
            Lane::Archive,
        ]))
        .await
        .unwrap();
    store.record_event(shown("c", "earlier")).await.unwrap();
    let mut config = config(&[("INTERACTION_STORE", "earlier")]);
    config.leftovers_wait = wait;
    let opened = store.clone();
    let infra = Infra::builder()
        .config(config)
        .register_store("earlier", move |_| {
            let opened = opened.clone();
            async move { Ok(opened) }
        })
        .build()
        .await
        .unwrap();
    (infra, store)
}

#[tokio::test]
async fn leftovers_of_an_earlier_run_go_to_the_first_who_subscribes() {
    let (infra, _store) = with_leftover(LONG).await;
    assert!(!lane_is_on(&infra).await);
    assert_eq!(backlog(&infra).await, 1);
    let mut events = infra.events().subscribe(recorded_topic()).await.unwrap();
    next_event(&mut events).await;
    until("the entry is settled", async || backlog(&infra).await == 0).await;
    let lanes = infra.store().outbox().unwrap().lanes().await.unwrap();
    assert!(lanes.contains(Lane::Archive), "another lane was touched");
}

#[tokio::test]
async fn leftovers_that_nobody_comes_for_expire() {
    let (infra, _store) = with_leftover(Duration::from_millis(30)).await;
    until("the entry has expired", async || backlog(&infra).await == 0).await;
    assert!(!lane_is_on(&infra).await);
    let mut events = infra.events().subscribe(recorded_topic()).await.unwrap();
    infra.store().record_event(shown("c", "new")).await.unwrap();
    next_event(&mut events).await;
}

#[tokio::test]
async fn redis_without_its_url_disables_the_stream_and_nothing_queues_up() {
    let infra = config(&[("INTERACTION_STORE", "memory"), ("EVENT_PUBLISHER", "redis")])
        .start()
        .await
        .unwrap();
    let startup = infra.startup();
    assert_eq!(startup.events.backend, "disabled");
    assert_eq!(startup.events.why, "EVENT_PUBLISHER=redis without REDIS_URL");

    assert!(is_new(&infra, "c", "k").await);
    assert_eq!(backlog(&infra).await, 0);
    let event = Event::new("model.updated.v1", &7).unwrap();
    let host = HostEvent {
        tenant: TenantId::new("acme").unwrap(),
        customer: None,
        event: event.clone(),
    };
    let appended = infra
        .store()
        .outbox()
        .unwrap()
        .append(vec![host])
        .await
        .unwrap_err();
    assert_eq!(appended.kind(), ErrorKind::Unsupported);
    assert_eq!(backlog(&infra).await, 0);
    assert_eq!(
        infra.events().publish(event).await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    let topic = Subscription::to([EventType::interaction_recorded()]);
    assert_eq!(
        infra.events().subscribe(topic).await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );

    let health = infra.health().await;
    assert_eq!(health.part(Part::Events).unwrap().status, Status::Unknown);
    assert!(health.ready);
    assert!(infra.shutdown(LONG).await.is_clean());
}

#[tokio::test]
async fn a_hosts_own_event_goes_through_the_outbox() {
    let infra = in_memory().await;
    let topic = EventType::new("model.updated.v1").unwrap();
    let mut events = infra.events().subscribe(Subscription::to([topic])).await.unwrap();
    let host = HostEvent {
        tenant: TenantId::new("acme").unwrap(),
        customer: None,
        event: Event::new("model.updated.v1", &7).unwrap(),
    };
    infra.store().outbox().unwrap().append(vec![host]).await.unwrap();
    assert_eq!(next_event(&mut events).await.payload::<u32>().unwrap(), 7);
}

/// A stream whose subscribers are elsewhere.
#[derive(Clone, Debug, Default)]
struct Broker(Arc<Mutex<Vec<Event>>>);

#[async_trait::async_trait]
impl EventPublisher for Broker {
    fn capabilities(&self) -> PublisherCapabilities {
        PublisherCapabilities::minimal("broker")
    }

    async fn publish(&self, event: Event) -> Result<()> {
        self.0.lock().unwrap().push(event);
        Ok(())
    }

    async fn subscribe(&self, _: Subscription) -> Result<Subscriber> {
        Err(Error::unsupported("broker", "subscribe"))
    }

    async fn disconnect(&self) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_stream_whose_subscribers_are_elsewhere_gets_everything_from_the_first_record_on() {
    let broker = Broker::default();
    let start = |vars: &[(&str, &str)]| {
        let broker = broker.clone();
        let builder = Infra::builder().config(config(vars));
        builder.register_publisher("broker", move |_| {
            let broker = broker.clone();
            async move { Ok(broker) }
        })
    };
    let vars = [("INTERACTION_STORE", "memory"), ("EVENT_PUBLISHER", "broker")];
    let infra = start(&vars).build().await.unwrap();
    assert!(lane_is_on(&infra).await);
    infra.store().record_event(shown("c", "k1")).await.unwrap();
    until("it is published", async || broker.0.lock().unwrap().len() == 1).await;

    // From an in-process stream without subscribers to the broker, on one store.
    let infra = start(&vars[..1]).build().await.unwrap();
    assert!(!lane_is_on(&infra).await);
    let mut new = config(&vars);
    new.handover.grace = Duration::ZERO;
    assert!(infra.reset(new).await.unwrap().is_clean());
    infra.store().record_event(shown("c", "k2")).await.unwrap();
    until("it is published", async || broker.0.lock().unwrap().len() == 2).await;
    assert!(infra.shutdown(LONG).await.is_clean());
}
