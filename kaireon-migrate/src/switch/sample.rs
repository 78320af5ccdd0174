//! Comparing a share of live reads on both sides of a migration, beside those who ask.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join};
use kaireon_core::store::{HistoryQuery, SummaryQuery};
use kaireon_core::time::Timestamp;
use kaireon_core::{
    Decision, Error, ErrorKind, Interaction, InteractionId, InteractionStore, RecommendationId, Result,
    Summary, TenantId,
};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::Inner;
use crate::{Backfill, Phase, ReadComparison, TenantSetting};

/// The pauses between two looks at an answer that was unlike.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(50));

/// How live reads are compared.
///
/// A read that is drawn is answered as any other. Beside its caller the same is then asked of both sides: of the store that
/// answered, whose second answer tells how much two answers differ because writes came in between (the noise), and of the
/// other one. An answer of the other side that is unlike is asked for again, of both, until the two agree: the replication
/// may lag. What is unlike until the deadline is a difference, and so is an error or a silence of the other side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReadSampling {
    /// Which share of reads, from 0 to 1; 0, the default, compares none.
    pub fraction: f64,
    /// How many are compared at a time at most; 8 by default. One that is drawn while so many are is left out and
    /// counted.
    pub in_flight: usize,
    /// How long comparing one may take, and each side of a [trace](crate::ReadTrace); 1 s by default.
    pub deadline: Duration,
    /// How long a comparison counts; 15 min by default. What differed once is forgotten then, and what agreed as well.
    pub window: Duration,
}

impl Default for ReadSampling {
    fn default() -> Self {
        Self {
            fraction: 0.0,
            in_flight: 8,
            deadline: Duration::from_secs(1),
            window: Duration::from_secs(900),
        }
    }
}

impl ReadSampling {
    /// # Errors
    /// `Config`.
    pub(super) fn check(&self) -> Result<()> {
        let counts = self.in_flight > 0 && !self.window.is_zero();
        if (0.0..=1.0).contains(&self.fraction) && (self.fraction == 0.0 || counts) {
            return Ok(());
        }
        let context = "the share of reads that are compared is not from 0 to 1, none may be in flight, or none would count";
        Err(Error::new(ErrorKind::Config, context))
    }
}

/// What was read.
#[derive(Clone)]
pub(super) enum Read {
    History(HistoryQuery),
    Summaries(SummaryQuery),
    Decision(TenantId, RecommendationId),
}

/// What was answered.
#[derive(PartialEq)]
pub(super) enum Answer {
    History(Vec<Interaction>),
    Summaries(Vec<Summary>),
    Decision(Option<Decision>),
}

impl Read {
    fn tenant(&self) -> &TenantId {
        match self {
            Self::History(query) => &query.tenant,
            Self::Summaries(query) => &query.tenant,
            Self::Decision(tenant, _) => tenant,
        }
    }

    fn of<'a>(&'a self, store: &'a dyn InteractionStore) -> BoxFuture<'a, Result<Answer>> {
        Box::pin(async move {
            Ok(match self {
                Self::History(query) => Answer::History(store.history(query.clone()).await?.items),
                Self::Summaries(query) => Answer::Summaries(store.get_summaries(query.clone()).await?),
                Self::Decision(tenant, id) => Answer::Decision(store.decision(tenant, id).await?),
            })
        })
    }
}

/// What a sample is of: a later backfill makes it void, and so does another epoch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempt {
    epoch: kaireon_core::store::Epoch,
    started_at: Timestamp,
    backfill: Option<Backfill>,
}

impl Attempt {
    /// What reads are compared for; `None` where the two sides need not be the same yet, or no more.
    pub(crate) fn of(setting: &TenantSetting) -> Option<Self> {
        let migration = setting.under_way()?;
        matches!(setting.phase, Phase::Verifying | Phase::Ready).then(|| Self {
            epoch: setting.epoch,
            started_at: migration.started_at,
            backfill: migration.evidence.backfill,
        })
    }
}

