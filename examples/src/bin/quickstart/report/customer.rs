//! One customer, as a service agent or a decision engine sees them.

use kaireon::core::policy::{Candidate, ContactPolicy, Scope, Verdict};
use kaireon::core::store::{DimensionFilter, HistoryQuery, SummaryQuery};
use kaireon::core::{
    CustomerId, Dimension, Interaction, InteractionStore, PeriodType, Result, Summary, TenantId,
};

use crate::ledger::{Ledger, Tally};
use crate::table::{Table, count};

/// How many interactions of the history are shown.
const NEWEST: u32 = 5;

/// How many days of the summaries are shown.
const DAYS: usize = 3;

/// The cap that is asked about, per day.
const DAILY_CAP: u64 = 3;

/// The view of the customer who clicked most; empty when there is none.
pub(crate) async fn customer(
    store: &dyn InteractionStore,
    tenant: &TenantId,
    ledger: &Ledger,
) -> Result<String> {
    let tallies = ledger.tallies(|interaction| &interaction.customer);
    let most = tallies
        .into_iter()
        .max_by_key(|(_, Tally { shown, clicks })| (*clicks, *shown));
    let Some((customer, Tally { shown, clicks })) = most else {
        return Ok(String::new());
    };
    let mut query = HistoryQuery::new(tenant.clone(), customer.clone());
    query.limit = NEWEST;
    let newest = store.history(query).await?.items;
    let summaries = summaries(store, tenant, customer).await?;
    let mut view = format!(
        "Customer {} (a profile of four hashed features: the one with the most clicks)\n  {} shown, {} clicked\n{}{}",
        customer.as_str(),
        count(shown),
        count(clicks),
        newest_table(&newest),
        summary_table(&summaries),
    );
    if let Some(last) = newest.first() {
        view += &caps(store, last).await?;
    }
    Ok(view)
}

/// What the store has summed up about a customer on any channel.
async fn summaries(
    store: &dyn InteractionStore,
    tenant: &TenantId,
    customer: &CustomerId,
) -> Result<Vec<Summary>> {
    let mut query = SummaryQuery::new(tenant.clone(), customer.clone());
    query.dimensions.push(DimensionFilter {
        dimension: Dimension::Channel,
        value: None,
    });
    store.get_summaries(query).await
}

fn newest_table(newest: &[Interaction]) -> Table {
    let head = ["newest history (UTC)", "what", "item", "where"];
    let mut table = Table::new("", head);
    for interaction in newest {
        let placement = interaction.placement.as_ref();
        table.push([
            interaction.timestamp.format("%Y-%m-%d %H:%M:%S").to_string(),
            interaction.interaction_type.to_string(),
            interaction.offer.to_string(),
            placement.map(ToString::to_string).unwrap_or_default(),
        ]);
    }
    table
}

/// The newest days, and every longer period; they come in this order from the store.
fn summary_table(summaries: &[Summary]) -> Table {
    let head = [
        "summary",
        "channel",
        "impressions",
        "positive",
        "last contact (UTC)",
        "outcome",
    ];
    let mut table = Table::new("", head);
    let of = |period_type| {
        let is = move |summary: &&Summary| summary.period.period_type() == period_type;
        summaries.iter().filter(is)
    };
    let days = of(PeriodType::Daily).take(DAYS);
    let longer = [PeriodType::Weekly, PeriodType::Monthly, PeriodType::AllTime];
    for summary in days.chain(longer.into_iter().flat_map(of)) {
        let last = summary.stats.last.as_ref();
        table.push([
            summary.period.to_string(),
            summary.value.to_string(),
            count(summary.stats.impressions),
            count(summary.stats.positive),
            last.map_or_else(String::new, |last| {
                last.timestamp.format("%Y-%m-%d %H:%M:%S").to_string()
            }),
            last.map_or_else(String::new, |last| last.outcome.to_string()),
        ]);
    }
    table
}

/// Whether a daily cap would still admit the item that was contacted last, at that moment.
async fn caps(store: &dyn InteractionStore, last: &Interaction) -> Result<String> {
    let (candidate, now) = (Candidate::of(last), last.timestamp);
    let mut lines = format!(
        "\n  Would a cap of {DAILY_CAP} a day admit {} once more at {} UTC?\n",
        candidate.offer,
        now.format("%Y-%m-%d %H:%M:%S")
    );
    for (scope, of) in [
        (Scope::Offer, "impressions of this item"),
        (Scope::Global, "impressions of any item"),
    ] {
        let policy = ContactPolicy::default().with_cap(scope, PeriodType::Daily, DAILY_CAP);
        let verdict = match policy.check(store, &candidate, now).await? {
            Verdict::Admitted => "yes".to_owned(),
            Verdict::Refused {
                admits_again: Some(again),
                ..
            } => format!("no, not before {} UTC", again.format("%Y-%m-%d %H:%M:%S")),
            _ => "no, never".to_owned(),
        };
        lines += &format!("    on {of}: {verdict}\n");
    }
    Ok(lines)
}
