//! One day after the other: read, verified by the reader, and applied to the target.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use kaireon_archive::{Archive, Archived, Chunk, Day, Kind};
use kaireon_core::store::{Accepted, Epoch, Origin, RecordBatch};
use kaireon_core::{Decision, Error, ErrorKind, Interaction, InteractionStore, Result, TenantId};
use parking_lot::{Mutex, RwLock};
use tokio::time::{Instant, sleep};

use super::is_for_now;
use super::kept::{Counts, Kept};
use super::pace::Throttle;
use super::progress::Unapplied;

/// The first and the longest pause before something is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// What is applied: an interaction or a decision.
pub(crate) trait Row: Archived {
    /// Records a batch; says of each whether it is new.
    fn record(
        store: &dyn InteractionStore,
        batch: RecordBatch<Self>,
    ) -> BoxFuture<'_, Result<Vec<Result<bool>>>>;
}

impl Row for Interaction {
    fn record(
        store: &dyn InteractionStore,
        batch: RecordBatch<Self>,
    ) -> BoxFuture<'_, Result<Vec<Result<bool>>>> {
        Box::pin(async move {
            let outcomes = store.record_events(batch).await?.into_results().into_iter();
            Ok(outcomes
                .map(|outcome| outcome.map(|recorded| recorded.is_new()))
                .collect())
        })
    }
}

impl Row for Decision {
    fn record(
        store: &dyn InteractionStore,
        batch: RecordBatch<Self>,
    ) -> BoxFuture<'_, Result<Vec<Result<bool>>>> {
        Box::pin(async move {
            let outcomes = store.record_decisions(batch).await?.into_results().into_iter();
            Ok(outcomes
                .map(|outcome| outcome.map(|recorded| recorded.is_new()))
                .collect())
        })
    }
}

/// What the tasks of one run share.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) tenant: TenantId,
    pub(super) archive: Archive,
    pub(super) target: Arc<dyn InteractionStore>,
    pub(super) kept: Mutex<Kept>,
    pub(super) throttle: Throttle,
    /// The epoch that the target is written under.
    pub(super) epoch: RwLock<Epoch>,
    pub(super) chunk_records: usize,
    /// Days that nobody is at yet.
    pub(super) days: Mutex<VecDeque<(Kind, Day)>>,
}

impl Job {
    /// Takes one day after the other until there is none left.
    pub(super) async fn work(self: Arc<Self>) -> Result<()> {
        loop {
            let next = self.days.lock().pop_front();
            match next {
                None => return Ok(()),
                Some((Kind::Decisions, day)) => self.day::<Decision>(day).await?,
                Some((_, day)) => self.day::<Interaction>(day).await?,
            }
        }
    }

