//! One customer, as a service agent or a decision engine sees them.

use std::collections::BTreeSet;

use kaireon::core::policy::{Candidate, ContactPolicy, Scope, Verdict};
use kaireon::core::store::{DimensionFilter, HistoryQuery, SummaryQuery};
use kaireon::core::time::Timestamp;
use kaireon::core::{
    CustomerId, Dimension, Interaction, InteractionStore, OfferId, PeriodType, Result, Summary, TenantId,
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
    Ok(format!(
        "Customer {} (the profile with the most clicks): {} shown, {} clicked; all times are UTC\n{}{}{}",
        customer.as_str(),
        count(shown),
        count(clicks),
        newest_table(&newest),
        summary_table(&summaries),
        caps(store, &newest).await?,
    ))
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
    let head = ["newest history", "what", "item", "where"];
    let mut table = Table::new("", head);
    for interaction in newest {
        let placement = interaction.placement.as_ref();
        table.push([
            moment(interaction.timestamp),
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
        "last contact",
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
            last.map_or_else(String::new, |last| moment(last.timestamp)),
            last.map_or_else(String::new, |last| last.outcome.to_string()),
        ]);
    }
    table
}

/// Whether a daily cap would still admit what was shown last, at the moment of the last contact: by the same
/// summaries that the engine would ask for.
async fn caps(store: &dyn InteractionStore, newest: &[Interaction]) -> Result<String> {
    let Some(last) = newest.first() else {
        return Ok(String::new());
    };
    let (now, day) = (last.timestamp, last.timestamp.format("%Y-%m-%d"));
    let title = format!(
        "At {}: would a cap of {DAILY_CAP} a day admit one more?",
        moment(now)
    );
    let shown_on = format!("impressions on {day}");
    let mut table = Table::new(format!("\n  {title}"), ["of", &shown_on, "admitted"]);
    let offers: BTreeSet<_> = newest.iter().map(|interaction| &interaction.offer).collect();
    let one = |offer: &OfferId| (offer.to_string(), Scope::Offer, offer.clone());
    let any = ("any item".to_owned(), Scope::Global, last.offer.clone());
    for (name, scope, offer) in offers.into_iter().map(one).chain([any]) {
        let policy = ContactPolicy::default().with_cap(scope, PeriodType::Daily, DAILY_CAP);
        let candidate = Candidate {
            offer,
            ..Candidate::of(last)
        };
        let summaries = match policy.query(&candidate, now) {
            Some(query) => store.get_summaries(query).await?,
            None => Vec::new(),
        };
        let verdict = match policy.evaluate(&candidate, &summaries, now) {
            Verdict::Admitted => "yes".to_owned(),
            Verdict::Refused {
                admits_again: Some(again),
                ..
            } => format!("not before {}", moment(again)),
            _ => "never".to_owned(),
        };
        let shown = summaries.iter().map(|summary| summary.stats.impressions).sum();
        table.push([name, count(shown), verdict]);
    }
    Ok(table.to_string())
}

fn moment(time: Timestamp) -> String {
    time.format("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use kaireon::core::InteractionType;
    use kaireon::core::memory::MemoryStore;

    use super::*;

    async fn record(store: &MemoryStore, customer: &str, offer: &str, minute: u32, what: InteractionType) {
        let time = format!("2026-04-30T12:{minute:02}:00Z").parse().unwrap();
        let interaction = Interaction::builder("shop", customer)
            .offer(offer)
            .creative("picture")
            .channel("web")
            .interaction_type(what)
            .timestamp(time);
        store.record_event(interaction.build().unwrap()).await.unwrap();
    }

    #[tokio::test]
    async fn the_view_is_of_who_clicked_most_and_a_cap_is_told_by_what_was_shown_that_day() {
        let (store, tenant) = (MemoryStore::new(), TenantId::new("shop").unwrap());
        for minute in 0..3 {
            record(&store, "anna", "shoes", minute, InteractionType::Impression).await;
            record(&store, "bert", "shoes", minute, InteractionType::Impression).await;
        }
        record(&store, "anna", "shoes", 2, InteractionType::Click).await;
        record(&store, "anna", "hat", 9, InteractionType::Impression).await;
        let ledger = Ledger::read(&store, &tenant).await.unwrap();
        let view = customer(&store, &tenant, &ledger).await.unwrap();
        let has = |words: &[&str]| {
            let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            let wanted = words.join(" ");
            assert!(
                view.lines().any(|found| line(found) == wanted),
                "{wanted}\n{view}"
            );
        };
        assert!(view.contains("Customer anna"), "{view}");
        has(&["2026-W18", "web", "4", "1", "2026-04-30 12:09:00", "impression"]);
        has(&["hat", "1", "yes"]);
        has(&["shoes", "3", "not before 2026-05-01 00:00:00"]);
        has(&["any item", "4", "not before 2026-05-01 00:00:00"]);
    }
}
