//! What a body means, of a tenant that stands so: plain functions, without I/O. `docs/settings-api.md` has the same table.

use std::time::Duration;

use kaireon_migrate::{Backend, DualWrite, Migration, Phase, Purpose, Side, TenantSetting};

use super::asked::{DualWriteMode, SettingRequest};
use super::refusal::Refusal;

/// How long a strict writer waits for the other side.
const BUDGET: Duration = Duration::from_secs(1);

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is so already.
    Nothing,
    /// A migration begins.
    Start { target: Backend, dual_write: DualWrite },
    /// The tenant moves at once, without its history.
    Direct { target: Backend },
    /// Writers wait otherwise.
    SetDualWrite(DualWrite),
    /// Reads move alone.
    ReadFrom(Side),
    /// The authority moves to the target.
    CutOver,
    /// The authority goes back to the source, or stays there and the migration ends.
    RollBack,
    /// A direct move that was begun is ended.
    Finish,
}

impl From<DualWriteMode> for DualWrite {
    fn from(mode: DualWriteMode) -> Self {
        match mode {
            DualWriteMode::Async => Self::Async,
            DualWriteMode::BestEffort => Self::BestEffort,
            DualWriteMode::Strict => Self::Strict { budget: BUDGET },
        }
    }
}

/// What a request means.
///
/// # Errors
/// A refusal that names the field which goes with nothing that the tenant could do from where it stands.
pub(super) fn meaning(setting: &TenantSetting, asked: &SettingRequest) -> Result<Meaning, Refusal> {
    let of_migration = match setting.under_way() {
        Some(migration) => under_way(setting, migration, asked)?,
        None => None,
    };
    match of_migration {
        Some(meaning) => Ok(meaning),
        None => other_store(setting, asked),
    }
}

/// Of a tenant at rest, and of one whose body names a store that its migration has nothing to do with: the step itself then
/// says that another is under way.
fn other_store(setting: &TenantSetting, asked: &SettingRequest) -> Result<Meaning, Refusal> {
    let target = &asked.backend;
    if *target == setting.authority {
        if asked.dual_write {
            return Err(only(
                "dualWrite",
                false,
                "would be to the store that the tenant is on",
            ));
        }
        no_mode(asked)?;
        reads(asked, target)?;
        return Ok(Meaning::Nothing);
    }
    if asked.dual_write {
        reads(asked, &setting.reads)?;
        return Ok(Meaning::Start {
            target: target.clone(),
            dual_write: asked.dual_write_mode.unwrap_or(DualWriteMode::Async).into(),
        });
    }
    no_mode(asked)?;
    reads(asked, target)?;
    Ok(Meaning::Direct {
        target: target.clone(),
    })
}

/// Of a tenant that is being moved; `None` where the body names neither of the two stores.
fn under_way(
    setting: &TenantSetting,
    migration: &Migration,
    asked: &SettingRequest,
) -> Result<Option<Meaning>, Refusal> {
    let (source, target) = (&migration.source, &migration.target);
    if asked.backend != *source && asked.backend != *target {
        return Ok(None);
    }
    let to_target = asked.backend == *target;
    if !to_target && asked.dual_write {
        return Err(only("dualWrite", false, "ends with a roll-back to the source"));
    }
    if !asked.dual_write {
        no_mode(asked)?;
        reads(asked, &asked.backend)?;
    }
    Ok(Some(match (setting.phase, to_target) {
        (Phase::CutOver, true) if asked.dual_write => {
            let what = "was ended by the cut-over: go back first";
            return Err(only("dualWrite", false, what));
        }
        (Phase::CutOver, true) => Meaning::Nothing,
        (Phase::Draining, true) if is(setting, Purpose::Direct) && !asked.dual_write => Meaning::Finish,
        (_, false) => Meaning::RollBack,
        (_, true) if !asked.dual_write => Meaning::CutOver,
        (_, true) => beside(setting, migration, asked)?,
    }))
}

/// Of a tenant that is written to both: who answers reads, and how writers wait.
fn beside(
    setting: &TenantSetting,
    migration: &Migration,
    asked: &SettingRequest,
) -> Result<Meaning, Refusal> {
    let mode = asked
        .dual_write_mode
        .map(DualWrite::from)
        .filter(|mode| !alike(*mode, migration.dual_write));
    let side = match &asked.read_from {
        Some(store) if *store == setting.reads => None,
        Some(store) if *store == migration.source => Some(Side::Source),
        Some(store) if *store == migration.target => Some(Side::Target),
        Some(_) => {
            let both = [migration.source.as_str(), migration.target.as_str()];
            return Err(
                Refusal::invalid(Some("readFrom"), "is neither side of the migration").allowing(both),
            );
        }
        None => None,
    };
    match (mode, side) {
        (None, None) => Ok(Meaning::Nothing),
        (Some(mode), None) => Ok(Meaning::SetDualWrite(mode)),
        (None, Some(side)) => Ok(Meaning::ReadFrom(side)),
        (Some(_), Some(_)) => {
            let what = "and readFrom change one after the other";
            Err(Refusal::invalid(Some("dualWriteMode"), what))
        }
    }
}

fn is(setting: &TenantSetting, purpose: Purpose) -> bool {
    setting
        .draining
        .is_some_and(|draining| draining.purpose == purpose)
}

/// The same mode, whatever its budget.
fn alike(one: DualWrite, other: DualWrite) -> bool {
    std::mem::discriminant(&one) == std::mem::discriminant(&other)
}

/// Reads are asked for from where they will be, or nothing is said of them.
fn reads(asked: &SettingRequest, from: &Backend) -> Result<(), Refusal> {
    match &asked.read_from {
        Some(store) if store != from => Err(only("readFrom", from.as_str(), "does not go with this step")),
        _ => Ok(()),
    }
}

/// Without dual writes there is nothing to wait for.
fn no_mode(asked: &SettingRequest) -> Result<(), Refusal> {
    match asked.dual_write_mode {
        Some(_) => Err(Refusal::invalid(
            Some("dualWriteMode"),
            "goes with dual writes alone",
        )),
        None => Ok(()),
    }
}

fn only(field: &str, allowed: impl Into<serde_json::Value>, what: &str) -> Refusal {
    Refusal::invalid(Some(field), what).allowing([allowed])
}
