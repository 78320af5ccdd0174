//! Sums of values against Python's `decimal`.

use kaireon_core::{Value, ValueSum};

#[test]
fn values_add_up_as_decimals_do() {
    for (terms, expected) in super::rows::<(Vec<String>, String)>(include_str!("sums.json")) {
        let values: Vec<Value> = terms.iter().map(|term| term.parse().unwrap()).collect();
        let printed: Vec<String> = values.iter().map(ToString::to_string).collect();
        assert_eq!(printed, terms);
        let sum = |values: &mut dyn Iterator<Item = &Value>| {
            values.fold(ValueSum::default(), |sum, &value| sum + value.into())
        };
        assert_eq!(sum(&mut values.iter()).to_string(), expected);
        assert_eq!(sum(&mut values.iter().rev()).to_string(), expected);
    }
}
