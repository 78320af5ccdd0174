//! Lines of decisions.

use kaireon_core::digest::{Digest, TenantKey};
use kaireon_core::store::{Accepted, Generation};
use kaireon_core::time::Timestamp;
use kaireon_core::{
    Attributes, CustomerId, Decision, DecisionFields, DecisionFlowKey, RankedOffer, RecommendationId,
    TenantId,
};
use serde::{Deserialize, Serialize};

use super::{SCHEMA, check_schema, parse, refused, sealed, stamp, unstamp, write_json};

#[derive(Serialize)]
struct Written<'a> {
    schema: u32,
    tenant: &'a TenantId,
    customer: &'a CustomerId,
    generation: Generation,
    timestamp: String,
    id: &'a RecommendationId,
    flow: &'a DecisionFlowKey,
    offers: &'a [RankedOffer],
    attributes: &'a Attributes,
}

#[derive(Deserialize)]
struct Read {
    schema: u32,
    tenant: TenantId,
    customer: CustomerId,
    generation: Generation,
    timestamp: String,
    id: RecommendationId,
    flow: DecisionFlowKey,
    offers: Vec<RankedOffer>,
    attributes: Attributes,
}

impl sealed::Line for Decision {
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
        tenant.recommendation(&self.id)
    }

    fn write(&self, generation: Generation, out: &mut Vec<u8>) {
        let DecisionFields {
            id,
            tenant,
            customer,
            flow,
            offers,
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
            flow,
            offers,
            attributes,
        };
        write_json(&line, out);
    }

    fn read(line: &[u8]) -> Result<Accepted<Self>, String> {
        let line: Read = parse(line)?;
        check_schema(line.schema)?;
        let fields = DecisionFields {
            id: line.id,
            tenant: line.tenant,
            customer: line.customer,
            flow: line.flow,
            offers: line.offers,
            timestamp: unstamp(&line.timestamp)?,
            attributes: line.attributes,
        };
        Ok(Accepted {
            value: Decision::restore(fields).map_err(refused)?,
            generation: line.generation,
        })
    }
}
