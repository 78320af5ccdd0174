//! What follows of what was measured: a function of it alone.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::{Measured, ReadTrend, Regions, Thresholds};
use crate::millis;

/// Whether a store is to be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing says so, and everything was measured.
    Stay,
    /// Something does.
    Leave,
    /// Nothing that was measured says so, but not everything was.
    StayAsFarAsKnown,
}

/// Why a store is to be left.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "ground", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ground {
    /// It has more customers than it is documented for.
    Customers {
        /// How many.
        measured: u64,
        /// More than so many.
        threshold: u64,
    },
    /// It takes more writes a second, all the time, than it is documented for.
    Writes {
        /// How many, in the slowest part of the time.
        measured: f64,
        /// More than so many.
        threshold: f64,
        /// What a probe reached on this machine.
        ceiling: Option<f64>,
    },
    /// Its reads become slower.
    SlowerReads {
        /// At first.
        #[serde(rename = "first_us", serialize_with = "millis::as_micros")]
        first: Duration,
        /// At last.
        #[serde(rename = "last_us", serialize_with = "millis::as_micros")]
        last: Duration,
        /// More than so many times.
        threshold: f64,
    },
    /// Its statements take up the database's time.
    SlowsTheRest {
        /// Their share.
        share: f64,
        /// More than that.
        threshold: f64,
    },
    /// The operator needs several regions.
    Regions,
}

/// What was not measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unmeasured {
    /// How many customers it has.
    Customers,
    /// How many writes a second it takes.
    Writes,
    /// How long its reads take, which a switch tells under enough reads.
    Reads,
    /// Which share of the database's time its statements take, which PostgreSQL tells with `pg_stat_statements`.
    InteractionShare,
}

/// What an advisor says, with what was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Advice {
    /// Whether the store is to be left.
    pub verdict: Verdict,
    /// Why.
    pub grounds: Vec<Ground>,
    /// What might say so as well, but was not measured.
    pub unmeasured: Vec<Unmeasured>,
    /// What was.
    pub measured: Measured,
    /// What it was held against.
    pub thresholds: Thresholds,
}

/// What follows of what was measured of a store. It has no I/O and no clock.
///
/// ```
/// use kaireon_migrate::{Measured, Regions, Thresholds, Verdict, advise};
///
/// let measured = Measured { customers: Some(620_000), ..Measured::default() };
/// let advice = advise(&measured, &Thresholds::default(), Regions::One);
/// assert_eq!(advice.verdict, Verdict::Leave);
/// assert!(advice.to_string().contains("620000 customers, more than 500000"));
/// ```
#[must_use]
pub fn advise(measured: &Measured, thresholds: &Thresholds, regions: Regions) -> Advice {
    let Thresholds {
        customers,
        writes_per_second,
        slower_reads,
        interaction_share,
    } = *thresholds;
    let (mut grounds, mut unmeasured) = (Vec::new(), Vec::new());
    match measured.customers {
        None => unmeasured.push(Unmeasured::Customers),
        Some(found) if found > customers => grounds.push(Ground::Customers {
            measured: found,
            threshold: customers,
        }),
        Some(_) => {}
    }
    match measured.writes_per_second {
        None => unmeasured.push(Unmeasured::Writes),
        Some(found) if found > writes_per_second => grounds.push(Ground::Writes {
            measured: found,
            threshold: writes_per_second,
            ceiling: measured.ceiling_per_second,
        }),
        Some(_) => {}
    }
    match measured.reads {
        None => unmeasured.push(Unmeasured::Reads),
        Some(ReadTrend { first, last }) if last.as_secs_f64() > first.as_secs_f64() * slower_reads => {
            grounds.push(Ground::SlowerReads {
                first,
                last,
                threshold: slower_reads,
            });
        }
        Some(_) => {}
    }
    match measured.interaction_share {
        None => unmeasured.push(Unmeasured::InteractionShare),
        Some(share) if share > interaction_share => grounds.push(Ground::SlowsTheRest {
            share,
            threshold: interaction_share,
        }),
        Some(_) => {}
    }
    if regions == Regions::Several {
        grounds.push(Ground::Regions);
    }
    let verdict = match (grounds.is_empty(), unmeasured.is_empty()) {
        (false, _) => Verdict::Leave,
        (true, true) => Verdict::Stay,
        (true, false) => Verdict::StayAsFarAsKnown,
    };
    Advice {
        verdict,
        grounds,
        unmeasured,
        measured: measured.clone(),
        thresholds: *thresholds,
    }
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Customers { measured, threshold } => {
                write!(f, "{measured} customers, more than {threshold}")
            }
            Self::Writes {
                measured,
                threshold,
                ceiling,
            } => {
                write!(
                    f,
                    "{measured:.0} writes a second all the time, more than the documented {threshold:.0}"
                )?;
                match ceiling {
                    Some(ceiling) => write!(f, " (this machine took {ceiling:.0} from a probe)"),
                    None => Ok(()),
                }
            }
            Self::SlowerReads {
                first,
                last,
                threshold,
            } => write!(
                f,
                "reads went from {first:?} to {last:?}, more than {threshold} times"
            ),
            Self::SlowsTheRest { share, threshold } => write!(
                f,
                "its statements take {:.0} % of the database's time, more than {:.0} %",
                share * 100.0,
                threshold * 100.0
            ),
            Self::Regions => f.write_str("several regions are needed"),
        }
    }
}

