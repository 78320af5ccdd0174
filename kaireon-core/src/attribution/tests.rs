//! The five models, the window, and that nothing is lost or made.

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::*;
use crate::{Value, ValueSum, time};

const MODELS: [Model; 5] = [
    Model::LastTouch,
    Model::FirstTouch,
    Model::Linear,
    Model::TimeDecay {
        half_life: Duration::from_secs(60),
    },
    Model::PositionBased,
];

fn event(customer: u8, offer: u8, minute: i64, interaction_type: InteractionType) -> Interaction {
    let timestamp = time::from_millis(1_777_550_400_000 + minute * 60_000).unwrap();
    Interaction::builder("t", format!("c{customer}"))
        .offer(format!("o{offer}"))
        .creative("k")
        .channel("web")
        .interaction_type(interaction_type)
        .timestamp(timestamp)
        .build()
        .unwrap()
}

/// Impressions of offers 0, 1, 2, … at these minutes, and a conversion at minute 100.
fn path(minutes: &[i64]) -> Vec<Interaction> {
    let mut path: Vec<Interaction> = (0..)
        .zip(minutes)
        .map(|(offer, &minute)| event(0, offer, minute, InteractionType::Impression))
        .collect();
    path.push(event(0, 99, 100, InteractionType::Convert));
    path
}

fn shares(model: Model, minutes: &[i64]) -> Vec<i128> {
    let conversions = Attribution::new(model).conversions(&path(minutes));
    assert_eq!(conversions.len(), 1);
    let touches = &conversions[0].touches;
    touches
        .iter()
        .map(|touch| touch.credit.conversions.micros())
        .collect()
}

#[test]
fn each_model_shares_as_its_rule_says() {
    let four = [10, 20, 30, 40];
    assert_eq!(shares(Model::LastTouch, &four), [0, 0, 0, 1_000_000]);
    assert_eq!(shares(Model::FirstTouch, &four), [1_000_000, 0, 0, 0]);
    assert_eq!(shares(Model::Linear, &four), [250_000; 4]);
    assert_eq!(
        shares(Model::PositionBased, &four),
        [400_000, 100_000, 100_000, 400_000]
    );
    assert_eq!(
        shares(Model::PositionBased, &[1, 2, 3]),
        [400_000, 200_000, 400_000]
    );
    assert_eq!(shares(Model::PositionBased, &[1, 2]), [500_000, 500_000]);
    let half_life = Duration::from_secs(600);
    assert_eq!(
        shares(Model::TimeDecay { half_life }, &four),
        [66_667, 133_333, 266_667, 533_333]
    );
    let half_life = Duration::ZERO;
    assert_eq!(
        shares(Model::TimeDecay { half_life }, &[1, 2, 2]),
        [0, 500_000, 500_000]
    );
    for model in MODELS {
        assert_eq!(shares(model, &[7]), [1_000_000], "{model:?}");
        assert_eq!(shares(model, &[]), [0; 0], "{model:?}");
    }
}

#[test]
fn touches_lie_in_the_window_whose_both_ends_belong_to_it() {
    let window = Attribution::new(Model::Linear).with_look_back(Duration::from_secs(60 * 60));
    let conversions = window.conversions(&path(&[39, 40, 100, 101]));
    let offers: Vec<&str> = conversions[0]
        .touches
        .iter()
        .map(|touch| touch.interaction.offer.as_str())
        .collect();
    assert_eq!(offers, ["o1", "o2"]);
}

#[test]
fn credit_stays_with_the_customer_and_never_goes_to_the_conversion_itself() {
    let click = || InteractionType::Click;
    let history = [
        event(1, 1, 1, click()),
        event(0, 0, 2, click()),
        event(0, 2, 3, click()),
    ];
    let clicks = Attribution::new(Model::LastTouch)
        .with_conversions([click()])
        .with_touches([click()]);
    let conversions = clicks.conversions(&history);
    let touched: Vec<Vec<&str>> = conversions
        .iter()
        .map(|conversion| {
            let touches = conversion.touches.iter();
            touches.map(|touch| touch.interaction.offer.as_str()).collect()
        })
        .collect();
    assert_eq!(touched, [vec![], vec!["o0"], vec![]]);
    let table = clicks.table(&history, Group::Campaign);
    assert_eq!(table.unattributed.conversions, ValueSum::from_micros(2_000_000));
    assert_eq!(table.groups[&None].conversions, ValueSum::from_micros(1_000_000));
}

