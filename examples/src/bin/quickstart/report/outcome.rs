//! What became of the replay itself.

use std::time::Duration;

use kaireon::core::store::Durability;
use serde_json::{Value, json};

use crate::ledger::Counts;
use crate::listener::Received;
use crate::replay::{AT_ONCE, Replayed};
use crate::table::{Table, count};

/// How fast it was, and what each `Ok` was worth.
pub(crate) fn throughput(replayed: &Replayed, durability: &Durability) -> String {
    let records = replayed.records();
    let seconds = replayed.took.as_secs_f64();
    let each = match durability {
        Durability::Durable => "each durable on disk before it was acknowledged".to_owned(),
        Durability::Volatile(reason) => format!("none durable: {reason}"),
    };
    format!(
        "Throughput\n  {} records in {seconds:.1} s: {} a second, {each}\n  {AT_ONCE} rows at a time (decision, \
         impression, click); half of them took {} ms or less, 99 of 100 took {} ms or less\n",
        count(records),
        rate(records, replayed.took),
        replayed.within(50).as_millis(),
        replayed.within(99).as_millis(),
    )
}

/// Whole records a second.
fn rate(records: u64, took: Duration) -> String {
    let millis = took.as_millis().max(1);
    u64::try_from(u128::from(records) * 1_000 / millis).map_or_else(|_| String::new(), count)
}

/// What the subscriber received.
pub(crate) fn events(received: &Received) -> String {
    let Received {
        by_type,
        repeats,
        lost,
        gaps,
    } = received;
    let mut table = Table::new("Events received by a subscriber meanwhile", ["type", "events"]);
    for (event_type, events) in by_type {
        table.push([(*event_type).to_owned(), count(*events)]);
    }
    format!(
        "{table}  {} came again, {} were lost, {} times the stream was out of reach\n",
        count(*repeats),
        count(*lost),
        count(*gaps)
    )
}

/// What the store held before the replay, after it, and when its directory was opened anew.
pub(crate) fn standing(before: Counts, after: Counts, reopened: Counts) -> Table {
    let title = "Counts, read back from the store";
    let mut table = Table::new(title, ["", "decisions", "impressions", "clicks"]);
    for (name, counts) in [
        ("before this run", before),
        ("after the replay", after),
        ("closed and reopened", reopened),
    ] {
        let Counts {
            decisions,
            impressions,
            clicks,
        } = counts;
        table.push([
            name.to_owned(),
            count(decisions),
            count(impressions),
            count(clicks),
        ]);
    }
    table
}

/// What the replay found.
pub(crate) fn verdict(replayed: &Replayed) -> String {
    let (new, duplicates) = (count(replayed.new), count(replayed.duplicates));
    match (replayed.new, replayed.duplicates) {
        (0, _) => format!(
            "This directory held the week already: all {duplicates} records were recognised as duplicates, none was \
             recorded again, and the counts did not move."
        ),
        (_, 0) => format!(
            "All {new} records were new. Run it once more: every one will be recognised as a duplicate, and the \
             counts will not move."
        ),
        _ => format!(
            "An earlier run was stopped half-way: {duplicates} records were recognised as duplicates, the {new} that \
             were missing have been recorded."
        ),
    }
}

/// The same for programs.
pub(crate) fn json(replayed: &Replayed, received: &Received, after: Counts, reopened: Counts) -> Value {
    let counts = |counts: Counts| {
        let Counts {
            decisions,
            impressions,
            clicks,
        } = counts;
        json!({ "decisions": decisions, "impressions": impressions, "clicks": clicks })
    };
    let mut report = counts(after);
    report["new"] = replayed.new.into();
    report["duplicates"] = replayed.duplicates.into();
    report["events_received"] = json!(received.by_type);
    report["reopened"] = counts(reopened);
    report
}
