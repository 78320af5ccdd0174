//! What is learnt of the two stores.

use kaireon_core::InteractionId;
use kaireon_core::store::Epoch;

use super::{BEFORE, Turn, UNDER_WAY, later};
use crate::gate::age;
use crate::{
    Backfill, Completeness, Evidence, InForce, Missing, Phase, ReadComparison, Replication, Side, StoreMark,
    TenantSetting, Verification,
};

impl Turn<'_> {
    pub(super) fn confirm_lanes(&mut self, source: StoreMark, target: StoreMark) -> Option<TenantSetting> {
        let mut next = self.from(&[Phase::DualWrite])?;
        let (epoch, at) = (next.epoch, self.change.at);
        let in_force = InForce {
            epoch,
            at,
            since: source,
            source,
            target,
        };
        let migration = next.migration.as_mut()?;
        if let Some(known) = migration.in_force {
            self.same_stores(known, in_force);
            // The first proof stands: what was written after it is replicated.
            migration.in_force = Some(InForce {
                at: known.at,
                since: known.since,
                ..in_force
            });
        } else {
            migration.in_force = Some(in_force);
        }
        Some(next)
    }

    fn same_stores(&mut self, known: InForce, seen: InForce) {
        self.must(
            seen.source.follows(known.source),
            Missing::SameStore { side: Side::Source },
        );
        self.must(
            seen.target.follows(known.target),
            Missing::SameStore { side: Side::Target },
        );
    }

    pub(super) fn begin_backfill(&mut self, export: StoreMark) -> Option<TenantSetting> {
        let mut next = self.from(&BEFORE)?;
        let (at, reads) = (self.change.at, next.authority.clone());
        let migration = next.migration.as_mut()?;
        match migration.in_force {
            None => self.must(false, Missing::LanesInForce),
            Some(in_force) => self.must(export.follows(in_force.since), Missing::LaterExport),
        };
        migration.evidence = Evidence {
            backfill: Some(Backfill {
                started_at: at,
                export,
                completed_at: None,
                bad_lines: 0,
            }),
            replication: migration.evidence.replication,
            ..Evidence::default()
        };
        migration.passed = None;
        next.reads = reads;
        next.phase = Phase::Backfilling;
        Some(next)
    }

    pub(super) fn complete_backfill(&mut self, bad_lines: u64) -> Option<TenantSetting> {
        let mut next = self.from(&[Phase::Backfilling])?;
        let backfill = next.migration.as_mut()?.evidence.backfill.as_mut()?;
        backfill.completed_at = Some(self.change.at);
        backfill.bad_lines = bad_lines;
        next.phase = Phase::Verifying;
        Some(next)
    }

    pub(super) fn verified(&mut self, verification: Verification) -> Option<TenantSetting> {
        let mut next = self.from(&[Phase::Verifying, Phase::Ready, Phase::CutOver])?;
        let clean = verification.differences() == 0 && verification.not_compared == 0;
        let migration = next.migration.as_mut()?;
        migration.evidence.verification = Some(verification);
        if next.phase == Phase::Ready && !clean {
            migration.passed = None;
            next.reads = next.authority.clone();
            next.phase = Phase::Verifying;
        }
        Some(next)
    }

    pub(super) fn replicated(&mut self, replication: Replication) -> Option<TenantSetting> {
        let mut next = self.from(&UNDER_WAY)?;
        next.migration.as_mut()?.evidence.replication = Some(replication);
        Some(next)
    }

    /// A process's sample takes the place of its last one, and what a process has noted long ago counts no more: so none
    /// that has ended speaks for ever, and none hides what another one has seen.
    pub(super) fn reads_compared(
        &mut self,
        reads: ReadComparison,
        by: Option<&InteractionId>,
    ) -> Option<TenantSetting> {
        let mut next = self.from(&[Phase::Verifying, Phase::Ready])?;
        let migration = next.migration.as_mut()?;
        let max_age = migration.policy.gate.max_age;
        let evidence = &mut migration.evidence;
        let Some(by) = by else {
            evidence.reads_by.clear();
            evidence.reads = Some(reads);
            return Some(next);
        };
        evidence.reads_by.insert(by.clone(), reads);
        let is_fresh =
            |noted: &ReadComparison| noted.compared > 0 && age(noted.at, self.change.at) <= max_age;
        evidence.reads_by.retain(|_, noted| is_fresh(noted));
        let all = evidence.reads_by.values().copied();
        evidence.reads = Some(all.reduce(ReadComparison::and).unwrap_or(reads));
        Some(next)
    }

    pub(super) fn observe(
        &mut self,
        side: Side,
        mark: StoreMark,
        epoch: Option<Epoch>,
    ) -> Option<TenantSetting> {
        let mut next = self.from(&UNDER_WAY)?;
        let migration = next.migration.as_mut()?;
        let Some(in_force) = migration.in_force.as_mut() else {
            self.must(false, Missing::LanesInForce);
            return None;
        };
        let same = in_force.is_followed(side, mark, epoch);
        let known = match side {
            Side::Source => &mut in_force.source,
            Side::Target => &mut in_force.target,
        };
        *known = mark;
        if same {
            return Some(next);
        }
        if next.phase == Phase::CutOver {
            migration.other_side = Completeness::Broken;
            return Some(next);
        }
        // What the backfill and the lane brought to the target may be more or less than the source has now.
        migration.in_force = None;
        migration.evidence = Evidence::default();
        migration.passed = None;
        next.reads = next.authority.clone();
        next.epoch = later(next.epoch, 1);
        next.phase = Phase::DualWrite;
        Some(next)
    }
}
