use std::time::Duration;

use chrono::TimeDelta;
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::store::Epoch;
use kaireon_core::time::{Timestamp, from_millis};

use super::transition;
use crate::{
    Backend, Change, Drained, DualWrite, GateBounds, Measure, Missing, OldRows, Phase, Policy,
    ReadComparison, Refused, Replication, Side, Step, StoreMark, TenantSetting, Verification,
};

fn name(backend: &str) -> Backend {
    Backend::new(backend).unwrap()
}

fn at(minutes: i64) -> Timestamp {
    from_millis(1_700_000_000_000).unwrap() + TimeDelta::minutes(minutes)
}

fn mark(incarnation: u64, sequence: u64) -> StoreMark {
    StoreMark {
        incarnation,
        sequence,
    }
}

fn asked(step: Step, minutes: i64) -> Change {
    Change::new(step, "ops", "a test", at(minutes)).unwrap()
}

fn take(setting: &TenantSetting, step: Step, minutes: i64) -> TenantSetting {
    transition(setting, &asked(step, minutes)).unwrap()
}

fn refused(setting: &TenantSetting, step: Step, minutes: i64) -> Refused {
    transition(setting, &asked(step, minutes)).unwrap_err()
}

fn single() -> TenantSetting {
    TenantSetting::single(name("embedded"), LaneSet::of(&[Lane::Publish]))
}

fn start(target: &str) -> Step {
    Step::Start {
        target: name(target),
        dual_write: DualWrite::Async,
        policy: Policy {
            gate: GateBounds {
                min_reads: 10,
                ..GateBounds::default()
            },
            ..Policy::default()
        },
    }
}

fn verification(minutes: i64) -> Verification {
    Verification {
        at: at(minutes),
        equal: 100,
        missing: 0,
        extra: 0,
        different: 0,
        not_compared: 0,
        left_out: 0,
        kept_from: None,
    }
}

fn replication(minutes: i64) -> Replication {
    Replication {
        at: at(minutes),
        lag: Duration::from_millis(20),
        dead_letters: 0,
    }
}

fn reads(minutes: i64) -> ReadComparison {
    ReadComparison {
        at: at(minutes),
        compared: 20,
        different: 1,
        baseline_compared: 20,
        baseline_different: 1,
    }
}

fn verifying() -> TenantSetting {
    let dual = take(&single(), start("postgresql"), 0);
    let (source, target) = (mark(1, 10), mark(2, 20));
    let confirmed = take(&dual, Step::ConfirmLanes { source, target }, 1);
    let export = mark(1, 10);
    let filling = take(&confirmed, Step::BeginBackfill { export }, 3);
    take(&filling, Step::CompleteBackfill { bad_lines: 0 }, 4)
}

fn ready() -> TenantSetting {
    let mut setting = verifying();
    for step in [
        Step::Verified {
            verification: verification(5),
        },
        Step::Replicated {
            replication: replication(5),
        },
        Step::ReadsCompared {
            reads: reads(5),
            by: None,
        },
        Step::PassGate,
    ] {
        setting = take(&setting, step, 6);
    }
    setting
}

fn empty(incarnation: u64) -> Drained {
    Drained::Fenced {
        mark: mark(incarnation, 1_000),
        waiting: 0,
        dead_letters: 0,
        unpublished: 0,
    }
}

fn cut_over() -> TenantSetting {
    let draining = take(&ready(), Step::CutOver, 7);
    take(
        &draining,
        Step::Open {
            drained: empty(1),
            opened: mark(2, 200),
        },
        8,
    )
}

#[test]
fn a_tenant_goes_the_whole_way() {
    let dual = take(&single(), start("postgresql"), 0);
    assert_eq!((dual.phase, dual.epoch.0), (Phase::DualWrite, 1));
    assert_eq!(dual.lanes, LaneSet::of(&[Lane::Publish, Lane::Replicate]));
    assert_eq!(dual.replica(), Some(&name("postgresql")));

    let draining = take(&ready(), Step::CutOver, 7);
    assert_eq!((draining.writer(), draining.epoch.0), (None, 2));
    assert_eq!(draining.reads, name("embedded"), "readers are not stopped");
    assert_eq!(draining.replica(), Some(&name("postgresql")));
    assert_eq!(draining.draining.unwrap().until, at(7) + TimeDelta::seconds(2));

    let moved = cut_over();
    assert_eq!(
        moved.writer(),
        Some((&name("postgresql"), draining.draining.unwrap().opens))
    );
    assert_eq!(
        (moved.reads.as_str(), moved.replica()),
        ("postgresql", Some(&name("embedded")))
    );

    let days = 7 * 24 * 60;
    let last = take(
        &moved,
        Step::Finalise {
            old_rows: OldRows::Keep,
        },
        8 + days,
    );
    assert_eq!((last.phase, last.replica()), (Phase::Finalised, None));
    assert_eq!(last.lanes, LaneSet::of(&[Lane::Publish]));
    assert!(last.epoch > moved.epoch);
    let again = take(&last, start("embedded"), 9 + days);
    assert_eq!(again.replica(), Some(&name("embedded")));
}

