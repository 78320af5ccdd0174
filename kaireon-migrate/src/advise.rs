//! The advisor: when a store is to be left, by what was measured of it.

mod decide;
mod probe;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kaireon_core::signals::{Signals, StatementTimes};
use kaireon_core::{Error, Result};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

pub use decide::{Advice, Ground, Unmeasured, Verdict, advise};
pub use probe::Probe;

use crate::{Activity, SwitchStore, millis};

/// Whether a tenant's customers are to be served from more than one region. Nothing measures that: it is the operator's
/// word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Regions {
    /// One is enough.
    #[default]
    One,
    /// Several are needed.
    Several,
}

/// From when on a store is to be left: as documented for PostgreSQL, by default.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// More customers than that; 500,000.
    pub customers: u64,
    /// More writes a second than that, sustained; 1,000.
    pub writes_per_second: f64,
    /// Reads that take so many times as long as at first; 1.5. The documentation says "slowing" and no number.
    pub slower_reads: f64,
    /// The statements of interactions that take up more than that share of the time of all statements of the database; 0.5.
    /// As above, the number is this library's.
    pub interaction_share: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            customers: 500_000,
            writes_per_second: 1_000.0,
            slower_reads: 1.5,
            interaction_share: 0.5,
        }
    }
}

/// How the mean time of reads went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ReadTrend {
    /// In the first part of the time that was measured.
    #[serde(rename = "first_us", serialize_with = "millis::as_micros")]
    pub first: Duration,
    /// In the last.
    #[serde(rename = "last_us", serialize_with = "millis::as_micros")]
    pub last: Duration,
}

/// What was measured of a store. What was not is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Measured {
    /// The store, as its capabilities or its name in a switch call it.
    pub store: String,
    /// For how long it was looked at.
    #[serde(rename = "over_ms", with = "millis")]
    pub over: Duration,
    /// The customers that it keeps summaries of: by the store's own estimate, and whether or not they still come.
    pub customers: Option<u64>,
    /// Writes a second that it took in the slowest part of that time.
    pub writes_per_second: Option<f64>,
    /// How the time of its reads went.
    pub reads: Option<ReadTrend>,
    /// The share of the time of all statements of the database that those of interactions took, from 0 to 1.
    pub interaction_share: Option<f64>,
    /// What it takes on disk.
    pub bytes: Option<u64>,
    /// Writes a second that this store took from a probe, on this machine.
    pub ceiling_per_second: Option<f64>,
}

/// How an advisor goes about it.
#[derive(Clone, Debug, PartialEq)]
pub struct AdvisorConfig {
    /// For how long it looks; 60 s by default. "Sustained" is as long as that.
    pub over: Duration,
    /// In how many parts; 6 by default, at least 2.
    pub parts: u32,
    /// What the store is held against.
    pub thresholds: Thresholds,
    /// What the operator says.
    pub regions: Regions,
}

impl Default for AdvisorConfig {
    fn default() -> Self {
        Self {
            over: Duration::from_secs(60),
            parts: 6,
            thresholds: Thresholds::default(),
            regions: Regions::default(),
        }
    }
}

/// The fewest reads of a part whose mean says something.
const FEWEST_READS: u64 = 20;

/// Measures a store, and says whether it is to be left.
///
/// ```no_run
/// # async fn ask(store: kaireon_store_pg::PgStore) -> kaireon_core::Result<()> {
/// use std::sync::Arc;
/// use kaireon_migrate::{Advisor, AdvisorConfig};
///
/// let advice = Advisor::new("postgresql", Arc::new(store), AdvisorConfig::default()).run().await?;
/// println!("{advice}");
/// # Ok(()) }
/// ```
///
/// Sizes, customers and statements come from the store's own counters ([`Signals`]); writes a second from them too, or from
/// the [switch](Self::with_switch) where the store counts none, which also tells how long reads take, of this process. The
/// [probe](Self::with_probe) is the one part that writes anything.
pub struct Advisor {
    name: String,
    signals: Arc<dyn Signals>,
    config: AdvisorConfig,
    switch: Option<SwitchStore>,
    probe: Option<Probe>,
}

impl fmt::Debug for Advisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Advisor")
            .field("name", &self.name)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Advisor {
    /// An advisor about a store of this name.
    #[must_use]
    pub fn new(name: impl Into<String>, signals: Arc<dyn Signals>, config: AdvisorConfig) -> Self {
        Self {
            name: name.into(),
            signals,
            config,
            switch: None,
            probe: None,
        }
    }

    /// The same, that also looks at what goes through a switch of this process.
    #[must_use]
    pub fn with_switch(mut self, switch: SwitchStore) -> Self {
        self.switch = Some(switch);
        self
    }

    /// The same, that also measures how many writes a second the store takes, by writing.
    #[must_use]
    pub fn with_probe(mut self, probe: Probe) -> Self {
        self.probe = Some(probe);
        self
    }

    /// Measures and advises; it takes as long as it looks, and as its probe writes.
    ///
    /// # Errors
    /// `InvalidInput` naming `over` or `parts` where there is nothing to look at; those of the store; of a probe those of
    /// [`Probe`].
    ///
    /// # Dropped futures
    /// Nothing is left behind but of a probe, as it says.
    pub async fn run(&self) -> Result<Advice> {
        let measured = self.measure().await?;
        Ok(advise(&measured, &self.config.thresholds, self.config.regions))
    }

    /// Measures alone.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    ///
    /// # Dropped futures
    /// As for [`run`](Self::run).
    pub async fn measure(&self) -> Result<Measured> {
        let AdvisorConfig { over, parts, .. } = self.config;
        if over.is_zero() {
            return Err(Error::invalid("over", "is no time at all"));
        }
        if parts < 2 {
            return Err(Error::invalid("parts", "is less than two"));
        }
        let begun = Instant::now();
        let mut looks = vec![self.look().await?];
        for part in 1..=parts {
            sleep_until(begun + over * part / parts).await;
            looks.push(self.look().await?);
        }
        let (first, last) = (&looks[0], &looks[looks.len() - 1]);
        let mut measured = Measured {
            store: self.name.clone(),
            over: begun.elapsed(),
            customers: last.customers,
            writes_per_second: sustained(&looks),
            reads: trend(&looks),
            interaction_share: share(first.statements, last.statements),
            bytes: last.bytes,
            ceiling_per_second: None,
        };
        // Behind what was measured, which it would disturb.
        if let Some(probe) = &self.probe {
            measured.ceiling_per_second = Some(probe.run().await?);
        }
        Ok(measured)
    }

    async fn look(&self) -> Result<Look> {
        let signals = self.signals.signals().await?;
        let activity = self.switch.as_ref().map(SwitchStore::activity);
        Ok(Look {
            at: Instant::now(),
            customers: signals.customers,
            writes: signals.writes.or(activity.map(|activity| activity.writes)),
            bytes: signals.bytes,
            statements: signals.statements,
            activity,
        })
    }
}

