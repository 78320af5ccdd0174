//! Every row through the public API: a decision, an impression, and the response of who clicked.

use std::io::IsTerminal;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use kaireon::Infra;
use kaireon::core::respond::{Response, respond};
use kaireon::core::time::{SystemClock, truncate};
use kaireon::core::{
    Attributes, CampaignId, ChannelId, CreativeId, CustomerId, Decision, DecisionFields, DecisionFlowKey,
    IdempotencyKey, Interaction, InteractionStore, InteractionType, OfferId, PlacementId, Propensity,
    RankedOffer, RecommendationId, TenantId,
};
use kaireon_examples::open_bandit::Row;

use crate::Result;

/// How many rows are on their way at once. Each commit takes all that has come in while the one before it was
/// being flushed, so callers in number are what makes durable writes cheap.
const AT_ONCE: usize = 1_024;

const CHANNEL: &str = "web";
const CREATIVE: &str = "item-image";

/// What the store said to the records.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Replayed {
    pub(crate) new: u64,
    pub(crate) duplicates: u64,
}

impl Replayed {
    fn count(&mut self, is_new: bool) {
        match is_new {
            true => self.new += 1,
            false => self.duplicates += 1,
        }
    }
}

pub(crate) async fn all(infra: &Infra, tenant: &TenantId, rows: Vec<Row>) -> Result<Replayed> {
    let bar = progress(rows.len());
    let total = stream::iter(rows)
        .map(|row| {
            let (store, tenant, bar) = (infra.store(), tenant.clone(), bar.clone());
            async move {
                // A task of its own, so that rows are made on every core.
                let replayed = tokio::spawn(async move { replay(&store, tenant, &row).await }).await??;
                bar.inc(1);
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(replayed)
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_fold(Replayed::default(), async |total, row| {
            Ok(Replayed {
                new: total.new + row.new,
                duplicates: total.duplicates + row.duplicates,
            })
        })
        .await?;
    bar.finish_and_clear();
    Ok(total)
}

fn progress(rows: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(rows as u64);
    let style = ProgressStyle::with_template("replaying {bar:40} {pos}/{len} rows, {per_sec}, {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// One row, in the order in which it happened.
async fn replay(store: &Arc<dyn InteractionStore>, tenant: TenantId, row: &Row) -> Result<Replayed> {
    let mut replayed = Replayed::default();
    let decision = decision(tenant.clone(), row)?;
    replayed.count(store.record_decision(decision).await?.is_new());
    replayed.count(store.record_event(impression(&tenant, row)?).await?.is_new());
    if row.clicked {
        replayed.count(respond(store, click(tenant, row)?).await?.is_new());
    }
    Ok(replayed)
}

fn recommendation(row: &Row) -> String {
    format!("row-{}", row.number)
}

/// An item's number counts within its campaign, so the offer is both.
fn offer(row: &Row) -> String {
    format!("{}-{}", row.campaign, row.item)
}

fn decision(tenant: TenantId, row: &Row) -> Result<Decision> {
    let chosen = RankedOffer {
        placement: Some(PlacementId::new(format!("position-{}", row.position))?),
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
        tenant,
        customer: CustomerId::new(&row.profile)?,
        flow: DecisionFlowKey::new(&row.policy)?,
        offers: vec![chosen],
        timestamp: truncate(row.timestamp),
        attributes: Attributes::default(),
    };
    Ok(Decision::new(fields, &SystemClock)?)
}

fn impression(tenant: &TenantId, row: &Row) -> Result<Interaction> {
    let impression = Interaction::builder(tenant, &row.profile)
        .offer(offer(row))
        .creative(CREATIVE)
        .channel(CHANNEL)
        .placement(format!("position-{}", row.position))
        .campaign(&row.campaign)
        .recommendation(recommendation(row))
        .rank(row.position)
        .idempotency_key(format!("row-{}-impression", row.number))
        .timestamp(row.timestamp)
        .build()?;
    Ok(impression)
}

/// The sample says whether a row was clicked, not when: a second later stands for it.
fn click(tenant: TenantId, row: &Row) -> Result<Response> {
    let recommendation = RecommendationId::new(recommendation(row))?;
    Ok(Response {
        idempotency_key: Some(IdempotencyKey::new(format!("row-{}-click", row.number))?),
        timestamp: Some(row.timestamp + chrono::TimeDelta::seconds(1)),
        ..Response::new(tenant, (recommendation, row.position), InteractionType::Click)
    })
}
