//! What a row of the data set is in kaireon's terms: a decision, an impression, and where clicked a response.
//!
//! Each of them is the same whenever it is made of the same row, ids and idempotency keys included. That is what
//! makes a second replay recognisable.

use kaireon::core::respond::Response;
use kaireon::core::time::{SystemClock, truncate};
use kaireon::core::{
    Attributes, CampaignId, ChannelId, CreativeId, CustomerId, Decision, DecisionFields, DecisionFlowKey,
    IdempotencyKey, Interaction, InteractionId, InteractionType, OfferId, PlacementId, Propensity,
    RankedOffer, RecommendationId, Result, TenantId,
};

use crate::dataset::Row;

/// The one channel of the week.
const CHANNEL: &str = "web";

/// Each item was shown in one form.
const CREATIVE: &str = "picture";

/// What the policy chose. The policy is the decision flow, the place on the page is the rank.
pub(crate) fn decision(tenant: &TenantId, row: &Row) -> Result<Decision> {
    let shown = RankedOffer {
        placement: Some(PlacementId::new(placement(row))?),
        campaign: Some(CampaignId::new(&row.campaign)?),
        propensity: Some(Propensity::new(row.propensity)?),
        ..RankedOffer::new(
            row.position,
            OfferId::new(offer(row))?,
            CreativeId::new(CREATIVE)?,
            ChannelId::new(CHANNEL)?,
        )
    };
    let fields = DecisionFields {
        id: RecommendationId::new(recommendation(row))?,
        tenant: tenant.clone(),
        customer: CustomerId::new(&row.profile)?,
        flow: DecisionFlowKey::new(&row.policy)?,
        offers: vec![shown],
        timestamp: truncate(row.shown_at),
        attributes: Attributes::default(),
    };
    Decision::new(fields, &SystemClock)
}

/// That it was shown.
pub(crate) fn impression(tenant: &TenantId, row: &Row) -> Result<Interaction> {
    let name = format!("{}-impression", recommendation(row));
    Interaction::builder(tenant, &row.profile)
        .id(&name)
        .idempotency_key(&name)
        .offer(offer(row))
        .creative(CREATIVE)
        .channel(CHANNEL)
        .placement(placement(row))
        .campaign(&row.campaign)
        .recommendation(recommendation(row))
        .rank(row.position)
        .timestamp(row.shown_at)
        .build()
}

/// That it was clicked: all else is the decision's. The time is that of the row, because the file has no other.
pub(crate) fn click(tenant: &TenantId, row: &Row) -> Result<Response> {
    let name = format!("{}-click", recommendation(row));
    let answered = (RecommendationId::new(recommendation(row))?, row.position);
    Ok(Response {
        id: InteractionId::new(&name)?,
        idempotency_key: Some(IdempotencyKey::new(&name)?),
        timestamp: Some(row.shown_at),
        ..Response::new(tenant.clone(), answered, InteractionType::Click)
    })
}

fn recommendation(row: &Row) -> String {
    // As many digits for each, so that ids sort as rows do.
    format!("row-{:05}", row.number)
}

/// Items are numbered within their campaign, so an offer is named by both.
fn offer(row: &Row) -> String {
    format!("{}-{}", row.campaign, row.item)
}

fn placement(row: &Row) -> String {
    format!("position-{}", row.position)
}
