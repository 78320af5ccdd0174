//! Where a tenant stands.

use kaireon::migrate::{
    BackfillProgress, BackfillState, Completeness, DualWrite, ExportStatus, Lacking, LaneStatus, LastChange,
    MigrationStatus, Next, OldRows, OperatorStatus, Phase, ReadsStatus, VerificationStatus,
};

use super::{Page, moment};
use crate::span::Span;

/// A page on where a tenant stands.
pub(crate) fn status(status: &OperatorStatus) -> Page {
    let OperatorStatus {
        tenant,
        version,
        epoch,
        phase,
        authority,
        reads,
        lanes,
        migration,
        last,
        next,
        away,
        ..
    } = status;
    let mut page = Page::new(format!("{tenant}: {}", place(status)));
    page.field("phase", phase);
    page.field("writes", authority);
    page.field("reads", reads);
    let lanes: Vec<String> = lanes.iter().map(ToString::to_string).collect();
    page.field(
        "lanes",
        if lanes.is_empty() {
            "none".to_owned()
        } else {
            lanes.join(", ")
        },
    );
    page.field("setting", format!("version {version}, epoch {}", epoch.0));
    if let Some(migration) = migration {
        of_migration(&mut page, migration, status);
    }
    if let Some(last) = last {
        of_last(&mut page, last);
    }
    page.list(
        "away",
        away.iter().map(|away| format!("{}: {}", away.what, away.why)),
    );
    if !away.is_empty() {
        page.field("", "the rest is told without it");
    }
    page.next = Some(next_command(*next, status));
    page
}

fn place(status: &OperatorStatus) -> String {
    match &status.migration {
        Some(migration) if status.phase != Phase::Finalised => {
            format!(
                "from {} to {}, {}",
                migration.source, migration.target, status.phase
            )
        }
        Some(migration) => format!("moved from {} to {}", migration.source, migration.target),
        None => format!("on {}", status.authority),
    }
}

fn of_migration(page: &mut Page, migration: &MigrationStatus, status: &OperatorStatus) {
    let MigrationStatus {
        dual_write,
        started_at,
        cut_over_at,
        way_back,
        gate,
        overridden,
        replication,
        publishing,
        export,
        backfill,
        verification,
        reads,
        safety_left,
        old_rows,
        old_rows_left,
        ..
    } = migration;
    page.field("started", moment(*started_at));
    page.maybe("cut over", cut_over_at.map(moment));
    page.field("writers wait", waits(*dual_write));
    page.maybe("export", export.as_ref().map(of_export));
    page.maybe("backfill", backfill.as_ref().map(of_backfill));
    if let Some(backfill) = backfill {
        unapplied(page, backfill);
    }
    page.maybe("replication", replication.as_ref().map(of_lane));
    page.maybe("publishing", publishing.as_ref().map(of_lane));
    page.maybe("compared", verification.as_ref().map(of_verification));
    page.maybe("live reads", reads.as_ref().map(of_reads));
    let before = !matches!(status.phase, Phase::CutOver | Phase::Draining | Phase::Finalised);
    match before && gate.is_empty() {
        true => page.field("gate", "nothing is lacking"),
        false => lacking(page, "gate lacks", gate),
    }
    lacking(page, "overridden", overridden);
    if *way_back == Completeness::Broken {
        page.field("way back", "it would lose what was acknowledged");
    }
    match safety_left {
        Some(left) if left.is_zero() => page.field("safety", "the safety period is over"),
        Some(left) => {
            let from = moment(status.at + *left);
            page.field("safety", format!("finalise from {from}, in {}", Span(*left)));
        }
        None => {}
    }
    page.maybe("old rows", old_rows.map(old));
    if *old_rows_left == Some(true) {
        page.field("", "some are still to go");
    }
}

fn waits(dual_write: DualWrite) -> String {
    match dual_write {
        DualWrite::Async => "not at all (async)".to_owned(),
        DualWrite::BestEffort => "for one attempt (best effort)".to_owned(),
        DualWrite::Strict { budget } => format!("up to {} (strict)", Span(budget)),
    }
}

fn of_export(export: &ExportStatus) -> String {
    match &export.lacks {
        None => "reaches far enough for a backfill".to_owned(),
        Some(lacks) => lacks.words.clone(),
    }
}

