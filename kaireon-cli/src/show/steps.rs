//! Steps of a migration.

use kaireon::migrate::{Drive, DroppedRows, FinaliseReport, OldRows, Outcome, PaceReport, StepReport};

use super::status::{lacking, of_backfill, of_lane, old, status};
use super::{Page, moment};
use crate::span::Span;

/// A page on a step that was asked for.
pub(crate) fn step(report: &StepReport) -> Page {
    let StepReport {
        tenant,
        step,
        author,
        reason,
        at,
        took,
        outcome,
        from,
        overridden,
        ..
    } = report;
    let step = step.replace('_', "-");
    let mut page = Page::new(match outcome {
        Outcome::Taken => format!("{tenant}: {step} is done"),
        Outcome::AlreadyTaken => format!("{tenant}: {step} had been done before"),
        Outcome::NotTaken => format!("{tenant}: {step} was not done; all is as it was"),
    });
    if *outcome == Outcome::NotTaken {
        page.field(
            "why",
            "the lanes of the store that was to close were not emptied in time, or the other one could not be opened",
        );
        if let Some(migration) = &report.status.migration {
            page.maybe("replication", migration.replication.as_ref().map(of_lane));
            page.maybe("publishing", migration.publishing.as_ref().map(of_lane));
        }
    }
    page.field("asked by", format!("{author}: {reason}"));
    page.field("at", format!("{}, in {}", moment(*at), Span(*took)));
    page.field("phase", format!("{from}, now {}", report.status.phase));
    lacking(&mut page, "overridden", overridden);
    let now = status(&report.status);
    page.then(now);
    page
}

/// A page on how fast a backfill may go.
pub(crate) fn pace(report: &PaceReport) -> Page {
    let PaceReport {
        tenant,
        pace,
        progress,
        ..
    } = report;
    let mut page = Page::new(match pace.drive {
        Drive::Running => format!("{tenant}: the backfill may go on"),
        Drive::Paused => {
            format!("{tenant}: the backfill stands still within seconds, and until it is resumed")
        }
    });
    let rate = pace.max_rows_per_second;
    page.field(
        "rows a second",
        rate.map_or("no bound".to_owned(), |rate| format!("at most {rate}")),
    );
    let latency = pace.target_latency;
    let latency = latency.map_or("no bound".to_owned(), |bound| {
        format!("room is made when a write takes longer than {}", Span(bound))
    });
    page.field("latency", latency);
    page.field(
        "backfill",
        progress.as_ref().map_or("none was run".to_owned(), of_backfill),
    );
    page
}

/// A page on the end of a migration.
pub(crate) fn finalise(report: &FinaliseReport) -> Page {
    let FinaliseReport {
        tenant,
        author,
        reason,
        outcome,
        overridden,
        old_rows,
        dropped,
        ..
    } = report;
    let mut page = Page::new(match outcome {
        Outcome::AlreadyTaken => format!("{tenant}: the migration had been ended before"),
        _ => format!("{tenant}: the migration is ended"),
    });
    page.field("asked by", format!("{author}: {reason}"));
    page.field("old rows", old(*old_rows));
    if let Some(dropped) = dropped {
        of_dropped(&mut page, dropped, *old_rows);
    }
    lacking(&mut page, "overridden", overridden);
    page.then(status(&report.status));
    page
}

fn of_dropped(page: &mut Page, dropped: &DroppedRows, old_rows: OldRows) {
    let DroppedRows {
        store,
        found_in_archive,
        interactions,
        decisions,
        left,
        ..
    } = dropped;
    if old_rows == OldRows::Archive {
        page.field(
            "in archive",
            format!("{found_in_archive} rows and decisions were found first"),
        );
    }
    page.field(
        "removed",
        format!("{interactions} interactions and {decisions} decisions from {store}"),
    );
    if *left {
        page.field(
            "left",
            "rows of a time to come, at most 24 h ahead: give the same command again then",
        );
    }
}
