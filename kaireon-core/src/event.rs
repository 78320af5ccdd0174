//! Events: the envelope that every backend carries unchanged.

mod envelope;
mod event_type;
mod kept;

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use self::envelope::{DecisionPayload, Envelope, InteractionPayload, OwnedEnvelope, rfc3339};
pub use self::event_type::{DECISION_MADE, EventType, INTERACTION_RECORDED};
use crate::time::{self, Clock, SystemClock, Timestamp};
use crate::{CustomerId, Decision, Error, Interaction, Result, TenantId, id};

/// One event: immutable, cheap to clone. Its `Debug` shows type and id, not the payload.
#[derive(Clone)]
pub struct Event(Arc<Inner>);

struct Inner {
    id: Box<str>,
    event_type: EventType,
    timestamp: Timestamp,
    payload: Payload,
    key: Option<Box<str>>,
    envelope: OnceLock<Bytes>,
}

/// The payload is written as JSON only when somebody asks for the envelope: an in-process subscriber may not.
enum Payload {
    Json(Box<RawValue>),
    Interaction(Interaction),
    Decision(Decision),
}

impl Event {
    /// An event of the host's own, of now, with a fresh id.
    ///
    /// # Errors
    /// `InvalidInput` naming `event_type`, or `payload` where it cannot be written as JSON.
    pub fn new(event_type: impl AsRef<str>, payload: &impl Serialize) -> Result<Self> {
        let payload = serde_json::value::to_raw_value(payload)
            .map_err(|error| unreadable("payload", "cannot be written as json", &error))?;
        Ok(Self(Arc::new(Inner {
            id: crate::InteractionId::fresh().as_str().into(),
            event_type: EventType::new(event_type)?,
            timestamp: SystemClock.now(),
            payload: Payload::Json(payload),
            key: None,
            envelope: OnceLock::new(),
        })))
    }

    /// The event that tells of an interaction; its id is the interaction's, its key the tenant and customer.
    #[must_use]
    pub fn interaction_recorded(interaction: &Interaction) -> Self {
        Self(Arc::new(Inner {
            id: interaction.id.as_str().into(),
            event_type: EventType::interaction_recorded(),
            timestamp: interaction.timestamp,
            key: Some(key_of(interaction.tenant.as_str(), interaction.customer.as_str())),
            payload: Payload::Interaction(interaction.clone()),
            envelope: OnceLock::new(),
        }))
    }

    /// The event that tells of a decision; its id is the decision's, its key the tenant and customer.
    #[must_use]
    pub fn decision_made(decision: &Decision) -> Self {
        Self(Arc::new(Inner {
            id: decision.id.as_str().into(),
            event_type: EventType::decision_made(),
            timestamp: decision.timestamp,
            key: Some(key_of(decision.tenant.as_str(), decision.customer.as_str())),
            payload: Payload::Decision(decision.clone()),
            envelope: OnceLock::new(),
        }))
    }

    /// The same event under another id, by which consumers recognise repeats.
    ///
    /// # Errors
    /// `InvalidInput` naming `event_id`.
    pub fn with_id(self, id: impl AsRef<str>) -> Result<Self> {
        id::check_id("event_id", id.as_ref())?;
        Ok(self.edited(|inner| inner.id = id.as_ref().into()))
    }

    /// The same event with a partition key: events of one key keep their order.
    ///
    /// # Errors
    /// `InvalidInput` naming `event_key`.
    pub fn with_key(self, key: impl AsRef<str>) -> Result<Self> {
        id::check_id("event_key", key.as_ref())?;
        Ok(self.edited(|inner| inner.key = Some(key.as_ref().into())))
    }

    /// The same event with a customer's key, where it has none of its own: a stream keeps the order of a key.
    pub(crate) fn or_keyed_by(self, tenant: &TenantId, customer: &CustomerId) -> Self {
        if self.0.key.is_some() {
            return self;
        }
        self.edited(|inner| inner.key = Some(key_of(tenant.as_str(), customer.as_str())))
    }

    /// The same event at another time.
    #[must_use]
    pub fn with_timestamp(self, timestamp: Timestamp) -> Self {
        self.edited(|inner| inner.timestamp = time::truncate(timestamp))
    }

