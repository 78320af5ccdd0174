//! The rehearsal: archived traffic replayed against a target store, before anything moves.

mod place;
mod play;
mod profile;
mod report;
mod source;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kaireon_archive::{Archive, Day, Kind};
use kaireon_core::time::{Clock, SystemClock, Timestamp};
use kaireon_core::{Decision, Error, Interaction, InteractionStore, Result, TenantId};

pub use report::{RehearsalProgress, RehearsalReport};

use place::Scratch;
use play::Play;
use profile::Profile;
use source::Source;

/// The longest time that is replayed at once: what is known of it is 8 bytes a second.
const LONGEST: Duration = Duration::from_secs(31 * 86_400);

/// How a rehearsal goes about it.
///
/// **Memory.** Two objects of the archive (16 MiB each, unless it was written with more), two chunks of records, as many
/// records as may be in flight, and 8 bytes for each second that is replayed.
#[derive(Clone, Debug, PartialEq)]
pub struct RehearsalConfig {
    /// How many times as fast as they were made records are replayed; 1 by default. Above 0.
    pub times: f64,
    /// From when on records are replayed, by their own timestamps; by default from the beginning of the newest archived day.
    pub from: Option<Timestamp>,
    /// Before when; by default the end of the day that `from` is in. At most 31 days after it.
    pub until: Option<Timestamp>,
    /// How many calls may be under way at once; 256 by default. One that is due while so many are waits, and is late.
    pub concurrency: usize,
    /// From when on a call counts as late that is begun after it was due; 100 ms by default.
    pub late_after: Duration,
    /// How long one call may take; 30 s by default. Then it is an error (`Timeout`).
    pub deadline: Duration,
    /// The tenant that is written to; by default the replayed one's name with `-rehearsal` behind it.
    pub scratch: Option<TenantId>,
    /// How many records are read from the archive at once; 1,000 by default, 0 counts as 1.
    pub chunk_records: usize,
}

impl Default for RehearsalConfig {
    fn default() -> Self {
        Self {
            times: 1.0,
            from: None,
            until: None,
            concurrency: 256,
            late_after: Duration::from_millis(100),
            deadline: Duration::from_secs(30),
            scratch: None,
            chunk_records: 1_000,
        }
    }
}

impl RehearsalConfig {
    fn check(&self) -> Result<()> {
        if !self.times.is_finite() || self.times <= 0.0 || self.times > 1e6 {
            return Err(Error::invalid("times", "is not above 0 and at most 1,000,000"));
        }
        // What a semaphore of the runtime can count.
        if self.concurrency == 0 || self.concurrency > 1 << 20 {
            return Err(Error::invalid("concurrency", "is not from 1 to 1,048,576"));
        }
        Ok(())
    }
}

/// Replays what a tenant's archive holds at a multiple of the rate at which it was made, into a scratch tenant of a store,
/// and says whether the store kept up.
///
/// ```no_run
/// # async fn ask(archive: kaireon_archive::Archive, target: std::sync::Arc<dyn kaireon_core::InteractionStore>)
/// # -> kaireon_core::Result<()> {
/// use kaireon_migrate::{Rehearsal, RehearsalConfig};
///
/// let acme = kaireon_core::TenantId::new("acme")?;
/// let config = RehearsalConfig { times: 2.0, ..RehearsalConfig::default() };
/// let report = Rehearsal::new(archive, target, config).run(&acme).await?;
/// println!("kept up: {}, p99 {:?}", report.kept_up(), report.p99);
/// # Ok(()) }
/// ```
///
/// - **The load is open-loop**: when a call is due depends on the archive and the clock alone, not on earlier answers. The
///   number of records that were made in each second is counted first; then they are sent, so many in that second (spread
///   over it), in the order in which the archive holds them, which within a day need not be that of their times. Interactions
///   and decisions keep their times relative to each other.
/// - **Each record is a call of its own**, with origin `Replicated`, which writes no lane: nothing of it is published,
///   replicated or exported. A live write has its lanes' entries to write besides.
/// - **What is written is of the scratch tenant**, of customers under names that are drawn for the run (one for each
///   customer, so that as many records meet as did), under fresh keys, at the time of the call. So nobody whom the archive
///   names is in the store under that name, and no run's records are duplicates of another's. Attributes stay as they
///   are, for as long as the run lasts.
/// - **The tenant that is replayed is not touched**, on any store: of it the archive alone is read.
/// - **It is cleaned up behind it**: the scratch tenant's rows and decisions are purged. Its summaries and dedupe records
///   stay, as they do behind every purge; they are of drawn names. A run that is killed, or whose store goes away, leaves its
///   rows; that is noted beside the archive, the next one says so and is refused, and [`clean_up`](Self::clean_up)
///   removes them. A scratch tenant that has anything, or was ever moved, is refused.
#[derive(Clone)]
pub struct Rehearsal {
    archive: Archive,
    target: Arc<dyn InteractionStore>,
    config: RehearsalConfig,
    clock: Arc<dyn Clock>,
    progress: Option<Arc<dyn Fn(RehearsalProgress) + Send + Sync>>,
}

