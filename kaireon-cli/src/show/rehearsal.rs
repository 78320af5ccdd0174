//! What is found out before anything moves.

use kaireon::core::TenantId;
use kaireon::migrate::{Advice, RehearsalReport};

use super::{Page, moment};

/// A page on a rehearsal.
pub(crate) fn rehearsal(report: &RehearsalReport) -> Page {
    let RehearsalReport {
        scratch,
        started_at,
        times,
        records,
        calls,
        answered,
        errors,
        unreadable,
        late,
        latest,
        offered_per_second,
        achieved_per_second,
        p50,
        p99,
        slowest,
        left_behind,
        ..
    } = report;
    let mut page = Page::new(match report.kept_up() {
        true => "the store kept up",
        false => "the store did not keep up",
    });
    page.field("began", moment(*started_at));
    page.field(
        "replayed",
        format!("{records} records at {times} times their rate, as {scratch}"),
    );
    page.field("answered", format!("{answered} of {calls} calls"));
    page.list(
        "errors",
        errors.iter().map(|(kind, count)| format!("{count} {kind}")),
    );
    if *unreadable > 0 {
        page.field(
            "unreadable",
            format!("{unreadable} lines and objects of the archive"),
        );
    }
    page.field(
        "late",
        format!("{late} calls, the latest by {} ms", latest.as_millis()),
    );
    page.field(
        "rate",
        format!("{achieved_per_second:.0} a second of {offered_per_second:.0} that were due"),
    );
    let micros = [p50, p99, slowest].map(|time| time.as_micros());
    page.field(
        "latency",
        format!(
            "p50 {} µs, p99 {} µs, slowest {} µs",
            micros[0], micros[1], micros[2]
        ),
    );
    page.maybe("left behind", left_behind.as_ref());
    page
}

/// A page on what was left of a rehearsal.
pub(crate) fn cleaned_up(tenant: &TenantId, some: bool) -> Page {
    Page::new(match some {
        true => format!("{tenant}: what an earlier rehearsal had left is removed"),
        false => format!("{tenant}: no rehearsal has left anything"),
    })
}

/// A page on whether a store is to be left.
pub(crate) fn advice(advice: &Advice) -> Page {
    let text = advice.to_string();
    let mut lines = text.lines();
    let mut page = Page::new(lines.next().unwrap_or_default());
    page.list("", lines);
    page
}
