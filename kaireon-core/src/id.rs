//! Identifiers: one newtype per meaning, each 1 to 256 bytes of UTF-8 without control characters.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result};

/// The longest identifier, in bytes of UTF-8.
pub const MAX_ID_BYTES: usize = 256;

/// Checks the bounds that all identifiers share.
///
/// Because no control character is in an identifier, an adapter may use NUL to separate identifiers in a key.
///
/// # Errors
/// `InvalidInput` naming `field`; the text itself never enters the error.
pub(crate) fn check_id(field: &'static str, text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(Error::invalid(field, "is empty"));
    }
    if text.len() > MAX_ID_BYTES {
        return Err(Error::invalid(field, "is longer than 256 bytes"));
    }
    // ASCII without controls is the common case, and needs no decoding.
    let plain = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if !plain && text.chars().any(char::is_control) {
        return Err(Error::invalid(field, "contains a control character"));
    }
    Ok(())
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident => $field:literal;)*) => {$(
        $(#[$doc])*
        ///
        /// 1 to 256 bytes of UTF-8 without control characters. A clone shares the text.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The field that an `InvalidInput` names.
            pub const FIELD: &'static str = $field;

            /// Takes a text that is within the bounds.
            ///
            /// # Errors
            /// `InvalidInput` naming the field, when it is empty, longer than 256 bytes, or holds a control
            /// character.
            pub fn new(text: impl AsRef<str>) -> Result<Self> {
                let text = text.as_ref();
                check_id(Self::FIELD, text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Error;

            fn try_from(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::new(text).map_err(serde::de::Error::custom)
            }
        }
    )*};
}

macro_rules! plain_debug {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), &*self.0)
            }
        }
    )*};
}

/// Personal identifiers print as a placeholder under `{:?}`, because that is how they would reach a log.
macro_rules! redacted_debug {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}(redacted)", stringify!($name))
            }
        }
    )*};
}

ids! {
    /// Whose data it is. Tenants never see each other.
    TenantId => "tenant_id";
    /// The person who is contacted. Its `Debug` is redacted: customer ids never enter logs.
    CustomerId => "customer_id";
    /// What is offered.
    OfferId => "offer_id";
    /// The form in which an offer is shown.
    CreativeId => "creative_id";
    /// Where it is shown: web, mail, call centre.
    ChannelId => "channel_id";
    /// The place within a channel.
    PlacementId => "placement_id";
    /// The offer's category.
    CategoryId => "category_id";
    /// The campaign an offer belongs to.
    CampaignId => "campaign_id";
    /// One recommendation that was made: the key of a decision.
    RecommendationId => "recommendation_id";
    /// One interaction, fixed at construction.
    InteractionId => "interaction_id";
    /// What makes a retry recognisable. Its `Debug` is redacted.
    IdempotencyKey => "idempotency_key";
    /// One change of a setting: what makes a retry of it recognisable.
    ChangeId => "change_id";
    /// The key of an outcome in the host's catalogue (`clicked`, `purchased`).
    OutcomeTypeKey => "outcome_type_key";
    /// The key of the decision flow that made a decision.
    DecisionFlowKey => "decision_flow_key";
    /// The kind of thing a search document describes: offer, category, decision flow.
    EntityKind => "entity_kind";
    /// One thing of a kind, as a search document. Its `Debug` is redacted, because it may name a customer.
    DocumentId => "document_id";
    /// A value of a keyword field, compared as a whole. Its `Debug` is redacted, because it may be personal.
    Keyword => "keyword";
}

plain_debug! {
    TenantId OfferId CreativeId ChannelId PlacementId CategoryId CampaignId RecommendationId InteractionId
    OutcomeTypeKey DecisionFlowKey EntityKind ChangeId
}

redacted_debug! { CustomerId IdempotencyKey DocumentId Keyword }

macro_rules! fresh {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        impl $name {
            $(#[$doc])*
            #[must_use]
            pub fn fresh() -> Self {
                let mut buffer = uuid::Uuid::encode_buffer();
                Self(Arc::from(
                    &*uuid::Uuid::now_v7().hyphenated().encode_lower(&mut buffer),
                ))
            }
        }
    )*};
}

fresh! {
    /// A fresh id: a UUID of version 7, so that ids made later sort later (to the millisecond).
    InteractionId
    /// A fresh id: a UUID of version 7.
    RecommendationId
    /// A fresh id: a UUID of version 7.
    ChangeId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_1_to_256_bytes_without_control_characters() {
        assert!(OfferId::new("a".repeat(256)).is_ok());
        for wrong in [
            String::new(),
            "a".repeat(257),
            "a\0b".into(),
            "a\u{85}".into(),
            "\n".into(),
        ] {
            let error = OfferId::new(wrong).unwrap_err();
            assert_eq!(error.field(), Some("offer_id"));
        }
        assert!(OfferId::new("größe ☃").is_ok());
        // 256 is counted in bytes, not in characters.
        assert!(OfferId::new("é".repeat(129)).is_err());
    }

    #[test]
    fn personal_ids_are_redacted_in_debug() {
        assert_eq!(
            format!("{:?}", CustomerId::new("anna").unwrap()),
            "CustomerId(redacted)"
        );
        assert_eq!(
            format!("{:?}", IdempotencyKey::new("anna-1").unwrap()),
            "IdempotencyKey(redacted)"
        );
        assert_eq!(
            format!("{:?}", OfferId::new("shoe").unwrap()),
            "OfferId(\"shoe\")"
        );
    }

    #[test]
    fn deserializing_checks_the_bounds() {
        assert!(serde_json::from_str::<TenantId>("\"\"").is_err());
        assert_eq!(
            serde_json::from_str::<TenantId>("\"\\u00e9\"").unwrap().as_str(),
            "é"
        );
    }
}
