//! The answer to a recommendation: a recommendation id and a rank become an interaction.

use crate::store::Recorded;
use crate::time::{Clock, SystemClock, Timestamp};
use crate::{
    Attributes, Classification, CustomerId, Decision, Direction, Error, ErrorKind, IdempotencyKey,
    Interaction, InteractionFields, InteractionId, InteractionStore, InteractionType, OutcomeTypeKey,
    RankedOffer, RecommendationId, Result, TenantId, Value,
};

#[cfg(test)]
mod tests;

/// What a customer answered to an offer of a recommendation.
///
/// Offer, creative, channel, placement, category and campaign are the recommendation's. The interaction's id and
/// its idempotency key are fixed with [`Response::new`], so that sending the same response again is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Whose data it is.
    pub tenant: TenantId,
    /// Who answered, where the caller knows; it must then be the customer of the recommendation.
    pub customer: Option<CustomerId>,
    /// The recommendation.
    pub recommendation: RecommendationId,
    /// The rank of the offer in it, from 1.
    pub rank: u32,
    /// The id of the interaction; a fresh one by default.
    pub id: InteractionId,
    /// What happened.
    pub interaction_type: InteractionType,
    /// The outcome in the host's catalogue; the type's name by default.
    pub outcome: Option<OutcomeTypeKey>,
    /// How the host judges it; the type's usual classification by default.
    pub classification: Option<Classification>,
    /// Who began the contact; inbound by default.
    pub direction: Direction,
    /// What it was worth.
    pub value: Option<Value>,
    /// What makes a retry recognisable; the id by default. Give one whenever the caller itself may retry.
    pub idempotency_key: Option<IdempotencyKey>,
    /// When it happened; the clock's time by default.
    pub timestamp: Option<Timestamp>,
    /// Whatever else the host wants to keep.
    pub attributes: Attributes,
}

impl Response {
    /// A response with the defaults of its fields.
    #[must_use]
    pub fn new(
        tenant: TenantId,
        (recommendation, rank): (RecommendationId, u32),
        interaction_type: InteractionType,
    ) -> Self {
        Self {
            tenant,
            customer: None,
            recommendation,
            rank,
            id: InteractionId::fresh(),
            interaction_type,
            outcome: None,
            classification: None,
            direction: Direction::default(),
            value: None,
            idempotency_key: None,
            timestamp: None,
            attributes: Attributes::default(),
        }
    }

    /// The interaction that it is, given the decision that it answers.
    ///
    /// # Errors
    /// `InvalidInput` naming `rank` when the decision has no such rank, `customer_id` when another customer is
    /// given, `recommendation_id` or `tenant_id` when it answers another decision; and as [`Interaction::new`].
    pub fn resolve(self, decision: &Decision, clock: &dyn Clock) -> Result<Interaction> {
        let Self {
            tenant,
            customer,
            recommendation,
            rank,
            id,
            interaction_type,
            outcome,
            classification,
            direction,
            value,
            idempotency_key,
            timestamp,
            attributes,
        } = self;
        if tenant != decision.tenant {
            return Err(Error::invalid(TenantId::FIELD, "is not that of the decision"));
        }
        if recommendation != decision.id {
            return Err(Error::invalid(
                RecommendationId::FIELD,
                "is not that of the decision",
            ));
        }
        if customer.is_some_and(|customer| customer != decision.customer) {
            let other = "is not the customer of the recommendation";
            return Err(Error::invalid(CustomerId::FIELD, other));
        }
        let offer = decision.offer(rank);
        let RankedOffer {
            rank,
            offer,
            creative,
            channel,
            placement,
            category,
            campaign,
            propensity: _,
        } = offer
            .ok_or_else(|| Error::invalid("rank", "is not in the recommendation"))?
            .clone();
        let fields = InteractionFields {
            tenant,
            customer: decision.customer.clone(),
            offer,
            creative,
            channel,
            placement,
            category,
            campaign,
            recommendation: Some(recommendation),
            rank: Some(rank),
            outcome: match outcome {
                Some(outcome) => outcome,
                None => OutcomeTypeKey::new(interaction_type.as_str())?,
            },
            classification: classification.unwrap_or(interaction_type.usual_classification()),
            interaction_type,
            direction,
            value,
            idempotency_key: match idempotency_key {
                Some(key) => key,
                None => IdempotencyKey::new(id.as_str())?,
            },
            id,
            timestamp: timestamp.unwrap_or_else(|| clock.now()),
            attributes,
        };
        Interaction::new(fields, clock)
    }
}

/// Records the answer to a recommendation, under the machine's clock.
///
/// A future that is dropped has recorded it wholly or not at all; the same response again gives the exact answer.
///
/// # Errors
/// `NotFound` when there is no such decision: it was never recorded, or it was purged or erased. As
/// [`Response::resolve`], [`InteractionStore::decision`] and [`InteractionStore::record_event`].
pub async fn respond(store: &dyn InteractionStore, response: Response) -> Result<Recorded> {
    respond_at(store, response, &SystemClock).await
}

/// As [`respond`], under `clock`.
///
/// # Errors
/// As [`respond`].
pub async fn respond_at(
    store: &dyn InteractionStore,
    response: Response,
    clock: &dyn Clock,
) -> Result<Recorded> {
    let decision = store.decision(&response.tenant, &response.recommendation).await?;
    let decision = decision.ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            "no decision is known under that recommendation id",
        )
        .with_backend(store.capabilities().backend)
        .with_operation("respond")
        .with_field(RecommendationId::FIELD)
    })?;
    store.record_event(response.resolve(&decision, clock)?).await
}
