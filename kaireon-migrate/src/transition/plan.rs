//! Beginning, pacing and ending a migration.

use std::time::Duration;

use kaireon_core::outbox::Lane;

use super::{AT_REST, BEFORE, Turn, UNDER_WAY, later};
use crate::gate::{age, gate};
use crate::setting::Passed;
use crate::{
    Backend, Completeness, DualWrite, Evidence, Migration, Missing, OldRows, Phase, Policy, Side,
    TenantSetting,
};

impl Turn<'_> {
    /// A migration from where the tenant is to another store, with nothing known yet.
    pub(super) fn migration_to(&self, target: &Backend, dual_write: DualWrite, policy: Policy) -> Migration {
        Migration {
            source: self.setting.authority.clone(),
            target: target.clone(),
            dual_write,
            policy,
            started_at: self.change.at,
            in_force: None,
            evidence: Evidence::default(),
            passed: None,
            cut_over_at: None,
            other_side: Completeness::Kept,
            old_rows: None,
        }
    }

    pub(super) fn start(
        &mut self,
        target: &Backend,
        dual_write: DualWrite,
        policy: Policy,
    ) -> Option<TenantSetting> {
        let mut next = self.from(&AT_REST)?;
        self.must(*target != next.authority, Missing::OtherTarget);
        // What was dropped there lies before the watermark, so the target would never be complete.
        let dropped = |migration: &Migration| {
            let gone = matches!(migration.old_rows, Some(OldRows::Archive | OldRows::Drop));
            gone && migration.source == *target
        };
        self.should(
            !next.migration.as_ref().is_some_and(dropped),
            Missing::DroppedRows,
        );
        next.migration = Some(self.migration_to(target, dual_write, policy));
        next.epoch = later(next.epoch, 1);
        next.phase = Phase::DualWrite;
        next.lanes = next.lanes.with(Lane::Replicate);
        Some(next)
    }

    pub(super) fn set_dual_write(&mut self, dual_write: DualWrite) -> Option<TenantSetting> {
        let mut next = self.from(&UNDER_WAY)?;
        next.migration.as_mut()?.dual_write = dual_write;
        // Whoever reads from the other side expects its own write there.
        let ahead = next.reads != next.authority;
        let strict = matches!(dual_write, DualWrite::Strict { .. });
        self.should(!ahead || strict, Missing::StrictDualWrite);
        Some(next)
    }

    pub(super) fn pass_gate(&mut self) -> Option<TenantSetting> {
        let mut next = self.from(&BEFORE)?;
        if next.phase == Phase::Ready {
            self.must(
                false,
                Missing::Phase {
                    from: BEFORE[..3].to_vec(),
                },
            );
            return None;
        }
        self.judge(&mut next)?;
        next.phase = Phase::Ready;
        Some(next)
    }

    /// Asks the gate, and notes that it was passed or by what force.
    pub(super) fn judge(&mut self, next: &mut TenantSetting) -> Option<()> {
        let now = self.change.at;
        let migration = next.migration.as_mut()?;
        let lacking = gate(migration, now);
        for missing in &lacking {
            self.should(false, missing.clone());
        }
        migration.passed = Some(Passed {
            at: now,
            overridden: lacking,
        });
        Some(())
    }

    pub(super) fn read_from(&mut self, side: Side) -> Option<TenantSetting> {
        let mut next = self.from(&UNDER_WAY)?;
        let migration = next.migration.as_ref()?;
        let reads = migration.store(side).clone();
        if reads != next.authority {
            // After the cut-over there is no reading from the old store but by going back.
            self.must(
                next.phase != Phase::CutOver,
                Missing::Phase {
                    from: vec![Phase::Ready],
                },
            );
            let strict = matches!(migration.dual_write, DualWrite::Strict { .. });
            self.should(strict, Missing::StrictDualWrite);
            if next.phase != Phase::Ready {
                self.should(false, Missing::Gate);
            }
            self.judge(&mut next)?;
        }
        next.reads = reads;
        Some(next)
    }

    pub(super) fn finalise(&mut self, old_rows: OldRows) -> Option<TenantSetting> {
        let mut next = self.from(&[Phase::CutOver])?;
        let migration = next.migration.as_mut()?;
        let period = migration.policy.safety_period;
        let passed = migration
            .cut_over_at
            .map_or(Duration::ZERO, |since| age(since, self.change.at));
        let remaining = period.saturating_sub(passed);
        self.should(remaining.is_zero(), Missing::SafetyPeriod { remaining });
        migration.old_rows = Some(old_rows);
        next.epoch = later(next.epoch, 1);
        next.phase = Phase::Finalised;
        next.lanes = next.lanes.without(Lane::Replicate);
        Some(next)
    }
}
