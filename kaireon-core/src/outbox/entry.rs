//! What an entry tells, and where it lies.

use serde::{Deserialize, Serialize};

use super::Lane;
use crate::event::Event;
use crate::store::Generation;
use crate::time::Timestamp;
use crate::{CustomerId, Decision, Interaction, TenantId};

/// Where an entry lies in its range: grows with commit order within one customer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position(pub u64);

/// What an entry tells.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum OutboxPayload {
    /// An interaction was recorded.
    Interaction(Interaction),
    /// A decision was recorded.
    Decision(Decision),
    /// An event of the host's own.
    Host(HostEvent),
}

/// An event of the host's own, on its way through the outbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostEvent {
    /// Whose.
    pub tenant: TenantId,
    /// The customer it is about, if any: its erasure drops the event, and its events keep their order.
    pub customer: Option<CustomerId>,
    /// The event; its partition key decides the order where there is no customer. An event of a customer that has
    /// no key of its own is published under the customer's, as the customer's interactions are.
    pub event: Event,
}

impl HostEvent {
    /// The text that decides the range: the customer, or the event's partition key, or its type.
    #[must_use]
    pub fn partition(&self) -> &str {
        let key = || {
            self.event
                .key()
                .unwrap_or_else(|| self.event.event_type().as_str())
        };
        self.customer.as_ref().map_or_else(key, CustomerId::as_str)
    }
}

/// One entry of a lane.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OutboxEntry {
    /// The lane.
    pub lane: Lane,
    /// The range of customers.
    pub range: u16,
    /// The place in the range.
    pub position: Position,
    /// Whose.
    pub tenant: TenantId,
    /// The generation the record was accepted under.
    pub generation: Generation,
    /// When the entry was written.
    pub enqueued_at: Timestamp,
    /// What it tells.
    pub payload: OutboxPayload,
}

impl OutboxEntry {
    /// An entry.
    #[must_use]
    pub fn new(
        lane: Lane,
        (range, position): (u16, Position),
        generation: Generation,
        enqueued_at: Timestamp,
        payload: OutboxPayload,
    ) -> Self {
        let tenant = match &payload {
            OutboxPayload::Interaction(interaction) => interaction.tenant.clone(),
            OutboxPayload::Decision(decision) => decision.tenant.clone(),
            OutboxPayload::Host(host) => host.tenant.clone(),
        };
        Self {
            lane,
            range,
            position,
            tenant,
            generation,
            enqueued_at,
            payload,
        }
    }

    /// The customer it is about, if any.
    #[must_use]
    pub fn customer(&self) -> Option<&CustomerId> {
        match &self.payload {
            OutboxPayload::Interaction(interaction) => Some(&interaction.customer),
            OutboxPayload::Decision(decision) => Some(&decision.customer),
            OutboxPayload::Host(host) => host.customer.as_ref(),
        }
    }

    /// The text within the tenant whose entries keep their order.
    #[must_use]
    pub fn partition(&self) -> &str {
        match &self.payload {
            OutboxPayload::Interaction(interaction) => interaction.customer.as_str(),
            OutboxPayload::Decision(decision) => decision.customer.as_str(),
            OutboxPayload::Host(host) => host.partition(),
        }
    }

    /// The event that is published for it.
    #[must_use]
    pub fn to_event(&self) -> Event {
        match &self.payload {
            OutboxPayload::Interaction(interaction) => Event::interaction_recorded(interaction),
            OutboxPayload::Decision(decision) => Event::decision_made(decision),
            OutboxPayload::Host(HostEvent {
                tenant,
                customer: Some(customer),
                event,
            }) => event.clone().or_keyed_by(tenant, customer),
            OutboxPayload::Host(host) => host.event.clone(),
        }
    }
}
