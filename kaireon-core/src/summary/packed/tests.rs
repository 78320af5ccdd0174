use std::collections::BTreeMap;

use chrono::TimeDelta;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;

use super::*;
use crate::store::{DimensionFilter, PeriodRange};
use crate::{Classification, CustomerId, InteractionType, TenantId, Value, groups, time};

type Key = (Dimension, Arc<str>, Period);

/// One step in the life of a packed value.
#[derive(Clone, Debug)]
enum Step {
    Record(Interaction),
    Reopen,
    Spill,
    Bound(usize),
}

/// The closed rows of a store.
#[derive(Default)]
struct Rows(BTreeMap<Key, Vec<u8>>);

impl Rows {
    fn merge(&mut self, closed: Vec<Summary>) {
        for summary in closed {
            let key = (summary.dimension, summary.value, summary.period);
            let mut stats = self
                .0
                .get(&key)
                .map_or_else(Stats::default, |row| stats_of(row).unwrap());
            stats.merge(&summary.stats);
            let mut row = Vec::new();
            put_stats(&mut row, &stats);
            self.0.insert(key, row);
        }
    }

    fn within(&self, spans: &[ClosedSpan]) -> Vec<Summary> {
        let wanted = |period: Period| {
            let within = |span: &&ClosedSpan| {
                span.period_type == period.period_type()
                    && (span.oldest..=span.newest).contains(&period.first_day())
            };
            spans.iter().filter(within).count()
        };
        let rows = self.0.iter().flat_map(|((dimension, value, period), row)| {
            let summary = Summary::new(*dimension, Arc::clone(value), *period, stats_of(row).unwrap());
            std::iter::repeat_n(summary, wanted(*period))
        });
        rows.collect()
    }
}

fn fold(interactions: &[Interaction], query: &SummaryQuery) -> Vec<Summary> {
    let mut folded: BTreeMap<Key, Stats> = BTreeMap::new();
    for interaction in interactions {
        for (dimension, value, period) in groups(interaction) {
            folded
                .entry((dimension, Arc::from(value), period))
                .or_default()
                .merge(&Stats::of(interaction));
        }
    }
    let mut summaries: Vec<_> = folded
        .into_iter()
        .map(|((dimension, value, period), stats)| Summary::new(dimension, value, period, stats))
        .filter(|summary| query.matches(summary))
        .collect();
    summaries.sort_by(Summary::read_order);
    summaries
}

fn everything() -> SummaryQuery {
    SummaryQuery::new(TenantId::new("t").unwrap(), CustomerId::new("c").unwrap())
}

fn interaction(day: i64, millis: i64, id: &str, offer: &str) -> Interaction {
    let start = time::from_millis(1_775_000_000_000).unwrap();
    Interaction::builder("t", "c")
        .id(id)
        .offer(offer)
        .creative("k")
        .channel("web")
        .timestamp(start + TimeDelta::days(day) + TimeDelta::milliseconds(millis))
        .build()
        .unwrap()
}

fn interactions() -> impl Strategy<Value = Interaction> {
    let ids = prop_oneof![
        "[a-c]",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    ];
    let types = select(vec![
        InteractionType::Impression,
        InteractionType::Convert,
        InteractionType::Click,
    ]);
    let classes = select(vec![
        Classification::Positive,
        Classification::Neutral,
        Classification::Negative,
    ]);
    (
        0..70_i64,
        0..3_i64,
        ids,
        "[a-c]",
        types,
        classes,
        any::<Option<i64>>(),
        "[x-z]",
    )
        .prop_map(
            |(day, millis, id, offer, interaction_type, classification, value, outcome)| {
                interaction(day, millis, &id, &offer)
                    .edited(|fields| {
                        fields.outcome = crate::OutcomeTypeKey::new(&outcome).unwrap();
                        fields.interaction_type = interaction_type;
                        fields.classification = classification;
                        fields.value = value.map(Value::from_micros);
                    })
                    .unwrap()
            },
        )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => interactions().prop_map(Step::Record),
        2 => proptest::strategy::Just(Step::Reopen),
        1 => proptest::strategy::Just(Step::Spill),
        1 => (0..400_usize).prop_map(Step::Bound),
    ];
    vec(step, 0..40)
}

