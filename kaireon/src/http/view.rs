//! Where a tenant stands, as it is answered.

use std::time::Duration;

use kaireon_core::TenantId;
use kaireon_core::time::Timestamp;
use kaireon_migrate::{
    Backend, BackfillState, Completeness, DualWrite, Lacking, LaneStatus, MigrationStatus, Next, OldRows,
    OperatorConfig, OperatorStatus, Phase, Purpose, TenantSetting,
};
use serde::Serialize;

use super::asked::DualWriteMode;
use super::refusal::{LastSeen, Refusal};
use crate::TenantSwitch;

/// How long each store and the archive have to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where a tenant stands. `backend`, `dualWrite` and `readFrom` are the body that leaves it there.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SettingView {
    /// Whose setting.
    pub tenant: TenantId,
    /// The store that the tenant is on, or is being moved to.
    pub backend: Backend,
    /// Whether it is written to both meanwhile, with the old one deciding.
    pub dual_write: bool,
    /// The store that answers reads.
    pub read_from: Backend,
    /// The stores of this service.
    pub allowed_backends: Vec<Backend>,
    /// Where the tenant stands.
    pub phase: Phase,
    /// The store whose outcome is the caller's.
    pub authority: Backend,
    /// The version of the setting; 0 where it was never changed.
    pub version: u64,
    /// The number of who may write where.
    pub epoch: u64,
    /// What is to be done next.
    pub next: Next,
    /// The same in words.
    pub next_words: String,
    /// The migration under way, or the last one once it is finalised.
    pub migration: Option<MigrationView>,
    /// The last change.
    pub last: Option<LastSeen>,
    /// What did not answer in time; what it would have told is missing above.
    pub away: Vec<NotAsked>,
    /// When this was looked at.
    pub at: Timestamp,
}

/// What could not be asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct NotAsked {
    /// What.
    pub what: String,
    /// Why it did not answer.
    pub why: String,
}

/// A migration.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct MigrationView {
    /// The store that the tenant is moved from.
    pub source: Backend,
    /// The store that it is moved to.
    pub target: Backend,
    /// How writers wait for the other side.
    pub dual_write_mode: DualWriteMode,
    /// When it began.
    pub started_at: Timestamp,
    /// When the target became the authority.
    pub cut_over_at: Option<Timestamp>,
    /// Whether a way back loses nothing.
    pub way_back: Completeness,
    /// What a cut-over would lack now.
    pub gate: Vec<Lacking>,
    /// What was missing when the gate was passed by force.
    pub overridden: Vec<Lacking>,
    /// How far the other side is behind.
    pub lag: Option<LaneView>,
    /// What the event stream has not been told, which a move of the authority waits for.
    pub unpublished: Option<LaneView>,
    /// Whether the sides are the same, by the last comparison.
    pub divergence: Option<Compared>,
    /// What live reads say.
    pub reads: Option<ReadsCompared>,
    /// What was brought to the target from the archive.
    pub repair: Option<Backfilled>,
    /// What is left of the safety period, in milliseconds.
    pub safety_left_ms: Option<u64>,
    /// What was decided of the source's rows.
    pub old_rows: Option<OldRows>,
}

/// A lane of the authority, of this tenant.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LaneView {
    /// Entries that wait.
    pub waiting: u64,
    /// Entries that were moved aside.
    pub dead_letters: u64,
    /// The age of the oldest that waits, in milliseconds.
    pub lag_ms: u64,
}

/// What a comparison of the two sides counted: rows, decisions and summaries.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Compared {
    /// When it ended.
    pub at: Timestamp,
    /// The same on both.
    pub equal: u64,
    /// Missing on the target.
    pub missing: u64,
    /// On the target alone.
    pub extra: u64,
    /// Unlike.
    pub different: u64,
    /// Ranges that were not compared.
    pub not_compared: u64,
}

/// What sampled reads say.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ReadsCompared {
    /// When the sample ended.
    pub at: Timestamp,
    /// Reads that were asked of both sides.
    pub compared: u64,
    /// Those answered unlike.
    pub different: u64,
    /// Whether the sides differ no more often than the source does from itself.
    pub within_noise: bool,
}

