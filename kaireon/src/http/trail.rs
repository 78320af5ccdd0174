//! Who changed what of a tenant's setting, when and why.

use kaireon_core::settings::{SettingEntry, SettingVersion, TrailQuery};
use kaireon_core::time::Timestamp;
use kaireon_core::{ErrorKind, TenantId};
use kaireon_migrate::{Backend, Force, Lacking, Phase, TenantSetting};
use serde::Serialize;

use super::refusal::Refusal;
use crate::TenantSwitch;

/// The most entries of an answer.
pub(super) const MAX_ENTRIES: u32 = 500;

/// A page of a tenant's trail, newest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Trail {
    /// Whose.
    pub tenant: TenantId,
    /// What was changed.
    pub entries: Vec<TrailEntry>,
    /// The `before` of the next page; none behind the last.
    pub next: Option<u64>,
}

/// One change. Measures that the library noted by itself are among them; their author is `kaireon`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TrailEntry {
    /// The version that it made.
    pub version: u64,
    /// The step.
    pub step: String,
    /// Who asked.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// Whether it was forced.
    pub forced: bool,
    /// What it overrode.
    pub overridden: Vec<Lacking>,
    /// Where the tenant stood then.
    pub phase: Phase,
    /// The store whose outcome was the caller's.
    pub authority: Backend,
    /// The store that answered reads.
    pub read_from: Backend,
}

/// What a tenant's setting was, newest first: `limit` entries at most, before a version where one is given.
///
/// # Errors
/// [`Code::Invalid`](super::Code::Invalid) naming `limit`, where it is not from 1 to 500; those of the settings store.
pub async fn trail(
    switch: &TenantSwitch,
    tenant: &TenantId,
    limit: u32,
    before: Option<u64>,
) -> Result<Trail, Refusal> {
    if !(1..=MAX_ENTRIES).contains(&limit) {
        return Err(Refusal::invalid(Some("limit"), "is not from 1 to 500"));
    }
    let query = TrailQuery {
        limit,
        cursor: before.map(SettingVersion),
        ..TrailQuery::new(tenant.clone())
    };
    let page = switch.settings_store().trail(query).await?;
    let entries = page.items.into_iter().map(entry).collect::<Result<_, _>>()?;
    Ok(Trail {
        tenant: tenant.clone(),
        entries,
        next: page.next.map(|version| version.0),
    })
}

fn entry(entry: SettingEntry) -> Result<TrailEntry, kaireon_core::Error> {
    let setting = TenantSetting::from_json(&entry.setting.document)?;
    let last = setting.last.ok_or_else(|| {
        let context = "an entry of the trail does not say which change made it";
        kaireon_core::Error::new(ErrorKind::Corrupt, context)
    })?;
    Ok(TrailEntry {
        version: entry.setting.version.0,
        step: last.change.step.as_str().to_owned(),
        author: entry.author,
        reason: entry.reason,
        at: entry.at,
        forced: last.change.force == Force::Yes,
        overridden: Lacking::all(last.overridden),
        phase: setting.phase,
        authority: setting.authority,
        read_from: setting.reads,
    })
}
