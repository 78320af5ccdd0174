//! A host's own event types, through the outbox: kept with what was recorded, delivered at least once, and in
//! order with the customer's interactions.
//!
//! `cargo run --example own_events`

use std::time::Duration;

use kaireon::Infra;
use kaireon::core::outbox::HostEvent;
use kaireon::core::publisher::Subscription;
use kaireon::core::{CustomerId, Error, ErrorKind, Event, EventType, Interaction, Result, TenantId};
use serde::{Deserialize, Serialize};

/// What the host tells of a model that was trained anew.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct ModelUpdated {
    model: String,
    version: u32,
}

/// What the host tells of a customer who reached the next level.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct LevelReached {
    level: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let infra = Infra::from_env().await?;
    println!("{}", infra.startup());
    let (tenant, customer) = (TenantId::new("acme")?, CustomerId::new("customer-7")?);
    let topics = [
        EventType::interaction_recorded(),
        EventType::new("loyalty.level_reached.v1")?,
        EventType::new("model.updated.v1")?,
    ];
    // While somebody subscribes, what is recorded and appended reaches the stream through the outbox.
    let mut events = infra
        .events()
        .subscribe(Subscription::to(topics).in_group("loyalty"))
        .await?;

    let bought = Interaction::builder(&tenant, &customer)
        .offer("shoes")
        .creative("banner")
        .channel("web")
        .build()?;
    infra.store().record_event(bought.clone()).await?;
    let outbox = infra.store().outbox().ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            "this store has no outbox; publish directly with infra.events()",
        )
    })?;
    // Of a customer: keeps its order behind what was recorded of them, and goes with their erasure.
    let level = Event::new(
        "loyalty.level_reached.v1",
        &LevelReached {
            level: "gold".to_owned(),
        },
    )?;
    outbox
        .append(vec![HostEvent {
            tenant: tenant.clone(),
            customer: Some(customer),
            event: level.clone(),
        }])
        .await?;
    // Of nobody: ordered by its key. The id makes a repetition recognisable to whoever consumes it.
    let model = ModelUpdated {
        model: "propensity".to_owned(),
        version: 7,
    };
    let updated = Event::new("model.updated.v1", &model)?
        .with_key("propensity")?
        .with_id("propensity-version-7")?;
    outbox
        .append(vec![HostEvent {
            tenant,
            customer: None,
            event: updated.clone(),
        }])
        .await?;

    let expected = [bought.id.as_str(), level.id()];
    let (mut of_customer, mut of_model) = (Vec::new(), None);
    while of_customer.len() < expected.len() || of_model.is_none() {
        let delivery = tokio::time::timeout(Duration::from_secs(20), events.next_delivery()).await;
        let late = |_| Error::new(ErrorKind::Timeout, "an event did not arrive");
        let ended = || Error::new(ErrorKind::Unavailable, "the stream has ended");
        let mut delivery = delivery.map_err(late)??.ok_or_else(ended)?;
        let event = delivery.event();
        println!("{}", String::from_utf8_lossy(&event.envelope()));
        if event.id() == updated.id() {
            of_model = Some(event.payload::<ModelUpdated>()?);
        } else if expected.contains(&event.id()) && !of_customer.iter().any(|seen| seen == event.id()) {
            // Anything else is of an earlier run that was stopped, or comes again: delivery is at least once.
            of_customer.push(event.id().to_owned());
        }
        delivery.ack().await?;
    }
    assert_eq!(of_model, Some(model), "a payload arrives as it was sent");
    assert_eq!(of_customer, expected, "a customer's events keep their order");
    println!("shut down: {}", infra.shutdown(Duration::from_secs(10)).await);
    Ok(())
}
