//! What the tests share.

use std::time::Duration;

use kaireon::core::publisher::{Subscriber, Subscription};
use kaireon::core::{Error, Event, EventType, Interaction};
use kaireon::{Config, Infra, Part};

/// So long that only a defect takes it.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// What is not there without a switch.
pub(crate) const OF_A_SWITCH: [Part; 2] = [Part::Replication, Part::Settings];

pub(crate) fn config(vars: &[(&str, &str)]) -> Config {
    Config::from_vars(vars.iter().copied())
}

/// A store that needs no disk.
pub(crate) async fn in_memory() -> Infra {
    config(&[("INTERACTION_STORE", "memory")]).start().await.unwrap()
}

pub(crate) fn shown(customer: &str, key: &str) -> Interaction {
    Interaction::builder("acme", customer)
        .offer("shoes")
        .creative("banner")
        .channel("web")
        .idempotency_key(key)
        .build()
        .unwrap()
}

/// Records an interaction, and tells whether it was new.
pub(crate) async fn is_new(infra: &Infra, customer: &str, key: &str) -> bool {
    let recorded = infra.store().record_event(shown(customer, key)).await;
    recorded.unwrap().is_new()
}

pub(crate) fn recorded_topic() -> Subscription {
    Subscription::to([EventType::interaction_recorded()])
}

/// The next event, acknowledged.
pub(crate) async fn next_event(subscriber: &mut Subscriber) -> Event {
    let delivery = tokio::time::timeout(LONG, subscriber.next_delivery()).await;
    let mut delivery = delivery
        .expect("no event came")
        .unwrap()
        .expect("the stream ended");
    delivery.ack().await.unwrap();
    delivery.event().clone()
}

/// Waits until a condition holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let holding = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(LONG, holding)
        .await
        .unwrap_or_else(|_| panic!("not within {LONG:?}: {what}"));
}

/// Everything that an error can show: itself, its debug form, and its sources.
pub(crate) fn all_of(error: &Error) -> String {
    let mut text = format!("{error}\n{error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(next) = source {
        text.push_str(&format!("\n{next}\n{next:?}"));
        source = next.source();
    }
    text
}
