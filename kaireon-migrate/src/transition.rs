//! The state machine: a setting and a change make the next setting, or a refusal that says what is missing.

mod draining;
mod evidence;
mod plan;

use kaireon_core::store::Epoch;

use crate::{Audit, Change, Force, Missing, Phase, Refused, Step, TenantSetting};

/// Where a migration is under way and the authority is not moving, on the source.
const BEFORE: [Phase; 4] = [
    Phase::DualWrite,
    Phase::Backfilling,
    Phase::Verifying,
    Phase::Ready,
];

/// The same, or after the cut-over.
const UNDER_WAY: [Phase; 5] = [
    Phase::DualWrite,
    Phase::Backfilling,
    Phase::Verifying,
    Phase::Ready,
    Phase::CutOver,
];

/// Where no migration is under way.
const AT_REST: [Phase; 2] = [Phase::Single, Phase::Finalised];

/// The setting that a change makes of another. It does nothing: whoever asks persists the result by compare-and-set,
/// and only then acts on it.
///
/// # Errors
/// [`Refused`], with everything that is missing and whether force would override it.
///
/// ```
/// use kaireon_core::outbox::LaneSet;
/// use kaireon_core::time::{Clock, SystemClock};
/// use kaireon_migrate::{Backend, Change, DualWrite, Phase, Policy, Step, TenantSetting, transition};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let now = SystemClock.now();
/// let before = TenantSetting::single(Backend::new("postgresql")?, LaneSet::NONE);
/// let start = Step::Start {
///     target: Backend::new("dynamodb")?,
///     dual_write: DualWrite::Async,
///     policy: Policy::default(),
/// };
/// let dual = transition(&before, &Change::new(start, "ops@example.com", "CHG-1207", now)?)?;
/// assert_eq!((dual.phase, dual.epoch.0), (Phase::DualWrite, 1));
///
/// let early = Change::new(Step::CutOver, "ops@example.com", "CHG-1207", now)?;
/// let refused = transition(&dual, &early).unwrap_err();
/// assert!(refused.can_be_forced && refused.to_string().contains("the backfill is not complete"));
/// # Ok(()) }
/// ```
pub fn transition(setting: &TenantSetting, change: &Change) -> Result<TenantSetting, Refused> {
    let mut turn = Turn {
        setting,
        change,
        missing: Vec::new(),
        fixed: false,
    };
    let next = match &change.step {
        Step::Start {
            target,
            dual_write,
            policy,
        } => turn.start(target, *dual_write, *policy),
        Step::ConfirmLanes { source, target } => turn.confirm_lanes(*source, *target),
        Step::SetDualWrite { dual_write } => turn.set_dual_write(*dual_write),
        Step::BeginBackfill { export } => turn.begin_backfill(*export),
        Step::CompleteBackfill { bad_lines } => turn.complete_backfill(*bad_lines),
        Step::Verified { verification } => turn.verified(*verification),
        Step::Replicated { replication } => turn.replicated(*replication),
        Step::ReadsCompared { reads, by } => turn.reads_compared(*reads, by.as_ref()),
        Step::Observe { side, mark, epoch } => turn.observe(*side, *mark, *epoch),
        Step::PassGate => turn.pass_gate(),
        Step::ReadFrom { side } => turn.read_from(*side),
        Step::CutOver => turn.cut_over(),
        Step::SwitchDirectly { target } => turn.switch_directly(target),
        Step::RollBack => turn.roll_back(),
        Step::Open { drained, opened } => turn.open(*drained, *opened),
        Step::Reopen => turn.reopen(),
        Step::Finalise { old_rows } => turn.finalise(*old_rows),
    };
    turn.settle(next)
}

/// One change of one setting, and what it lacks.
struct Turn<'a> {
    setting: &'a TenantSetting,
    change: &'a Change,
    missing: Vec<Missing>,
    /// Whether something is missing that no force overrides.
    fixed: bool,
}

impl Turn<'_> {
    /// What no force overrides.
    fn must(&mut self, holds: bool, missing: Missing) -> bool {
        if !holds {
            self.fixed = true;
            self.missing.push(missing);
        }
        holds
    }

    /// What force overrides.
    fn should(&mut self, holds: bool, missing: Missing) {
        if !holds {
            self.missing.push(missing);
        }
    }

    /// The setting to change, where the tenant is in one of these phases.
    fn from(&mut self, phases: &[Phase]) -> Option<TenantSetting> {
        let from = phases.to_vec();
        let within = phases.contains(&self.setting.phase);
        self.must(within, Missing::Phase { from })
            .then(|| self.setting.clone())
    }

    fn settle(self, next: Option<TenantSetting>) -> Result<TenantSetting, Refused> {
        let forced = self.change.force == Force::Yes;
        match next {
            Some(mut next) if self.missing.is_empty() || (forced && !self.fixed) => {
                next.last = Some(Audit {
                    change: self.change.clone(),
                    overridden: self.missing,
                });
                Ok(next)
            }
            _ => Err(Refused {
                step: self.change.step.as_str(),
                phase: self.setting.phase,
                can_be_forced: !self.fixed,
                missing: self.missing,
            }),
        }
    }
}

/// The epoch so many after another.
const fn later(epoch: Epoch, by: u64) -> Epoch {
    Epoch(epoch.0.saturating_add(by))
}

#[cfg(test)]
mod tests;
