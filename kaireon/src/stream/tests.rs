use kaireon_core::memory::{MemoryPublisher, MemoryStore};
use kaireon_core::outbox::HostEvent;
use kaireon_core::publisher::{PublisherCapabilities, Subscription};
use kaireon_core::store::{Epoch, FenceRequest, RecordBatch};
use kaireon_core::{CustomerId, Event, EventType, Interaction, InteractionStore, TenantId};

use super::*;

#[tokio::test]
async fn a_lane_that_was_handed_over_in_vain_is_looked_after_again() {
    let outbox = MemoryStore::new().outbox().unwrap();
    let publisher: Arc<dyn EventPublisher> = Arc::new(MemoryPublisher::new());
    let stream = EventStream::new(
        LaneUse {
            policy: LanePolicy::WhileSubscribed,
            reach: Reach::Process,
            writers: LaneWriters::ByDefault,
        },
        Some(Arc::clone(&outbox)),
        (Arc::clone(&publisher), Arc::default()),
        Duration::from_secs(60),
        None,
    );
    stream.start().await.unwrap();
    let topic = Subscription::to([EventType::interaction_recorded()]);
    let subscriber = stream
        .listen(publisher.subscribe(topic).await.unwrap(), Wants::Recorded)
        .await
        .unwrap();
    let is_on = async || outbox.lanes().await.unwrap().contains(Lane::Publish);
    assert!(is_on().await);

    let handed_over = HandedOver::begin(&stream).await;
    drop(subscriber);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(is_on().await, "it is the other stream's");
    drop(handed_over);
    let off = async {
        while is_on().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let turned_off = tokio::time::timeout(Duration::from_secs(20), off).await;
    turned_off.expect("a lane that is its stream's again is turned off");
}

/// Streams of several processes on one store.
struct Processes {
    outbox: Arc<dyn Outbox>,
    writers: LaneWriters,
}

impl Processes {
    fn new() -> Self {
        let outbox = MemoryStore::new().outbox().unwrap();
        Self {
            outbox,
            writers: LaneWriters::ByDefault,
        }
    }

    async fn start(
        &self,
        policy: LanePolicy,
        patience: Duration,
    ) -> (Arc<EventStream>, Arc<dyn EventPublisher>) {
        let publisher: Arc<dyn EventPublisher> = Arc::new(MemoryPublisher::new());
        let stream = EventStream::new(
            LaneUse {
                policy,
                reach: Reach::Shared,
                writers: self.writers,
            },
            Some(Arc::clone(&self.outbox)),
            (Arc::clone(&publisher), Arc::default()),
            patience,
            None,
        );
        stream.prepare().await.unwrap();
        stream.start().await.unwrap();
        (stream, publisher)
    }

    async fn is_on(&self) -> bool {
        self.outbox.lanes().await.unwrap().contains(Lane::Publish)
    }

    async fn until_off(&self) {
        let off = async {
            while self.is_on().await {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), off)
            .await
            .expect("the lane stayed on");
    }
}

async fn subscribed(stream: &EventStream, publisher: &Arc<dyn EventPublisher>) -> Subscriber {
    let topic = Subscription::to([EventType::interaction_recorded()]);
    let subscriber = publisher.subscribe(topic).await.unwrap();
    stream.listen(subscriber, Wants::Recorded).await.unwrap()
}

const SOON: Duration = Duration::from_millis(40);

/// Long enough for what is to happen soon to have happened.
const LATER: Duration = Duration::from_millis(400);

#[tokio::test]
async fn a_process_without_a_use_for_the_lane_leaves_it_to_those_who_have() {
    for policy in [LanePolicy::Never, LanePolicy::WhileSubscribed] {
        let processes = Processes::new();
        let (reader, _) = processes.start(LanePolicy::Always, SOON).await;
        let (other, _) = processes.start(policy, SOON).await;
        tokio::time::sleep(LATER).await;
        assert!(processes.is_on().await, "{policy:?}");
        other.drain(Instant::now() + LATER).await.unwrap();
        assert!(processes.is_on().await, "{policy:?}");
        drop(reader);
    }
}

#[tokio::test]
async fn subscribers_of_one_process_outlive_the_start_and_the_end_of_another() {
    let processes = Processes::new();
    let (one, publisher) = processes.start(LanePolicy::WhileSubscribed, SOON).await;
    let subscriber = subscribed(&one, &publisher).await;
    let (two, of_two) = processes.start(LanePolicy::WhileSubscribed, SOON).await;
    let topic = Subscription::to([EventType::interaction_recorded()]);
    let second = of_two.subscribe(topic).await.unwrap();
    let error = two.listen(second, Wants::Recorded).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_transient()),
        (ErrorKind::Unavailable, true),
        "{error}"
    );
    assert!(error.context().contains("subscribe where they go"), "{error}");
    // Events that this process publishes itself are another matter.
    let own = of_two
        .subscribe(Subscription::to([EventType::new("own.v1").unwrap()]))
        .await;
    drop(two.listen(own.unwrap(), Wants::OwnEvents).await.unwrap());
    tokio::time::sleep(LATER).await;
    two.drain(Instant::now() + LATER).await.unwrap();
    assert!(processes.is_on().await);
    drop(subscriber);
    processes.until_off().await;
}

