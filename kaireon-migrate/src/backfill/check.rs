//! Whether a backfill may begin, and what it relies on.

use kaireon_archive::ExportState;
use kaireon_core::outbox::Lane;

use crate::{InForce, Missing, Phase, Refused, Side, StoreMark, TenantSetting};

/// Where a backfill begins.
const FROM: [Phase; 4] = [
    Phase::DualWrite,
    Phase::Backfilling,
    Phase::Verifying,
    Phase::Ready,
];

/// The end of an export that a backfill may rely on: of the source, whole, and behind the proof that every write is
/// replicated. Whether the source has come that far itself, [`source_follows`] says once it was looked at.
pub(crate) fn export(setting: &TenantSetting, states: &[ExportState]) -> Result<StoreMark, Refused> {
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
    // The setting's lanes are those of the fence; without this one the export lacks what is recorded since.
    if !setting.lanes.contains(Lane::Archive) {
        return Err(refused(Missing::ArchiveLane));
    }
    reaching(states, in_force.since).map_err(refused)
}

/// Whether the source, as it was seen after the archive was read, has come as far as the export says. Where it has not, it
/// went back in time behind the export, which then holds what the source does not.
pub(super) fn source_follows(setting: &TenantSetting, export: StoreMark) -> Result<(), Refused> {
    let in_force = setting.under_way().and_then(|migration| migration.in_force);
    let follows = |in_force: InForce| in_force.source.follows(export);
    match in_force.is_some_and(follows) {
        true => Ok(()),
        false => Err(Refused {
            step: "begin_backfill",
            phase: setting.phase,
            missing: vec![Missing::SameStore { side: Side::Source }],
            can_be_forced: false,
        }),
    }
}

/// Whether an archive holds the export that a backfill was begun from. One that is empty, because it is another one or is
/// not mounted, has nothing left to apply either.
pub(super) fn still_holds(states: &[ExportState], export: StoreMark) -> Result<(), Refused> {
    let held = reaching(states, export);
    held.map(|_| ()).map_err(|missing| Refused {
        step: "backfill",
        phase: Phase::Backfilling,
        missing: vec![missing],
        can_be_forced: false,
    })
}

/// The end of a whole export of the store of a mark that reaches to that mark; else what comes closest to one.
fn reaching(states: &[ExportState], mark: StoreMark) -> Result<StoreMark, Missing> {
    let incarnation = mark.incarnation;
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
            Some(through) if through.follows(mark) => return Ok(through),
            Some(_) => closest = Missing::LaterExport,
            None if closest == Missing::Export => closest = Missing::WholeExport,
            None => {}
        }
    }
    Err(closest)
}
