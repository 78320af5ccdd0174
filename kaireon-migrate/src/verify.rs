//! Comparing the two stores of a tenant while both are written to.

mod fold;
mod migrate;
mod pace;
mod report;
mod rest;
mod row;
mod run;
mod summaries;
mod sweep;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use kaireon_archive::Archive;
use kaireon_core::store::{Accepted, Tombstone};
use kaireon_core::time::{Clock, SystemClock, Timestamp};
use kaireon_core::{Decision, Error, Interaction, InteractionStore, Result, TenantId};

pub use report::{Difference, Kind, KindReport, Name, NotCompared, Sample, VerifyReport, Why, WithoutRows};

use crate::Side;

/// The pauses between two looks at the lane.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// How a comparison goes about it.
#[derive(Clone, Debug)]
pub struct VerifyConfig {
    /// How many rows a second are read, of both sides together, a look at one thing being one; `None`, the default, is as
    /// many as there can be. It is kept on average: what is read at once is a page of a thousand.
    pub rows_per_second: Option<u32>,
    /// How many rows that may be unlike are held in memory; 100,000 by default, of about 200 bytes each.
    pub suspects: usize,
    /// How many customers are remembered as met; 500,000 by default, of about 40 bytes each. A tenant with more
    /// is compared in parts, each of which reads all rows again: twice as many parts for each power of two.
    pub customers: usize,
    /// How many passes over the rows of one kind there may be at most; 8 by default. What is unlike beyond that was not
    /// compared.
    pub passes: u32,
    /// How often in a row something must be found unlike to be a difference; 3 by default, each time once the lane has
    /// passed the time of the last look.
    pub rounds: u32,
    /// How long between two of these looks at least; 200 ms by default.
    pub pause: Duration,
    /// How long the `replicate` lane may take to pass a point; 30 s by default. What waits for it longer was not compared.
    pub lane_wait: Duration,
    /// How long one read of a store may take; 30 s by default.
    pub read_deadline: Duration,
    /// After how many failures in a row, each of one attempt at one read, a store is asked for nothing more; 64 by default,
    /// so that a moment in which all that is asked together fails is not enough. What it was not asked for was not compared.
    pub give_up_after: u32,
    /// How far the clocks of those who write may be from this one's; 5 s by default. While writes never pause, each look
    /// waits so much longer.
    pub clock_skew: Duration,
    /// How many customers or rows are looked at together; 16 by default.
    pub concurrency: usize,
    /// How many differences of each kind are named; 20 by default.
    pub samples: usize,
    /// Interactions and decisions from before this time are left out, counted, and named in the evidence: where one side has
    /// [purged](kaireon_core::InteractionStore::purge_before) what the other still has. `None` by default. Summaries
    /// outlive rows and are compared whole.
    pub kept_from: Option<Timestamp>,
}

impl Default for VerifyConfig {
    fn default() -> Self {
        Self {
            rows_per_second: None,
            suspects: 100_000,
            customers: 500_000,
            passes: 8,
            rounds: 3,
            pause: Duration::from_millis(200),
            lane_wait: Duration::from_secs(30),
            read_deadline: Duration::from_secs(30),
            give_up_after: 64,
            clock_skew: Duration::from_secs(5),
            concurrency: 16,
            samples: 20,
            kept_from: None,
        }
    }
}

/// How far a comparison has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What is read.
    pub kind: Kind,
    /// In which pass, from 1.
    pub pass: u32,
    /// Rows that were read, of both sides, all kinds and all passes.
    pub read: u64,
}

