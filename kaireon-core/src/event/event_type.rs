//! The types of events.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Result, id};

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
