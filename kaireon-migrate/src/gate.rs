//! The gate: what has to be known before the target may answer.

use std::time::Duration;

use kaireon_core::time::Timestamp;

use crate::refused::Measure;
use crate::{Evidence, GateBounds, Migration, Missing};

/// What the gate lacks at a time; empty where it would be passed.
///
/// The backfill is complete and every line of it was applied; the stores were compared, everywhere, and are equal; the
/// `replicate` lane is within its lag and has no dead letters; live reads differ no more often than the source does from
/// itself. What was measured is no older than [`GateBounds::max_age`].
#[must_use]
pub fn gate(migration: &Migration, now: Timestamp) -> Vec<Missing> {
    let Evidence {
        backfill,
        verification,
        replication,
        reads,
        reads_by: _,
    } = &migration.evidence;
    let GateBounds {
        max_age,
        max_lag,
        min_reads,
    } = migration.policy.gate;
    let mut missing = Vec::new();
    let fresh = |missing: &mut Vec<Missing>, evidence, at| {
        let age = age(at, now);
        if age > max_age {
            missing.push(Missing::FresherEvidence {
                evidence,
                age,
                bound: max_age,
            });
        }
    };
    if migration.in_force.is_none() {
        missing.push(Missing::LanesInForce);
    }
    match backfill {
        Some(backfill) if backfill.completed_at.is_some() => {
            if backfill.bad_lines > 0 {
                let bad_lines = backfill.bad_lines;
                missing.push(Missing::AppliedLines { bad_lines });
            }
        }
        _ => missing.push(Missing::Backfill),
    }
    match verification {
        None => missing.push(Missing::Verification),
        Some(seen) => {
            fresh(&mut missing, Measure::Verification, seen.at);
            if seen.differences() > 0 {
                let differences = seen.differences();
                missing.push(Missing::Equality { differences });
            }
            if seen.not_compared > 0 {
                let not_compared = seen.not_compared;
                missing.push(Missing::Comparison { not_compared });
            }
        }
    }
    match replication {
        None => missing.push(Missing::Replication),
        Some(seen) => {
            fresh(&mut missing, Measure::Replication, seen.at);
            if seen.lag > max_lag {
                missing.push(Missing::SmallerLag {
                    lag: seen.lag,
                    bound: max_lag,
                });
            }
            if seen.dead_letters > 0 {
                let dead_letters = seen.dead_letters;
                missing.push(Missing::NoDeadLetters { dead_letters });
            }
        }
    }
    if min_reads > 0 {
        let compared = reads.map_or(0, |reads| reads.compared);
        if compared < min_reads {
            missing.push(Missing::ComparedReads {
                compared,
                needed: min_reads,
            });
        }
        if let Some(seen) = reads {
            fresh(&mut missing, Measure::Reads, seen.at);
            if !seen.is_within_noise() {
                missing.push(Missing::AgreeingReads);
            }
        }
    }
    missing
}

/// How long ago; zero for what another instance's clock puts ahead.
pub(crate) fn age(at: Timestamp, now: Timestamp) -> Duration {
    (now - at).to_std().unwrap_or_default()
}