/// In how many parts the window of a sample is: so coarsely it moves.
const PARTS: u32 = 15;

/// What was compared in one part of the window.
struct Part {
    begun: Instant,
    compared: u64,
    different: u64,
    baseline_different: u64,
}

struct Tally {
    attempt: Attempt,
    parts: VecDeque<Part>,
    last: Instant,
}

impl Tally {
    const fn new(attempt: Attempt, now: Instant) -> Self {
        Self {
            attempt,
            parts: VecDeque::new(),
            last: now,
        }
    }

    fn add(&mut self, now: Instant, window: Duration, baseline: bool, agreed: bool) {
        self.forget(now, window);
        if self
            .parts
            .back()
            .is_none_or(|part| now - part.begun >= window / PARTS)
        {
            self.parts.push_back(Part {
                begun: now,
                compared: 0,
                different: 0,
                baseline_different: 0,
            });
        }
        if let Some(part) = self.parts.back_mut() {
            part.compared += 1;
            part.different += u64::from(!agreed);
            part.baseline_different += u64::from(!baseline);
        }
        self.last = now;
    }

    /// Forgets what counts no more.
    fn forget(&mut self, now: Instant, window: Duration) {
        while self.parts.front().is_some_and(|part| now - part.begun >= window) {
            self.parts.pop_front();
        }
    }

    fn sum(&self, at: Timestamp) -> ReadComparison {
        let sum = |of: fn(&Part) -> u64| self.parts.iter().map(of).sum();
        ReadComparison {
            at,
            compared: sum(|part| part.compared),
            different: sum(|part| part.different),
            baseline_compared: sum(|part| part.compared),
            baseline_different: sum(|part| part.baseline_different),
        }
    }
}

/// What became of the comparison of one read.
struct Judged {
    /// Whether the store that answered answered the same again; `None` where it did not in time.
    baseline: Option<bool>,
    agreed: bool,
}

/// The samples of this process.
pub(super) struct Samples {
    config: ReadSampling,
    /// Whose they are among those of other processes.
    by: InteractionId,
    permits: Arc<Semaphore>,
    tallies: Mutex<HashMap<TenantId, Tally>>,
    /// The comparisons under way; `None` once the switch was disconnected.
    tasks: Mutex<Option<JoinSet<()>>>,
}

impl Samples {
    pub(super) fn new(config: ReadSampling) -> Self {
        Self {
            config,
            by: InteractionId::fresh(),
            permits: Arc::new(Semaphore::new(config.in_flight)),
            tallies: Mutex::default(),
            tasks: Mutex::new(Some(JoinSet::new())),
        }
    }

    pub(super) const fn by(&self) -> &InteractionId {
        &self.by
    }

    pub(super) const fn deadline(&self) -> Duration {
        self.config.deadline
    }

    fn is_drawn(&self) -> bool {
        self.config.fraction > 0.0 && fastrand::f64() < self.config.fraction
    }

    /// Begins a comparison beside its caller, unless the switch was disconnected.
    fn spawn(&self, runtime: &Handle, compare: impl Future<Output = ()> + Send + 'static) {
        if let Some(tasks) = &mut *self.tasks.lock() {
            while tasks.try_join_next().is_some() {}
            tasks.spawn_on(compare, runtime);
        }
    }

    /// Ends the comparisons under way, and takes no further ones.
    pub(super) async fn end(&self) {
        let tasks = self.tasks.lock().take();
        if let Some(mut tasks) = tasks {
            tasks.shutdown().await;
        }
    }

    fn add(&self, tenant: &TenantId, attempt: Attempt, judged: &Judged) {
        let Some(baseline) = judged.baseline else {
            return count(tenant, "left_out");
        };
        count(tenant, if judged.agreed { "same" } else { "different" });
        count(
            tenant,
            if baseline {
                "baseline_same"
            } else {
                "baseline_different"
            },
        );
        let now = Instant::now();
        let mut tallies = self.tallies.lock();
        let tally = tallies
            .entry(tenant.clone())
            .or_insert_with(|| Tally::new(attempt, now));
        if tally.attempt.epoch > attempt.epoch {
            // A straggler of what is over says nothing of what came behind it.
            return;
        }
        if tally.attempt != attempt {
            *tally = Tally::new(attempt, now);
        }
        tally.add(now, self.config.window, baseline, judged.agreed);
    }

