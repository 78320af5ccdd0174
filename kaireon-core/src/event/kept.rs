//! The form in which an outbox keeps an event: with its partition key, which the envelope has not.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::envelope::{DecisionPayload, InteractionPayload};
use super::{Event, EventType, Inner, Payload};
use crate::id;
use crate::time::{self, Timestamp};

/// An event with its partition key, as an outbox keeps it.
#[derive(Serialize, Deserialize)]
struct Kept {
    id: String,
    r#type: EventType,
    timestamp: Timestamp,
    key: Option<String>,
    payload: Box<RawValue>,
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let payload = match &self.0.payload {
            Payload::Json(json) => json.clone(),
            Payload::Interaction(interaction) => {
                serde_json::value::to_raw_value(&InteractionPayload::from(interaction))
                    .map_err(serde::ser::Error::custom)?
            }
            Payload::Decision(decision) => serde_json::value::to_raw_value(&DecisionPayload::from(decision))
                .map_err(serde::ser::Error::custom)?,
        };
        let kept = Kept {
            id: self.id().to_owned(),
            r#type: self.event_type().clone(),
            timestamp: self.timestamp(),
            key: self.key().map(str::to_owned),
            payload,
        };
        kept.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let kept = Kept::deserialize(deserializer)?;
        id::check_id("event_id", &kept.id).map_err(serde::de::Error::custom)?;
        if let Some(key) = &kept.key {
            check_key(key).map_err(serde::de::Error::custom)?;
        }
        Ok(Self(Arc::new(Inner {
            id: kept.id.into(),
            event_type: kept.r#type,
            timestamp: time::truncate(kept.timestamp),
            payload: Payload::Json(kept.payload),
            key: kept.key.map(Into::into),
            envelope: OnceLock::new(),
        })))
    }
}

/// Checks a key: a host's own, or that of a tenant's customer.
fn check_key(key: &str) -> crate::Result<()> {
    match key.split_once(super::OF_CUSTOMER) {
        None => id::check_id("event_key", key),
        Some((tenant, customer)) => {
            id::check_id("event_key", tenant)?;
            id::check_id("event_key", customer)
        }
    }
}