#[test]
fn a_roll_back_before_the_cut_over_is_done_at_once() {
    for setting in [take(&single(), start("postgresql"), 0), verifying(), ready()] {
        let back = take(&setting, Step::RollBack, 9);
        assert_eq!((back.phase, back.authority.as_str()), (Phase::Single, "embedded"));
        assert!(back.epoch > setting.epoch && !back.lanes.contains(Lane::Replicate));
    }
}

#[test]
fn a_roll_back_after_the_cut_over_empties_the_lane_of_the_target() {
    let draining = take(&cut_over(), Step::RollBack, 9);
    assert_eq!(
        (draining.writer(), draining.replica()),
        (None, Some(&name("embedded")))
    );
    let full = Drained::Fenced {
        mark: mark(2, 300),
        waiting: 3,
        dead_letters: 1,
        unpublished: 2,
    };
    let open = |drained| Step::Open {
        drained,
        opened: mark(1, 300),
    };
    let why = refused(&draining, open(full), 10);
    assert_eq!(
        why.missing,
        [Missing::EmptyLane {
            waiting: 3,
            dead_letters: 1,
            unpublished: 2
        }]
    );
    let back = take(&draining, open(empty(2)), 10);
    assert_eq!((back.phase, back.authority.as_str()), (Phase::Single, "embedded"));
    assert_eq!(back.epoch, draining.draining.unwrap().opens);

    // Where the target cannot be asked, it has to be said by force, and stays written down.
    assert_eq!(
        refused(&draining, open(Drained::Unreachable), 10).missing,
        [Missing::Fence]
    );
    let forced = transition(&draining, &asked(open(Drained::Unreachable), 10).forced()).unwrap();
    assert_eq!(forced.last.unwrap().overridden, [Missing::Fence]);
}

#[test]
fn a_step_that_is_not_taken_leaves_the_authority_under_an_epoch_of_its_own() {
    let before = ready();
    let draining = take(&before, Step::CutOver, 7);
    let opens = draining.draining.unwrap().opens;
    let again = take(&draining, Step::Reopen, 8);
    assert_eq!((again.phase, &again.authority), (Phase::Ready, &before.authority));
    assert!(
        again.epoch > opens,
        "the target's fence may be at the epoch that was kept for it"
    );
    let ended = take(&draining, Step::RollBack, 8);
    assert_eq!((ended.phase, ended.epoch), (Phase::Single, again.epoch));
}

#[test]
fn a_forced_cut_over_that_is_not_taken_leaves_no_reads_on_the_target() {
    let budget = Duration::from_secs(1);
    let dual_write = DualWrite::Strict { budget };
    let strict = take(
        &take(&single(), start("postgresql"), 0),
        Step::SetDualWrite { dual_write },
        2,
    );
    let force = |setting: &TenantSetting, step| transition(setting, &asked(step, 3).forced()).unwrap();
    let ahead = force(&strict, Step::ReadFrom { side: Side::Target });
    assert_eq!(ahead.reads, name("postgresql"));
    let again = take(&force(&ahead, Step::CutOver), Step::Reopen, 4);
    assert_eq!((again.phase, &again.reads), (Phase::DualWrite, &again.authority));
    assert_eq!(again.under_way().unwrap().passed, None);
}

#[test]
fn a_direct_switch_closes_the_old_store_first() {
    let draining = take(
        &single(),
        Step::SwitchDirectly {
            target: name("postgresql"),
        },
        0,
    );
    assert_eq!((draining.writer(), draining.replica()), (None, None));
    let drained = Drained::Fenced {
        mark: mark(1, 5),
        waiting: 4,
        dead_letters: 0,
        unpublished: 0,
    };
    let open = |drained| Step::Open {
        drained,
        opened: mark(2, 1),
    };
    // What it has to publish comes before what the other one publishes; there is nothing to replicate.
    let full = Drained::Fenced {
        mark: mark(1, 5),
        waiting: 4,
        dead_letters: 0,
        unpublished: 1,
    };
    let why = refused(&draining, open(full), 0);
    assert!(
        matches!(why.missing[..], [Missing::EmptyLane { unpublished: 1, .. }]),
        "{why}"
    );
    let moved = take(&draining, open(drained), 0);
    assert_eq!(
        (moved.phase, moved.authority.as_str()),
        (Phase::Single, "postgresql")
    );
    assert!(moved.migration.is_none());
    assert_eq!(take(&draining, Step::Reopen, 0).authority, name("embedded"));
}

