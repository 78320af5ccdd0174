//! Moves a tenant of kaireon from one interaction store to an unlike one, with zero downtime, and proves it.
//!
//! Which store is a tenant's authority, which lanes are in force and how far a move has come is one [`TenantSetting`],
//! common to all instances of a service. It changes by [`transition`] alone: a pure function that names everything that
//! a step lacks. [`Settings`] keeps it in a [`SettingsStore`](kaireon_core::SettingsStore), by compare-and-set.
//!
//! ```
//! use kaireon_core::outbox::LaneSet;
//! use kaireon_core::time::{Clock, SystemClock};
//! use kaireon_migrate::{Backend, Change, DualWrite, Policy, Step, TenantSetting, transition};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ask = |step| Change::new(step, "ops@example.com", "CHG-1207", SystemClock.now());
//! let on_postgresql = TenantSetting::single(Backend::new("postgresql")?, LaneSet::NONE);
//! let target = Backend::new("dynamodb")?;
//! let start = Step::Start { target, dual_write: DualWrite::Async, policy: Policy::default() };
//! let replicating = transition(&on_postgresql, &ask(start)?)?;
//! assert_eq!(replicating.writer().map(|(store, epoch)| (store.as_str(), epoch.0)), Some(("postgresql", 1)));
//! assert_eq!(replicating.replica().map(Backend::as_str), Some("dynamodb"));
//!
//! for missing in transition(&replicating, &ask(Step::CutOver)?).unwrap_err().missing {
//!     println!("not yet: {missing}"); // the gate was not passed, the backfill is not complete, …
//! }
//! let back = transition(&replicating, &ask(Step::RollBack)?)?;
//! assert_eq!(back.writer().map(|(store, epoch)| (store.as_str(), epoch.0)), Some(("postgresql", 2)));
//! # Ok(()) }
//! ```
//!
//! # The phases
//!
//! | phase | takes writes | is kept up by replication | left by |
//! |---|---|---|---|
//! | single | the store | | `Start`, `SwitchDirectly` |
//! | dual write | source | target | `BeginBackfill` |
//! | backfilling | source | target | `CompleteBackfill` |
//! | verifying | source | target | `PassGate` |
//! | ready | source | target | `CutOver` |
//! | draining | nobody | the side that opens | `Open`, `Reopen` |
//! | cut over | target | source | `Finalise` |
//! | finalised | target | | `Start`, `SwitchDirectly` |
//!
//! `RollBack` leads back to the source from every phase of a migration before finalised. An epoch names at most one
//! authority: it grows with everything that changes who may write, and a drain keeps one for the side that is to open,
//! whether or not that happens. Reads go to the target only once the gate was passed, or was forced, which is recorded
//! with who and why.
//!
//! # Using it
//!
//! [`SwitchStore`] is an interaction store over several, each tenant on the one that its setting names. For each of its
//! stores run a relay of the `publish` lane, as ever, and one of the `replicate` lane with a [`ReplicateSink`]; any number
//! of processes may. [`Migrator`] makes changes and acts on them. [`Backfiller`] applies what the tenant's archive holds to
//! the target of its migration. [`Operator`] is all of it as an operator goes about it, from start to finalise, with reports.
//!
//! ```
//! use std::sync::Arc;
//! use kaireon_core::digest::MasterKey;
//! use kaireon_core::memory::{MemoryOptions, MemoryPlace, MemorySettings};
//! use kaireon_core::outbox::LaneSet;
//! use kaireon_core::time::{Clock, SystemClock};
//! use kaireon_core::{Interaction, InteractionStore, TenantId};
//! use kaireon_migrate::{
//!     Backend, Change, Migrator, Settings, Step, Stores, SwitchConfig, SwitchStore, TenantSetting,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> kaireon_core::Result<()> {
//! let key = MasterKey::new([7; 32]); // the same on every store
//! let open = || -> Arc<dyn InteractionStore> {
//!     Arc::new(MemoryPlace::new(MemoryOptions::default().with_master_key(key.clone())).open())
//! };
//! let stores = Stores::new([(Backend::new("old")?, open()), (Backend::new("new")?, open())])?;
//! let first = TenantSetting::single(Backend::new("old")?, LaneSet::NONE);
//! let settings = Settings::new(Arc::new(MemorySettings::new()), first);
//! let switch = SwitchStore::new(stores.clone(), settings, SwitchConfig::new(key))?;
//!
//! let acme = TenantId::new("acme")?;
//! let direct = Step::SwitchDirectly { target: Backend::new("new")? };
//! let change = Change::new(direct, "ops@example.com", "CHG-1207", SystemClock.now())?;
//! let moved = Migrator::new(switch.clone()).change(&acme, &change).await?;
//! assert_eq!(moved.setting.authority.as_str(), "new");
//! let shown = Interaction::builder("acme", "c7").offer("shoes").creative("banner").channel("web").build()?;
//! assert!(switch.record_event(shown).await?.is_new());
//! # Ok(()) }
//! ```
//!
//! The decisions behind it: `docs/decisions/0011-the-tenant-switch.md`.

mod advise;
mod backend;
mod backfill;
mod current;
mod evidence;
mod gate;
mod migrator;
mod millis;
mod observe;
mod operate;
mod policy;
mod refused;
mod rehearse;
mod replicate;
mod setting;
mod settings;
mod step;
mod stores;
mod switch;
mod transition;
mod verify;

pub use advise::{
    Advice, Advisor, AdvisorConfig, Ground, Measured, Probe, ReadTrend, Regions, Thresholds, Unmeasured,
    Verdict, advise,
};
pub use backend::Backend;
pub use backfill::{
    BackfillConfig, BackfillProgress, BackfillReport, BackfillState, Backfiller, Drive, Pace, Unapplied,
};
pub use current::Freshness;
pub use evidence::{Backfill, Evidence, InForce, ReadComparison, Replication, StoreMark, Verification};
pub use gate::gate;
pub use migrator::Migrator;
pub use operate::{
    Advance, Asked, Away, BackfillRun, DroppedRows, ExportReport, ExportStatus, FinaliseReport, KindRun,
    Lacking, LaneExport, LaneStatus, LastChange, MigrationStatus, Next, Operator, OperatorConfig,
    OperatorStatus, Outcome, PaceReport, ReadsStatus, SampleRun, ScanExport, Set, Start, StepReport,
    StoreExport, Throttling, VerificationStatus, VerifyRun,
};
pub use policy::{DualWrite, GateBounds, Policy};
pub use refused::{Measure, Missing, Refused};
pub use rehearse::{Rehearsal, RehearsalConfig, RehearsalProgress, RehearsalReport};
pub use replicate::ReplicateSink;
pub use setting::{Completeness, Draining, Migration, Passed, Phase, Purpose, Side, TenantSetting};
pub use settings::{Known, Settings};
pub use step::{Audit, Change, Drained, Force, OldRows, Step};
pub use stores::Stores;
pub use switch::{Activity, Agreement, ReadSampling, ReadTrace, SwitchConfig, SwitchStore, Traced};
pub use transition::transition;
pub use verify::{
    Difference, Kind, KindReport, Name, NotCompared, Progress, Sample, Verifier, VerifyConfig, VerifyReport,
    Why, WithoutRows,
};
