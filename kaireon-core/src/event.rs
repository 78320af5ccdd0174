//! Events: the envelope that every backend carries unchanged.

mod envelope;

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use self::envelope::{DecisionPayload, Envelope, InteractionPayload, OwnedEnvelope, rfc3339};
use crate::time::{self, Clock, SystemClock, Timestamp};
use crate::{CustomerId, Decision, Error, Interaction, Result, TenantId, id};

/// The type of the event that tells of a recorded interaction.
pub const INTERACTION_RECORDED: &str = "interaction.recorded.v1";

/// The type of the event that tells of a recorded decision.
pub const DECISION_MADE: &str = "decision.made.v1";

/// The type of an event, which is also its topic: 1 to 256 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventType(Arc<str>);

impl EventType {
    /// Takes a name such as `model.updated.v1`.
    ///
    /// # Errors
    /// `InvalidInput` naming `event_type`.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        id::check_id("event_type", name.as_ref())?;
        Ok(Self(Arc::from(name.as_ref())))
    }

    /// The type of recorded interactions.
    #[must_use]
    pub fn interaction_recorded() -> Self {
        static TYPE: OnceLock<EventType> = OnceLock::new();
        TYPE.get_or_init(|| Self(Arc::from(INTERACTION_RECORDED))).clone()
    }

    /// The type of recorded decisions.
    #[must_use]
    pub fn decision_made() -> Self {
        static TYPE: OnceLock<EventType> = OnceLock::new();
        TYPE.get_or_init(|| Self(Arc::from(DECISION_MADE))).clone()
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::new(&name).map_err(serde::de::Error::custom)
    }
}

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

fn key_of(tenant: &str, customer: &str) -> Box<str> {
    // No control character is in an id, so the separator keeps two customers apart.
    format!("{tenant}\u{1f}{customer}").into()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn click() -> Interaction {
        Interaction::builder("acme", "c7")
            .id("i1")
            .offer("shoes")
            .creative("banner")
            .channel("web")
            .interaction_type(crate::InteractionType::Click)
            .timestamp("2026-04-30T12:00:00.123Z".parse().unwrap())
            .build()
            .unwrap()
    }

    #[test]
    fn the_envelope_of_an_interaction_is_as_documented() {
        let expected = concat!(
            r#"{"id":"i1","type":"interaction.recorded.v1","timestamp":"2026-04-30T12:00:00.123Z","payload":"#,
            r#"{"tenantId":"acme","customerId":"c7","offerId":"shoes","creativeId":"banner","channelId":"web","#,
            r#""interactionType":"click","outcomeTypeKey":"click","campaignId":null,"recommendationId":null,"#,
            r#""timestamp":"2026-04-30T12:00:00.123Z"}}"#
        );
        assert_eq!(Event::interaction_recorded(&click()).envelope(), expected);
    }

    #[test]
    fn an_envelope_goes_round_byte_for_byte() {
        let event = Event::interaction_recorded(&click());
        let back = Event::from_envelope(&event.envelope()).unwrap();
        assert_eq!(back.envelope(), event.envelope());
        assert_eq!(back.with_id("i2").unwrap().id(), "i2");
    }

    #[test]
    fn ids_and_keys_of_events_are_bounded_as_identifiers() {
        let event = || Event::new("model.updated.v1", &7).unwrap();
        for wrong in [String::new(), "x".repeat(257), "a\nb".to_owned()] {
            let named = |result: Result<Event>| result.unwrap_err().field().map(str::to_owned);
            assert_eq!(named(event().with_id(&wrong)).as_deref(), Some("event_id"));
            assert_eq!(named(event().with_key(&wrong)).as_deref(), Some("event_key"));
            let envelope = serde_json::json!({"id": wrong, "type": "t", "timestamp": rfc3339(event().timestamp()), "payload": 7});
            assert_eq!(
                named(Event::from_envelope(envelope.to_string().as_bytes())).as_deref(),
                Some("event_id")
            );
            let kept = serde_json::to_string(&event().with_id("kept").unwrap()).unwrap();
            let kept = kept.replace("\"kept\"", &serde_json::Value::from(wrong).to_string());
            assert!(serde_json::from_str::<Event>(&kept).is_err());
        }
    }

    #[test]
    fn an_unreadable_payload_or_envelope_is_not_quoted() {
        let event = Event::interaction_recorded(&click());
        let wrong_shape = event.payload::<std::collections::BTreeMap<String, u32>>();
        let no_envelope = Event::from_envelope(br#"{"id": ["c7"], "type": "t"}"#);
        for error in [wrong_shape.unwrap_err(), no_envelope.unwrap_err()] {
            assert!(std::error::Error::source(&error).is_none());
            assert!(!format!("{error} {error:?}").contains("c7"), "{error:?}");
        }
    }

    #[test]
    fn events_of_the_hosts_own_carry_any_payload() {
        let event = Event::new("model.updated.v1", &serde_json::json!({ "model": 7 })).unwrap();
        assert_eq!(event.payload::<serde_json::Value>().unwrap()["model"], 7);
        assert_eq!(Event::new("", &()).unwrap_err().field(), Some("event_type"));
        let kept = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&kept).unwrap(), event);
    }
}
