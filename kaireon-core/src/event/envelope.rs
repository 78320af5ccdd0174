//! The shapes that events are written in and read from.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::EventType;
use crate::time::Timestamp;
use crate::{Decision, Interaction};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InteractionPayload<'a> {
    tenant_id: &'a str,
    customer_id: &'a str,
    offer_id: &'a str,
    creative_id: &'a str,
    channel_id: &'a str,
    interaction_type: &'a str,
    outcome_type_key: &'a str,
    campaign_id: Option<&'a str>,
    recommendation_id: Option<&'a str>,
    timestamp: String,
}

impl<'a> From<&'a Interaction> for InteractionPayload<'a> {
    fn from(interaction: &'a Interaction) -> Self {
        Self {
            tenant_id: interaction.tenant.as_str(),
            customer_id: interaction.customer.as_str(),
            offer_id: interaction.offer.as_str(),
            creative_id: interaction.creative.as_str(),
            channel_id: interaction.channel.as_str(),
            interaction_type: interaction.interaction_type.as_str(),
            outcome_type_key: interaction.outcome.as_str(),
            campaign_id: interaction.campaign.as_ref().map(AsRef::as_ref),
            recommendation_id: interaction.recommendation.as_ref().map(AsRef::as_ref),
            timestamp: rfc3339(interaction.timestamp),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DecisionPayload<'a> {
    tenant_id: &'a str,
    customer_id: &'a str,
    recommendation_id: &'a str,
    offers_returned: usize,
    top_offer_id: Option<&'a str>,
    top_propensity: Option<f64>,
    decision_flow_key: &'a str,
    timestamp: String,
}

impl<'a> From<&'a Decision> for DecisionPayload<'a> {
    fn from(decision: &'a Decision) -> Self {
        let top = decision.offers.first();
        Self {
            tenant_id: decision.tenant.as_str(),
            customer_id: decision.customer.as_str(),
            recommendation_id: decision.id.as_str(),
            offers_returned: decision.offers.len(),
            top_offer_id: top.map(|top| top.offer.as_str()),
            top_propensity: top.and_then(|top| top.propensity).map(crate::Propensity::get),
            decision_flow_key: decision.flow.as_str(),
            timestamp: rfc3339(decision.timestamp),
        }
    }
}

pub(super) fn rfc3339(time: Timestamp) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

#[derive(Serialize)]
pub(super) struct Envelope<'a, P> {
    pub(super) id: &'a str,
    pub(super) r#type: &'a str,
    pub(super) timestamp: String,
    pub(super) payload: P,
}

/// An envelope as a consumer reads it.
#[derive(Debug, Deserialize)]
pub(super) struct OwnedEnvelope {
    pub(super) id: String,
    pub(super) r#type: EventType,
    pub(super) timestamp: Timestamp,
    pub(super) payload: Box<RawValue>,
}