    async fn day<T: Row>(&self, day: Day) -> Result<()> {
        let position = self.kept.lock().position(T::KIND, day);
        let mut reader = (self.archive).read_day::<T>(&self.tenant, day, position, self.chunk_records);
        let mut pause = PAUSES.0;
        let mut said: Option<Error> = None;
        loop {
            match reader.next().await {
                Ok(None) => {
                    self.kept.lock().ended(T::KIND, day);
                    return Ok(());
                }
                Ok(Some(chunk)) => {
                    pause = PAUSES.0;
                    self.apply(chunk).await?;
                }
                Err(error) if is_for_now(&error) => self.stall(&error, &mut pause).await,
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    // The reader goes on with the next object, unless it is the day itself that cannot be read.
                    if said.is_some_and(|said| said.context() == error.context()) {
                        return Ok(());
                    }
                    self.kept.lock().unread(T::KIND, day, error.context());
                    said = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Applies a chunk, and notes it once every record of it has an outcome that stands.
    async fn apply<T: Row>(&self, chunk: Chunk<T>) -> Result<()> {
        let mut counts = Counts::default();
        let line = |line: u64, reason: String| Unapplied {
            kind: T::KIND,
            day: chunk.day,
            object: Some(chunk.object.clone()),
            line: Some(line),
            reason,
        };
        let bad = chunk.bad.iter();
        let mut unapplied: Vec<_> = bad.map(|bad| line(bad.line, bad.reason.clone())).collect();
        for (place, error) in self.write(&chunk.records, &mut counts).await? {
            let reason = format!("the target refused it: {error}");
            unapplied.push(line(chunk.lines[place], reason));
        }
        count(&self.tenant, counts, unapplied.len() as u64);
        self.kept.lock().applied(T::KIND, &chunk, counts, unapplied);
        Ok(())
    }

    /// Writes records, as many at once as the pace allows, until each is there, was there, was erased or is refused for good;
    /// returns the last, by place.
    async fn write<T: Row>(
        &self,
        records: &[Accepted<T>],
        counts: &mut Counts,
    ) -> Result<Vec<(usize, Error)>> {
        let mut open: VecDeque<usize> = (0..records.len()).collect();
        let mut refused = Vec::new();
        let mut pause = PAUSES.0;
        while !open.is_empty() {
            let rows = self.throttle.admit(open.len()).await.min(open.len());
            let part: Vec<usize> = open.drain(..rows).collect();
            let epoch = *self.epoch.read();
            let values = part.iter().map(|&place| records[place].clone());
            let batch = RecordBatch::accepted(Origin::Backfill, values).with_epoch(epoch);
            let begun = Instant::now();
            let answer = T::record(self.target.as_ref(), batch).await;
            let took = begun.elapsed();
            metrics::histogram!("kaireon.backfill.write.duration", "tenant" => self.tenant.to_string())
                .record(took.as_secs_f64());
            self.throttle.observe(took).await;
            let outcomes = match answer {
                Ok(outcomes) if outcomes.len() == part.len() => outcomes,
                Ok(_) => {
                    let context = "the target answered another number of records than it was given";
                    return Err(Error::new(ErrorKind::Internal, context));
                }
                Err(error) if is_for_now(&error) => part.iter().map(|_| Err(error.clone())).collect(),
                Err(error) => return Err(error),
            };
            let mut again = Vec::new();
            let mut failed = None;
            for (place, outcome) in part.into_iter().zip(outcomes) {
                match outcome {
                    Ok(true) => counts.applied += 1,
                    Ok(false) => counts.duplicates += 1,
                    Err(error) if error.kind() == ErrorKind::Erased => counts.erased += 1,
                    Err(error) if is_for_now(&error) => {
                        again.push(place);
                        failed = Some(error);
                    }
                    // What fails for every record is no record's fault.
                    Err(error) if !is_the_records(error.kind()) => return Err(error),
                    Err(error) => refused.push((place, error)),
                }
            }
            for place in again.into_iter().rev() {
                open.push_front(place);
            }
            match failed {
                None => {
                    pause = PAUSES.0;
                    self.kept.lock().stalls(None);
                }
                Some(error) => self.stall(&error, &mut pause).await,
            }
        }
        Ok(refused)
    }

    /// Waits before something is tried again, and tells why.
    async fn stall(&self, error: &Error, pause: &mut Duration) {
        metrics::counter!("kaireon.backfill.stalls", "tenant" => self.tenant.to_string()).increment(1);
        self.kept.lock().stalls(Some(error.to_string()));
        sleep(error.retry_after().unwrap_or(*pause).min(PAUSES.1)).await;
        *pause = (*pause * 2).min(PAUSES.1);
    }
}

/// Whether an error that no repetition cures is about the record that it was answered for, rather than about the target.
const fn is_the_records(kind: ErrorKind) -> bool {
    !matches!(
        kind,
        ErrorKind::Config | ErrorKind::Unauthorized | ErrorKind::Unsupported | ErrorKind::StorageFull
    )
}

fn count(tenant: &TenantId, counts: Counts, unapplied: u64) {
    let Counts {
        applied,
        duplicates,
        erased,
    } = counts;
    for (outcome, rows) in [
        ("applied", applied),
        ("duplicate", duplicates),
        ("erased", erased),
        ("unapplied", unapplied),
    ] {
        if rows > 0 {
            metrics::counter!("kaireon.backfill.rows", "tenant" => tenant.to_string(), "outcome" => outcome)
                .increment(rows);
        }
    }
}
