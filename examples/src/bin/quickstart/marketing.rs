//! What a marketer would ask first.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use kaireon::core::InteractionType;
use kaireon::core::attribution::{Attribution, Group, Model};
use kaireon_examples::open_bandit;

use crate::Result;
use crate::ledger::Ledger;
use crate::table;

pub(crate) fn print(ledger: &Ledger) -> Result<()> {
    print_click_through(ledger)?;
    print_top_items(ledger);
    print_attribution(ledger);
    Ok(())
}

#[derive(Default)]
struct Arm {
    shown: u64,
    clicks: u64,
    /// The sum of click × (probability under a uniform choice ÷ probability under the policy that chose).
    weighted: f64,
}

/// Click-through rate per campaign and policy. The last column estimates, from each policy's own log by inverse
/// propensity weighting, the rate that a uniformly random choice among the campaign's items would have had: the two
/// policies of a campaign should agree on it, though only one of them chose at random.
fn print_click_through(ledger: &Ledger) -> Result<()> {
    let items = open_bandit::items_per_campaign()?;
    let clicks = ledger
        .interactions
        .iter()
        .filter(|interaction| interaction.interaction_type == InteractionType::Click);
    let clicked: HashSet<_> = clicks.filter_map(|click| click.recommendation.as_ref()).collect();
    let mut arms: BTreeMap<(&str, &str), Arm> = BTreeMap::new();
    for decision in &ledger.decisions {
        for offer in &decision.offers {
            let (Some(campaign), Some(propensity)) = (&offer.campaign, offer.propensity) else {
                continue;
            };
            let arm = arms
                .entry((campaign.as_str(), decision.flow.as_str()))
                .or_default();
            arm.shown += 1;
            if clicked.contains(&decision.id) {
                arm.clicks += 1;
                let uniform = 1.0 / items.get(campaign.as_str()).copied().unwrap_or(1) as f64;
                arm.weighted += uniform / propensity.get();
            }
        }
    }
    let rows: Vec<_> = arms
        .iter()
        .map(|((campaign, policy), arm)| {
            let shown = arm.shown as f64;
            vec![
                (*campaign).to_owned(),
                (*policy).to_owned(),
                arm.shown.to_string(),
                arm.clicks.to_string(),
                table::percent(arm.clicks as f64, shown),
                table::percent(arm.weighted, shown),
            ]
        })
        .collect();
    let head = [
        "campaign",
        "policy",
        "shown",
        "clicks",
        "ctr",
        "ips of a random choice",
    ];
    table::print(
        "Click-through rate (ips: estimated from the policy's log, were items drawn uniformly)",
        &head,
        &rows,
    );
    Ok(())
}

fn print_top_items(ledger: &Ledger) {
    let groups = ledger.shown_and_clicked(|interaction| interaction.offer.clone());
    let mut items: Vec<_> = groups.into_iter().collect();
    items.sort_by(|(left, a), (right, b)| b.1.cmp(&a.1).then(a.0.cmp(&b.0)).then(left.cmp(right)));
    let rows: Vec<_> = items
        .iter()
        .take(8)
        .map(|(offer, (shown, clicks))| {
            let rate = table::percent(*clicks as f64, *shown as f64);
            vec![offer.to_string(), shown.to_string(), clicks.to_string(), rate]
        })
        .collect();
    table::print("Top items", &["item", "shown", "clicks", "ctr"], &rows);
}

/// The sample has clicks and no conversions, so a click is what is credited.
fn print_attribution(ledger: &Ledger) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let models = [
        ("last touch", Model::LastTouch),
        ("first touch", Model::FirstTouch),
        ("linear", Model::Linear),
        ("time decay, 1 day", Model::TimeDecay { half_life: DAY }),
        ("position 40/20/40", Model::PositionBased),
    ];
    let mut credits: BTreeMap<Option<String>, HashMap<&str, String>> = BTreeMap::new();
    for (name, model) in models {
        let attribution = Attribution::new(model).of_conversions([InteractionType::Click]);
        let table = attribution.table(&ledger.interactions, Group::Campaign);
        for (campaign, credit) in table.groups {
            let credit = credit.conversions.to_string();
            credits.entry(campaign).or_default().insert(name, credit);
        }
    }
    let head: Vec<&str> = ["campaign"]
        .into_iter()
        .chain(models.map(|(name, _)| name))
        .collect();
    let rows: Vec<_> = credits
        .into_iter()
        .map(|(campaign, credits)| {
            let credit = |name| credits.get(name).cloned().unwrap_or_else(|| "0".to_owned());
            let name = campaign.unwrap_or_else(|| "(none)".to_owned());
            [name]
                .into_iter()
                .chain(models.map(|(name, _)| credit(name)))
                .collect()
        })
        .collect();
    table::print(
        "Clicks credited to the impressions of the 30 days before, by model",
        &head,
        &rows,
    );
}