/// One look at everything.
struct Look {
    at: Instant,
    customers: Option<u64>,
    writes: Option<u64>,
    bytes: Option<u64>,
    statements: Option<StatementTimes>,
    activity: Option<Activity>,
}

/// The rate of the slowest part. A counter that began anew says nothing of its part.
fn sustained(looks: &[Look]) -> Option<f64> {
    let mut slowest: Option<f64> = None;
    for pair in looks.windows(2) {
        let time = (pair[1].at - pair[0].at).as_secs_f64();
        let written = pair[1].writes?.checked_sub(pair[0].writes?)?;
        #[allow(clippy::cast_precision_loss, reason = "writes of a minute")]
        let rate = written as f64 / time.max(f64::EPSILON);
        slowest = Some(slowest.map_or(rate, |slowest| slowest.min(rate)));
    }
    slowest
}

/// The mean time of reads in the first and the last part.
fn trend(looks: &[Look]) -> Option<ReadTrend> {
    let mean = |from: &Look, to: &Look| {
        let (from, to) = (from.activity?, to.activity?);
        let reads = to.timed_reads.checked_sub(from.timed_reads)?;
        let time = to.read_time.checked_sub(from.read_time)?;
        let reads = u32::try_from(reads)
            .ok()
            .filter(|reads| u64::from(*reads) >= FEWEST_READS)?;
        Some(time / reads)
    };
    Some(ReadTrend {
        first: mean(looks.first()?, looks.get(1)?)?,
        last: mean(looks.get(looks.len().checked_sub(2)?)?, looks.last()?)?,
    })
}

/// The share of the store's statements in the time of all that ran meanwhile.
fn share(first: Option<StatementTimes>, last: Option<StatementTimes>) -> Option<f64> {
    let (first, last) = (first?, last?);
    let own = last.own.checked_sub(first.own)?.as_secs_f64();
    let others = last.others.checked_sub(first.others)?.as_secs_f64();
    (own + others > 0.0).then(|| own / (own + others))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(at: Instant, seconds: u64, writes: Option<u64>, reads: u64, read_ms: u64) -> Look {
        Look {
            at: at + Duration::from_secs(seconds),
            customers: None,
            writes,
            bytes: None,
            statements: None,
            activity: Some(Activity {
                writes: 0,
                timed_reads: reads,
                read_time: Duration::from_millis(read_ms),
            }),
        }
    }

    #[test]
    fn sustained_is_the_rate_of_the_slowest_part() {
        let at = Instant::now();
        let of = |writes: [Option<u64>; 3]| {
            let looks = (0..)
                .zip(writes)
                .map(|(n, writes)| look(at, n * 10, writes, 0, 0));
            sustained(&looks.collect::<Vec<_>>())
        };
        assert_eq!(of([Some(5), Some(20_005), Some(25_005)]), Some(500.0));
        assert_eq!(of([Some(5), Some(5), Some(90_005)]), Some(0.0));
        assert_eq!(of([Some(9), Some(5), Some(10)]), None, "it began anew");
        assert_eq!(of([None, None, None]), None);
    }

    #[test]
    fn a_trend_is_of_enough_reads_in_both_parts() {
        let at = Instant::now();
        let of = |reads: [(u64, u64); 3]| {
            let looks = (0..)
                .zip(reads)
                .map(|(n, (reads, ms))| look(at, n, None, reads, ms));
            trend(&looks.collect::<Vec<_>>())
        };
        let found = of([(100, 0), (200, 100), (300, 400)]).unwrap();
        assert_eq!((found.first.as_millis(), found.last.as_millis()), (1, 3));
        assert_eq!(of([(0, 0), (19, 100), (300, 400)]), None);
        assert_eq!(of([(0, 0), (100, 100), (119, 400)]), None);
    }

    #[test]
    fn a_share_is_of_what_ran_meanwhile() {
        let of = |own, others| StatementTimes {
            own: Duration::from_secs(own),
            others: Duration::from_secs(others),
        };
        assert_eq!(share(Some(of(10, 90)), Some(of(40, 100))), Some(0.75));
        assert_eq!(share(Some(of(10, 90)), Some(of(10, 90))), None);
        assert_eq!(share(Some(of(10, 90)), Some(of(1, 2))), None, "it was reset");
        assert_eq!(share(None, Some(of(1, 2))), None);
    }
}
