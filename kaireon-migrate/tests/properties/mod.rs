//! What holds after any sequence of changes, asked or forced, in order or not.

#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::TimeDelta;
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::store::Epoch;
use kaireon_core::time::{Timestamp, from_millis};
use kaireon_migrate::{
    Backend, Change, Completeness, Drained, DualWrite, Force, OldRows, Phase, Policy, Purpose,
    ReadComparison, Replication, Side, Step, StoreMark, TenantSetting, Verification, transition,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// How many steps there are.
const STEPS: usize = 17;

const STORES: [&str; 3] = ["embedded", "postgresql", "dynamodb"];

/// Something that somebody asks for. What the numbers mean is decided by the step that is made of them.
#[derive(Clone, Debug)]
struct Pick {
    /// Whether it is what a careful operator would do next.
    careful: bool,
    kind: u8,
    small: u8,
    other: u8,
    minutes: u16,
    force: bool,
}

fn picks() -> impl Strategy<Value = Vec<Pick>> {
    let pick = (
        prop::bool::weighted(0.6),
        0..17_u8,
        0..8_u8,
        0..8_u8,
        0..90_u16,
        prop::bool::weighted(0.15),
    );
    let pick = pick.prop_map(|(careful, kind, small, other, minutes, force)| Pick {
        careful,
        kind,
        small,
        other,
        minutes,
        force,
    });
    vec(pick, 1..60)
}

fn backend(number: u8) -> Backend {
    Backend::new(STORES[usize::from(number) % STORES.len()]).unwrap()
}

/// A tenant, the time, and how far its stores have come.
struct World {
    setting: TenantSetting,
    now: Timestamp,
    sequence: u64,
    /// Who was the authority under each epoch.
    authorities: BTreeMap<Epoch, Backend>,
}

impl World {
    fn new() -> Self {
        let setting = TenantSetting::single(backend(0), LaneSet::of(&[Lane::Publish]));
        let authorities = BTreeMap::from([(setting.epoch, setting.authority.clone())]);
        Self {
            setting,
            now: from_millis(1_700_000_000_000).unwrap(),
            sequence: 0,
            authorities,
        }
    }

    fn mark(&mut self, side: Side) -> StoreMark {
        self.sequence += 1;
        StoreMark {
            incarnation: if side == Side::Source { 1 } else { 2 },
            sequence: self.sequence,
        }
    }

    /// A mark that may be another store's, or of a time before.
    fn any_mark(&mut self, pick: &Pick, side: Side) -> StoreMark {
        let mut mark = self.mark(side);
        match pick.small {
            0 => mark.incarnation += 5,
            1 => mark.sequence = 0,
            _ => {}
        }
        mark
    }

    fn careful(&mut self, pick: &Pick) -> Step {
        let at = self.now;
        let migration = self.setting.migration.clone();
        match self.setting.phase {
            Phase::DualWrite if migration.unwrap().in_force.is_none() => Step::ConfirmLanes {
                source: self.mark(Side::Source),
                target: self.mark(Side::Target),
            },
            Phase::DualWrite => Step::BeginBackfill {
                export: self.mark(Side::Source),
            },
            Phase::Backfilling => Step::CompleteBackfill { bad_lines: 0 },
            Phase::Verifying | Phase::Ready => match pick.kind % 6 {
                0 => Step::Verified {
                    verification: clean(at),
                },
                1 => Step::Replicated {
                    replication: still(at),
                },
                2 => Step::ReadsCompared {
                    reads: agreeing(at),
                    by: None,
                },
                3 => Step::ReadFrom { side: Side::Target },
                4 if self.setting.phase == Phase::Verifying => Step::PassGate,
                4 => Step::CutOver,
                _ => Step::SetDualWrite {
                    dual_write: DualWrite::Strict {
                        budget: Duration::from_millis(50),
                    },
                },
            },
            Phase::Draining if pick.small == 7 => Step::Reopen,
            Phase::Draining => {
                let closes = self.setting.authority_side().unwrap();
                let mark = self.mark(closes);
                let drained = Drained::Fenced {
                    mark,
                    waiting: 0,
                    dead_letters: 0,
                    unpublished: 0,
                };
                Step::Open {
                    drained,
                    opened: self.mark(closes.other()),
                }
            }
            Phase::CutOver if pick.small < 4 => Step::RollBack,
            Phase::CutOver => Step::Finalise {
                old_rows: OldRows::Keep,
            },
            _ => Step::Start {
                target: backend(pick.small),
                dual_write: DualWrite::Async,
                policy: Policy::default(),
            },
        }
    }

    fn careless(&mut self, pick: &Pick) -> Step {
        let at = self.now - TimeDelta::minutes(i64::from(pick.other) * 20);
        let side = if pick.other.is_multiple_of(2) {
            Side::Source
        } else {
            Side::Target
        };
        let count = u64::from(pick.small / 3);
        match pick.kind {
            0 => Step::Start {
                target: backend(pick.small),
                dual_write: DualWrite::BestEffort,
                policy: Policy::default(),
            },
            1 => Step::ConfirmLanes {
                source: self.any_mark(pick, Side::Source),
                target: self.mark(Side::Target),
            },
            2 => Step::SetDualWrite {
                dual_write: DualWrite::Async,
            },
            3 => Step::BeginBackfill {
                export: self.any_mark(pick, Side::Source),
            },
            4 => Step::CompleteBackfill { bad_lines: count },
            5 => Step::Verified {
                verification: Verification {
                    different: count,
                    not_compared: u64::from(pick.other / 6),
                    ..clean(at)
                },
            },
            6 => Step::Replicated {
                replication: Replication {
                    lag: Duration::from_millis(count * 900),
                    dead_letters: u64::from(pick.other / 6),
                    ..still(at)
                },
            },
            7 => Step::ReadsCompared {
                reads: ReadComparison {
                    different: count,
                    compared: 600 * u64::from(pick.other),
                    ..agreeing(at)
                },
                by: None,
            },
            8 => Step::Observe {
                side,
                mark: self.any_mark(pick, side),
                epoch: (count > 0).then_some(Epoch(count)),
            },
            9 => Step::PassGate,
            10 => Step::ReadFrom { side },
            11 => Step::CutOver,
            12 => Step::SwitchDirectly {
                target: backend(pick.small),
            },
            13 => Step::RollBack,
            14 => {
                let mark = self.any_mark(pick, side);
                let drained = match pick.other {
                    0 => Drained::Unreachable,
                    _ => Drained::Fenced {
                        mark,
                        waiting: count,
                        dead_letters: u64::from(pick.other / 6),
                        unpublished: u64::from(pick.other % 5 / 4),
                    },
                };
                Step::Open {
                    drained,
                    opened: self.any_mark(pick, side.other()),
                }
            }
            15 => Step::Reopen,
            _ => Step::Finalise {
                old_rows: OldRows::Drop,
            },
        }
    }

    fn ask(&mut self, pick: &Pick) -> Change {
        // Now and then a week passes; and the clocks of two instances are not one.
        let minutes = if pick.minutes == 89 {
            8 * 24 * 60
        } else {
            i64::from(pick.minutes % 7) - 1
        };
        self.now += TimeDelta::minutes(minutes);
        let step = if pick.careful {
            self.careful(pick)
        } else {
            self.careless(pick)
        };
        let change = Change::new(step, "ops", "a property", self.now).unwrap();
        if pick.force && !pick.careful {
            change.forced()
        } else {
            change
        }
    }

    /// Makes the change, and asks what must hold of it.
    fn make(&mut self, change: &Change, seen: &mut Seen) {
        let before = self.setting.clone();
        match transition(&before, change) {
            Err(refused) => {
                seen.refused.insert(change.step.as_str());
                assert!(!refused.missing.is_empty(), "{refused:?} says what is missing");
                for missing in &refused.missing {
                    assert!(
                        refused.to_string().contains(&missing.to_string()) && !missing.to_string().is_empty()
                    );
                }
                if change.force == Force::Yes {
                    assert!(!refused.can_be_forced, "{refused} although it was forced");
                } else {
                    let forced = transition(&before, &change.clone().forced());
                    assert_eq!(forced.is_ok(), refused.can_be_forced, "{refused}");
                }
            }
            Ok(next) => {
                seen.taken.insert(change.step.as_str());
                seen.phases.insert(next.phase);
                self.check(&before, &next, change);
                self.setting = next;
                self.check_way_back();
            }
        }
    }

    fn check(&mut self, before: &TenantSetting, next: &TenantSetting, change: &Change) {
        let audit = next.last.as_ref().unwrap();
        assert_eq!(&audit.change, change);
        assert!(
            audit.overridden.is_empty() || change.force == Force::Yes,
            "nothing is overridden unasked"
        );
        assert_eq!(&TenantSetting::from_json(&next.to_json().unwrap()).unwrap(), next);

        assert!(next.epoch >= before.epoch, "epochs only rise");
        let terms = |setting: &TenantSetting| {
            (
                setting.writer().map(|(store, _)| store.clone()),
                setting.replica().cloned(),
                setting.lanes,
            )
        };
        if terms(before) != terms(next) {
            assert!(
                next.epoch > before.epoch,
                "who may write, or into which lanes, is a matter of the epoch"
            );
        }
        if let Some((store, epoch)) = next.writer() {
            let known = self.authorities.entry(epoch).or_insert_with(|| store.clone());
            assert_eq!(known, store, "an epoch has one authority");
        }
        if let Some(draining) = next.draining {
            // The fence of the side that may open can be at this epoch already.
            let side = next.authority_side().unwrap().other();
            let store = next.migration.as_ref().unwrap().store(side).clone();
            assert!(draining.opens > next.epoch);
            let known = self
                .authorities
                .entry(draining.opens)
                .or_insert_with(|| store.clone());
            assert_eq!(*known, store, "an epoch that was kept for a store is no other's");
        }
        assert_eq!(
            next.lanes.contains(Lane::Replicate),
            replicates(next),
            "{:?}",
            next.phase
        );
        assert!(next.lanes.contains(Lane::Publish), "the host's own lanes stay");
        self.check_reads(before, next);
    }

    /// Reads are on the source until the gate was passed, or was forced by somebody who is named.
    fn check_reads(&self, before: &TenantSetting, next: &TenantSetting) {
        let Some(migration) = next.under_way() else {
            assert_eq!(next.reads, next.authority);
            return;
        };
        if next.reads == migration.source {
            return;
        }
        let passed = migration
            .passed
            .as_ref()
            .expect("reads on the target have a gate behind them");
        if !passed.overridden.is_empty() && before.reads != next.reads {
            let moved = next.last.as_ref().unwrap();
            let drained = before.phase == Phase::Draining;
            assert!(
                moved.change.force == Force::Yes || drained,
                "a gate that was overridden was forced"
            );
        }
    }

    /// Before finalised there is a way back to the source, without force unless something was lost.
    fn check_way_back(&mut self) {
        let start = self.setting.clone();
        let Some(migration) = start.under_way().cloned() else {
            return;
        };
        let ask = |step, now| Change::new(step, "ops", "the way back", now).unwrap();
        let mut setting = start.clone();
        for _ in 0..3 {
            if setting.phase == Phase::Single {
                break;
            }
            let step = match setting.draining {
                Some(draining) if draining.purpose == Purpose::RollBack => {
                    let known = migration.in_force;
                    let drained = Drained::Fenced {
                        mark: known.map_or(self.mark(Side::Target), |known| known.target),
                        waiting: 0,
                        dead_letters: 0,
                        unpublished: 0,
                    };
                    let opened = known.map_or(self.mark(Side::Source), |known| known.source);
                    Step::Open { drained, opened }
                }
                _ => Step::RollBack,
            };
            let change = ask(step, self.now);
            setting = transition(&setting, &change).unwrap_or_else(|refused| {
                assert_eq!(migration.other_side, Completeness::Broken, "{refused}");
                transition(&setting, &change.forced()).unwrap()
            });
        }
        assert_eq!(
            (setting.phase, &setting.authority),
            (Phase::Single, &migration.source),
            "from {:?}",
            start.phase
        );
    }
}

fn replicates(setting: &TenantSetting) -> bool {
    setting.replica().is_some()
}

fn clean(at: Timestamp) -> Verification {
    Verification {
        at,
        equal: 10,
        missing: 0,
        extra: 0,
        different: 0,
        not_compared: 0,
        left_out: 0,
        kept_from: None,
    }
}

fn still(at: Timestamp) -> Replication {
    Replication {
        at,
        lag: Duration::ZERO,
        dead_letters: 0,
    }
}

fn agreeing(at: Timestamp) -> ReadComparison {
    ReadComparison {
        at,
        compared: 2_000,
        different: 2,
        baseline_compared: 2_000,
        baseline_different: 2,
    }
}

/// What all sequences together came to.
#[derive(Default)]
struct Seen {
    phases: BTreeSet<Phase>,
    taken: BTreeSet<&'static str>,
    refused: BTreeSet<&'static str>,
}

/// Runs so many sequences.
fn run(mut runner: TestRunner) -> Seen {
    let seen = RefCell::new(Seen::default());
    let result = runner.run(&picks(), |picks| {
        let mut world = World::new();
        for pick in &picks {
            let change = world.ask(pick);
            world.make(&change, &mut seen.borrow_mut());
        }
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    seen.into_inner()
}

fn cases(cases: u32) -> Config {
    Config {
        cases,
        ..Config::default()
    }
}

#[test]
fn after_any_changes_there_is_one_authority_per_epoch_and_a_way_back() {
    run(TestRunner::new(cases(500)));
}

/// The same over sequences that are the same in every run, which reach everything there is.
#[test]
fn every_phase_is_reached_and_every_step_is_taken_and_refused() {
    let seed = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let seen = run(TestRunner::new_with_rng(cases(1_000), seed));
    assert_eq!(seen.phases.len(), Phase::ALL.len(), "phases: {:?}", seen.phases);
    assert_eq!(seen.taken.len(), STEPS, "taken: {:?}", seen.taken);
    assert_eq!(seen.refused.len(), STEPS, "refused: {:?}", seen.refused);
}
