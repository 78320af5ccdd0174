//! Conversion values: exact fixed point, never a float.

use std::fmt;
use std::ops::{Add, AddAssign};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result};

/// How many units of a [`Value`] make one: six decimals.
pub(crate) const SCALE: i64 = 1_000_000;

/// A conversion value: six decimals in an `i64`, from -9,223,372,036,854.775808 to 9,223,372,036,854.775807.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(i64);

impl Value {
    /// A value of `micros` millionths.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The value in millionths.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }
}

/// A sum of values, 128 bits wide: adding never fails, and every order of addition agrees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueSum(i128);

impl ValueSum {
    /// A sum of `micros` millionths.
    #[must_use]
    pub const fn from_micros(micros: i128) -> Self {
        Self(micros)
    }

    /// The sum in millionths.
    #[must_use]
    pub const fn micros(self) -> i128 {
        self.0
    }
}

impl Add for ValueSum {
    type Output = Self;

    /// Wraps beyond 2^127 millionths, which takes more than 2^63 additions of the largest value.
    fn add(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }
}

impl AddAssign for ValueSum {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl From<Value> for ValueSum {
    fn from(value: Value) -> Self {
        Self(i128::from(value.0))
    }
}

fn format(micros: i128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let scale = u128::from(SCALE.unsigned_abs());
    let (whole, rest) = (micros.unsigned_abs() / scale, micros.unsigned_abs() % scale);
    let sign = if micros < 0 { "-" } else { "" };
    if rest == 0 {
        return write!(f, "{sign}{whole}");
    }
    let digits = format!("{rest:06}");
    write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        format(self.0.into(), f)
    }
}

impl fmt::Display for ValueSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        format(self.0, f)
    }
}

impl FromStr for Value {
    type Err = Error;

    /// Reads a plain decimal (`-12.5`): an optional sign, digits, at most six decimals, no exponent.
    ///
    /// # Errors
    /// `InvalidInput` naming `conversion_value`: not a plain decimal, more than six decimals, or out of range.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &'static str| Error::invalid("conversion_value", why);
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !plain(whole) || !plain(decimals) || digits.ends_with('.') {
            return Err(wrong("is not a plain decimal"));
        }
        if decimals.len() > 6 {
            return Err(wrong("has more than six decimals"));
        }
        let out_of_range = || wrong("is out of range");
        let whole: i128 = whole.parse().map_err(|_| out_of_range())?;
        let decimals: i128 = format!("{decimals:0<6}").parse().map_err(|_| out_of_range())?;
        let micros = whole
            .checked_mul(SCALE.into())
            .and_then(|micros| micros.checked_add(decimals));
        let micros = micros.map(|micros| if negative { -micros } else { micros });
        let micros = micros.and_then(|micros| i64::try_from(micros).ok());
        micros.map(Self).ok_or_else(out_of_range)
    }
}

impl Serialize for Value {
    /// As a decimal string, which no JSON reader rounds.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for ValueSum {
    /// As a decimal string, which no JSON reader rounds.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn values_read_and_print_as_plain_decimals() {
        for (text, micros) in [
            ("0", 0),
            ("-0.000001", -1),
            ("12.5", 12_500_000),
            ("9223372036854.775807", i64::MAX),
        ] {
            assert_eq!(text.parse::<Value>().unwrap().micros(), micros);
            assert_eq!(Value::from_micros(micros).to_string(), text);
        }
        for wrong in [
            "",
            "-",
            ".",
            "1.",
            ".5",
            "1e3",
            "+1",
            "1.0000001",
            "NaN",
            "9223372036854.775808",
            "1 ",
        ] {
            assert_eq!(
                wrong.parse::<Value>().unwrap_err().field(),
                Some("conversion_value"),
                "{wrong}"
            );
        }
    }

    proptest! {
        #[test]
        fn printing_and_reading_agree(micros in any::<i64>()) {
            prop_assert_eq!(Value::from_micros(micros).to_string().parse::<Value>().unwrap().micros(), micros);
        }

        #[test]
        fn every_order_of_addition_agrees(mut micros in proptest::collection::vec(any::<i64>(), 0..50)) {
            let sum = |micros: &[i64]| micros.iter().fold(ValueSum::default(), |sum, &micros| sum + Value::from_micros(micros).into());
            let forward = sum(&micros);
            micros.reverse();
            prop_assert_eq!(forward, sum(&micros));
        }
    }
}
