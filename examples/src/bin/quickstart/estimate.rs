//! Click-through rates with their uncertainty, and the rate that another policy would have had.

/// One recommendation that was shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shown {
    /// The probability with which the policy chose this item for this place.
    pub(crate) propensity: f64,
    /// Whether it was clicked.
    pub(crate) clicked: bool,
}

/// A rate as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    /// The rate.
    pub(crate) rate: f64,
    /// Its standard error, from the spread of the sample.
    pub(crate) standard_error: f64,
    /// How many equally weighted rows would say as much (Kish): few when single rows weigh most.
    pub(crate) effective_rows: f64,
}

/// The rate at which what was shown was clicked; none for an empty sample.
pub(crate) fn observed(sample: &[Shown]) -> Option<Estimate> {
    weighted(sample, |_| 1.0)
}

/// The rate that choosing each item with probability `probability` would have had, by inverse propensity scoring.
///
/// The mean of click × (`probability` ÷ propensity) over the sample. It is unbiased when the policy that was
/// followed could have chosen every item (Horvitz and Thompson 1952), and varies the more the less likely its
/// choices were. None for an empty sample.
pub(crate) fn of_choosing_with(probability: f64, sample: &[Shown]) -> Option<Estimate> {
    weighted(sample, |shown| probability / shown.propensity)
}

fn weighted(sample: &[Shown], weight: impl Fn(&Shown) -> f64) -> Option<Estimate> {
    if sample.is_empty() {
        return None;
    }
    let rows = sample.len() as f64;
    let weights: Vec<f64> = sample.iter().map(weight).collect();
    let scores = || {
        let clicks = sample.iter().zip(&weights);
        clicks.map(|(shown, weight)| if shown.clicked { *weight } else { 0.0 })
    };
    let rate = scores().sum::<f64>() / rows;
    let squares: f64 = scores().map(|score| (score - rate).powi(2)).sum();
    let (sum, sum_of_squares) = weights.iter().fold((0.0, 0.0), |(sum, squares), weight| {
        (sum + weight, squares + weight * weight)
    });
    Some(Estimate {
        rate,
        // One row tells nothing of the spread.
        standard_error: (squares / (rows - 1.0) / rows).sqrt(),
        effective_rows: sum * sum / sum_of_squares,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::dataset;

    fn close(found: f64, wanted: f64) {
        assert!(
            (found - wanted).abs() <= 1e-9 * wanted.abs(),
            "{found} is not {wanted}"
        );
    }

    #[test]
    fn equal_weights_give_the_plain_rate() {
        let sample = [true, false, false, false].map(|clicked| Shown {
            propensity: 0.25,
            clicked,
        });
        let (plain, same) = (
            observed(&sample).unwrap(),
            of_choosing_with(0.25, &sample).unwrap(),
        );
        assert_eq!(plain, same);
        close(plain.rate, 0.25);
        close(plain.standard_error, 0.25);
        close(plain.effective_rows, 4.0);
        assert_eq!(observed(&[]), None);
    }

    #[test]
    fn a_rare_choice_weighs_more() {
        let shown = |propensity, clicked| Shown { propensity, clicked };
        let estimate = of_choosing_with(0.5, &[shown(0.25, true), shown(1.0, true)]).unwrap();
        close(estimate.rate, (2.0 + 0.5) / 2.0);
        close(estimate.effective_rows, 2.5 * 2.5 / 4.25);
    }

    /// The figures of another program over the same file: Python, with `csv` and `math`.
    #[test]
    fn the_week_gives_the_figures_that_python_gives() {
        let catalogue = dataset::catalogue().unwrap();
        let mut samples: BTreeMap<(String, String), Vec<Shown>> = BTreeMap::new();
        for row in dataset::rows().unwrap() {
            samples
                .entry((row.campaign, row.policy))
                .or_default()
                .push(Shown {
                    propensity: row.propensity,
                    clicked: row.clicked,
                });
        }
        for (campaign, rate, standard_error, effective_rows) in [
            (
                "all",
                0.0023596395168460037,
                0.000871022072354094,
                340.3783411326404,
            ),
            (
                "men",
                0.0030086263272564827,
                0.0007739354628865946,
                655.7098495873233,
            ),
            (
                "women",
                0.007437577541923159,
                0.00411836114425459,
                2.0778226924836947,
            ),
        ] {
            let uniform = 1.0 / catalogue[campaign] as f64;
            let of = |policy: &str| &samples[&(campaign.to_owned(), policy.to_owned())];
            let found = of_choosing_with(uniform, of("bts")).unwrap();
            close(found.rate, rate);
            close(found.standard_error, standard_error);
            close(found.effective_rows, effective_rows);
            // A policy estimated from its own log is what it was.
            let random = of("random");
            let (own, plain) = (
                of_choosing_with(uniform, random).unwrap(),
                observed(random).unwrap(),
            );
            assert!((own.rate - plain.rate).abs() < 1e-12);
        }
        close(
            observed(&samples[&("men".to_owned(), "bts".to_owned())])
                .unwrap()
                .rate,
            0.0069,
        );
    }
}
