//! Credit, and how it is shared out without a rest.

use std::ops::AddAssign;

use crate::value::SCALE;
use crate::{Interaction, Value, ValueSum};

/// A share of conversions and of their values, in exact millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credit {
    /// Of conversions: one whole conversion is `1`.
    pub conversions: ValueSum,
    /// Of their values.
    pub value: ValueSum,
}

impl Credit {
    /// What one conversion has to share: itself, and its value.
    #[must_use]
    pub fn of(conversion: &Interaction) -> Self {
        Self {
            conversions: Value::from_micros(SCALE).into(),
            value: conversion.value.map(ValueSum::from).unwrap_or_default(),
        }
    }

    /// Shares by weights. The shares add up to the whole, unless every weight is zero.
    pub(super) fn shared(self, weights: &[u64]) -> Vec<Self> {
        let conversions = apportion(self.conversions.micros(), weights);
        let values = apportion(self.value.micros(), weights);
        let shares = conversions.into_iter().zip(values);
        shares
            .map(|(conversions, value)| Self {
                conversions: ValueSum::from_micros(conversions),
                value: ValueSum::from_micros(value),
            })
            .collect()
    }
}

impl AddAssign for Credit {
    fn add_assign(&mut self, other: Self) {
        self.conversions += other.conversions;
        self.value += other.value;
    }
}

/// Shares a whole number by weights, by the method of largest remainders (Hamilton's): each gets its part rounded
/// towards zero, and what is left goes one by one to those whose parts were cut most; of equals, to the earlier.
///
/// The whole is at most 2^63 on either side, so that a product with a weight stays within 128 bits.
fn apportion(whole: i128, weights: &[u64]) -> Vec<i128> {
    let sum: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let parts = weights
        .iter()
        .map(|&weight| whole.unsigned_abs() * u128::from(weight));
    let mut shares: Vec<u128> = parts.clone().map(|part| part / sum).collect();
    let mut cut: Vec<(u128, usize)> = parts.map(|part| part % sum).zip(0..).collect();
    // Stable, so equals stay in their order.
    cut.sort_by(|(left, _), (right, _)| right.cmp(left));
    let left = whole.unsigned_abs() - shares.iter().sum::<u128>();
    // Fewer are left than there are remainders, so nobody gets two.
    let left = usize::try_from(left).unwrap_or(usize::MAX);
    for (_, at) in cut.into_iter().take(left) {
        shares[at] += 1;
    }
    let signed = |share: u128| i128::try_from(share).unwrap_or(i128::MAX) * whole.signum();
    shares.into_iter().map(signed).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn what_is_left_goes_to_the_largest_remainders_and_of_equals_to_the_earlier() {
        assert_eq!(apportion(1_000_000, &[1, 1, 1]), [333_334, 333_333, 333_333]);
        assert_eq!(apportion(10, &[1, 3, 3]), [2, 4, 4]);
        assert_eq!(apportion(-10, &[1, 3, 3]), [-2, -4, -4]);
        assert_eq!(apportion(5, &[0, 1]), [0, 5]);
        assert_eq!(apportion(0, &[1, 1]), [0, 0]);
        assert_eq!(apportion(5, &[]), [0; 0]);
    }

    proptest! {
        #[test]
        fn shares_add_up_keep_the_sign_and_lie_within_one_of_their_part(
            whole in any::<i64>(),
            weights in proptest::collection::vec(0..=1_u64 << 60, 1..40),
        ) {
            let whole = i128::from(whole);
            let shares = apportion(whole, &weights);
            let sum: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
            if sum > 0 {
                prop_assert_eq!(shares.iter().sum::<i128>(), whole);
            }
            for (share, &weight) in shares.iter().zip(&weights) {
                prop_assert!(share.signum() * whole.signum() >= 0);
                let floor = (whole.unsigned_abs() * u128::from(weight)).checked_div(sum).unwrap_or(0);
                prop_assert!(share.unsigned_abs() == floor || share.unsigned_abs() == floor + 1);
            }
        }
    }
}
