//! Sending records when they are due.

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use kaireon_core::store::{Accepted, Generation, Origin, RecordBatch};
use kaireon_core::time::Timestamp;
use kaireon_core::{
    CustomerId, Decision, Error, ErrorKind, IdempotencyKey, Interaction, InteractionId, InteractionStore,
    RecommendationId, Result, TenantId,
};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::place::Scratch;
use super::report::{RehearsalProgress, RehearsalReport};
use super::source::{Source, Timed};
use super::{Rehearsal, RehearsalConfig};
use crate::backfill::Row;

/// What latencies are told apart by: three digits, up to an hour.
const LONGEST_US: u64 = 3_600_000_000;

/// How records become those of the scratch tenant.
pub(super) struct Disguise {
    tenant: TenantId,
    /// Drawn for the run.
    key: [u8; 32],
    run: InteractionId,
}

impl Disguise {
    /// A customer's name in this run: the same for each of its records, and telling nothing of it.
    fn customer(&self, customer: &CustomerId) -> Result<CustomerId> {
        let hash = blake3::keyed_hash(&self.key, customer.as_str().as_bytes());
        CustomerId::new(&hash.to_hex().as_str()[..32])
    }
}

/// A record that is replayed.
pub(super) trait Replayed: Timed + Row {
    fn disguised(&self, by: &Disguise, number: u64, at: Timestamp) -> Result<Self>;
}

impl Replayed for Interaction {
    fn disguised(&self, by: &Disguise, number: u64, at: Timestamp) -> Result<Self> {
        let customer = by.customer(&self.customer)?;
        let key = IdempotencyKey::new(format!("{}-{number}", by.run))?;
        self.edited(|row| {
            row.id = InteractionId::fresh();
            row.tenant = by.tenant.clone();
            row.customer = customer;
            row.idempotency_key = key;
            row.timestamp = at;
        })
    }
}

impl Replayed for Decision {
    fn disguised(&self, by: &Disguise, number: u64, at: Timestamp) -> Result<Self> {
        let customer = by.customer(&self.customer)?;
        let id = RecommendationId::new(format!("{}-{number}", by.run))?;
        self.edited(|row| {
            row.id = id;
            row.tenant = by.tenant.clone();
            row.customer = customer;
            row.timestamp = at;
        })
    }
}

/// What became of the calls.
struct Tally {
    took_us: Histogram<u64>,
    answered: u64,
    failed: Vec<(ErrorKind, u64)>,
    calls: u64,
    late: u64,
    latest: Duration,
    unreadable: u64,
    last_due: Duration,
    last_answer: Duration,
}

/// One run under way.
pub(super) struct Play<'a> {
    by: &'a Rehearsal,
    disguise: Disguise,
    permits: Arc<Semaphore>,
    begun: Instant,
    total: u64,
    numbers: std::sync::atomic::AtomicU64,
    tally: Arc<Mutex<Tally>>,
}

impl<'a> Play<'a> {
    pub(super) fn new(by: &'a Rehearsal, scratch: &Scratch<'_>, total: u64) -> Self {
        let run = InteractionId::fresh();
        Self {
            by,
            disguise: Disguise {
                tenant: scratch.of.clone(),
                key: *blake3::hash(InteractionId::fresh().as_str().as_bytes()).as_bytes(),
                run,
            },
            permits: Arc::new(Semaphore::new(by.config.concurrency)),
            begun: Instant::now(),
            total,
            numbers: std::sync::atomic::AtomicU64::new(0),
            tally: Arc::new(Mutex::new(Tally {
                took_us: histogram(),
                answered: 0,
                failed: Vec::new(),
                calls: 0,
                late: 0,
                latest: Duration::ZERO,
                unreadable: 0,
                last_due: Duration::ZERO,
                last_answer: Duration::ZERO,
            })),
        }
    }

