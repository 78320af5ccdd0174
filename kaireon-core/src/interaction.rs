//! One contact with a customer, or the customer's answer to it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::{Clock, SystemClock, Timestamp};
use crate::{
    Attributes, CampaignId, CategoryId, ChannelId, CreativeId, CustomerId, Error, IdempotencyKey,
    InteractionId, OfferId, OutcomeTypeKey, PlacementId, RecommendationId, Result, TenantId, Value, id, time,
};

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

impl<'de> Deserialize<'de> for Interaction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::restore(InteractionFields::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Builds an [`Interaction`]. The first error of any setter is told by [`build`](InteractionBuilder::build).
///
/// Required: offer, creative, channel. Defaults: type impression, outcome the type's name, classification the
/// type's usual one, direction inbound, a fresh id, the id as the idempotency key, the clock's time.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct InteractionBuilder {
    error: Option<Error>,
    tenant: Option<TenantId>,
    customer: Option<CustomerId>,
    id: Option<InteractionId>,
    offer: Option<OfferId>,
    creative: Option<CreativeId>,
    channel: Option<ChannelId>,
    placement: Option<PlacementId>,
    category: Option<CategoryId>,
    campaign: Option<CampaignId>,
    recommendation: Option<RecommendationId>,
    rank: Option<u32>,
    interaction_type: InteractionType,
    outcome: Option<OutcomeTypeKey>,
    classification: Option<Classification>,
    direction: Direction,
    value: Option<Value>,
    idempotency_key: Option<IdempotencyKey>,
    timestamp: Option<Timestamp>,
    attributes: Attributes,
}

macro_rules! text_setters {
    ($($(#[$doc:meta])* $name:ident: $type:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(mut self, text: impl AsRef<str>) -> Self {
            self.$name = self.keep($type::new(text));
            self
        }
    )*};
}

impl InteractionBuilder {
    fn new(tenant: &str, customer: &str) -> Self {
        let mut builder = Self {
            error: None,
            tenant: None,
            customer: None,
            id: None,
            offer: None,
            creative: None,
            channel: None,
            placement: None,
            category: None,
            campaign: None,
            recommendation: None,
            rank: None,
            interaction_type: InteractionType::Impression,
            outcome: None,
            classification: None,
            direction: Direction::default(),
            value: None,
            idempotency_key: None,
            timestamp: None,
            attributes: Attributes::default(),
        };
        builder.tenant = builder.keep(TenantId::new(tenant));
        builder.customer = builder.keep(CustomerId::new(customer));
        builder
    }

    fn keep<T>(&mut self, result: Result<T>) -> Option<T> {
        result
            .map_err(|error| self.error.get_or_insert(error).clone())
            .ok()
    }

    text_setters! {
        /// Sets the interaction's own id; a fresh UUID of version 7 by default.
        id: InteractionId;
        /// Sets the offer.
        offer: OfferId;
        /// Sets the creative.
        creative: CreativeId;
        /// Sets the channel.
        channel: ChannelId;
        /// Sets the placement.
        placement: PlacementId;
        /// Sets the offer's category.
        category: CategoryId;
        /// Sets the campaign.
        campaign: CampaignId;
        /// Sets the recommendation that led to it.
        recommendation: RecommendationId;
        /// Sets the outcome; the type's name by default.
        outcome: OutcomeTypeKey;
        /// Sets the idempotency key; the id by default. Give one whenever the caller itself may retry.
        idempotency_key: IdempotencyKey;
    }

    /// Sets the rank that the offer had in the recommendation, from 1.
    pub fn rank(mut self, rank: u32) -> Self {
        self.rank = Some(rank);
        self
    }

    /// Sets the type; impression by default.
    pub fn interaction_type(mut self, interaction_type: InteractionType) -> Self {
        self.interaction_type = interaction_type;
        self
    }

    /// Sets the classification; the type's usual one by default.
    pub fn classification(mut self, classification: Classification) -> Self {
        self.classification = Some(classification);
        self
    }

    /// Sets who began the contact; inbound by default.
    pub fn direction(mut self, direction: Direction) -> Self {
        self.direction = direction;
        self
    }

    /// Sets what it was worth.
    pub fn value(mut self, value: Value) -> Self {
        self.value = Some(value);
        self
    }

    /// Sets when it happened; the clock's time by default. Cut to milliseconds.
    pub fn timestamp(mut self, timestamp: Timestamp) -> Self {
        self.timestamp = Some(timestamp);
        self
    }

    /// Sets the attributes; `value` must be an object of at most 64 KiB.
    pub fn attributes(mut self, value: serde_json::Value) -> Self {
        self.attributes = self.keep(Attributes::from_value(value)).unwrap_or_default();
        self
    }

    /// Builds it under the machine's clock.
    ///
    /// # Errors
    /// `InvalidInput` naming the first field that is missing or out of bounds.
    pub fn build(self) -> Result<Interaction> {
        self.build_at(&SystemClock)
    }

    /// Builds it under `clock`.
    ///
    /// # Errors
    /// `InvalidInput` naming the first field that is missing or out of bounds.
    pub fn build_at(self, clock: &dyn Clock) -> Result<Interaction> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let missing = |field| Error::invalid(field, "is missing");
        let id = self.id.unwrap_or_else(InteractionId::fresh);
        let idempotency_key = match self.idempotency_key {
            Some(key) => key,
            // The id is as good a key as any for a caller who has none: it makes our own retries recognisable.
            None => IdempotencyKey::new(id.as_str())?,
        };
        let outcome = match self.outcome {
            Some(outcome) => outcome,
            None => OutcomeTypeKey::new(self.interaction_type.as_str())?,
        };
        let fields = InteractionFields {
            id,
            tenant: self.tenant.ok_or_else(|| missing(TenantId::FIELD))?,
            customer: self.customer.ok_or_else(|| missing(CustomerId::FIELD))?,
            offer: self.offer.ok_or_else(|| missing(OfferId::FIELD))?,
            creative: self.creative.ok_or_else(|| missing(CreativeId::FIELD))?,
            channel: self.channel.ok_or_else(|| missing(ChannelId::FIELD))?,
            placement: self.placement,
            category: self.category,
            campaign: self.campaign,
            recommendation: self.recommendation,
            rank: self.rank,
            classification: self
                .classification
                .unwrap_or(self.interaction_type.usual_classification()),
            interaction_type: self.interaction_type,
            outcome,
            direction: self.direction,
            value: self.value,
            idempotency_key,
            timestamp: self.timestamp.unwrap_or_else(|| clock.now()),
            attributes: self.attributes,
        };
        Interaction::new(fields, clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
