use kaireon_core::memory::{MemoryPublisher, MemoryStore};
use kaireon_core::publisher::Subscription;
use kaireon_core::{EventType, InteractionStore};

use super::*;

#[tokio::test]
async fn a_lane_that_was_handed_over_in_vain_is_looked_after_again() {
    let outbox = MemoryStore::new().outbox().unwrap();
    let publisher: Arc<dyn EventPublisher> = Arc::new(MemoryPublisher::new());
    let stream = EventStream::new(
        (LanePolicy::WhileSubscribed, Reach::Process),
        Some(Arc::clone(&outbox)),
        Arc::clone(&publisher),
        Duration::from_secs(60),
    );
    stream.start().await.unwrap();
    let topic = Subscription::to([EventType::interaction_recorded()]);
    let subscriber = stream
        .listen(publisher.subscribe(topic).await.unwrap())
        .await
        .unwrap();
    let is_on = async || outbox.lanes().await.unwrap().contains(Lane::Publish);
    assert!(is_on().await);

    let handed_over = HandedOver::begin(&stream).await;
    drop(subscriber);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(is_on().await, "it is the other stream's");
    drop(handed_over);
    while is_on().await {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Streams of several processes on one store.
struct Processes {
    outbox: Arc<dyn Outbox>,
}

impl Processes {
    fn new() -> Self {
        let outbox = MemoryStore::new().outbox().unwrap();
        Self { outbox }
    }

    async fn start(
        &self,
        policy: LanePolicy,
        patience: Duration,
    ) -> (Arc<EventStream>, Arc<dyn EventPublisher>) {
        let publisher: Arc<dyn EventPublisher> = Arc::new(MemoryPublisher::new());
        let stream = EventStream::new(
            (policy, Reach::Shared),
            Some(Arc::clone(&self.outbox)),
            Arc::clone(&publisher),
            patience,
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
    stream.listen(subscriber).await.unwrap()
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
    drop(subscribed(&two, &of_two).await);
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
