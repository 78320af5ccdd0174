//! Attributed credit against Python's fractions and decimals.

use std::time::Duration;

use kaireon_core::attribution::{Attribution, Model};
use kaireon_core::{Interaction, InteractionType, Value, time};

/// Model, half-life in seconds, ages of the touches in seconds, value in millionths, shares of the conversion, shares
/// of the value.
type Row = (String, u64, Vec<i64>, i64, Vec<i128>, Vec<i128>);

fn event(age: i64, interaction_type: InteractionType, value: Option<Value>) -> Interaction {
    let at = time::from_millis(1_777_550_400_000 - age * 1_000).unwrap();
    let event = Interaction::builder("t", "c")
        .offer("o")
        .creative("k")
        .channel("web")
        .interaction_type(interaction_type)
        .timestamp(at)
        .build()
        .unwrap();
    event.edited(|fields| fields.value = value).unwrap()
}

#[test]
fn credit_is_shared_as_exact_arithmetic_shares_it() {
    for (model, half_life, ages, value, credits, values) in super::rows::<Row>(include_str!("credits.json")) {
        let model = match model.as_str() {
            "last_touch" => Model::LastTouch,
            "first_touch" => Model::FirstTouch,
            "linear" => Model::Linear,
            "position_based" => Model::PositionBased,
            "time_decay" => Model::TimeDecay {
                half_life: Duration::from_secs(half_life),
            },
            other => panic!("{other} is no model"),
        };
        let touches = ages
            .iter()
            .map(|&age| event(age, InteractionType::Impression, None));
        let mut history: Vec<Interaction> = touches.collect();
        history.push(event(
            0,
            InteractionType::Convert,
            Some(Value::from_micros(value)),
        ));
        let conversions = Attribution::new(model).conversions(&history);
        let shared = || conversions[0].touches.iter().map(|touch| touch.credit);
        let conversions: Vec<i128> = shared().map(|credit| credit.conversions.micros()).collect();
        assert_eq!(conversions, credits, "{model:?} {ages:?}");
        let shares: Vec<i128> = shared().map(|credit| credit.value.micros()).collect();
        // Decay is irrational: its weights are good to fifteen digits, and a value may have nineteen.
        let off = match model {
            Model::TimeDecay { .. } => 1 + value.unsigned_abs() / 100_000_000_000_000,
            _ => 0,
        };
        let near = |(share, exact): (&i128, &i128)| share.abs_diff(*exact) <= u128::from(off);
        assert!(
            shares.len() == values.len() && shares.iter().zip(&values).all(near),
            "{model:?} {ages:?}"
        );
        assert_eq!(shares.iter().sum::<i128>(), i128::from(value));
    }
}
