//! What kind of contact it was.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Result, id};

/// What happened. A name that is not one of the known seven is [`Custom`](InteractionType::Custom).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InteractionType {
    /// The offer was shown.
    Impression,
    /// The customer clicked.
    Click,
    /// The customer waved it away.
    Dismiss,
    /// The customer accepted.
    Accept,
    /// The customer converted: bought, signed, subscribed.
    Convert,
    /// The customer complained.
    Complaint,
    /// The customer wants no more of this.
    Unsubscribe,
    /// A type of the host's own.
    Custom(CustomType),
}

/// The name of a host's own interaction type: 1 to 256 bytes, and none of the seven known names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomType(Arc<str>);

impl InteractionType {
    /// The type of that name; an unknown name is a custom type.
    ///
    /// # Errors
    /// `InvalidInput` naming `interaction_type`: the bounds of identifiers hold for custom names.
    pub fn parse(name: &str) -> Result<Self> {
        Ok(match name {
            "impression" => Self::Impression,
            "click" => Self::Click,
            "dismiss" => Self::Dismiss,
            "accept" => Self::Accept,
            "convert" => Self::Convert,
            "complaint" => Self::Complaint,
            "unsubscribe" => Self::Unsubscribe,
            _ => {
                id::check_id("interaction_type", name)?;
                Self::Custom(CustomType(Arc::from(name)))
            }
        })
    }

    /// The name, as stored and published.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Impression => "impression",
            Self::Click => "click",
            Self::Dismiss => "dismiss",
            Self::Accept => "accept",
            Self::Convert => "convert",
            Self::Complaint => "complaint",
            Self::Unsubscribe => "unsubscribe",
            Self::Custom(CustomType(name)) => name,
        }
    }

    /// The classification that a builder assumes when none is given.
    #[must_use]
    pub const fn usual_classification(&self) -> Classification {
        match self {
            Self::Impression | Self::Custom(_) => Classification::Neutral,
            Self::Click | Self::Accept | Self::Convert => Classification::Positive,
            Self::Dismiss | Self::Complaint | Self::Unsubscribe => Classification::Negative,
        }
    }
}

impl fmt::Display for InteractionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for InteractionType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for InteractionType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&name).map_err(serde::de::Error::custom)
    }
}

/// How the host judges an interaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Classification {
    /// It helped.
    Positive,
    /// Neither.
    Neutral,
    /// It hurt.
    Negative,
}

/// Who began the contact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The customer came: a page view, a call.
    #[default]
    Inbound,
    /// The host went: a mail, a push message.
    Outbound,
}