impl fmt::Debug for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rehearsal")
            .field("target", &self.target)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Rehearsal {
    /// A rehearsal of what an archive holds on a store; nothing is read or written yet.
    #[must_use]
    pub fn new(archive: Archive, target: Arc<dyn InteractionStore>, config: RehearsalConfig) -> Self {
        Self {
            archive,
            target,
            config,
            clock: Arc::new(SystemClock),
            progress: None,
        }
    }

    /// The same by another clock: of the times that records are written with. When they are due goes by the runtime's.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The same, telling how far it has come, behind each chunk that was sent.
    #[must_use]
    pub fn with_progress(mut self, progress: impl Fn(RehearsalProgress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }

    /// Replays a tenant's records, and cleans up.
    ///
    /// # Errors
    /// `InvalidInput` naming `times`, `concurrency`, `until` or `scratch` where the configuration is out of bounds or names
    /// the tenant itself, or `from` where the archive holds nothing of that time; `Unsupported` where the store takes no
    /// replicated records, has no purge, no scan, or no decisions while there are some; `Conflict` where an earlier rehearsal
    /// left something, which it names, or the scratch tenant has anything. Those of the archive and, before the first call,
    /// of the store. What a call fails with is in the report, and so is what could not be cleaned up.
    ///
    /// # Dropped futures
    /// The calls under way end as they may; what was written stays, as it does behind a kill.
    pub async fn run(&self, tenant: &TenantId) -> Result<RehearsalReport> {
        self.config.check()?;
        let scratch = self.scratch(tenant)?;
        scratch.is_free().await?;
        let (from, until) = self.window(tenant).await?;
        let sources = (
            self.source::<Interaction>(tenant, from, until),
            self.source::<Decision>(tenant, from, until),
        );
        let (mut interactions, mut decisions) = (Profile::new(from, until), Profile::new(from, until));
        sources.0.each(|at| interactions.add(at)).await?;
        sources.1.each(|at| decisions.add(at)).await?;
        let Some(first) = interactions.first().into_iter().chain(decisions.first()).min() else {
            return Err(Error::invalid("from", "the archive holds nothing of this time"));
        };
        scratch.can(decisions.first().is_some())?;
        let begun = scratch.take().await?;
        let play = Play::new(self, &scratch, interactions.total() + decisions.total());
        let played = tokio::try_join!(
            play.all(sources.0, interactions.dues(first, self.config.times)),
            play.all(sources.1, decisions.dues(first, self.config.times)),
        );
        let mut report = play.end(begun).await;
        // The rows go in any case.
        report.left_behind = scratch.clean(begun).await.err().map(|error| error.to_string());
        played?;
        Ok(report)
    }

    /// Removes what an earlier rehearsal of a tenant left on this store, where it was cut off; `false` where none did.
    /// It removes what such a rehearsal has noted to be its own, and nothing else.
    ///
    /// # Errors
    /// Those of the archive and of the store; `Conflict` where there is something left behind it, because another process's
    /// rehearsal goes on.
    ///
    /// # Dropped futures
    /// It is called again.
    pub async fn clean_up(&self, tenant: &TenantId) -> Result<bool> {
        self.scratch(tenant)?.clean_up().await
    }

    fn scratch(&self, tenant: &TenantId) -> Result<Scratch<'_>> {
        let of = match &self.config.scratch {
            Some(scratch) => scratch.clone(),
            None => TenantId::new(format!("{tenant}-rehearsal"))
                .map_err(|_| Error::invalid("scratch", "is to be given: the tenant's name is too long"))?,
        };
        if of == *tenant {
            return Err(Error::invalid("scratch", "is the tenant that is replayed"));
        }
        Ok(Scratch {
            by: self,
            of,
            replayed: tenant.clone(),
        })
    }

    fn source<T>(&self, tenant: &TenantId, from: Timestamp, until: Timestamp) -> Source<T> {
        let chunk_records = self.config.chunk_records.max(1);
        Source::new(self.archive.clone(), tenant.clone(), from, until, chunk_records)
    }

    /// The time that is replayed.
    async fn window(&self, tenant: &TenantId) -> Result<(Timestamp, Timestamp)> {
        let from = match self.config.from {
            Some(from) => from,
            None => {
                let mut newest = None;
                for kind in [Kind::Interactions, Kind::Decisions] {
                    let days = self.archive.days(tenant, kind).await?;
                    newest = newest.max(days.last().map(|found| found.day));
                }
                let none = || Error::invalid("from", "the archive holds nothing of the tenant");
                newest.ok_or_else(none)?.start()
            }
        };
        let day = Day::containing(from).start() + chrono::TimeDelta::days(1);
        let until = self.config.until.unwrap_or(day);
        match (until - from).to_std() {
            Ok(length) if !length.is_zero() && length <= LONGEST => Ok((from, until)),
            _ => Err(Error::invalid("until", "is not within 31 days after `from`")),
        }
    }

    fn tell(&self, progress: RehearsalProgress) {
        if let Some(tell) = &self.progress {
            tell(progress);
        }
    }
}
