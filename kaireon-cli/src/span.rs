//! Lengths of time, as people write and read them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The units, the longest first, with their milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The longest that is taken: a hundred years.
const LONGEST_MS: u64 = 100 * 366 * 86_400_000;

/// A length of time: `250ms`, `90s`, `1h30m`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "is no length of time such as 250ms, 90s, 1h30m or 7d".to_owned();
        let (mut rest, mut sum, mut below) = (text, 0_u64, u64::MAX);
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, behind) = rest.split_at(digits);
            let letters = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, behind) = behind.split_at(letters);
            let number: u64 = number.parse().map_err(|_| wrong())?;
            let found = UNITS.iter().find(|(name, _)| *name == unit);
            // From the longest unit to the shortest, each once.
            let (_, millis) = found.filter(|(_, millis)| *millis < below).ok_or_else(wrong)?;
            let part = number.checked_mul(*millis);
            sum = part.and_then(|part| sum.checked_add(part)).ok_or_else(wrong)?;
            (rest, below) = (behind, *millis);
        }
        match sum <= LONGEST_MS {
            true => Ok(Self(Duration::from_millis(sum))),
            false => Err("is longer than a hundred years".to_owned()),
        }
    }
}

/// Its two largest units; milliseconds only below a second.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let first = UNITS.iter().position(|(_, unit)| millis >= *unit);
        let Some(first) = first else {
            return f.write_str("0 s");
        };
        let (name, unit) = UNITS[first];
        write!(f, "{} {name}", millis / unit)?;
        match UNITS.get(first + 1).filter(|(name, _)| *name != "ms") {
            Some((name, next)) if millis % unit >= *next => {
                write!(f, " {} {name}", millis % unit / next)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_read_with_its_units() {
        for (text, millis) in [
            ("0s", 0),
            ("250ms", 250),
            ("90s", 90_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
            ("1d2h3m4s5ms", 93_784_005),
        ] {
            assert_eq!(text.parse(), Ok(Span(Duration::from_millis(millis))), "{text}");
        }
    }

    #[test]
    fn what_is_no_length_is_refused() {
        for text in [
            "",
            "7",
            "s",
            "-1s",
            "1.5h",
            "7 d",
            "1m1h",
            "1s1s",
            "1y",
            "99999999999999999999d",
            "40000d",
            "1ſ",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_length_is_shown_by_its_two_largest_units() {
        for (millis, text) in [
            (0, "0 s"),
            (250, "250 ms"),
            (1_999, "1 s"),
            (61_000, "1 m 1 s"),
            (3_600_000, "1 h"),
            (7 * 86_400_000 - 1, "6 d 23 h"),
        ] {
            assert_eq!(Span(Duration::from_millis(millis)).to_string(), text);
        }
    }
}
