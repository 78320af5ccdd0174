//! Lines of interactions.

use kaireon_core::digest::{Digest, TenantKey};
use kaireon_core::store::{Accepted, Generation};
use kaireon_core::time::Timestamp;
use kaireon_core::{
    Attributes, CampaignId, CategoryId, ChannelId, Classification, CreativeId, CustomerId, Direction,
    IdempotencyKey, Interaction, InteractionFields, InteractionId, InteractionType, OfferId, OutcomeTypeKey,
    PlacementId, RecommendationId, TenantId, Value,
};
use serde::{Deserialize, Serialize};

use super::{SCHEMA, check_schema, parse, refused, sealed, stamp, unstamp, write_json};

/// The line as it is written; its members borrow.
#[derive(Serialize)]
struct Written<'a> {
    schema: u32,
    tenant: &'a TenantId,
    customer: &'a CustomerId,
    generation: Generation,
    timestamp: String,
    id: &'a InteractionId,
    idempotency_key: &'a IdempotencyKey,
    offer: &'a OfferId,
    creative: &'a CreativeId,
    channel: &'a ChannelId,
    placement: &'a Option<PlacementId>,
    category: &'a Option<CategoryId>,
    campaign: &'a Option<CampaignId>,
    recommendation: &'a Option<RecommendationId>,
    rank: Option<u32>,
    interaction_type: &'a InteractionType,
    outcome: &'a OutcomeTypeKey,
    classification: Classification,
    direction: Direction,
    value: Option<Value>,
    attributes: &'a Attributes,
}

/// The line as it is read.
#[derive(Deserialize)]
struct Read {
    schema: u32,
    tenant: TenantId,
    customer: CustomerId,
    generation: Generation,
    timestamp: String,
    id: InteractionId,
    idempotency_key: IdempotencyKey,
    offer: OfferId,
    creative: CreativeId,
    channel: ChannelId,
    placement: Option<PlacementId>,
    category: Option<CategoryId>,
    campaign: Option<CampaignId>,
    recommendation: Option<RecommendationId>,
    rank: Option<u32>,
    interaction_type: InteractionType,
    outcome: OutcomeTypeKey,
    classification: Classification,
    direction: Direction,
    value: Option<Value>,
    attributes: Attributes,
}

impl sealed::Line for Interaction {
    fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    fn customer(&self) -> &CustomerId {
        &self.customer
    }

    fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    fn key(&self, tenant: &TenantKey) -> Digest {
        tenant.idempotency_key(&self.idempotency_key)
    }

    fn write(&self, generation: Generation, out: &mut Vec<u8>) {
        let InteractionFields {
            id,
            tenant,
            customer,
            offer,
            creative,
            channel,
            placement,
            category,
            campaign,
            recommendation,
            rank,
            interaction_type,
            outcome,
            classification,
            direction,
            value,
            idempotency_key,
            timestamp,
            attributes,
        } = &**self;
        let line = Written {
            schema: SCHEMA,
            tenant,
            customer,
            generation,
            timestamp: stamp(*timestamp),
            id,
            idempotency_key,
            offer,
            creative,
            channel,
            placement,
            category,
            campaign,
            recommendation,
            rank: *rank,
            interaction_type,
            outcome,
            classification: *classification,
            direction: *direction,
            value: *value,
            attributes,
        };
        write_json(&line, out);
    }

    fn read(line: &[u8]) -> Result<Accepted<Self>, String> {
        let line: Read = parse(line)?;
        check_schema(line.schema)?;
        let fields = InteractionFields {
            id: line.id,
            tenant: line.tenant,
            customer: line.customer,
            offer: line.offer,
            creative: line.creative,
            channel: line.channel,
            placement: line.placement,
            category: line.category,
            campaign: line.campaign,
            recommendation: line.recommendation,
            rank: line.rank,
            interaction_type: line.interaction_type,
            outcome: line.outcome,
            classification: line.classification,
            direction: line.direction,
            value: line.value,
            idempotency_key: line.idempotency_key,
            timestamp: unstamp(&line.timestamp)?,
            attributes: line.attributes,
        };
        Ok(Accepted {
            value: Interaction::restore(fields).map_err(refused)?,
            generation: line.generation,
        })
    }
}
