//! One customer as a service agent would see them.

use kaireon::Infra;
use kaireon::core::policy::{Candidate, ContactPolicy, Scope, Verdict};
use kaireon::core::store::{HistoryQuery, PeriodRange, SummaryQuery};
use kaireon::core::{CustomerId, Dimension, Interaction, Period, PeriodType, Summary};

use crate::Result;
use crate::ledger::Ledger;
use crate::table;

/// How often an offer may be shown on a day.
const DAILY_CAP: u64 = 3;

/// Prints the customer who clicked most.
pub(crate) async fn print(infra: &Infra, ledger: &Ledger) -> Result<()> {
    let groups = ledger.shown_and_clicked(|interaction| interaction.customer.clone());
    let most = groups
        .into_iter()
        .max_by_key(|(_, (shown, clicked))| (*clicked, *shown));
    let Some((customer, _)) = most else {
        return Ok(());
    };
    let store = infra.store();
    let tenant = ledger.interactions[0].tenant.clone();

    let mut query = HistoryQuery::new(tenant.clone(), customer.clone());
    query.limit = 6;
    let history = store.history(query).await?.items;
    println!("Customer {} (of those who clicked most)", shortened(&customer));
    print_history(&history);

    let Some(newest) = history.first() else {
        return Ok(());
    };
    let today = Period::containing(PeriodType::Daily, newest.timestamp);
    let mut query = SummaryQuery::new(tenant, customer);
    query.periods = vec![
        PeriodRange::exactly(today),
        PeriodRange::every(PeriodType::AllTime),
    ];
    let summaries = store.get_summaries(query).await?;
    print_summaries(&summaries);

    // Would the offer seen most often on the last day still be admitted on it, and one that was seen least?
    let policy = ContactPolicy::default().with_cap(Scope::Offer, PeriodType::Daily, DAILY_CAP);
    let mut of_today: Vec<&Summary> = summaries
        .iter()
        .filter(|summary| summary.dimension == Dimension::Offer && summary.period == today)
        .collect();
    of_today.sort_by_key(|summary| std::cmp::Reverse(summary.stats.impressions));
    for summary in [of_today.first(), of_today.last()].into_iter().flatten() {
        let candidate = Candidate {
            offer: kaireon::core::OfferId::new(&*summary.value)?,
            ..Candidate::of(newest)
        };
        let verdict = policy.check(&*store, &candidate, newest.timestamp).await?;
        let said = match verdict {
            Verdict::Admitted => "admitted".to_owned(),
            Verdict::Refused {
                admits_again: Some(again),
                ..
            } => format!("refused until {again}"),
            _ => "refused".to_owned(),
        };
        println!(
            "  cap of {DAILY_CAP} a day, on {today}: offer {} was shown {} times and is {said}",
            summary.value, summary.stats.impressions
        );
    }
    println!();
    Ok(())
}

/// The hashed features are long, and their beginnings tell profiles apart.
fn shortened(customer: &CustomerId) -> String {
    let parts = customer
        .as_str()
        .split('-')
        .map(|part| part.get(..4).unwrap_or(part));
    parts.collect::<Vec<_>>().join("-")
}

fn print_history(history: &[Interaction]) {
    let rows: Vec<_> = history
        .iter()
        .map(|interaction| {
            vec![
                interaction.timestamp.format("%Y-%m-%d %H:%M:%S%.3f").to_string(),
                interaction.interaction_type.to_string(),
                interaction.offer.to_string(),
                interaction
                    .placement
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            ]
        })
        .collect();
    table::print(
        "  newest history",
        &["when (utc)", "what", "offer", "where"],
        &rows,
    );
}

fn print_summaries(summaries: &[Summary]) {
    let mut shown: Vec<&Summary> = summaries
        .iter()
        .filter(|summary| summary.dimension != Dimension::Creative)
        .collect();
    shown.sort_by_key(|summary| {
        (
            summary.period.period_type(),
            std::cmp::Reverse(summary.stats.impressions),
        )
    });
    let rows = |period_type| {
        let of_type = shown
            .iter()
            .filter(move |summary| summary.period.period_type() == period_type);
        of_type.take(4).map(|summary| {
            let last = summary.stats.last.as_ref().map(|last| last.outcome.to_string());
            vec![
                summary.period.to_string(),
                format!("{:?}", summary.dimension).to_lowercase(),
                summary.value.to_string(),
                summary.stats.impressions.to_string(),
                summary.stats.positive.to_string(),
                last.unwrap_or_default(),
            ]
        })
    };
    let rows: Vec<_> = rows(PeriodType::Daily).chain(rows(PeriodType::AllTime)).collect();
    table::print(
        "  summaries",
        &["period", "by", "value", "shown", "positive", "last outcome"],
        &rows,
    );
}