impl fmt::Display for Unmeasured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Customers => "the number of customers",
            Self::Writes => "writes a second",
            Self::Reads => "the time of reads",
            Self::InteractionShare => "the share of its statements in the database's time",
        })
    }
}

/// As one can paste it into a ticket.
impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = &self.measured.store;
        match self.verdict {
            Verdict::Stay => writeln!(f, "stay on {store}: nothing that was measured speaks against it")?,
            Verdict::Leave => writeln!(f, "leave {store}:")?,
            Verdict::StayAsFarAsKnown => {
                writeln!(
                    f,
                    "stay on {store}, as far as is known: not everything was measured"
                )?;
            }
        }
        for ground in &self.grounds {
            writeln!(f, "- {ground}")?;
        }
        let Measured {
            store: _,
            over,
            customers,
            writes_per_second,
            reads,
            interaction_share,
            bytes,
            ceiling_per_second,
        } = &self.measured;
        write!(f, "measured over {over:?}:")?;
        if let Some(customers) = customers {
            write!(f, " {customers} customers,")?;
        }
        if let Some(rate) = writes_per_second {
            write!(f, " {rate:.0} writes a second at least,")?;
        }
        if let Some(ReadTrend { first, last }) = reads {
            write!(f, " reads of {first:?} at first and {last:?} at last,")?;
        }
        if let Some(share) = interaction_share {
            write!(f, " {:.0} % of the database's time,", share * 100.0)?;
        }
        if let Some(bytes) = bytes {
            write!(f, " {} MiB on disk,", bytes >> 20)?;
        }
        let documented = self.thresholds.writes_per_second;
        match ceiling_per_second {
            Some(ceiling) => writeln!(
                f,
                " a ceiling of {ceiling:.0} writes a second on this machine, where {documented:.0} are documented"
            )?,
            None => writeln!(
                f,
                " no ceiling of this machine, where {documented:.0} writes a second are documented"
            )?,
        }
        for unmeasured in &self.unmeasured {
            writeln!(f, "not measured: {unmeasured}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything measured, and everything at its threshold.
    fn at_the_thresholds() -> Measured {
        Measured {
            store: "postgresql".to_owned(),
            over: Duration::from_secs(60),
            customers: Some(500_000),
            writes_per_second: Some(1_000.0),
            reads: Some(ReadTrend {
                first: Duration::from_millis(2),
                last: Duration::from_millis(3),
            }),
            interaction_share: Some(0.5),
            bytes: Some(3 << 30),
            ceiling_per_second: Some(12_345.6),
        }
    }

    fn of(measured: &Measured) -> Advice {
        advise(measured, &Thresholds::default(), Regions::One)
    }

    #[test]
    fn what_is_at_its_threshold_and_not_above_is_no_ground() {
        let advice = of(&at_the_thresholds());
        assert_eq!(
            (advice.verdict, advice.grounds.len()),
            (Verdict::Stay, 0),
            "{advice}"
        );
        assert!(advice.unmeasured.is_empty());
    }

    #[test]
    fn each_threshold_is_a_ground_of_its_own_and_says_what_was_measured() {
        type Edit = fn(&mut Measured);
        let edits: [(Edit, &str); 4] = [
            (
                |of| of.customers = Some(500_001),
                "500001 customers, more than 500000",
            ),
            (
                |of| of.writes_per_second = Some(1_001.0),
                "1001 writes a second all the time, more than the documented 1000 (this machine took 12346",
            ),
            (
                |of| of.reads.iter_mut().for_each(|reads| reads.last *= 2),
                "reads went from 2ms to 6ms, more than 1.5 times",
            ),
            (
                |of| of.interaction_share = Some(0.61),
                "61 % of the database's time, more than 50 %",
            ),
        ];
        for (edit, says) in edits {
            let mut measured = at_the_thresholds();
            edit(&mut measured);
            let advice = of(&measured);
            assert_eq!(
                (advice.verdict, advice.grounds.len()),
                (Verdict::Leave, 1),
                "{advice}"
            );
            assert!(advice.to_string().contains(says), "{advice}");
        }
        let advice = advise(&at_the_thresholds(), &Thresholds::default(), Regions::Several);
        assert_eq!(advice.grounds, [Ground::Regions]);
        assert_eq!(advice.verdict, Verdict::Leave);
    }

    #[test]
    fn what_was_not_measured_is_named_and_is_never_a_reassurance() {
        let nothing = Measured::default();
        let advice = of(&nothing);
        assert_eq!(advice.verdict, Verdict::StayAsFarAsKnown);
        assert_eq!(advice.unmeasured.len(), 4);
        let text = advice.to_string();
        assert_eq!(text.matches("not measured: ").count(), 4, "{text}");
        let known = Measured {
            customers: Some(600_000),
            ..nothing
        };
        assert_eq!(of(&known).verdict, Verdict::Leave);
    }

    #[test]
    fn the_measured_ceiling_stands_beside_the_documented_one() {
        let text = of(&at_the_thresholds()).to_string();
        assert!(
            text.contains("a ceiling of 12346 writes a second on this machine, where 1000 are documented"),
            "{text}"
        );
        let json = serde_json::to_value(of(&at_the_thresholds())).unwrap();
        assert_eq!(json["thresholds"]["writes_per_second"], 1_000.0);
        assert_eq!(json["measured"]["ceiling_per_second"], 12_345.6);
        assert_eq!(json["verdict"], "stay");
    }
}
