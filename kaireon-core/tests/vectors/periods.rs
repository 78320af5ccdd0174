//! Period keys against Python's `isocalendar`.

use kaireon_core::time::Timestamp;
use kaireon_core::{Period, PeriodType};

const TYPES: [PeriodType; 3] = [PeriodType::Daily, PeriodType::Weekly, PeriodType::Monthly];

fn moment(day: &str, time: &str) -> Timestamp {
    format!("{day}T{time}Z").parse().unwrap()
}

#[test]
fn the_first_and_last_millisecond_of_a_day_have_its_day_week_and_month() {
    for keys in super::rows::<[String; 3]>(include_str!("periods.json")) {
        for time in ["00:00:00.000", "23:59:59.999"] {
            let made = TYPES.map(|period_type| Period::containing(period_type, moment(&keys[0], time)).key());
            assert_eq!(made, keys);
        }
    }
}

#[test]
fn keys_read_back_as_the_periods_that_contain_the_day() {
    for keys in super::rows::<[String; 3]>(include_str!("periods.json")) {
        for (period_type, key) in TYPES.into_iter().zip(&keys) {
            let period: Period = key.parse().unwrap();
            assert_eq!(
                period,
                Period::containing(period_type, moment(&keys[0], "12:00:00"))
            );
            assert_eq!(Period::from_day(period_type, period.first_day()).unwrap(), period);
        }
    }
}

#[test]
fn a_period_follows_the_one_that_ends_a_millisecond_before_it() {
    for keys in super::rows::<[String; 3]>(include_str!("periods.json")) {
        for key in &keys {
            let period: Period = key.parse().unwrap();
            let next = period.next().unwrap();
            let last = next.start() - chrono::TimeDelta::milliseconds(1);
            assert_eq!(Period::containing(period.period_type(), last), period);
            assert!(period < next && period.start() <= moment(&keys[0], "00:00:00"));
        }
    }
}