#[test]
fn an_interaction_that_is_given_twice_counts_once() {
    let mut history = path(&[1, 2]);
    history.extend(history.clone());
    let table = Attribution::new(Model::Linear).table(&history, Group::Offer);
    assert_eq!(
        table,
        Attribution::new(Model::Linear).table(&path(&[1, 2]), Group::Offer)
    );
    assert_eq!(table.total().conversions, ValueSum::from_micros(1_000_000));
}

fn histories() -> impl Strategy<Value = Vec<Interaction>> {
    let types = prop_oneof![
        3 => Just(InteractionType::Impression),
        1 => Just(InteractionType::Click),
        1 => Just(InteractionType::Convert)
    ];
    let value = proptest::option::of(any::<i64>());
    let event =
        (0..2u8, 0..3u8, 0..60i64, types, value).prop_map(|(customer, offer, minute, kind, value)| {
            let event = event(customer, offer, minute, kind);
            event
                .edited(|fields| fields.value = value.map(Value::from_micros))
                .unwrap()
        });
    proptest::collection::vec(event, 0..40)
}

fn models() -> impl Strategy<Value = Model> {
    let decay = (0..10_000_000u64).prop_map(|millis| Model::TimeDecay {
        half_life: Duration::from_millis(millis),
    });
    prop_oneof![
        Just(Model::LastTouch),
        Just(Model::FirstTouch),
        Just(Model::Linear),
        decay,
        Just(Model::PositionBased)
    ]
}

proptest! {
    #[test]
    fn credit_adds_up_to_the_conversion_and_has_its_sign(
        history in histories(),
        model in models(),
        minutes in 0..80u64,
    ) {
        let attribution = Attribution::new(model)
            .with_conversions([InteractionType::Convert, InteractionType::Click])
            .with_look_back(Duration::from_secs(minutes * 60));
        let conversions = attribution.conversions(&history);
        let mut expected = Credit::default();
        for conversion in &conversions {
            let whole = Credit::of(&conversion.interaction);
            expected += whole;
            let mut sum = Credit::default();
            for touch in &conversion.touches {
                sum += touch.credit;
                prop_assert!(touch.credit.conversions.micros() >= 0);
                prop_assert!(touch.credit.value.micros().signum() * whole.value.micros().signum() >= 0);
            }
            if !conversion.touches.is_empty() {
                prop_assert_eq!(sum, whole);
            }
            let order = conversion.touches.iter().map(|touch| HistoryCursor::after(&touch.interaction));
            prop_assert!(order.is_sorted());
        }
        for group in [Group::Offer, Group::Creative, Group::Channel, Group::Campaign] {
            prop_assert_eq!(attribution.table(&history, group).total(), expected);
        }
    }

    #[test]
    fn the_order_of_the_input_does_not_matter(history in histories(), model in models()) {
        let attribution = Attribution::new(model);
        let mut reversed = history.clone();
        reversed.reverse();
        prop_assert_eq!(attribution.conversions(&history), attribution.conversions(&reversed));
    }

    #[test]
    fn under_time_decay_a_later_touch_never_gets_less(history in histories(), millis in 0..10_000_000u64) {
        let half_life = Duration::from_millis(millis);
        for conversion in Attribution::new(Model::TimeDecay { half_life }).conversions(&history) {
            let shares: Vec<i128> =
                conversion.touches.iter().map(|touch| touch.credit.conversions.micros()).collect();
            // Of equal parts the earlier gets the millionth that is left.
            prop_assert!(shares.windows(2).all(|pair| pair[0] <= pair[1] + 1), "{:?}", shares);
        }
    }
}