#[test]
fn the_gate_names_everything_that_is_missing() {
    let setting = verifying();
    let why = refused(&setting, Step::PassGate, 5);
    let expected = [
        Missing::Verification,
        Missing::Replication,
        Missing::ComparedReads {
            compared: 0,
            needed: 10,
        },
    ];
    assert_eq!((why.missing.as_slice(), why.can_be_forced), (&expected[..], true));

    let mut bad = setting;
    let worse = Verification {
        missing: 1,
        extra: 2,
        different: 3,
        not_compared: 4,
        ..verification(5)
    };
    let differing = ReadComparison {
        different: 2,
        ..reads(5)
    };
    let lagging = Replication {
        lag: Duration::from_secs(3),
        dead_letters: 5,
        ..replication(5)
    };
    for step in [
        Step::Verified { verification: worse },
        Step::ReadsCompared {
            reads: differing,
            by: None,
        },
        Step::Replicated { replication: lagging },
    ] {
        bad = take(&bad, step, 5);
    }
    let expected = [
        Missing::Equality { differences: 6 },
        Missing::Comparison { not_compared: 4 },
        Missing::SmallerLag {
            lag: Duration::from_secs(3),
            bound: Duration::from_secs(1),
        },
        Missing::NoDeadLetters { dead_letters: 5 },
        Missing::AgreeingReads,
    ];
    assert_eq!(refused(&bad, Step::PassGate, 6).missing, expected);
}

#[test]
fn evidence_grows_old_also_behind_a_passed_gate() {
    let why = refused(&ready(), Step::CutOver, 5 + 61);
    let (age, bound) = (Duration::from_secs(61 * 60), Duration::from_secs(3_600));
    let old = |evidence| Missing::FresherEvidence { evidence, age, bound };
    assert_eq!(
        why.missing,
        [Measure::Verification, Measure::Replication, Measure::Reads].map(old)
    );
}

#[test]
fn a_backfill_reads_an_export_that_reaches_to_where_the_lanes_were_in_force() {
    let dual = take(&single(), start("postgresql"), 0);
    let begin = |incarnation, sequence| Step::BeginBackfill {
        export: mark(incarnation, sequence),
    };
    let why = refused(&dual, begin(1, 90), 1);
    assert_eq!(
        (why.missing.as_slice(), why.can_be_forced),
        (&[Missing::LanesInForce][..], false)
    );
    let confirm = |sequence| Step::ConfirmLanes {
        source: mark(1, sequence),
        target: mark(2, 1),
    };
    let confirmed = take(&dual, confirm(10), 5);
    for short in [begin(1, 9), begin(4, 90)] {
        assert_eq!(refused(&confirmed, short, 6).missing, [Missing::LaterExport]);
    }
    assert_eq!(take(&confirmed, begin(1, 10), 6).phase, Phase::Backfilling);
    // Looking again does not ask for a later export.
    let again = take(&confirmed, confirm(70), 6);
    assert_eq!(take(&again, begin(1, 10), 7).phase, Phase::Backfilling);
}

#[test]
fn a_restored_source_ends_the_backfill() {
    for restored in [mark(1, 9), mark(7, 900)] {
        let again = take(
            &ready(),
            Step::Observe {
                side: Side::Source,
                mark: restored,
                epoch: None,
            },
            7,
        );
        assert_eq!(again.phase, Phase::DualWrite);
        let migration = again.migration.as_ref().unwrap();
        assert!(migration.in_force.is_none() && migration.evidence.backfill.is_none());
    }
    let later = take(
        &ready(),
        Step::Observe {
            side: Side::Source,
            mark: mark(1, 11),
            epoch: None,
        },
        7,
    );
    assert_eq!(later.phase, Phase::Ready);
    // It has come further since, but its fence was higher once.
    let fenced = |side, epoch| {
        let mark = match side {
            Side::Source => mark(1, 1_000),
            Side::Target => mark(2, 1_000),
        };
        let epoch = Some(Epoch(epoch));
        take(&ready(), Step::Observe { side, mark, epoch }, 7).phase
    };
    assert_eq!(fenced(Side::Source, 0), Phase::DualWrite);
    assert_eq!(fenced(Side::Source, 1), Phase::Ready);
    assert_eq!(fenced(Side::Target, 0), Phase::Ready);
}

