//! Building an interaction field by field.

use super::{Classification, Direction, Interaction, InteractionFields, InteractionType};
use crate::time::{Clock, SystemClock, Timestamp};
use crate::{
    Attributes, CampaignId, CategoryId, ChannelId, CreativeId, CustomerId, Error, IdempotencyKey,
    InteractionId, OfferId, OutcomeTypeKey, PlacementId, RecommendationId, Result, TenantId, Value,
};

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
    pub(super) fn new(tenant: &str, customer: &str) -> Self {
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
