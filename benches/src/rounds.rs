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
        let only = only.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect();
        Self { smoke, only }
    }

    /// Whether this figure, or a variant of it, was asked for.
    #[must_use]
    pub fn wants(&self, id: &str) -> bool {
        let asked = |only: &String| {
            let begins = |long: &str, short: &str| {
                long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '/', '@']))
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

/// What one side measured: seconds per operation, one entry per round.
#[derive(Clone, Debug, Default)]
pub struct Side(Vec<f64>);

impl Side {
    /// The rounds' seconds per operation.
    #[must_use]
    pub fn rounds(&self) -> &[f64] {
        &self.0
    }

    /// The median round's seconds per operation.
    #[must_use]
    pub fn median(&self) -> f64 {
        median(&self.0)
    }

    /// Adds a round.
    pub fn push(&mut self, seconds_per_operation: f64) {
        self.0.push(seconds_per_operation);
    }

    /// This side's round over the other's, round by round.
    #[must_use]
    pub fn over(&self, other: &Self) -> Vec<f64> {
        self.0.iter().zip(&other.0).map(|(mine, theirs)| mine / theirs).collect()
    }
}

/// The median of some numbers; NaN of none.
#[must_use]
pub(crate) fn median(numbers: &[f64]) -> f64 {
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
        f.debug_struct("Rounds").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Measures so many operations and says how long they took.
pub type Measure<'a> = dyn FnMut(u64) -> Duration + 'a;

impl Rounds {
    /// Rounds as the environment asks for, each side sampled for about so long.
    #[must_use]
    pub fn new(sample_for: Duration) -> Self {
        let settings = Settings::from_env();
        let sample_for = if settings.smoke { Duration::from_millis(50) } else { sample_for };
        let criterion = Criterion::default()
            .without_plots()
            .sample_size(10)
            .warm_up_time(sample_for / 4)
            .measurement_time(sample_for);
        Self { criterion, settings }
    }

    /// One side of one round: criterion chooses the number of operations, `measure` times them. Returns the
    /// median sample's seconds per operation.
    pub fn sample(&mut self, name: &str, measure: &mut Measure<'_>) -> f64 {
        let samples = Rc::new(RefCell::new(Vec::new()));
        let kept = Rc::clone(&samples);
        self.criterion.bench_function(name, |bencher: &mut Bencher<'_>| {
            // The routine runs for the warm-up as well; only what follows it is kept.
            kept.borrow_mut().clear();
            bencher.iter_custom(|operations| {
                let took = measure(operations);
                #[allow(clippy::cast_precision_loss, reason = "operations per sample stay far below 2^52")]
                kept.borrow_mut().push(took.as_secs_f64() / operations as f64);
                took
            });
        });
        let samples = samples.borrow();
        median(&samples)
    }

    /// Several sides in turn, `rounds` times over; the order turns with each round, so that none is always
    /// first. Returns each side's rounds.
    pub fn interleave<const N: usize>(
        &mut self,
        id: &str,
        rounds: usize,
        sides: [(&str, &mut Measure<'_>); N],
    ) -> [Side; N] {
        let mut sides = sides;
        let mut measured: [Side; N] = std::array::from_fn(|_| Side::default());
        for round in 0..self.settings.rounds(rounds) {
            for turn in 0..N {
                let at = (turn + round) % N;
                let (name, measure) = &mut sides[at];
                let seconds = self.sample(&format!("{id}/{name}/{round}"), *measure);
                measured[at].push(seconds);
            }
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