#[test]
fn a_store_that_went_back_after_the_cut_over_is_no_way_back_without_force() {
    let moved = take(
        &cut_over(),
        Step::Observe {
            side: Side::Source,
            mark: mark(1, 3),
            epoch: None,
        },
        9,
    );
    assert_eq!(moved.phase, Phase::CutOver);
    let why = refused(&moved, Step::RollBack, 9);
    assert_eq!(
        (why.missing.as_slice(), why.can_be_forced),
        (&[Missing::CompleteOtherSide][..], true)
    );
    assert_eq!(
        transition(&moved, &asked(Step::RollBack, 9).forced())
            .unwrap()
            .phase,
        Phase::Draining
    );
}

#[test]
fn reads_move_alone_only_while_writers_wait_for_the_other_side() {
    let read_target = Step::ReadFrom { side: Side::Target };
    assert_eq!(
        refused(&ready(), read_target.clone(), 6).missing,
        [Missing::StrictDualWrite]
    );
    let strict = Step::SetDualWrite {
        dual_write: DualWrite::Strict {
            budget: Duration::from_millis(50),
        },
    };
    let ahead = take(&take(&ready(), strict, 6), read_target, 6);
    assert_eq!(
        (ahead.reads.as_str(), ahead.authority.as_str()),
        ("postgresql", "embedded")
    );
    let relaxed = Step::SetDualWrite {
        dual_write: DualWrite::Async,
    };
    assert_eq!(refused(&ahead, relaxed, 6).missing, [Missing::StrictDualWrite]);
    let worse = Step::Verified {
        verification: Verification {
            different: 1,
            ..verification(7)
        },
    };
    assert_eq!(
        take(&ahead, worse, 7).reads,
        name("embedded"),
        "a difference takes reads back"
    );
    assert_eq!(
        take(&ahead, Step::ReadFrom { side: Side::Source }, 7).reads,
        name("embedded")
    );
}

#[test]
fn the_safety_period_is_waited_out() {
    let why = refused(
        &cut_over(),
        Step::Finalise {
            old_rows: OldRows::Drop,
        },
        8 + 60,
    );
    let remaining = Duration::from_secs((7 * 24 - 1) * 3_600);
    assert_eq!(why.missing, [Missing::SafetyPeriod { remaining }]);
}

#[test]
fn settings_go_through_text_and_what_contradicts_itself_is_corrupt() {
    use kaireon_core::ErrorKind;
    for setting in [
        single(),
        verifying(),
        ready(),
        take(&ready(), Step::CutOver, 7),
        cut_over(),
    ] {
        let text = setting.to_json().unwrap();
        assert_eq!(TenantSetting::from_json(&text).unwrap(), setting);
        let newer = text.replacen("\"format\":1", "\"format\":2", 1);
        assert_eq!(
            TenantSetting::from_json(&newer).unwrap_err().kind(),
            ErrorKind::Config
        );
        let wrong = text.replacen("\"phase\"", "\"phrase\"", 1);
        assert_eq!(
            TenantSetting::from_json(&wrong).unwrap_err().kind(),
            ErrorKind::Corrupt
        );
    }
    let text = ready().to_json().unwrap();
    for (part, other) in [
        ("\"phase\":\"ready\"", "\"phase\":\"single\""),
        ("\"phase\":\"ready\"", "\"phase\":\"draining\""),
        ("\"reads\":\"embedded\"", "\"reads\":\"elsewhere\""),
        ("\"authority\":\"embedded\"", "\"authority\":\"elsewhere\""),
    ] {
        let wrong = text.replacen(part, other, 1);
        assert_ne!(wrong, text);
        assert_eq!(
            TenantSetting::from_json(&wrong).unwrap_err().kind(),
            ErrorKind::Corrupt,
            "{other}"
        );
    }
}

#[test]
fn authors_and_reasons_are_bounded() {
    for (author, reason, field) in [
        ("", "why", "author"),
        ("me", "", "reason"),
        ("me", "a\nb", "reason"),
    ] {
        let error = Change::new(Step::RollBack, author, reason, at(0)).unwrap_err();
        assert_eq!(error.field(), Some(field));
    }
}