/// What a backfill brought to the target.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Backfilled {
    /// What it is at.
    pub state: BackfillState,
    /// Rows and decisions that are done.
    pub rows_done: u64,
    /// Those of the archive.
    pub rows_total: u64,
    /// Those that the target lacked and now has.
    pub repaired: u64,
    /// Those that could not be applied.
    pub unapplied: u64,
    /// How long the rest takes, in milliseconds.
    pub eta_ms: Option<u64>,
}

/// Where a tenant stands: asked of its stores and of the archive, each of which has a second to answer.
///
/// # Errors
/// Those of the settings store.
pub async fn read(switch: &TenantSwitch, tenant: &TenantId) -> Result<SettingView, Refusal> {
    Ok(view(switch, tenant).await?)
}

pub(super) async fn view(switch: &TenantSwitch, tenant: &TenantId) -> kaireon_core::Result<SettingView> {
    let config = OperatorConfig {
        patience: PATIENCE,
        ..OperatorConfig::default()
    };
    let status = switch.operator().with_config(config).status(tenant).await?;
    let setting = switch.settings().read(tenant).await?.setting;
    Ok(of(status, &setting, switch))
}

/// The body that leaves a tenant where it stands, but for who answers reads: backend, and whether it is a dual write.
fn body(setting: &TenantSetting) -> (&Backend, bool) {
    let Some(migration) = setting.under_way() else {
        return (&setting.authority, false);
    };
    match setting.draining.map(|draining| draining.purpose) {
        Some(Purpose::RollBack) => (&migration.source, false),
        Some(Purpose::CutOver | Purpose::Direct) => (&migration.target, false),
        None => (&migration.target, setting.phase != Phase::CutOver),
    }
}

fn of(status: OperatorStatus, setting: &TenantSetting, switch: &TenantSwitch) -> SettingView {
    let (backend, dual_write) = body(setting);
    let away = status.away.into_iter().map(|away| NotAsked {
        what: away.what,
        why: away.why,
    });
    SettingView {
        tenant: status.tenant,
        backend: backend.clone(),
        dual_write,
        read_from: status.reads,
        allowed_backends: switch.allowed().cloned().collect(),
        phase: status.phase,
        authority: status.authority,
        version: status.version,
        epoch: status.epoch.0,
        next: status.next,
        next_words: status.next.to_string(),
        migration: status.migration.map(migration),
        last: status.last.map(|last| LastSeen {
            version: status.version,
            step: last.step,
            author: last.author,
            reason: last.reason,
            at: last.at,
        }),
        away: away.collect(),
        at: status.at,
    }
}

fn migration(status: MigrationStatus) -> MigrationView {
    MigrationView {
        source: status.source,
        target: status.target,
        dual_write_mode: match status.dual_write {
            DualWrite::Async => DualWriteMode::Async,
            DualWrite::BestEffort => DualWriteMode::BestEffort,
            DualWrite::Strict { .. } => DualWriteMode::Strict,
        },
        started_at: status.started_at,
        cut_over_at: status.cut_over_at,
        way_back: status.way_back,
        gate: status.gate,
        overridden: status.overridden,
        lag: status.replication.map(lane),
        unpublished: status.publishing.map(lane),
        divergence: status.verification.map(|verified| Compared {
            at: verified.said.at,
            equal: verified.said.equal,
            missing: verified.said.missing,
            extra: verified.said.extra,
            different: verified.said.different,
            not_compared: verified.said.not_compared,
        }),
        reads: status.reads.map(|reads| ReadsCompared {
            at: reads.said.at,
            compared: reads.said.compared,
            different: reads.said.different,
            within_noise: reads.within_noise,
        }),
        repair: status.backfill.map(|backfill| Backfilled {
            state: backfill.state,
            rows_done: backfill.rows_done,
            rows_total: backfill.rows_total,
            repaired: backfill.applied,
            unapplied: backfill.unapplied,
            eta_ms: backfill.eta.map(millis),
        }),
        safety_left_ms: status.safety_left.map(millis),
        old_rows: status.old_rows,
    }
}

fn lane(lane: LaneStatus) -> LaneView {
    LaneView {
        waiting: lane.waiting,
        dead_letters: lane.dead_letters,
        lag_ms: millis(lane.lag),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
