//! Whether a backfill may begin, and what it relies on.

use kaireon_archive::ExportState;

use crate::{Missing, Phase, Refused, StoreMark, TenantSetting};

/// Where a backfill begins.
const FROM: [Phase; 4] = [
    Phase::DualWrite,
    Phase::Backfilling,
    Phase::Verifying,
    Phase::Ready,
];

/// The end of an export that a backfill may rely on: of the source as it is, whole, and behind the proof that every write is
/// replicated.
pub(super) fn export(setting: &TenantSetting, states: &[ExportState]) -> Result<StoreMark, Refused> {
    let refused = |missing| Refused {
        step: "begin_backfill",
        phase: setting.phase,
        missing: vec![missing],
        can_be_forced: false,
    };
    let migration = (setting.under_way())
        .filter(|_| FROM.contains(&setting.phase))
        .ok_or_else(|| refused(Missing::Phase { from: FROM.to_vec() }))?;
    let in_force = (migration.in_force).ok_or_else(|| refused(Missing::LanesInForce))?;
    let incarnation = in_force.source.incarnation;
    let mut closest = Missing::Export;
    for state in states {
        let scan = (state.scan.as_ref()).filter(|scan| scan.begun.incarnation == incarnation);
        let through = (state.complete_through).filter(|through| through.incarnation == incarnation);
        if scan.is_none() && through.is_none() {
            continue;
        }
        let through = (scan.and_then(|scan| scan.ended).and(through)).map(|through| StoreMark {
            incarnation: through.incarnation,
            sequence: through.sequence,
        });
        match through {
            Some(through) if through.follows(in_force.since) => return Ok(through),
            Some(_) => closest = Missing::LaterExport,
            None if closest == Missing::Export => closest = Missing::WholeExport,
            None => {}
        }
    }
    Err(refused(closest))
}
