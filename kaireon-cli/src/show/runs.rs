//! What takes long: exports, backfills, comparisons.

use kaireon::migrate::{BackfillRun, ExportReport, KindRun, StoreExport, VerifyRun, WithoutRows};

use super::status::{lacking, of_backfill, status, unapplied};
use super::{Page, moment};
use crate::span::Span;

/// A page on an export.
pub(crate) fn export(report: &ExportReport) -> Page {
    let ExportReport {
        tenant,
        started_at,
        ended_at,
        stores,
        ..
    } = report;
    let mut page = Page::new(format!(
        "{tenant}: all that was recorded until {} is in the archive",
        moment(*started_at)
    ));
    let took = (*ended_at - *started_at).to_std().unwrap_or_default();
    page.field("took", Span(took));
    for store in stores {
        of_store(&mut page, store);
    }
    page.next = Some(format!("kaireon migrate status --tenant {tenant}"));
    page
}

fn of_store(page: &mut Page, export: &StoreExport) {
    let StoreExport {
        store, scan, lane, ..
    } = export;
    if let Some(scan) = scan {
        page.field(
            "found",
            format!(
                "{} interactions and {} decisions that were on {store} at first",
                scan.interactions, scan.decisions
            ),
        );
    }
    page.field(
        "since",
        format!(
            "{} interactions and {} decisions from {store}, in {} objects of {} KiB",
            lane.interactions,
            lane.decisions,
            lane.objects,
            lane.bytes.div_ceil(1_024)
        ),
    );
}

/// A page on a backfill.
pub(crate) fn backfill(run: &BackfillRun) -> Page {
    let BackfillRun {
        tenant,
        begun,
        complete,
        progress,
        ..
    } = run;
    let mut page = Page::new(match (complete, begun) {
        (true, _) if progress.is_none() => format!("{tenant}: the backfill was complete before"),
        (true, true) => format!("{tenant}: the backfill is complete"),
        (true, false) => format!("{tenant}: the backfill went on, and is complete"),
        (false, _) => format!("{tenant}: the backfill is not complete"),
    });
    if let Some(progress) = progress {
        page.field("rows", of_backfill(progress));
        page.field(
            "of them",
            format!(
                "{} were new to the target, {} were there, {} of customers who were erased",
                progress.applied, progress.duplicates, progress.erased
            ),
        );
        unapplied(&mut page, progress);
    }
    page.then(status(&run.status));
    page
}

/// A page on a comparison.
pub(crate) fn verify(run: &VerifyRun) -> Page {
    let VerifyRun {
        tenant,
        started_at,
        ended_at,
        clean,
        read,
        kept_from,
        without_rows,
        kinds,
        passed,
        gate,
        ..
    } = run;
    let mut page = Page::new(match clean {
        true => format!(
            "{tenant}: the stores are equal in all that was acknowledged until {}",
            moment(*started_at)
        ),
        false => format!("{tenant}: the stores are not equal, or not everything was compared"),
    });
    let took = (*ended_at - *started_at).to_std().unwrap_or_default();
    page.field("read", format!("{read} rows in {}", Span(took)));
    for kind in kinds {
        of_kind(&mut page, kind);
    }
    if let Some(from) = kept_from {
        page.field("left out", format!("rows from before {}", moment(*from)));
    }
    if *without_rows == WithoutRows::NotCompared {
        page.field(
            "without rows",
            "summaries of customers whose rows were all purged were not compared",
        );
    }
    match passed {
        true => page.field("gate", "passed: the tenant is ready for the cut-over"),
        false => lacking(&mut page, "gate lacks", gate),
    }
    page.then(status(&run.status));
    page
}

fn of_kind(page: &mut Page, kind: &KindRun) {
    let KindRun {
        kind,
        equal,
        missing,
        extra,
        different,
        not_compared,
        why,
        samples,
        ..
    } = kind;
    page.field(
        "compared",
        format!(
            "{kind}: {equal} equal, {missing} missing, {extra} extra, {different} different, {not_compared} not compared"
        ),
    );
    let mut reasons: Vec<&String> = why.iter().collect();
    reasons.sort();
    reasons.dedup();
    page.list("", reasons.iter().map(|why| format!("not compared: {why}")));
    page.list(
        "",
        samples
            .iter()
            .map(|sample| format!("{}: {}", sample.difference, sample.of)),
    );
}
