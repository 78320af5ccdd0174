use kaireon_core::summary::{Dimension, Stats};
use kaireon_core::{
    Attributes, ChannelId, Classification, CreativeId, DecisionFields, DecisionFlowKey, Direction,
    InteractionType, OfferId, Propensity, RankedOffer, RecommendationId, Value, ValueSum,
};
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use serde_json::json;

use super::sealed::Line;
use super::*;

fn written<T: Line>(value: &T, generation: u32) -> String {
    let mut out = Vec::new();
    value.write(Generation(generation), &mut out);
    String::from_utf8(out).unwrap()
}

fn full() -> Interaction {
    Interaction::builder("acme", "customer-7")
        .id("01-a")
        .idempotency_key("request-81")
        .offer("shoes")
        .creative("banner")
        .channel("web")
        .placement("top")
        .category("winter")
        .campaign("april")
        .recommendation("rec-3")
        .rank(2)
        .interaction_type(InteractionType::Convert)
        .outcome("sold")
        .classification(Classification::Positive)
        .direction(Direction::Outbound)
        .value(Value::from_micros(12_500_000))
        .timestamp(time::from_millis(1_777_536_900_000).unwrap())
        .attributes(json!({ "score": 0.1, "tags": ["a", null] }))
        .build()
        .unwrap()
}

#[test]
fn the_line_of_an_interaction_is_the_documented_one() {
    let expected = concat!(
        r#"{"schema":1,"tenant":"acme","customer":"customer-7","generation":3,"#,
        r#""timestamp":"2026-04-30T08:15:00.000Z","id":"01-a","idempotency_key":"request-81","#,
        r#""offer":"shoes","creative":"banner","channel":"web","placement":"top","category":"winter","#,
        r#""campaign":"april","recommendation":"rec-3","rank":2,"interaction_type":"convert","#,
        r#""outcome":"sold","classification":"positive","direction":"outbound","value":"12.5","#,
        r#""attributes":{"score":0.1,"tags":["a",null]}}"#,
        "\n"
    );
    assert_eq!(written(&full(), 3), expected);
    let read = Interaction::read(expected.trim_end().as_bytes()).unwrap();
    assert_eq!((read.value, read.generation), (full(), Generation(3)));
}

#[test]
fn what_a_record_does_not_have_is_null_and_not_left_out() {
    let plain = Interaction::builder("t", "c")
        .offer("o")
        .creative("k")
        .channel("w")
        .build()
        .unwrap();
    let line: serde_json::Value = serde_json::from_str(&written(&plain, 0)).unwrap();
    let members = line.as_object().unwrap();
    assert_eq!(members.len(), 21);
    assert!(members["value"].is_null() && members["rank"].is_null() && members["placement"].is_null());
}

#[test]
fn a_line_that_is_wrong_is_told_by_place_and_never_by_content() {
    let good = written(&full(), 0);
    for wrong in [
        "",
        "not json",
        "{}",
        "[1]",
        &good[..good.len() / 2],
        &good.replace("\"schema\":1", "\"schema\":2"),
        &good.replace("customer-7", ""),
        &good.replace("\"rank\":2", "\"rank\":0"),
        &good.replace("\"12.5\"", "12.5"),
        &good.replace("2026-04-30T", "1999-04-30T"),
        &good.replace("2026-04-30T", "customer-7"),
    ] {
        let reason = Interaction::read(wrong.as_bytes()).unwrap_err();
        assert!(!reason.contains("customer-7"), "{reason}");
    }
}

#[test]
fn summaries_go_round_to_the_ends_of_their_sums() {
    for micros in [i128::MIN, -1, 0, 1, 12_500_000, i128::MAX] {
        let mut stats = Stats::of(&full());
        stats.total_value = ValueSum::from_micros(micros);
        let line = SummaryLine {
            tenant: TenantId::new("t").unwrap(),
            customer: CustomerId::new("c").unwrap(),
            day: "2026-04-30".parse().unwrap(),
            dimension: Dimension::Creative,
            value: "banner".to_owned(),
            stats,
        };
        let text = written(&line, 1);
        let read = SummaryLine::read(text.trim_end().as_bytes()).unwrap();
        assert_eq!((read.value, read.generation), (line, Generation(1)));
    }
}

proptest! {
    #[test]
    fn interactions_go_round_whatever_is_in_them(
        texts in proptest::collection::vec("[^\\p{Cc}]{1,40}", 4),
        value in any::<Option<i64>>(),
        number in any::<f64>(),
        generation in any::<u32>(),
        millis in 946_684_800_000_i64..4_102_444_800_000,
    ) {
        let mut builder = Interaction::builder("t", &texts[0])
            .offer(&texts[1]).creative(&texts[2]).channel(&texts[3])
            .attributes(json!({ &texts[0]: number, "text": &texts[1] }));
        if let Some(micros) = value {
            builder = builder.value(Value::from_micros(micros));
        }
        let event = builder.build().unwrap();
        let event = event.edited(|fields| fields.timestamp = time::from_millis(millis).unwrap()).unwrap();
        let line = written(&event, generation);
        prop_assert_eq!(line.matches('\n').count(), 1);
        let read = Interaction::read(line.trim_end_matches('\n').as_bytes()).unwrap();
        prop_assert_eq!(read.value, event);
        prop_assert_eq!(read.generation, Generation(generation));
    }

    #[test]
    fn decisions_go_round_to_the_last_bit_of_a_propensity(chance in 0.0..=1.0_f64, text in "[^\\p{Cc}]{1,40}") {
        let mut offer = RankedOffer::new(
            1,
            OfferId::new(&text).unwrap(),
            CreativeId::new("k").unwrap(),
            ChannelId::new("w").unwrap(),
        );
        offer.propensity = Some(Propensity::new(chance).unwrap());
        let decision = Decision::restore(DecisionFields {
            id: RecommendationId::new(&text).unwrap(),
            tenant: TenantId::new("t").unwrap(),
            customer: CustomerId::new(&text).unwrap(),
            flow: DecisionFlowKey::new("f").unwrap(),
            offers: vec![offer],
            timestamp: time::from_millis(1_777_536_900_001).unwrap(),
            attributes: Attributes::default(),
        }).unwrap();
        let line = written(&decision, 7);
        let read = Decision::read(line.trim_end().as_bytes()).unwrap();
        prop_assert_eq!(read.value, decision);
    }

    #[test]
    fn hostile_lines_are_an_error_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        prop_assert!(Interaction::read(&bytes).is_err());
        prop_assert!(Decision::read(&bytes).is_err());
        prop_assert!(SummaryLine::read(&bytes).is_err());
    }
}