#[tokio::test]
async fn a_lane_that_nobody_reads_any_more_is_turned_off_by_whoever_is_left() {
    for policy in [LanePolicy::Never, LanePolicy::WhileSubscribed] {
        let processes = Processes::new();
        // A process that was killed: its setting is there and it is not.
        let on = processes.outbox.lanes().await.unwrap().with(Lane::Publish);
        processes.outbox.set_lanes(on).await.unwrap();
        let (_stream, _) = processes.start(policy, SOON).await;
        assert!(processes.is_on().await, "it may come back");
        processes.until_off().await;
    }
}

#[tokio::test]
async fn the_last_to_end_turns_the_lane_off() {
    let processes = Processes::new();
    let (stream, publisher) = processes.start(LanePolicy::WhileSubscribed, LATER * 100).await;
    let _subscriber = subscribed(&stream, &publisher).await;
    assert!(processes.is_on().await);
    stream.drain(Instant::now() + LATER).await.unwrap();
    assert!(!processes.is_on().await);
}

/// Everybody's: it does not know its subscribers.
#[derive(Debug, Default)]
struct Broker {
    name: &'static str,
    told: Mutex<Vec<String>>,
}

#[async_trait::async_trait]
impl EventPublisher for Broker {
    fn capabilities(&self) -> PublisherCapabilities {
        PublisherCapabilities::minimal(self.name)
    }

    async fn publish(&self, event: Event) -> Result<()> {
        self.told.lock().push(event.id().to_owned());
        Ok(())
    }

    async fn subscribe(&self, _: Subscription) -> Result<Subscriber> {
        Err(Error::unsupported(self.name, "subscribe"))
    }

    async fn disconnect(&self) -> Result<()> {
        Ok(())
    }
}

impl Processes {
    async fn start_with(&self, name: &'static str) -> (Arc<EventStream>, Arc<Broker>) {
        let broker = Arc::new(Broker {
            name,
            ..Broker::default()
        });
        let stream = EventStream::new(
            LaneUse {
                policy: LanePolicy::Always,
                reach: Reach::Shared,
                writers: LaneWriters::ByDefault,
            },
            Some(Arc::clone(&self.outbox)),
            (Arc::clone(&broker) as _, Arc::default()),
            LATER * 100,
            None,
        );
        stream.prepare().await.unwrap();
        stream.start().await.unwrap();
        (stream, broker)
    }

    /// Events of many customers, so that every range has some.
    async fn append(&self, from: usize) -> Vec<String> {
        let event = |n: usize| HostEvent {
            tenant: TenantId::new("t").unwrap(),
            customer: Some(CustomerId::new(format!("c{n}")).unwrap()),
            event: Event::new("own.v1", &n).unwrap().with_id(n.to_string()).unwrap(),
        };
        let events = (from..from + 300).map(event);
        self.outbox.append(events.collect()).await.unwrap();
        (from..from + 300).map(|n| n.to_string()).collect()
    }
}

