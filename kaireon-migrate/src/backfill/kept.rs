//! What a backfill keeps of itself, in one document beside the archive.

use std::collections::BTreeMap;
use std::time::Duration;

use kaireon_archive::{Chunk, Day, DayPosition, DayTotals, Kind};
use kaireon_core::InteractionId;
use kaireon_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::progress::{BackfillProgress, BackfillState, Unapplied};
use crate::{Backend, Drive, Side, StoreMark};

/// How many of a day's lines are named that could not be applied.
const NAMED: usize = 100;

/// Which backfill it is: another target, another beginning or another export is another one, and begins with nothing done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempt {
    pub(super) target: Backend,
    pub(super) started_at: Timestamp,
    pub(super) export: StoreMark,
}

/// Who is at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    pub(super) owner: String,
    /// Drawn for each run, so that a run which another one of its name has followed knows.
    pub(super) run: InteractionId,
    pub(super) until: Timestamp,
}

/// What became of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) applied: u64,
    pub(super) duplicates: u64,
    pub(super) erased: u64,
}

impl Counts {
    const fn sum(self) -> u64 {
        self.applied + self.duplicates + self.erased
    }

    fn add(&mut self, other: Self) {
        let Self {
            applied,
            duplicates,
            erased,
        } = other;
        self.applied += applied;
        self.duplicates += duplicates;
        self.erased += erased;
    }
}

/// One day of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Partition {
    position: DayPosition,
    counts: Counts,
    /// As its manifest had them when a run began.
    rows: u64,
    bytes: u64,
    ended: bool,
    unapplied: u64,
    which: Vec<Unapplied>,
}

/// The document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) attempt: Attempt,
    pub(super) holder: Option<Holder>,
    pub(super) complete: bool,
    /// Where this attempt has moved the target's watermark to.
    #[serde(default)]
    pub(super) purged_before: Option<Timestamp>,
    /// How far the two stores had come when this attempt last looked at them.
    #[serde(default)]
    source_seen: Option<StoreMark>,
    #[serde(default)]
    target_seen: Option<StoreMark>,
    drive: Drive,
    stalled_by: Option<String>,
    rows_per_second: u64,
    interactions: BTreeMap<Day, Partition>,
    decisions: BTreeMap<Day, Partition>,
}

impl Kept {
    pub(super) const fn new(attempt: Attempt) -> Self {
        Self {
            attempt,
            holder: None,
            complete: false,
            purged_before: None,
            source_seen: None,
            target_seen: None,
            drive: Drive::Running,
            stalled_by: None,
            rows_per_second: 0,
            interactions: BTreeMap::new(),
            decisions: BTreeMap::new(),
        }
    }

    /// Its name among the checkpoints of the archive.
    pub(super) fn name(target: &Backend) -> String {
        format!("backfill-{target}")
    }

    /// The name of its pace there: no [`name`](Self::name) of any target begins like it.
    pub(super) fn pace_name(target: &Backend) -> String {
        format!("backfill_pace-{target}")
    }

    fn days(&self, kind: Kind) -> &BTreeMap<Day, Partition> {
        match kind {
            Kind::Decisions => &self.decisions,
            _ => &self.interactions,
        }
    }

    fn days_mut(&mut self, kind: Kind) -> &mut BTreeMap<Day, Partition> {
        match kind {
            Kind::Decisions => &mut self.decisions,
            _ => &mut self.interactions,
        }
    }

    fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.interactions.values().chain(self.decisions.values())
    }

    /// Begins a run: what could not be applied is read again, and with it its day.
    pub(super) fn begin_run(&mut self, holder: Holder) {
        self.holder = Some(holder);
        self.complete = false;
        self.stalled_by = None;
        self.rows_per_second = 0;
        for days in [&mut self.interactions, &mut self.decisions] {
            days.retain(|_, partition| partition.unapplied == 0);
        }
    }

    /// Notes what the archive holds now.
    pub(super) fn expect(&mut self, kind: Kind, found: &[DayTotals]) {
        let days = self.days_mut(kind);
        days.retain(|day, _| found.iter().any(|found| found.day == *day));
        for day in found {
            let partition = days.entry(day.day).or_default();
            (partition.rows, partition.bytes) = (day.records, day.bytes);
            partition.ended = false;
        }
    }

    pub(super) fn position(&self, kind: Kind, day: Day) -> DayPosition {
        let partition = self.days(kind).get(&day);
        partition
            .map(|partition| partition.position.clone())
            .unwrap_or_default()
    }

    /// Notes that a chunk was applied, but for what is named.
    pub(super) fn applied<T>(
        &mut self,
        kind: Kind,
        chunk: &Chunk<T>,
        counts: Counts,
        unapplied: Vec<Unapplied>,
    ) {
        let partition = self.days_mut(kind).entry(chunk.day).or_default();
        partition.position = chunk.position.clone();
        partition.counts.add(counts);
        partition.name(unapplied);
    }

    /// Notes that a part of a day could not be read.
    pub(super) fn unread(&mut self, kind: Kind, day: Day, reason: &str) {
        let unread = Unapplied {
            kind,
            day,
            object: None,
            line: None,
            reason: reason.to_owned(),
        };
        self.days_mut(kind).entry(day).or_default().name(vec![unread]);
    }

    /// Notes that a day was read to its end.
    pub(super) fn ended(&mut self, kind: Kind, day: Day) {
        let partition = self.days_mut(kind).entry(day).or_default();
        partition.ended = partition.unapplied == 0;
    }

    pub(super) const fn seen(&self, side: Side) -> Option<StoreMark> {
        match side {
            Side::Source => self.source_seen,
            Side::Target => self.target_seen,
        }
    }

    pub(super) const fn see(&mut self, side: Side, mark: StoreMark) {
        match side {
            Side::Source => self.source_seen = Some(mark),
            Side::Target => self.target_seen = Some(mark),
        }
    }

    pub(super) fn stalls(&mut self, by: Option<String>) {
        self.stalled_by = by;
    }

    pub(super) const fn drives(&mut self, drive: Drive, rows_per_second: u64) {
        self.drive = drive;
        self.rows_per_second = rows_per_second;
    }

    /// Rows that are done.
    pub(super) fn rows_done(&self) -> u64 {
        self.partitions().map(|partition| partition.counts.sum()).sum()
    }

    /// Lines and objects that could not be applied.
    pub(super) fn unapplied(&self) -> u64 {
        self.partitions().map(|partition| partition.unapplied).sum()
    }

    /// Whether everything that the archive held when the run began was applied.
    pub(super) fn is_whole(&self) -> bool {
        self.partitions().all(|partition| partition.ended)
    }

    /// How far it has come, at a time.
    pub(super) fn progress(&self, now: Timestamp) -> BackfillProgress {
        let mut counts = Counts::default();
        let (mut rows_total, mut bytes_done, mut bytes_total, mut days_done) = (0, 0, 0, 0);
        for partition in self.partitions() {
            counts.add(partition.counts);
            rows_total += partition.rows;
            bytes_total += partition.bytes;
            days_done += u64::from(partition.ended);
            bytes_done += match partition.ended {
                true => partition.bytes,
                false => partition.bytes_of_its_rows(),
            };
        }
        let held = self.holder.as_ref().is_some_and(|holder| holder.until > now);
        let state = match (held, &self.stalled_by, self.drive) {
            _ if self.complete => BackfillState::Complete,
            (false, ..) => BackfillState::Idle,
            (true, _, Drive::Paused) => BackfillState::Paused,
            (true, Some(_), _) => BackfillState::Stalled,
            (true, None, Drive::Running) => BackfillState::Running,
        };
        let rows_done = counts.sum();
        let left = rows_total.saturating_sub(rows_done);
        let moves = state == BackfillState::Running && self.rows_per_second > 0;
        BackfillProgress {
            state,
            started_at: self.attempt.started_at,
            export: self.attempt.export,
            rows_done,
            rows_total,
            applied: counts.applied,
            duplicates: counts.duplicates,
            erased: counts.erased,
            bytes_done,
            bytes_total,
            days_done,
            days_total: (self.interactions.len() + self.decisions.len()) as u64,
            unapplied: self.unapplied(),
            which: self
                .partitions()
                .flat_map(|partition| partition.which.iter().cloned())
                .collect(),
            rows_per_second: self.rows_per_second,
            eta: moves.then(|| Duration::from_secs(left.div_ceil(self.rows_per_second))),
            stalled_by: self.stalled_by.clone(),
        }
    }
}

impl Partition {
    fn name(&mut self, unapplied: Vec<Unapplied>) {
        self.unapplied += unapplied.len() as u64;
        let room = NAMED.saturating_sub(self.which.len());
        self.which.extend(unapplied.into_iter().take(room));
    }

    fn bytes_of_its_rows(&self) -> u64 {
        let of_rows = u128::from(self.bytes) * u128::from(self.counts.sum()) / u128::from(self.rows.max(1));
        u64::try_from(of_rows).unwrap_or(u64::MAX).min(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_of_one_target_is_never_the_progress_of_another() {
        let target = |name: &str| Backend::new(name).unwrap();
        let pace = Kept::pace_name(&target("pg"));
        for other in ["pg", "pg-pace", "pace-pg", "_pace-pg"] {
            assert_ne!(pace, Kept::name(&target(other)));
        }
        assert!(Kept::pace_name(&target(&"x".repeat(64))).len() <= 128);
    }
}
