//! Rounds of both sides, one after the other, under criterion.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use criterion::{Bencher, Criterion};

/// How long and how often to measure.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A short run, to see that the bench still works; its figures mean nothing.
    pub smoke: bool,
    only: Vec<String>,
}

impl Settings {
    /// What the environment asks for: `KAIREON_BENCH_SMOKE`, `KAIREON_BENCH_ONLY`.
    #[must_use]
    pub fn from_env() -> Self {
        let smoke = std::env::var_os("KAIREON_BENCH_SMOKE").is_some_and(|value| value == "1");
        let only = std::env::var("KAIREON_BENCH_ONLY").unwrap_or_default();
        let only = only
            .split(',')
            .filter(|id| !id.is_empty())
            .map(str::to_owned)
            .collect();
        Self { smoke, only }
    }

    /// Whether this figure, or a variant of it, was asked for.
    #[must_use]
    pub fn wants(&self, id: &str) -> bool {
        let asked = |only: &String| {
            let begins = |long: &str, short: &str| {
                long.strip_prefix(short)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '/', '@']))
            };
            begins(id, only) || begins(only, id)
        };
        self.only.is_empty() || self.only.iter().any(asked)
    }

    /// How many rounds: so many in a full run, one in a short one.
    #[must_use]
    pub const fn rounds(&self, full: usize) -> usize {
        if self.smoke { 1 } else { full }
    }

    /// A number of operations: so many in a full run, others in a short one.
    #[must_use]
    pub const fn scale(&self, full: u64, smoke: u64) -> u64 {
        if self.smoke { smoke } else { full }
    }
}

/// What one side measured: seconds per operation, a list of samples for each round.
#[derive(Clone, Debug, Default)]
pub struct Side(Vec<Vec<f64>>);

impl Side {
    /// The median of all samples.
    #[must_use]
    pub fn median(&self) -> f64 {
        median(&self.0.concat())
    }

    /// Adds a round of samples.
    pub fn push(&mut self, samples: Vec<f64>) {
        self.0.push(samples);
    }

    /// This side and another one together: sample by sample, what the two took.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let both = |(mine, theirs): (&Vec<f64>, &Vec<f64>)| {
            let both = mine.iter().zip(theirs).map(|(mine, theirs)| mine + theirs);
            both.collect()
        };
        Self(self.0.iter().zip(&other.0).map(both).collect())
    }

    /// This side over the other: for each round the median of its samples' ratios. The n-th samples of two sides
    /// were taken in alternate slices, so what disturbed one disturbed the other.
    #[must_use]
    pub fn over(&self, other: &Self) -> Vec<f64> {
        let ratio = |(mine, theirs): (&Vec<f64>, &Vec<f64>)| {
            median(
                &mine
                    .iter()
                    .zip(theirs)
                    .map(|(mine, theirs)| mine / theirs)
                    .collect::<Vec<_>>(),
            )
        };
        self.0.iter().zip(&other.0).map(ratio).collect()
    }
}

/// The median of some numbers; NaN of none.
#[must_use]
pub fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => f64::NAN,
        (length, half) if length % 2 == 1 => sorted[half],
        (_, half) => f64::midpoint(sorted[half - 1], sorted[half]),
    }
}

/// Runs criterion for one side of one round at a time and keeps what it sampled.
pub struct Rounds {
    criterion: Criterion,
    /// What asked for it.
    pub settings: Settings,
}

impl std::fmt::Debug for Rounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rounds")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Measures so many operations and says how long they took.
pub type Measure<'a> = dyn FnMut(u64) -> Duration + 'a;

impl Rounds {
    /// Rounds as the environment asks for, each side sampled for about so long.
    #[must_use]
    pub fn new(sample_for: Duration) -> Self {
        let settings = Settings::from_env();
        let sample_for = if settings.smoke {
            Duration::from_millis(50)
        } else {
            sample_for
        };
        let criterion = Criterion::default()
            .without_plots()
            .sample_size(10)
            .warm_up_time(sample_for / 4)
            .measurement_time(sample_for);
        Self { criterion, settings }
    }

    /// One round: criterion chooses the number of operations, which each side performs in alternate slices of at
    /// most `slice`; the side that begins changes from slice to slice. Adds the round to each side.
    pub fn round<const N: usize>(
        &mut self,
        name: &str,
        slice: u64,
        sides: &mut [&mut Measure<'_>; N],
        measured: &mut [Side; N],
    ) {
        let samples: Rc<RefCell<[Vec<f64>; N]>> = Rc::new(RefCell::new(std::array::from_fn(|_| Vec::new())));
        let kept = Rc::clone(&samples);
        self.criterion.bench_function(name, |bencher: &mut Bencher<'_>| {
            // The routine runs for the warm-up as well; only what follows it is kept.
            kept.borrow_mut().iter_mut().for_each(Vec::clear);
            bencher.iter_custom(|operations| {
                let mut took = [Duration::ZERO; N];
                let (mut left, mut turn) = (operations, 0);
                while left > 0 {
                    let now = left.min(slice);
                    for step in 0..N {
                        let at = (turn + step) % N;
                        took[at] += sides[at](now);
                    }
                    left -= now;
                    turn += 1;
                }
                for (samples, took) in kept.borrow_mut().iter_mut().zip(took) {
                    #[allow(
                        clippy::cast_precision_loss,
                        reason = "operations per sample stay far below 2^52"
                    )]
                    samples.push(took.as_secs_f64() / operations as f64);
                }
                took.iter().sum()
            });
        });
        for (side, samples) in measured.iter_mut().zip(samples.borrow().iter()) {
            side.push(samples.clone());
        }
    }

    /// Some rounds over the same sides; returns what each side measured.
    pub fn interleave<const N: usize>(
        &mut self,
        id: &str,
        rounds: usize,
        slice: u64,
        mut sides: [&mut Measure<'_>; N],
    ) -> [Side; N] {
        let mut measured: [Side; N] = std::array::from_fn(|_| Side::default());
        for round in 0..self.settings.rounds(rounds) {
            self.round(&format!("{id}/{round}"), slice, &mut sides, &mut measured);
        }
        measured
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median(&[]).is_nan());
    }
}
