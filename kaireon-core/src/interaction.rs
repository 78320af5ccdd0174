//! One contact with a customer, or the customer's answer to it.

mod builder;
mod kind;

use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use builder::InteractionBuilder;
pub use kind::{Classification, CustomType, Direction, InteractionType};

use crate::time::{Clock, Timestamp};
use crate::{
    Attributes, CampaignId, CategoryId, ChannelId, CreativeId, CustomerId, Error, IdempotencyKey,
    InteractionId, OfferId, OutcomeTypeKey, PlacementId, RecommendationId, Result, TenantId, Value, time,
};

/// What an [`Interaction`] consists of. Adapters destructure it, so that a new field breaks the build of each
/// until it has answered for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InteractionFields {
    /// The interaction's own id.
    pub id: InteractionId,
    /// Whose data it is.
    pub tenant: TenantId,
    /// The customer.
    pub customer: CustomerId,
    /// The offer.
    pub offer: OfferId,
    /// The creative.
    pub creative: CreativeId,
    /// The channel.
    pub channel: ChannelId,
    /// The placement in the channel.
    pub placement: Option<PlacementId>,
    /// The offer's category.
    pub category: Option<CategoryId>,
    /// The campaign.
    pub campaign: Option<CampaignId>,
    /// The recommendation that led to it.
    pub recommendation: Option<RecommendationId>,
    /// The rank that the offer had in the recommendation, from 1.
    pub rank: Option<u32>,
    /// What happened.
    pub interaction_type: InteractionType,
    /// The outcome in the host's catalogue.
    pub outcome: OutcomeTypeKey,
    /// How the host judges it.
    pub classification: Classification,
    /// Who began the contact.
    pub direction: Direction,
    /// What it was worth.
    pub value: Option<Value>,
    /// What makes a retry recognisable.
    pub idempotency_key: IdempotencyKey,
    /// When it happened.
    pub timestamp: Timestamp,
    /// Whatever else the host wants to keep.
    pub attributes: Attributes,
}

/// One contact with a customer: immutable, and cheap to clone (a reference count).
///
/// Its fields are read through [`Deref`]. Two of them make retries safe: the `id` is fixed at construction, and
/// the `idempotency_key` is taken from the caller or, without one, made there.
///
/// ```
/// use kaireon_core::{Interaction, InteractionType};
///
/// let click = Interaction::builder("acme", "customer-7")
///     .offer("winter-shoes")
///     .creative("banner-2")
///     .channel("web")
///     .interaction_type(InteractionType::Click)
///     .idempotency_key("request-81")
///     .build()?;
/// assert_eq!(click.outcome.as_str(), "click");
/// # Ok::<(), kaireon_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interaction(Arc<InteractionFields>);

impl Interaction {
    /// Begins an interaction of a customer. Errors of every setter are kept and told by `build`.
    pub fn builder(tenant: impl AsRef<str>, customer: impl AsRef<str>) -> InteractionBuilder {
        InteractionBuilder::new(tenant.as_ref(), customer.as_ref())
    }

    /// Takes fields whose parts are valid, and checks what they do not check themselves.
    ///
    /// # Errors
    /// `InvalidInput` naming `timestamp` (before 2000-01-01, or more than 24 h after the clock) or `rank` (zero).
    pub fn new(fields: InteractionFields, clock: &dyn Clock) -> Result<Self> {
        let timestamp = time::check(fields.timestamp, clock.now())?;
        Self::restore(InteractionFields { timestamp, ..fields })
    }

    /// Takes fields that a store or an archive held: not compared with the clock, which may have been another.
    ///
    /// # Errors
    /// `InvalidInput` naming `rank` (zero) or `timestamp` (before 2000-01-01, or after the year 9999).
    pub fn restore(fields: InteractionFields) -> Result<Self> {
        if fields.rank == Some(0) {
            return Err(Error::invalid("rank", "is zero; ranks count from 1"));
        }
        let timestamp = time::check(fields.timestamp, fields.timestamp)?;
        Ok(Self(Arc::new(InteractionFields { timestamp, ..fields })))
    }

    /// Checks the time against a clock: what was restored or read by serde has not been.
    ///
    /// # Errors
    /// `InvalidInput` naming `timestamp`, more than 24 h after the clock.
    pub fn check_at(&self, clock: &dyn Clock) -> Result<()> {
        time::check(self.timestamp, clock.now()).map(drop)
    }

    /// The same interaction with other fields, for adapters and tests.
    ///
    /// # Errors
    /// As for [`Interaction::restore`].
    pub fn edited(&self, edit: impl FnOnce(&mut InteractionFields)) -> Result<Self> {
        let mut fields = (*self.0).clone();
        edit(&mut fields);
        Self::restore(fields)
    }