#[tokio::test]
async fn a_broker_gets_everything_though_others_are_configured_for_another_or_for_themselves() {
    let processes = Processes::new();
    let (own, publisher) = processes.start(LanePolicy::WhileSubscribed, LATER * 100).await;
    let subscriber = subscribed(&own, &publisher).await;
    // It comes later, and is everybody's.
    let (first, broker) = processes.start_with("orders").await;
    let (second, other) = processes.start_with("elsewhere").await;
    let (third, same) = processes.start_with("orders").await;
    // What the first relay took before it lost the lane is settled by then.
    while processes.outbox.status(Lane::Publish).await.unwrap().relays < 2 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let expected = processes.append(0).await;
    let told = async {
        while broker.told.lock().len() + same.told.lock().len() < expected.len() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), told).await.is_ok());
    assert!(other.told.lock().is_empty(), "two brokers share the events");
    let mut told = broker.told.lock().clone();
    told.extend(same.told.lock().iter().cloned());
    told.sort();
    let mut expected = expected;
    expected.sort();
    assert_eq!(told, expected, "each is told once");
    let status = processes.outbox.status(Lane::Publish).await.unwrap();
    assert_eq!(status.destination.as_deref(), Some("orders"));
    let topic = Subscription::to([EventType::interaction_recorded()]);
    let late = publisher.subscribe(topic).await.unwrap();
    let error = own.listen(late, Wants::Recorded).await.unwrap_err();
    assert!(error.context().contains("`orders`"), "{error}");
    drop(subscriber);
    for stream in [own, second, first, third] {
        stream.drain(Instant::now() + LATER).await.unwrap();
    }
    assert!(
        processes.is_on().await,
        "a broker's lane stays on: it is read again after a restart"
    );
}

