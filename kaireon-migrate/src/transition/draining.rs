//! Moving the authority: closing one store, opening the other, or opening the first again.

use chrono::TimeDelta;
use kaireon_core::outbox::Lane;

use super::{AT_REST, BEFORE, Turn, later};
use crate::step::Drained;
use crate::{
    Backend, Completeness, Draining, DualWrite, Missing, Phase, Policy, Purpose, Side, StoreMark,
    TenantSetting,
};

impl Turn<'_> {
    /// Closes the authority under the next epoch.
    fn drain(&self, next: &mut TenantSetting, purpose: Purpose) -> Option<()> {
        let bound = next.migration.as_ref()?.policy.drain_bound;
        let since = self.change.at;
        let wait = TimeDelta::from_std(bound).unwrap_or(TimeDelta::MAX);
        next.epoch = later(next.epoch, 1);
        next.draining = Some(Draining {
            purpose,
            resumes: next.phase,
            since,
            until: since.checked_add_signed(wait).unwrap_or(since),
            opens: later(next.epoch, 1),
            opens_with: match purpose {
                Purpose::CutOver => next.lanes.with(Lane::Replicate),
                Purpose::RollBack | Purpose::Direct => next.lanes.without(Lane::Replicate),
            },
        });
        next.phase = Phase::Draining;
        Some(())
    }

    pub(super) fn cut_over(&mut self) -> Option<TenantSetting> {
        let mut next = self.from(&BEFORE)?;
        if next.phase != Phase::Ready {
            self.should(false, Missing::Gate);
        }
        self.judge(&mut next)?;
        self.drain(&mut next, Purpose::CutOver)?;
        Some(next)
    }

    pub(super) fn switch_directly(&mut self, target: &Backend) -> Option<TenantSetting> {
        let mut next = self.from(&AT_REST)?;
        self.must(*target != next.authority, Missing::OtherTarget);
        next.migration = Some(self.migration_to(target, DualWrite::Async, Policy::default()));
        self.drain(&mut next, Purpose::Direct)?;
        Some(next)
    }

    pub(super) fn roll_back(&mut self) -> Option<TenantSetting> {
        let mut phases = BEFORE.to_vec();
        phases.extend([Phase::Draining, Phase::CutOver]);
        let mut next = self.from(&phases)?;
        match next.phase {
            Phase::CutOver => {
                let complete = next.migration.as_ref()?.other_side == Completeness::Kept;
                self.should(complete, Missing::CompleteOtherSide);
                self.drain(&mut next, Purpose::RollBack)?;
            }
            Phase::Draining => {
                let back = next.draining?.purpose == Purpose::RollBack;
                next = self.reopen()?;
                if !back {
                    end_on_authority(&mut next);
                }
            }
            _ => {
                next.epoch = later(next.epoch, 1);
                end_on_authority(&mut next);
            }
        }
        Some(next)
    }

    pub(super) fn open(&mut self, drained: Drained, opened: StoreMark) -> Option<TenantSetting> {
        let mut next = self.from(&[Phase::Draining])?;
        let draining = next.draining.take()?;
        let closing = next.migration.as_ref()?.source == next.authority;
        let (closes, opens) = match closing {
            true => (Side::Source, Side::Target),
            false => (Side::Target, Side::Source),
        };
        self.judge_drained(draining.purpose, drained, closes);
        let at = self.change.at;
        let migration = next.migration.as_mut()?;
        if let Some(in_force) = migration.in_force.as_mut() {
            let known = match opens {
                Side::Source => &mut in_force.source,
                Side::Target => &mut in_force.target,
            };
            self.should(opened.follows(*known), Missing::SameStore { side: opens });
            *known = opened;
        }
        next.authority = migration.store(opens).clone();
        next.reads = next.authority.clone();
        next.epoch = draining.opens;
        match draining.purpose {
            Purpose::CutOver => {
                migration.cut_over_at = Some(at);
                // What was left behind in the lane is on the source alone: it has more than the target, not less.
                next.phase = Phase::CutOver;
                next.lanes = draining.opens_with;
            }
            Purpose::RollBack | Purpose::Direct => end_on_authority(&mut next),
        }
        Some(next)
    }

    /// What the store that closes leaves behind.
    fn judge_drained(&mut self, purpose: Purpose, drained: Drained, side: Side) {
        match drained {
            Drained::Unreachable => self.should(false, Missing::Fence),
            Drained::Fenced {
                mark,
                waiting,
                dead_letters,
                unpublished,
            } => {
                let known = self
                    .setting
                    .migration
                    .as_ref()
                    .and_then(|migration| migration.in_force);
                let known = known.map(|in_force| match side {
                    Side::Source => in_force.source,
                    Side::Target => in_force.target,
                });
                let same = known.is_none_or(|known| mark.follows(known));
                self.should(same, Missing::SameStore { side });
                // Without replication there is no lane of it to empty.
                let replicated = purpose == Purpose::Direct || (waiting == 0 && dead_letters == 0);
                self.should(
                    replicated && unpublished == 0,
                    Missing::EmptyLane {
                        waiting,
                        dead_letters,
                        unpublished,
                    },
                );
            }
        }
    }

    pub(super) fn reopen(&mut self) -> Option<TenantSetting> {
        let mut next = self.from(&[Phase::Draining])?;
        let draining = next.draining.take()?;
        // The epoch between the two was for the other side, whose fence may stand there already.
        next.epoch = later(draining.opens, 1);
        next.phase = draining.resumes;
        match draining.purpose {
            Purpose::Direct => end_on_authority(&mut next),
            // What a forced step overrode is no passed gate, and without one reads are on the authority.
            Purpose::CutOver if draining.resumes != Phase::Ready => {
                next.migration.as_mut()?.passed = None;
                next.reads = next.authority.clone();
            }
            Purpose::CutOver | Purpose::RollBack => {}
        }
        Some(next)
    }
}

/// The tenant is on its authority alone. A second attempt begins with a backfill of its own.
fn end_on_authority(next: &mut TenantSetting) {
    next.phase = Phase::Single;
    next.migration = None;
    next.draining = None;
    next.reads = next.authority.clone();
    next.lanes = next.lanes.without(Lane::Replicate);
}
