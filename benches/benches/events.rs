//! `events.in_process`: publish, deliver and acknowledge, against a bare tokio broadcast.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kaireon_benches::{Figure, Goal, Rounds, Side, median};
use kaireon_core::publisher::{Signal, Subscriber, Subscription};
use kaireon_core::{Event, EventPublisher, Interaction};
use kaireon_events::{InProcessPublisher, InProcessPublisherConfig};

/// How many events are published before the subscribers take them: neither side may lose any.
const WINDOW: u64 = 256;

fn event() -> Event {
    let builder = Interaction::builder("bench", "customer")
        .offer("offer")
        .creative("creative")
        .channel("web");
    Event::interaction_recorded(&builder.build().expect("within the bounds"))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
}

/// Publishes so many events in windows; every subscriber takes each.
fn raw(runtime: &tokio::runtime::Runtime, subscribers: usize, events: u64) -> Duration {
    let capacity = usize::try_from(WINDOW).expect("a small number");
    let (sender, receiver) = tokio::sync::broadcast::channel::<Event>(capacity);
    let mut receivers: Vec<_> = (1..subscribers).map(|_| sender.subscribe()).collect();
    receivers.push(receiver);
    let event = event();
    runtime.block_on(async {
        let begun = Instant::now();
        let mut left = events;
        while left > 0 {
            let window = left.min(WINDOW);
            for _ in 0..window {
                assert!(sender.send(event.clone()).is_ok(), "there are receivers");
            }
            for receiver in &mut receivers {
                for _ in 0..window {
                    std::hint::black_box(receiver.recv().await.expect("nothing is lost within a window"));
                }
            }
            left -= window;
        }
        begun.elapsed()
    })
}

fn ours(runtime: &tokio::runtime::Runtime, subscribers: usize, events: u64) -> Duration {
    let event = event();
    runtime.block_on(async {
        let publisher = InProcessPublisher::new(InProcessPublisherConfig::default())
            .expect("the default configuration is valid");
        let publisher: Arc<dyn EventPublisher> = Arc::new(publisher);
        let mut receivers: Vec<Subscriber> = Vec::new();
        for _ in 0..subscribers {
            let subscription = Subscription::to([event.event_type().clone()]);
            receivers.push(
                publisher
                    .subscribe(subscription)
                    .await
                    .expect("the publisher is connected"),
            );
        }
        let begun = Instant::now();
        let mut left = events;
        while left > 0 {
            let window = left.min(WINDOW);
            for _ in 0..window {
                publisher
                    .publish(event.clone())
                    .await
                    .expect("the publisher is connected");
            }
            for receiver in &mut receivers {
                for _ in 0..window {
                    match receiver.next().await {
                        Some(Ok(Signal::Delivery(mut delivery))) => {
                            delivery.ack().await.expect("acknowledged")
                        }
                        other => panic!("nothing is lost within a window: {other:?}"),
                    }
                }
            }
            left -= window;
        }
        begun.elapsed()
    })
}

fn report(id: &str, goal: &'static str, [raw, ours]: &[Side; 2]) {
    let runs = raw.over(ours);
    let figure = Figure {
        id: id.to_owned(),
        value: median(&runs),
        unit: "×",
        goal: Goal::Reach(goal),
        raw: Some(1.0 / raw.median()),
        ours: Some(1.0 / ours.median()),
        runs,
        note:
            "events/s, one thread, windows of 256; ours through Arc<dyn EventPublisher> with an ack for each"
                .into(),
    };
    figure.print();
}

fn main() {
    let mut rounds = Rounds::new(Duration::from_secs(1));
    let runtime = runtime();
    // The second bound is four times the better of the two peers: Watermill's GoChannel and Dapr in memory.
    for (subscribers, id, goal) in [
        (
            1,
            "events.in_process/1_subscriber",
            "≥ 0.3 × and ≥ 1524k events/s",
        ),
        (
            4,
            "events.in_process/4_subscribers",
            "≥ 0.3 × and ≥ 492k events/s",
        ),
    ] {
        if rounds.settings.wants(id) {
            let sides = rounds.interleave(
                id,
                7,
                WINDOW * 64,
                [&mut |events| raw(&runtime, subscribers, events), &mut |events| {
                    ours(&runtime, subscribers, events)
                }],
            );
            report(id, goal, &sides);
        }
    }
}