#[tokio::test]
async fn the_subscribers_of_the_next_process_get_what_is_recorded_once_the_first_has_ended() {
    let processes = Processes::new();
    let (one, of_one) = processes.start(LanePolicy::WhileSubscribed, LATER * 100).await;
    let (two, of_two) = processes.start(LanePolicy::WhileSubscribed, LATER * 100).await;
    let first = subscribed(&one, &of_one).await;
    let topic = || {
        Subscription::to([
            EventType::interaction_recorded(),
            EventType::new("own.v1").unwrap(),
        ])
    };
    let refused = of_two.subscribe(topic()).await.unwrap();
    assert!(two.listen(refused, Wants::Recorded).await.is_err());
    drop(first);
    one.drain(Instant::now() + LATER).await.unwrap();
    // The one who ends asks whether others read, and counts for that moment.
    let mut second = loop {
        let second = of_two.subscribe(topic()).await.unwrap();
        match two.listen(second, Wants::Recorded).await {
            Ok(second) => break second,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    assert!(processes.is_on().await);
    let expected = processes.append(0).await;
    for _ in &expected {
        let delivery = tokio::time::timeout(Duration::from_secs(20), second.next_delivery());
        delivery
            .await
            .expect("an event came")
            .unwrap()
            .unwrap()
            .ack()
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_lane_that_somebody_turned_off_under_those_who_read_it_is_turned_on_again() {
    for (policy, reach) in [
        (LanePolicy::Always, Reach::Process),
        (LanePolicy::Always, Reach::Shared),
        (LanePolicy::WhileSubscribed, Reach::Process),
        (LanePolicy::WhileSubscribed, Reach::Shared),
    ] {
        let outbox = MemoryStore::new().outbox().unwrap();
        let publisher: Arc<dyn EventPublisher> = Arc::new(MemoryPublisher::new());
        let of_stream = LaneUse {
            policy,
            reach,
            writers: LaneWriters::ByDefault,
        };
        let stream = EventStream::new(
            of_stream,
            Some(Arc::clone(&outbox)),
            (Arc::clone(&publisher), Arc::default()),
            SOON,
            None,
        );
        stream.prepare().await.unwrap();
        stream.start().await.unwrap();
        let subscriber = subscribed(&stream, &publisher).await;
        for lanes in [LaneSet::NONE, LaneSet::of(&[Lane::Archive])] {
            // A host that sets them all, or a process that was stopped between turning it off and looking again.
            outbox.set_lanes(lanes).await.unwrap();
            let on = async {
                while outbox.lanes().await.unwrap() != lanes.with(Lane::Publish) {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            };
            let on = tokio::time::timeout(Duration::from_secs(20), on).await;
            assert!(on.is_ok(), "{policy:?}, {reach:?}: the lane stays off");
        }
        drop(subscriber);
        stream.drain(Instant::now() + LATER).await.unwrap();
    }
}

/// Processes on a store of whose tenants one has a fence that keeps the lane on.
async fn fenced() -> (Processes, MemoryStore) {
    let store = MemoryStore::new();
    let fence = FenceRequest {
        tenant: TenantId::new("acme").unwrap(),
        epoch: Epoch(1),
        lanes: Some(LaneSet::of(&[Lane::Publish])),
    };
    store.raise_fence(fence).await.unwrap();
    let processes = Processes {
        outbox: store.outbox().unwrap(),
        writers: LaneWriters::FencedToo,
    };
    (processes, store)
}

async fn record(store: &MemoryStore, customer: &str) -> String {
    let event = Interaction::builder("acme", customer)
        .offer("shoes")
        .creative("banner")
        .channel("web")
        .build()
        .unwrap();
    let batch = RecordBatch::live(vec![event.clone()]).with_epoch(Epoch(1));
    let recorded = store.record_events(batch).await.unwrap();
    assert!(recorded.into_results().iter().all(Result::is_ok));
    event.id.to_string()
}

async fn waiting(outbox: &Arc<dyn Outbox>) -> u64 {
    outbox.status(Lane::Publish).await.unwrap().backlog
}

#[tokio::test]
async fn what_fenced_tenants_record_for_nobody_expires_in_any_of_several_processes() {
    let (processes, store) = fenced().await;
    record(&store, "earlier").await;
    let (one, publisher) = processes.start(LanePolicy::WhileSubscribed, LATER).await;
    let (_two, _) = processes.start(LanePolicy::WhileSubscribed, LATER).await;
    tokio::time::sleep(LATER / 4).await;
    assert_eq!(waiting(&processes.outbox).await, 1, "somebody may still come");
    let expired = async || {
        let gone = async {
            while waiting(&processes.outbox).await > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), gone)
            .await
            .expect("it waits");
    };
    expired().await;
    // From now on without a wait.
    for round in 0..20 {
        record(&store, &format!("c{round}")).await;
        tokio::time::timeout(LATER, expired())
            .await
            .expect("it waits for a subscriber again");
    }
    // Who subscribes is let in though others let things expire, and told of everything from then on.
    for round in 0..20 {
        record(&store, "before").await;
        let mut subscriber = subscribed(&one, &publisher).await;
        let id = record(&store, &format!("during {round}")).await;
        loop {
            let delivery = tokio::time::timeout(Duration::from_secs(20), subscriber.next_delivery()).await;
            let mut delivery = delivery.expect("an event came").unwrap().unwrap();
            delivery.ack().await.unwrap();
            if delivery.event().id() == id {
                break;
            }
        }
        drop(subscriber);
    }
}

#[tokio::test]
async fn what_fenced_tenants_record_while_a_reader_is_gone_for_a_moment_waits_for_it() {
    let (processes, store) = fenced().await;
    let (one, publisher) = processes.start(LanePolicy::WhileSubscribed, LATER).await;
    let (_two, _) = processes.start(LanePolicy::WhileSubscribed, LATER).await;
    // Long enough that the lane is deserted when the reader comes.
    tokio::time::sleep(LATER * 2).await;
    let subscriber = subscribed(&one, &publisher).await;
    tokio::time::sleep(LATER / 2).await;
    drop(subscriber);
    tokio::time::sleep(LATER / 8).await;
    let id = record(&store, "c").await;
    tokio::time::sleep(LATER / 8).await;
    let mut subscriber = subscribed(&one, &publisher).await;
    let delivery = tokio::time::timeout(Duration::from_secs(20), subscriber.next_delivery()).await;
    let delivery = delivery.expect("it has expired").unwrap().unwrap();
    assert_eq!(delivery.event().id(), id);
}

#[tokio::test]
async fn alone_on_a_store_what_fenced_tenants_record_for_nobody_waits_only_behind_what_was_left_over() {
    for left_over in [false, true] {
        let (processes, store) = fenced().await;
        if left_over {
            record(&store, "earlier").await;
        }
        let publisher: Arc<dyn EventPublisher> = Arc::new(MemoryPublisher::new());
        let use_of = LaneUse {
            policy: LanePolicy::WhileSubscribed,
            reach: Reach::Process,
            writers: LaneWriters::FencedToo,
        };
        let outbox = Some(Arc::clone(&processes.outbox));
        let stream = EventStream::new(use_of, outbox, (publisher, Arc::default()), LATER, None);
        stream.start().await.unwrap();
        record(&store, "c").await;
        tokio::time::sleep(LATER / 2).await;
        let waits = if left_over { 2 } else { 0 };
        assert_eq!(waiting(&processes.outbox).await, waits);
        tokio::time::sleep(LATER).await;
        assert_eq!(waiting(&processes.outbox).await, 0);
    }
}
