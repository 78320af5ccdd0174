//! Carrying out what a body means.

use kaireon_core::settings::{SettingVersion, TrailQuery};
use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::{Error, TenantId};
use kaireon_migrate::{Asked, Change, Force, Known, Lacking, Outcome, Start, Step, TenantSetting};
use serde::Serialize;

use super::asked::SettingRequest;
use super::meaning::{Meaning, meaning};
use super::refusal::{Code, LastSeen, Refusal};
use super::view::{SettingView, view};
use crate::TenantSwitch;

/// What history a direct switch leaves behind.
const LEFT_BEHIND: &str = "the tenant's history stays on the store that it was on: what was recorded there is neither read nor \
                           summed up any more";

/// Whose the changes are that the library makes by itself.
const AUTHOR: &str = "kaireon";

/// A change that was made, or was not needed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Changed {
    /// The step that was taken, by its name in the trail; none where the setting was so already.
    pub step: Option<String>,
    /// What was missing and was overridden by force: it is in the trail as well.
    pub overridden: Vec<Lacking>,
    /// What whoever asked should know.
    pub warnings: Vec<String>,
    /// Where the tenant stands now.
    pub setting: SettingView,
}

/// Puts a tenant where a body asks for, by whoever `author` is; returns where it stands then. What moves the authority is
/// carried to its end, which takes as long as the migration's policy allows, 2 s by default.
///
/// A change is made only of the setting that this call saw: where another came in between, it is refused, with what changed.
/// With `seen`, the version that whoever asks has seen (`If-Match`), that holds from then on. What the library measured
/// meanwhile is no change.
///
/// # Errors
/// [`Refusal`], with the status that the router answers it with.
///
/// # Dropped futures
/// The change was made or not, and acted on in part; asking again does the rest.
pub async fn change(
    switch: &TenantSwitch,
    tenant: &TenantId,
    author: &str,
    body: &[u8],
    seen: Option<u64>,
) -> Result<Changed, Refusal> {
    let request = SettingRequest::parse(body, switch)?;
    let before = switch.settings().read(tenant).await?;
    if let Some(seen) = seen
        && !stands_since(switch, tenant, seen, &before).await?
    {
        return Err(Refusal::changed(decided(switch, tenant).await?));
    }
    let meaning = meaning(&before.setting, &request)?;
    let asked = Asked {
        author: author.to_owned(),
        reason: request.reason.clone(),
        force: match request.force {
            true => Force::Yes,
            false => Force::No,
        },
    };
    let done = take(switch, tenant, &before.setting, &meaning, &asked).await;
    let (outcome, overridden) = match done {
        Ok(done) => done,
        Err(error) => return Err(refusal(switch, tenant, &before, error).await),
    };
    let setting = view(switch, tenant).await?;
    if outcome == Outcome::NotTaken {
        return Err(not_taken(&setting));
    }
    Ok(Changed {
        step: step(&meaning).map(str::to_owned),
        overridden,
        warnings: match meaning {
            Meaning::Direct { .. } | Meaning::Finish => vec![LEFT_BEHIND.to_owned()],
            _ => Vec::new(),
        },
        setting,
    })
}

/// Whether a tenant stands as it did under a version.
async fn stands_since(
    switch: &TenantSwitch,
    tenant: &TenantId,
    seen: u64,
    now: &Known,
) -> Result<bool, Error> {
    if seen >= now.version.0 {
        return Ok(seen == now.version.0);
    }
    let query = TrailQuery {
        limit: 1,
        cursor: Some(SettingVersion(seen.saturating_add(1))),
        ..TrailQuery::new(tenant.clone())
    };
    let found = switch.settings_store().trail(query).await?.items.pop();
    match found.filter(|entry| entry.setting.version.0 == seen) {
        Some(entry) => Ok(TenantSetting::from_json(&entry.setting.document)?.stands_as(&now.setting)),
        // It was never set then, and has been since.
        None => Ok(false),
    }
}

