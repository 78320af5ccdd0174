//! What each touch weighs, in whole numbers.

use super::Model;

/// The weight of the youngest touch under time decay.
const ONE: u128 = 1 << 60;

/// How many binary digits of the age, in half-lives, are heeded behind the point.
const DIGITS: usize = 48;

/// 2^(-2^-1), 2^(-2^-2), …, each times [`ONE`]: each the root of the one before.
const ROOTS: [u128; DIGITS] = {
    let mut roots = [0; DIGITS];
    let mut last = ONE / 2;
    let mut at = 0;
    while at < DIGITS {
        last = (last * ONE).isqrt();
        roots[at] = last;
        at += 1;
    }
    roots
};

impl Model {
    /// The weights of touches at these times in milliseconds, oldest first. Their sum is positive when there is
    /// any touch.
    pub(super) fn weights(self, times: &[i64]) -> Vec<u64> {
        let count = times.len();
        let only = |favoured: usize| (0..count).map(|at| u64::from(at == favoured)).collect();
        match self {
            Self::LastTouch => only(count.saturating_sub(1)),
            Self::FirstTouch => only(0),
            Self::Linear => vec![1; count],
            Self::TimeDecay { half_life } => {
                let half_life = half_life.as_millis();
                let latest = times.last().copied().unwrap_or_default();
                let age = |time: &i64| u128::from(latest.abs_diff(*time));
                times.iter().map(|time| decayed(age(time), half_life)).collect()
            }
            Self::PositionBased => match u64::try_from(count.saturating_sub(2)) {
                // The ends weigh two fifths each when those between weigh one fifth together.
                Ok(between) if between > 0 => {
                    let ends = |at| at == 0 || at == count - 1;
                    (0..count)
                        .map(|at| if ends(at) { 2 * between } else { 1 })
                        .collect()
                }
                _ => vec![1; count],
            },
        }
    }
}

/// 2^(-age / half_life) times [`ONE`], in whole numbers: a platform's `exp2` may differ in its last digit, and
/// then so would the credit.
fn decayed(age: u128, half_life: u128) -> u64 {
    let weight = match (age, half_life) {
        (0, _) => ONE,
        (_, 0) => 0,
        _ => {
            let (halvings, rest) = (age / half_life, age % half_life);
            // Below one unit nothing is left; and the shift stays within the type.
            let halvings = u32::try_from(halvings).unwrap_or(u32::MAX).min(64);
            let fraction = (rest << DIGITS) / half_life;
            let decay = |weight: u128, (at, root): (usize, &u128)| {
                if fraction >> (DIGITS - 1 - at) & 1 == 1 {
                    (weight * root) / ONE
                } else {
                    weight
                }
            };
            ROOTS.iter().enumerate().fold(ONE, decay) >> halvings
        }
    };
    u64::try_from(weight).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decay_halves_with_each_half_life() {
        for halvings in 0..70_u32 {
            let expected = u64::try_from(ONE.checked_shr(halvings).unwrap_or(0)).unwrap();
            assert_eq!(decayed(u128::from(halvings) * 7_000, 7_000), expected);
        }
        let one = u64::try_from(ONE).unwrap() as f64;
        assert!((decayed(500, 1_000) as f64 / one - std::f64::consts::FRAC_1_SQRT_2).abs() < 1e-14);
        assert!((decayed(1_250, 1_000) as f64 / one - 0.420_448_207_626_857_3).abs() < 1e-14);
    }

    #[test]
    fn ages_and_half_lives_may_be_extreme() {
        assert_eq!(decayed(u128::from(u64::MAX), 1), 0);
        assert_eq!(decayed(1, 0), 0);
        let one = u64::try_from(ONE).unwrap();
        assert_eq!(decayed(1, Model::LONGEST), one, "an age of next to no half-life");
    }

    impl Model {
        const LONGEST: u128 = std::time::Duration::MAX.as_millis();
    }
}