fn queries() -> impl Strategy<Value = SummaryQuery> {
    let period = (
        select(PeriodType::ALL.to_vec()),
        20_540..20_620_i32,
        0..60_i32,
        0..4_u8,
    );
    let dimension = (select(Dimension::ALL.to_vec()), proptest::option::of("[a-c]"));
    (vec(period, 0..4), vec(dimension, 0..3)).prop_map(|(periods, dimensions)| {
        let mut query = everything();
        for (period_type, day, more, shape) in periods {
            let at = |day| Period::from_day(period_type, day).unwrap();
            query.periods.push(match shape {
                0 => PeriodRange::every(period_type),
                1 => PeriodRange::exactly(at(day)),
                _ => PeriodRange::between(at(day), at(day + more)).unwrap(),
            });
        }
        for (dimension, value) in dimensions {
            query.dimensions.push(DimensionFilter { dimension, value });
        }
        query
    })
}

fn live(steps: &[Step]) -> (Packed, Rows, Vec<Interaction>) {
    let (mut packed, mut rows, mut recorded) = (Packed::new(), Rows::default(), Vec::new());
    for step in steps {
        let mut closed = Vec::new();
        match step {
            Step::Record(interaction) => {
                recorded.push(interaction.clone());
                packed.record(interaction, &mut closed);
            }
            Step::Spill => packed.spill(&mut closed),
            Step::Reopen | Step::Bound(_) => {
                let bound = if let Step::Bound(bound) = step {
                    *bound
                } else {
                    usize::MAX
                };
                let mut bytes = Vec::new();
                packed.encode_within(bound, &mut bytes, &mut closed);
                packed = Packed::decode(&bytes).unwrap();
                let mut again = Vec::new();
                packed.encode(&mut again);
                assert_eq!(again, bytes, "one content has one encoding");
            }
        }
        rows.merge(closed);
    }
    (packed, rows, recorded)
}