/// Takes the step of a setting that was seen.
async fn take(
    switch: &TenantSwitch,
    tenant: &TenantId,
    seen: &TenantSetting,
    meaning: &Meaning,
    asked: &Asked,
) -> Result<(Outcome, Vec<Lacking>), Error> {
    let operator = switch.operator().while_as(seen.clone());
    let report = match meaning {
        Meaning::Nothing => return Ok((Outcome::AlreadyTaken, Vec::new())),
        Meaning::Start { target, dual_write } => {
            let start = Start {
                dual_write: *dual_write,
                ..Start::to(target.clone())
            };
            operator.start(tenant, start, asked).await?
        }
        Meaning::CutOver => operator.cut_over(tenant, asked).await?,
        Meaning::RollBack => operator.roll_back(tenant, asked).await?,
        Meaning::Direct { target } => {
            let target = target.clone();
            return single(switch, tenant, seen, Step::SwitchDirectly { target }, asked).await;
        }
        Meaning::SetDualWrite(dual_write) => {
            let dual_write = *dual_write;
            return single(switch, tenant, seen, Step::SetDualWrite { dual_write }, asked).await;
        }
        Meaning::ReadFrom(side) => {
            return single(switch, tenant, seen, Step::ReadFrom { side: *side }, asked).await;
        }
        Meaning::Finish => {
            let known = switch.migrator().finish(tenant).await?;
            return Ok((moved(&known, seen), Vec::new()));
        }
    };
    Ok((report.outcome, report.overridden))
}

/// A step that the operator has no function for.
async fn single(
    switch: &TenantSwitch,
    tenant: &TenantId,
    seen: &TenantSetting,
    step: Step,
    asked: &Asked,
) -> Result<(Outcome, Vec<Lacking>), Error> {
    let direct = matches!(step, Step::SwitchDirectly { .. });
    let mut change = Change::new(step, &asked.author, &asked.reason, SystemClock.now())?;
    if asked.force == Force::Yes {
        change = change.forced();
    }
    let set = switch.settings().change_while(tenant, &change, seen).await?;
    let known = switch.migrator().finish(tenant).await?;
    let overridden = set.setting.last.map(|last| last.overridden).unwrap_or_default();
    let outcome = match direct {
        true => moved(&known, seen),
        false => Outcome::Taken,
    };
    Ok((outcome, Lacking::all(overridden)))
}

/// Whether the authority is another one than it was.
fn moved(now: &Known, seen: &TenantSetting) -> Outcome {
    match now.setting.authority != seen.authority {
        true => Outcome::Taken,
        false => Outcome::NotTaken,
    }
}

fn step(meaning: &Meaning) -> Option<&'static str> {
    Some(match meaning {
        Meaning::Nothing => return None,
        Meaning::Start { .. } => "start",
        Meaning::Direct { .. } | Meaning::Finish => "switch_directly",
        Meaning::SetDualWrite(_) => "set_dual_write",
        Meaning::ReadFrom(_) => "read_from",
        Meaning::CutOver => "cut_over",
        Meaning::RollBack => "roll_back",
    })
}

/// Why it was not done; that another was first comes before what the step then lacked.
async fn refusal(switch: &TenantSwitch, tenant: &TenantId, before: &Known, error: Error) -> Refusal {
    let refusal = Refusal::from(error);
    if !matches!(refusal.error, Code::Refused | Code::Changed) {
        return refusal;
    }
    match switch.settings().read(tenant).await {
        Ok(now) if !now.setting.stands_as(&before.setting) => match decided(switch, tenant).await {
            Ok(by) => Refusal::changed(by),
            Err(_) => refusal,
        },
        _ => refusal,
    }
}

/// The last change by which a tenant stands otherwise than before: of somebody, rather than one that the library made to
/// carry it out. Measures are none.
async fn decided(switch: &TenantSwitch, tenant: &TenantId) -> Result<Option<LastSeen>, Error> {
    /// Among how many of the last changes it is looked for.
    const AMONG: u32 = 100;

    let query = TrailQuery {
        limit: AMONG,
        ..TrailQuery::new(tenant.clone())
    };
    let entries = switch.settings_store().trail(query).await?.items;
    let settings: Vec<TenantSetting> = (entries.iter())
        .map(|entry| TenantSetting::from_json(&entry.setting.document))
        .collect::<Result<_, _>>()?;
    let decides = |place: &usize| {
        let before = settings.get(place + 1);
        before.is_none_or(|before| !settings[*place].stands_as(before))
    };
    let deciding: Vec<usize> = (0..entries.len()).filter(decides).collect();
    let by_somebody = deciding.iter().find(|place| entries[**place].author != AUTHOR);
    let place = by_somebody.or_else(|| deciding.first());
    Ok(place.map(|place| LastSeen {
        version: entries[*place].setting.version.0,
        step: settings[*place]
            .last
            .as_ref()
            .map_or_else(String::new, |last| last.change.step.as_str().to_owned()),
        author: entries[*place].author.clone(),
        reason: entries[*place].reason.clone(),
        at: entries[*place].at,
    }))
}

/// The authority is open again.
fn not_taken(setting: &SettingView) -> Refusal {
    let message = format!(
        "{} is open again: its lanes were not empty in time, or the other store could not be opened",
        setting.authority
    );
    Refusal::new(Code::NotTaken, message)
}