    fn edited(self, edit: impl FnOnce(&mut Inner)) -> Self {
        let Inner {
            id,
            event_type,
            timestamp,
            payload,
            key,
            envelope: _,
        } = &*self.0;
        let payload = match payload {
            Payload::Json(json) => Payload::Json(json.clone()),
            Payload::Interaction(interaction) => Payload::Interaction(interaction.clone()),
            Payload::Decision(decision) => Payload::Decision(decision.clone()),
        };
        let mut inner = Inner {
            id: id.clone(),
            event_type: event_type.clone(),
            timestamp: *timestamp,
            payload,
            key: key.clone(),
            envelope: OnceLock::new(),
        };
        edit(&mut inner);
        Self(Arc::new(inner))
    }

    /// What a consumer received.
    ///
    /// # Errors
    /// `InvalidInput` naming `envelope`.
    pub fn from_envelope(bytes: &[u8]) -> Result<Self> {
        let envelope: OwnedEnvelope = serde_json::from_slice(bytes)
            .map_err(|error| unreadable("envelope", "is not an event envelope", &error))?;
        id::check_id("event_id", &envelope.id)?;
        Ok(Self(Arc::new(Inner {
            id: envelope.id.into(),
            event_type: envelope.r#type,
            timestamp: time::truncate(envelope.timestamp),
            payload: Payload::Json(envelope.payload),
            key: None,
            envelope: OnceLock::from(Bytes::copy_from_slice(bytes)),
        })))
    }

    /// The id by which consumers recognise repeats.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The type, which is also the topic.
    #[must_use]
    pub fn event_type(&self) -> &EventType {
        &self.0.event_type
    }

    /// When what it tells of happened.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.0.timestamp
    }

    /// The partition key. It may name a customer: never log it.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.0.key.as_deref()
    }

    /// The payload, read as a type of the host's.
    ///
    /// # Errors
    /// `InvalidInput` naming `payload`.
    pub fn payload<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        let read = match &self.0.payload {
            Payload::Json(json) => serde_json::from_str(json.get()),
            Payload::Interaction(interaction) => {
                serde_json::to_value(InteractionPayload::from(interaction)).and_then(serde_json::from_value)
            }
            Payload::Decision(decision) => {
                serde_json::to_value(DecisionPayload::from(decision)).and_then(serde_json::from_value)
            }
        };
        read.map_err(|error| unreadable("payload", "is not of the expected shape", &error))
    }

    /// The envelope, `{"id","type","timestamp","payload"}`: what is sent, byte for byte, on every backend.
    /// Written once and then shared.
    #[must_use]
    pub fn envelope(&self) -> Bytes {
        self.0.envelope.get_or_init(|| self.write_envelope()).clone()
    }

    fn write_envelope(&self) -> Bytes {
        let Inner {
            id,
            event_type,
            timestamp,
            payload,
            ..
        } = &*self.0;
        let (id, r#type, timestamp) = (&**id, event_type.as_str(), rfc3339(*timestamp));
        let written = match payload {
            Payload::Json(payload) => serde_json::to_vec(&Envelope {
                id,
                r#type,
                timestamp,
                payload,
            }),
            Payload::Interaction(interaction) => {
                let payload = InteractionPayload::from(interaction);
                serde_json::to_vec(&Envelope {
                    id,
                    r#type,
                    timestamp,
                    payload,
                })
            }
            Payload::Decision(decision) => {
                let payload = DecisionPayload::from(decision);
                serde_json::to_vec(&Envelope {
                    id,
                    r#type,
                    timestamp,
                    payload,
                })
            }
        };
        Bytes::from(written.expect("strings and numbers into memory cannot fail to be written as json"))
    }
}

/// The error of what serde refused. Its own text quotes the value that it stumbled over, which may be a customer's
/// id: only the place is told.
fn unreadable(field: &'static str, what: &str, error: &serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    if line == 0 {
        return Error::invalid(field, what.to_owned());
    }
    Error::invalid(field, format!("{what} (line {line}, column {column})"))
}

/// Stands in a customer's key between tenant and customer: no control character is in an id, so it keeps two customers
/// apart.
const OF_CUSTOMER: char = '\u{1f}';

fn key_of(tenant: &str, customer: &str) -> Box<str> {
    format!("{tenant}{OF_CUSTOMER}{customer}").into()
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.envelope() == other.envelope() && self.key() == other.key()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Event({} {})", self.0.event_type, self.0.id)
    }
}

#[cfg(test)]
mod tests;