    /// Whether two interactions agree in the identity fields: customer, offer, creative, channel, type, outcome
    /// and value. A reused idempotency key whose identity fields differ is a conflict.
    #[must_use]
    pub fn same_identity(&self, other: &Self) -> bool {
        self.customer == other.customer
            && self.offer == other.offer
            && self.creative == other.creative
            && self.channel == other.channel
            && self.interaction_type == other.interaction_type
            && self.outcome == other.outcome
            && self.value == other.value
    }
}

impl Deref for Interaction {
    type Target = InteractionFields;

    fn deref(&self) -> &InteractionFields {
        &self.0
    }
}

impl Serialize for Interaction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// As [`Interaction::restore`]: every bound is checked but the one by the clock, which serde does not hand in. Who reads
/// interactions from a caller asks [`check_at`](Interaction::check_at) of each; the facade's store asks it of every
/// live one.
impl<'de> Deserialize<'de> for Interaction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::restore(InteractionFields::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SystemClock;

    fn builder() -> InteractionBuilder {
        Interaction::builder("t", "c")
            .offer("o")
            .creative("k")
            .channel("web")
    }

    #[test]
    fn build_names_the_first_field_that_is_wrong() {
        let field = |builder: InteractionBuilder| builder.build().unwrap_err().field().map(str::to_owned);
        assert_eq!(field(Interaction::builder("", "c")).as_deref(), Some("tenant_id"));
        assert_eq!(
            field(Interaction::builder("t", "c").offer("o")).as_deref(),
            Some("creative_id")
        );
        assert_eq!(
            field(builder().offer("x".repeat(257)).channel("")).as_deref(),
            Some("offer_id")
        );
        assert_eq!(field(builder().rank(0)).as_deref(), Some("rank"));
        assert_eq!(
            field(builder().attributes(serde_json::json!(7))).as_deref(),
            Some("attributes")
        );
        let late = SystemClock.now() + chrono::TimeDelta::hours(25);
        assert_eq!(field(builder().timestamp(late)).as_deref(), Some("timestamp"));
    }

    #[test]
    fn without_a_key_two_builds_have_two_keys_and_a_clone_has_one() {
        let (first, second) = (builder().build().unwrap(), builder().build().unwrap());
        assert_ne!(first.idempotency_key, second.idempotency_key);
        assert_eq!(first.idempotency_key, first.clone().idempotency_key);
    }

    #[test]
    fn a_custom_type_by_a_known_name_is_the_known_type() {
        assert_eq!(InteractionType::parse("click").unwrap(), InteractionType::Click);
        assert!(matches!(
            InteractionType::parse("page_view").unwrap(),
            InteractionType::Custom(_)
        ));
        assert_eq!(
            InteractionType::parse("").unwrap_err().field(),
            Some("interaction_type")
        );
    }

    #[test]
    fn json_goes_round_and_is_checked() {
        let event = builder().value(Value::from_micros(1)).rank(3).build().unwrap();
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Interaction>(&json).unwrap(), event);
        assert!(serde_json::from_str::<Interaction>(&json.replace("\"rank\":3", "\"rank\":0")).is_err());
    }

    #[test]
    fn what_serde_read_is_checked_against_a_clock_by_check_at() {
        let event = builder().build().unwrap();
        let clock = crate::time::ManualClock::at(SystemClock.now());
        let ahead = |by_ms: i64| {
            let timestamp = clock.now() + time::MAX_AHEAD + chrono::TimeDelta::milliseconds(by_ms);
            let mut json = serde_json::to_value(&event).unwrap();
            json["timestamp"] = serde_json::to_value(timestamp).unwrap();
            serde_json::from_value::<Interaction>(json).unwrap()
        };
        ahead(0).check_at(&clock).unwrap();
        let error = ahead(1).check_at(&clock).unwrap_err();
        assert_eq!(error.field(), Some("timestamp"));
        for (timestamp, taken) in [
            ("2000-01-01T00:00:00Z", true),
            ("1999-12-31T23:59:59.999Z", false),
            ("9999-12-31T23:59:59.999Z", true),
            ("+10000-01-01T00:00:00Z", false),
        ] {
            let mut json = serde_json::to_value(&event).unwrap();
            json["timestamp"] = timestamp.into();
            let read = serde_json::from_value::<Interaction>(json);
            assert_eq!(read.is_ok(), taken, "{timestamp}");
        }
    }

    #[test]
    fn debug_shows_nothing_personal() {
        let event = Interaction::builder("t", "anna")
            .offer("o")
            .creative("k")
            .channel("web")
            .idempotency_key("key-of-anna")
            .attributes(serde_json::json!({ "mail": "anna@example.org" }))
            .build()
            .unwrap();
        assert!(!format!("{event:?}").contains("anna"));
    }
}