proptest! {
    #[test]
    fn whatever_is_packed_closed_and_spilled_reads_as_the_fold(steps in steps(), query in queries()) {
        let (packed, rows, recorded) = live(&steps);
        for query in [everything(), query] {
            let closed = rows.within(&packed.closed_spans(&query));
            prop_assert_eq!(packed.answer(&query, closed), fold(&recorded, &query));
        }
    }

    #[test]
    fn every_order_of_recording_reads_the_same(mut steps in steps()) {
        let (packed, rows, _) = live(&steps);
        steps.reverse();
        let (reversed, reversed_rows, _) = live(&steps);
        let query = everything();
        prop_assert_eq!(
            packed.answer(&query, rows.within(&packed.closed_spans(&query))),
            reversed.answer(&query, reversed_rows.within(&reversed.closed_spans(&query)))
        );
    }

    #[test]
    fn summaries_added_one_by_one_read_as_what_they_came_from(steps in steps()) {
        let (packed, rows, recorded) = live(&steps);
        let query = everything();
        let mut summaries = packed.answer(&query, rows.within(&packed.closed_spans(&query)));
        // By day, week, month: only days open periods, so the days go first.
        summaries.sort_by(Summary::read_order);
        let (mut copy, mut copied) = (Packed::new(), Rows::default());
        for summary in &summaries {
            let mut closed = Vec::new();
            copy.add(summary, &mut closed);
            copied.merge(closed);
        }
        prop_assert_eq!(copy.answer(&query, copied.within(&copy.closed_spans(&query))), fold(&recorded, &query));
    }

    #[test]
    fn a_changed_byte_is_an_error_or_a_value_and_never_a_panic(
        steps in steps(), at in any::<proptest::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()
    ) {
        let (packed, _, _) = live(&steps);
        let mut bytes = Vec::new();
        packed.encode(&mut bytes);
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        if let Ok(mut read) = Packed::decode(&bytes) {
            let mut closed = Vec::new();
            read.record(&interaction(100, 0, "i", "a"), &mut closed);
            let spans = read.closed_spans(&everything());
            prop_assert!(!read.answer(&everything(), Vec::new()).is_empty() && spans.len() <= 4);
            read.spill(&mut closed);
        }
    }

    #[test]
    fn parts_that_were_folded_apart_are_absorbed_as_if_they_had_been_one(
        events in vec(interactions(), 1..40),
        cut in 0..40_usize,
        spill in any::<bool>(),
    ) {
        let cut = cut.min(events.len());
        let mut rows = Rows::default();
        let mut parts = [Packed::new(), Packed::new()];
        for (at, event) in events.iter().enumerate() {
            let mut closed = Vec::new();
            parts[usize::from(at >= cut)].record(event, &mut closed);
            rows.merge(closed);
        }
        let [mut whole, mut other] = parts;
        let mut closed = Vec::new();
        if spill {
            other.spill(&mut closed);
        }
        whole.absorb(other, &mut closed);
        rows.merge(closed);
        let query = everything();
        let read = whole.answer(&query, rows.within(&whole.closed_spans(&query)));
        prop_assert_eq!(read, fold(&events, &query));
    }

    #[test]
    fn hostile_bytes_are_an_error_or_a_value_and_never_a_panic(mut bytes in vec(any::<u8>(), 0..60)) {
        if let Some(first) = bytes.first_mut() { *first = 1 }
        let _ = stats_of(&bytes);
        if let Ok(mut read) = Packed::decode(&bytes) {
            read.spill(&mut Vec::new());
        }
    }
}

#[test]
fn the_usual_read_needs_no_closed_row_and_a_read_of_the_past_does() {
    let mut packed = Packed::new();
    let mut closed = Vec::new();
    for day in 0..40 {
        packed.record(&interaction(day, 0, "i", "a"), &mut closed);
    }
    let newest = interaction(39, 0, "i", "a").timestamp;
    let mut query = everything();
    query.periods = PeriodType::ALL
        .map(|period_type| PeriodRange::containing(period_type, newest))
        .to_vec();
    assert_eq!(packed.closed_spans(&query), []);
    assert_eq!(packed.answer(&query, Vec::new()).len(), 12);
    query.periods[0] = PeriodRange::containing(PeriodType::Daily, newest - TimeDelta::days(1));
    assert_eq!(packed.closed_spans(&query).len(), 1);
}

#[test]
fn a_value_stays_within_its_bound_however_many_offers_there_are() {
    let mut packed = Packed::new();
    let mut rows = Rows::default();
    let mut bytes = Vec::new();
    for number in 0..5_000 {
        let mut closed = Vec::new();
        packed.record(
            &interaction(0, number, &format!("i{number}"), &format!("o{number}")),
            &mut closed,
        );
        bytes.clear();
        packed.encode_within(MAX_PACKED_BYTES, &mut bytes, &mut closed);
        assert!(bytes.len() <= MAX_PACKED_BYTES);
        rows.merge(closed);
    }
    let query = everything();
    let read = packed.answer(&query, rows.within(&packed.closed_spans(&query)));
    assert_eq!(read.len(), 5_000 * 4 + 8);
    assert_eq!(read.last().unwrap().stats.interactions(), 5_000);
}

#[test]
fn equal_periods_of_one_customer_cost_a_few_bytes_each() {
    let mut packed = Packed::new();
    for number in 0..10 {
        let id = crate::InteractionId::fresh();
        packed.record(&interaction(0, number, id.as_str(), "offer-17"), &mut Vec::new());
    }
    let mut bytes = Vec::new();
    packed.encode(&mut bytes);
    assert!(bytes.len() < 90, "{} bytes", bytes.len());
}
