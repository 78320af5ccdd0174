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
//! The decisions behind it: `docs/decisions/0011-the-tenant-switch.md`.

mod backend;
mod evidence;
mod gate;
mod millis;
mod policy;
mod refused;
mod setting;
mod settings;
mod step;
mod transition;

pub use backend::Backend;
pub use evidence::{Backfill, Evidence, InForce, ReadComparison, Replication, StoreMark, Verification};
pub use gate::gate;
pub use policy::{DualWrite, GateBounds, Policy};
pub use refused::{Measure, Missing, Refused};
pub use setting::{Completeness, Draining, Migration, Passed, Phase, Purpose, Side, TenantSetting};
pub use settings::{Known, Settings};
pub use step::{Audit, Change, Drained, Force, OldRows, Step};
pub use transition::transition;