pub(super) fn of_backfill(progress: &BackfillProgress) -> String {
    let BackfillProgress {
        state,
        rows_done,
        rows_total,
        rows_per_second,
        eta,
        stalled_by,
        ..
    } = progress;
    let rows = format!("{rows_done} of {rows_total} rows");
    match state {
        BackfillState::Complete => format!("complete, {rows}"),
        BackfillState::Idle => format!("no process is at it, {rows}"),
        BackfillState::Paused => format!("paused, {rows}"),
        BackfillState::Stalled => {
            let why = stalled_by.as_deref().unwrap_or("something is away");
            format!("stalled, {rows}: {why}")
        }
        _ => {
            let left = eta.map_or("the end is not known".to_owned(), |eta| {
                format!("{} left", Span(eta))
            });
            format!("running, {rows}, {rows_per_second} a second, {left}")
        }
    }
}

/// What a backfill could not apply, the first few of it.
pub(super) fn unapplied(page: &mut Page, progress: &BackfillProgress) {
    const SHOWN: usize = 10;
    if progress.unapplied == 0 {
        return;
    }
    page.field("not applied", format!("{} lines or objects", progress.unapplied));
    for one in progress.which.iter().take(SHOWN) {
        let object = one.object.as_deref().unwrap_or("the day");
        let line = one.line.map(|line| format!(":{line}")).unwrap_or_default();
        let (kind, day) = (format!("{:?}", one.kind).to_lowercase(), one.day);
        page.field("", format!("{kind} of {day}, {object}{line}: {}", one.reason));
    }
    if progress.which.len() > SHOWN {
        page.field(
            "",
            format!("and {} more, in --json", progress.which.len() - SHOWN),
        );
    }
}

pub(super) fn of_lane(lane: &LaneStatus) -> String {
    let LaneStatus {
        waiting,
        dead_letters,
        lag,
        ..
    } = lane;
    let lag = match lag.is_zero() {
        true => String::new(),
        false => format!(", the oldest for {}", Span(*lag)),
    };
    match dead_letters {
        0 => format!("{waiting} entries wait{lag}"),
        dead => format!("{waiting} entries wait{lag}; {dead} dead letters"),
    }
}

fn of_verification(status: &VerificationStatus) -> String {
    let said = &status.said;
    let left_out = match said.kept_from {
        Some(from) => format!(", {} from before {} left out", said.left_out, moment(from)),
        None => String::new(),
    };
    format!(
        "{} ago: {} equal, {} missing, {} extra, {} different, {} not compared{left_out}",
        Span(status.age),
        said.equal,
        said.missing,
        said.extra,
        said.different,
        said.not_compared
    )
}

fn of_reads(status: &ReadsStatus) -> String {
    let said = &status.said;
    let noise = match status.within_noise {
        true => "within noise",
        false => "more than the source differs from itself",
    };
    format!(
        "{} ago: {} compared, {} different, {noise}",
        Span(status.age),
        said.compared,
        said.different
    )
}

pub(super) fn lacking(page: &mut Page, label: &'static str, all: &[Lacking]) {
    page.list(label, all.iter().map(|lacking| &lacking.words));
}

pub(super) fn old(rows: OldRows) -> &'static str {
    match rows {
        OldRows::Keep => "kept",
        OldRows::Archive => "removed once they were found in the archive",
        OldRows::Drop => "removed",
    }
}

fn of_last(page: &mut Page, last: &LastChange) {
    let LastChange {
        step,
        author,
        reason,
        at,
        forced,
        ..
    } = last;
    let forced = if *forced { ", forced" } else { "" };
    let at = moment(*at);
    page.field(
        "last change",
        format!("{step} at {at} by {author}{forced}: {reason}"),
    );
}

/// What comes next, as it is typed.
fn next_command(next: Next, status: &OperatorStatus) -> String {
    let tenant = &status.tenant;
    let asked = |command: &str| format!("kaireon {command} --tenant {tenant} --reason …");
    match next {
        Next::Start => format!(
            "nothing is under way; `kaireon migrate start --tenant {tenant} --to … --reason …` moves it"
        ),
        Next::Export => format!("kaireon export --tenant {tenant}"),
        Next::Backfill => asked("backfill"),
        Next::Resume => format!("kaireon migrate resume --tenant {tenant}"),
        Next::Verify => asked("migrate verify"),
        Next::CutOver => asked("migrate cut-over"),
        Next::Finish => {
            let purpose = "the authority moves; `kaireon migrate cut-over` or `roll-back` again ends it";
            purpose.to_owned()
        }
        Next::AwaitSafety => format!(
            "wait out the safety period, then {}",
            asked("migrate finalise --old-rows …")
        ),
        Next::Finalise | Next::DropOldRows => asked("migrate finalise --old-rows …"),
        other => other.to_string(),
    }
}
