//! Summaries against Python's calendar and decimals, in every order of arrival that is tried.

use kaireon_core::memory::MemoryStore;
use kaireon_core::store::SummaryQuery;
use kaireon_core::{Interaction, InteractionStore, InteractionType, Summary};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    events: Vec<Event>,
    summaries: Vec<Row>,
}

#[derive(Deserialize)]
struct Event {
    id: String,
    offer: String,
    creative: String,
    channel: String,
    r#type: String,
    classification: kaireon_core::Classification,
    outcome: String,
    value: Option<kaireon_core::Value>,
    timestamp: String,
}

/// Dimension, value, period; impressions, positive, negative, neutral, conversions; total value, last contact,
/// last outcome.
type Row = (
    String,
    String,
    String,
    u64,
    u64,
    u64,
    u64,
    u64,
    String,
    String,
    String,
);

impl Event {
    fn interaction(&self) -> Interaction {
        let builder = Interaction::builder("t", "c")
            .id(&self.id)
            .offer(&self.offer)
            .creative(&self.creative)
            .channel(&self.channel)
            .interaction_type(InteractionType::parse(&self.r#type).unwrap())
            .classification(self.classification)
            .outcome(&self.outcome)
            .timestamp("2000-01-01T00:00:00Z".parse().unwrap());
        let timestamp = self.timestamp.parse().unwrap();
        let event = builder.build().unwrap();
        // One of the turns of the years may lie ahead of the clock of whoever runs this.
        event
            .edited(|fields| {
                fields.timestamp = timestamp;
                fields.value = self.value;
            })
            .unwrap()
    }
}

fn row(summary: &Summary) -> Row {
    let stats = &summary.stats;
    let last = stats.last.as_ref().expect("a group is never empty");
    (
        format!("{:?}", summary.dimension).to_lowercase(),
        summary.value.to_string(),
        summary.period.key(),
        stats.impressions,
        stats.positive,
        stats.negative,
        stats.neutral,
        stats.conversions,
        stats.total_value.to_string(),
        last.timestamp.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        last.outcome.to_string(),
    )
}

async fn summaries(events: impl Iterator<Item = Interaction>) -> Vec<Row> {
    let store = MemoryStore::new();
    let mut query = None;
    for event in events {
        query = Some(SummaryQuery::new(event.tenant.clone(), event.customer.clone()));
        assert!(store.record_event(event).await.unwrap().is_new());
    }
    let summaries = store.get_summaries(query.unwrap()).await.unwrap();
    summaries.iter().map(row).collect()
}

#[tokio::test]
async fn summaries_are_the_fold_in_whatever_order_the_events_came() {
    for case in super::rows::<Case>(include_str!("folds.json")) {
        let events: Vec<Interaction> = case.events.iter().map(Event::interaction).collect();
        assert_eq!(summaries(events.iter().cloned()).await, case.summaries);
        assert_eq!(summaries(events.iter().rev().cloned()).await, case.summaries);
        let (odd, even): (Vec<_>, Vec<_>) = events.iter().cloned().zip(0..).partition(|(_, at)| at % 2 == 1);
        let interleaved = odd.into_iter().chain(even).map(|(event, _)| event);
        assert_eq!(summaries(interleaved).await, case.summaries);
    }
}