    pub(super) fn restart(&self, tenant: &TenantId) {
        self.tallies.lock().remove(tenant);
    }

    /// What the sample of a tenant says that is of its setting's attempt; `None` where there is none.
    pub(super) fn of(
        &self,
        tenant: &TenantId,
        setting: &TenantSetting,
        now: Timestamp,
    ) -> Option<ReadComparison> {
        let attempt = Attempt::of(setting)?;
        let mut tallies = self.tallies.lock();
        let tally = tallies.get_mut(tenant).filter(|tally| tally.attempt == attempt)?;
        tally.forget(Instant::now(), self.config.window);
        Some(tally.sum(now - tally.last.elapsed()))
    }
}

fn count(tenant: &TenantId, outcome: &'static str) {
    let labels = [("tenant", tenant.to_string()), ("outcome", outcome.to_owned())];
    metrics::counter!("kaireon.switch.reads_compared", &labels).increment(1);
}

impl Inner {
    /// Draws a read that was answered, and compares it beside its caller.
    pub(super) fn sample(
        self: &Arc<Self>,
        setting: &TenantSetting,
        read: impl FnOnce() -> Read,
        answer: impl FnOnce() -> Answer,
    ) {
        if !self.samples.is_drawn() {
            return;
        }
        let Some(attempt) = Attempt::of(setting) else {
            return;
        };
        let read = read();
        let runtime = Handle::try_current();
        let permit = Arc::clone(&self.samples.permits).try_acquire_owned();
        let stores = self.sides(setting);
        let (Ok(runtime), Ok(permit), Some((answered, other))) = (runtime, permit, stores) else {
            return count(read.tenant(), "left_out");
        };
        // The tasks are the switch's, and must not keep it.
        let (inner, answer) = (Arc::downgrade(self), answer());
        let deadline = self.samples.config.deadline;
        self.samples.spawn(&runtime, async move {
            let until = Instant::now() + deadline;
            let judged = judge(&read, &answer, answered.as_ref(), other.as_ref(), until).await;
            if let Some(inner) = inner.upgrade() {
                inner.samples.add(read.tenant(), attempt, &judged);
            }
            drop(permit);
        });
    }

    /// The store that answers reads and the one that does not, of a migration under way; `None` without one, or where
    /// this process was not given both.
    pub(super) fn sides(
        &self,
        setting: &TenantSetting,
    ) -> Option<(Arc<dyn InteractionStore>, Arc<dyn InteractionStore>)> {
        let migration = setting.under_way()?;
        let other = match setting.reads == migration.source {
            true => &migration.target,
            false => &migration.source,
        };
        let store = |name| self.stores.get(name).ok().map(Arc::clone);
        Some((store(&setting.reads)?, store(other)?))
    }
}

async fn judge(
    read: &Read,
    answer: &Answer,
    answered: &dyn InteractionStore,
    other: &dyn InteractionStore,
    until: Instant,
) -> Judged {
    let mut judged = Judged {
        baseline: None,
        agreed: false,
    };
    let mut pause = PAUSES.0;
    loop {
        let again = timeout_at(until, read.of(answered));
        let (again, there) = join(again, timeout_at(until, read.of(other))).await;
        let Ok(Ok(again)) = again else {
            // Nothing is known of the other side that the one which answered does not say as well.
            judged.baseline = None;
            return judged;
        };
        judged.baseline.get_or_insert(again == *answer);
        judged.agreed = matches!(there, Ok(Ok(there)) if there == again || there == *answer);
        if judged.agreed || Instant::now() + pause >= until {
            return judged;
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}