/// Compares the two stores of one tenant while both are written to.
///
/// The first pass reads both sides by [`scan`](InteractionStore::scan), each in its own order, and adds up digests in
/// 65,536 ranges of (customer, day), on each side. The rows of ranges that are unlike are read again, by ranges of their
/// own where they are many, and those that one side lacks or both have unlike are looked at one by one
/// ([`history`](InteractionStore::history), [`decision`](InteractionStore::decision)), once the `replicate` lane has passed
/// the time at which they were read. Only what is found unlike [`rounds`](VerifyConfig::rounds) times in a row is a
/// difference. So a lane that lags is not taken for one, nor an erasure whose tombstone comes meanwhile, and what differs for
/// good is not taken for lag. An erasure that waits for a relay which has its customer in hand, 30 s at most, is one for so
/// long. Tombstones go the same way.
///
/// Summaries are compared of every customer who has an interaction or a decision on either side. One that is unlike is read
/// on the authority, then, behind the lane, on the other side, and on the authority again: where nothing was written
/// in between, the two have to be the same. Where a customer is written to without pause, what the summaries of each
/// side hold beside its rows of the last seconds is compared instead.
///
/// # What is compared
/// What the authority had acknowledged when the comparison began. What was recorded later may or may not be.
///
/// # What is not
/// - Dedupe records of what was erased or purged: no read lists them.
/// - Customers whose interactions and decisions were all purged on both sides: no read lists them, so their summaries are
///   compared only where the tenant's archive names them ([`with_archive`](Self::with_archive)). The report says which
///   ([`VerifyReport::without_rows`]). One who was erased has none.
/// - What only [`VerifyReport`] says: each part has its reason, counts in [`Verification::not_compared`], and fails the
///   gate. An error is one of them, and so is an answer that does not come.
///
/// [`Verification::not_compared`]: crate::Verification::not_compared
///
/// # Memory
/// It does not grow with the number of rows: two tables of 65,536 ranges for each side (6 MiB), one page of a thousand
/// rows for each side, [`suspects`](VerifyConfig::suspects), and [`customers`](VerifyConfig::customers). Rows that are
/// recorded in the first pass are suspects where one side was read before and the other after that.
///
/// # Dropped futures
/// Only reads were made: it ends, and is begun again from the start.
#[derive(Clone)]
pub struct Verifier {
    tenant: TenantId,
    stores: [Arc<dyn InteractionStore>; 2],
    authority: Side,
    config: VerifyConfig,
    clock: Arc<dyn Clock>,
    progress: Option<Arc<dyn Fn(Progress) + Send + Sync>>,
    archive: Option<Archive>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("tenant", &self.tenant)
            .field("authority", &self.authority)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Verifier {
    /// A comparison of a tenant's source and target, one of which is the authority, whose `replicate` lane is for the other.
    #[must_use]
    pub fn new(
        tenant: TenantId,
        source: Arc<dyn InteractionStore>,
        target: Arc<dyn InteractionStore>,
        authority: Side,
    ) -> Self {
        Self {
            tenant,
            stores: [source, target],
            authority,
            config: VerifyConfig::default(),
            clock: Arc::new(SystemClock),
            progress: None,
            archive: None,
        }
    }

    /// The same, going about it otherwise.
    #[must_use]
    pub fn with_config(mut self, config: VerifyConfig) -> Self {
        self.config = config;
        self
    }

    /// The same by another clock: of what the times of rows and entries are compared with. Bounds of waiting are the
    /// runtime's.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The same, telling how far it has come behind each page.
    #[must_use]
    pub fn with_progress(mut self, progress: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }

    /// The same, that also compares the summaries of customers whom the tenant's archive names as purged: who has no row left
    /// is listed by no read of a store, but by the summaries that were archived when the rows went.
    #[must_use]
    pub fn with_archive(mut self, archive: Archive) -> Self {
        self.archive = Some(archive);
        self
    }

    /// Compares.
    ///
    /// # Errors
    /// `InvalidInput` naming `config` where a bound is zero. What a store fails with is in the report instead.
    pub async fn run(&self) -> Result<VerifyReport> {
        let VerifyConfig {
            rows_per_second,
            suspects,
            customers,
            passes,
            rounds,
            concurrency,
            give_up_after,
            ..
        } = self.config;
        let counts = [suspects, customers, concurrency];
        if counts.contains(&0) || [passes, rounds, give_up_after].contains(&0) || rows_per_second == Some(0) {
            return Err(Error::invalid("config", "has a bound of zero"));
        }
        let started_at = self.clock.now();
        let run = run::Run {
            of: self,
            hasher: fold::Hasher::new(),
            pace: pace::Pace::new(rows_per_second),
            failures: [(); 2].map(|()| pace::Failures::default()),
            read: AtomicU64::new(0),
            suspects: AtomicUsize::new(0),
            customers: AtomicUsize::new(0),
        };
        let met = summaries::Customers::new(customers);
        // Tombstones last: a customer who is erased meanwhile is gone from the rows by then.
        let interactions = sweep::compare::<Accepted<Interaction>>(&run, Some(&met)).await;
        let decisions = sweep::compare::<Accepted<Decision>>(&run, Some(&met)).await;
        let summaries = met.finish(&run, passes + 1).await;
        let tombstones = sweep::compare::<Tombstone>(&run, None).await;
        let kinds = [interactions, decisions, Some(summaries), tombstones];
        Ok(VerifyReport {
            started_at,
            ended_at: self.clock.now(),
            read: run.read.load(Ordering::Relaxed),
            suspects_held: run.suspects.load(Ordering::Relaxed),
            customers_held: run.customers.load(Ordering::Relaxed),
            kept_from: self.config.kept_from,
            without_rows: match self.archive {
                Some(_) => WithoutRows::Compared,
                None => WithoutRows::NotCompared,
            },
            kinds: kinds.into_iter().flatten().collect(),
        })
    }

    fn tell(&self, progress: Progress) {
        if let Some(tell) = &self.progress {
            tell(progress);
        }
    }
}