    /// Sends the records of a source, each when it is due, and waits for the last answer.
    pub(super) async fn all<T: Replayed>(
        &self,
        source: Source<T>,
        mut dues: impl Iterator<Item = Duration> + Send,
    ) -> Result<()> {
        let mut calls = JoinSet::new();
        let mut pass = source.pass();
        'sent: while let Some(records) = pass.next().await? {
            for record in records {
                // What came into the archive since it was counted is not replayed.
                let Some(due) = dues.next() else { break 'sent };
                sleep_until(self.begun + due).await;
                let permit = Arc::clone(&self.permits).acquire_owned().await;
                let late = (self.begun + due).elapsed();
                self.note_call(due, late);
                let number = self.numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let record = record.disguised(&self.disguise, number, self.by.clock.now())?;
                let (target, tally) = (Arc::clone(&self.by.target), Arc::clone(&self.tally));
                let (deadline, begun) = (self.by.config.deadline, self.begun);
                calls.spawn(async move {
                    let called = Instant::now();
                    let outcome = call(target.as_ref(), record, deadline).await;
                    tally.lock().note(called.elapsed(), begun.elapsed(), outcome);
                    drop(permit);
                });
                while let Some(ended) = calls.try_join_next() {
                    is_well(ended)?;
                }
            }
            self.tell();
        }
        while let Some(ended) = calls.join_next().await {
            is_well(ended)?;
        }
        self.tally.lock().unreadable += pass.unreadable;
        self.tell();
        Ok(())
    }

    fn note_call(&self, due: Duration, late: Duration) {
        let mut tally = self.tally.lock();
        tally.calls += 1;
        tally.last_due = tally.last_due.max(due);
        tally.latest = tally.latest.max(late);
        tally.late += u64::from(late > self.by.config.late_after);
    }

    fn tell(&self) {
        let tally = self.tally.lock();
        let progress = RehearsalProgress {
            calls: tally.calls,
            of: self.total,
            late: tally.late,
            failed: tally.failed.iter().map(|(_, count)| count).sum(),
        };
        drop(tally);
        self.by.tell(progress);
    }

    /// What became of it.
    #[allow(clippy::unused_async, reason = "the last calls have ended")]
    pub(super) async fn end(&self, started_at: Timestamp) -> RehearsalReport {
        let RehearsalConfig { times, .. } = self.by.config;
        let tally = self.tally.lock();
        let quantile = |at| Duration::from_micros(tally.took_us.value_at_quantile(at));
        RehearsalReport {
            scratch: self.disguise.tenant.clone(),
            started_at,
            times,
            records: self.total,
            calls: tally.calls,
            answered: tally.answered,
            errors: tally
                .failed
                .iter()
                .map(|(kind, count)| (kind.as_str().to_owned(), *count))
                .collect(),
            unreadable: tally.unreadable,
            late: tally.late,
            latest: tally.latest,
            offered_per_second: rate(tally.calls, tally.last_due),
            achieved_per_second: rate(tally.answered, tally.last_answer),
            p50: quantile(0.5),
            p99: quantile(0.99),
            slowest: Duration::from_micros(tally.took_us.max()),
            left_behind: None,
        }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_US, 3).expect("these bounds are within the histogram's own")
}

/// So many in so long, of at least a second: fewer were not measured.
#[allow(clippy::cast_precision_loss, reason = "calls stay far below 2^52")]
fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(1.0)
}

impl Tally {
    fn note(&mut self, took: Duration, at: Duration, outcome: Result<()>) {
        let took = u64::try_from(took.as_micros()).unwrap_or(LONGEST_US);
        self.took_us.saturating_record(took.clamp(1, LONGEST_US));
        self.last_answer = self.last_answer.max(at);
        let Err(error) = outcome else {
            self.answered += 1;
            return;
        };
        let kind = error.kind();
        match self.failed.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => self.failed.push((kind, 1)),
        }
    }
}

async fn call<T: Replayed>(target: &dyn InteractionStore, record: T, deadline: Duration) -> Result<()> {
    let accepted = Accepted {
        value: record,
        generation: Generation::ZERO,
    };
    let batch = RecordBatch::accepted(Origin::Replicated, [accepted]);
    let late = |_| {
        let context = "the store did not answer a call of the rehearsal in time";
        Err(Error::new(ErrorKind::Timeout, context))
    };
    let answered = timeout(deadline, T::record(target, batch)).await;
    let outcome = answered.unwrap_or_else(late)?.pop();
    match outcome {
        Some(recorded) => recorded.map(drop),
        None => Err(Error::new(ErrorKind::Internal, "a record was not answered")),
    }
}

fn is_well(ended: std::result::Result<(), tokio::task::JoinError>) -> Result<()> {
    ended.map_err(|error| {
        Error::new(ErrorKind::Internal, "a call of the rehearsal ended by a panic").with_source(error)
    })
}
