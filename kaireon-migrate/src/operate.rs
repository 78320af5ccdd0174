//! What an operator does: the whole of a migration as plain functions, each with a report.

mod backfill;
mod export;
mod finalise;
mod moves;
mod pace;
mod status;
mod verify;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kaireon_archive::Archive;
use kaireon_core::outbox::Lane;
use kaireon_core::relay::{Relay, RelayConfig};
use kaireon_core::time::Clock;
use kaireon_core::{Error, ErrorKind, InteractionStore, Result, TenantId};

pub use backfill::BackfillRun;
pub use export::{ExportReport, LaneExport, ScanExport, StoreExport};
pub use finalise::{DroppedRows, FinaliseReport};
pub use moves::{Outcome, Start, StepReport};
pub use pace::{PaceReport, Set, Throttling};
pub use status::{
    Away, ExportStatus, Lacking, LaneStatus, LastChange, MigrationStatus, Next, OperatorStatus, ReadsStatus,
    VerificationStatus,
};
pub use verify::{KindRun, SampleRun, VerifyRun};

use crate::migrator::moved_on;
use crate::{
    Backend, BackfillConfig, BackfillProgress, Backfiller, Change, Force, Migrator, Progress, ReplicateSink,
    Step, SwitchStore, TenantSetting, VerifyConfig,
};

/// Who asks for a step, and why. Both are recorded with it, for good, and shown by [`Operator::status`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who: 1 to 1,024 bytes without control characters.
    pub author: String,
    /// Why, within the same bounds: a ticket, a sentence.
    pub reason: String,
    /// Whether what is missing is overridden, where it can be. What was overridden is recorded.
    pub force: Force,
}

impl Asked {
    /// Asked by somebody for a reason, and not forced.
    #[must_use]
    pub fn by(author: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            author: author.into(),
            reason: reason.into(),
            force: Force::No,
        }
    }

    /// The same, forced.
    #[must_use]
    pub fn forced(mut self) -> Self {
        self.force = Force::Yes;
        self
    }
}

/// How far something long has come.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Advance {
    /// An export has written so much since it began.
    Exported {
        /// Records.
        records: u64,
        /// Bytes, as they are stored.
        bytes: u64,
    },
    /// A backfill has come so far, by whichever process.
    Backfilled(Box<BackfillProgress>),
    /// A comparison has read so much.
    Verified(Progress),
}

type Told = Arc<dyn Fn(Advance) + Send + Sync>;

/// How an operator's functions go about it.
#[derive(Clone, Debug)]
pub struct OperatorConfig {
    /// How a backfill works.
    pub backfill: BackfillConfig,
    /// How stores are compared.
    pub verify: VerifyConfig,
    /// How long [`Operator::status`] waits for each store that it asks; 5 s by default.
    pub patience: Duration,
    /// How long an export waits until the part of the lane that other exporters hold is empty too; 90 s by default, longer
    /// than a lease of theirs.
    pub export_wait: Duration,
}

impl Default for OperatorConfig {
    fn default() -> Self {
        Self {
            backfill: BackfillConfig {
                // A run that was killed holds up the next one for so long.
                lease: Duration::from_secs(10),
                ..BackfillConfig::default()
            },
            verify: VerifyConfig::default(),
            patience: Duration::from_secs(5),
            export_wait: Duration::from_secs(90),
        }
    }
}

/// The functions of whoever moves a tenant, in the order in which they are used: [`start`](Self::start),
/// [`export`](Self::export), [`backfill`](Self::backfill), [`verify`](Self::verify), [`cut_over`](Self::cut_over) and, after
/// the safety period, [`finalise`](Self::finalise); [`roll_back`](Self::roll_back) at any time before that, and
/// [`status`](Self::status) always. The command `kaireon` prints what they report.
///
/// They may be called from any process that has both stores, beside the hosts that record; what each does is in the settings
/// and beside the archive, so another process goes on where one was killed. Any of them may be called again: what is done
/// already is told as such.
///
/// No function starts a relay: the hosts run them. Where no host does, [`relays`](Self::relays) starts those of the
/// `replicate` lane.
///
/// ```no_run
/// # async fn go(switch: kaireon_migrate::SwitchStore, archive: kaireon_archive::Archive) -> kaireon_core::Result<()> {
/// use kaireon_migrate::{Asked, Backend, Operator, Start};
///
/// let acme = kaireon_core::TenantId::new("acme")?;
/// let asked = Asked::by("ops@example.com", "CHG-1207");
/// let operator = Operator::new(switch, Some(archive));
/// operator.start(&acme, Start::to(Backend::new("postgresql")?), &asked).await?;
/// operator.export(&acme).await?;
/// operator.backfill(&acme, &asked).await?;
/// let verified = operator.verify(&acme, &asked).await?;
/// assert!(verified.clean);
/// operator.cut_over(&acme, &asked).await?;
/// println!("{}", operator.status(&acme).await?.next);
/// # Ok(()) }
/// ```
///
/// Reports are plain data, to be shown or serialised; they hold no customer, no key and no attribute. The ids of records that
/// differ ([`KindRun::samples`]) are in the report of a comparison alone.
#[derive(Clone)]
pub struct Operator {
    migrator: Migrator,
    archive: Option<Archive>,
    config: OperatorConfig,
    told: Option<Told>,
    /// What whoever asks for a step has seen.
    seen: Option<Arc<TenantSetting>>,
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operator")
            .field("migrator", &self.migrator)
            .field("archive", &self.archive)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Operator {
    /// An operator of the tenants of a switch. Without an archive there is no export, and no backfill.
    #[must_use]
    pub fn new(switch: SwitchStore, archive: Option<Archive>) -> Self {
        Self {
            migrator: Migrator::new(switch),
            archive,
            config: OperatorConfig::default(),
            told: None,
            seen: None,
        }
    }

    /// The same, going about it otherwise.
    #[must_use]
    pub fn with_config(mut self, config: OperatorConfig) -> Self {
        self.config = config;
        self
    }

    /// The same by another clock: of the times in settings and reports. Bounds of waiting are the runtime's.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.migrator = self.migrator.with_clock(clock);
        self
    }

    /// The same, telling how far a long function has come. It is called between two reads or writes: it must not block.
    #[must_use]
    pub fn with_progress(mut self, told: impl Fn(Advance) + Send + Sync + 'static) -> Self {
        self.told = Some(Arc::new(told));
        self
    }

    /// The same, taking steps only while the tenant [stands as](TenantSetting::stands_as) it was seen: `start`, `cut_over`,
    /// `roll_back` and `finalise` are `Conflict`, not applied and without a source, where another has changed that since.
    #[must_use]
    pub fn while_as(mut self, seen: TenantSetting) -> Self {
        self.seen = Some(Arc::new(seen));
        self
    }

    /// What carries its steps out.
    #[must_use]
    pub const fn migrator(&self) -> &Migrator {
        &self.migrator
    }

    /// Starts a relay of the `replicate` lane of each store, for as long as they are kept: where no host runs one, nothing else
    /// brings to the other side of a migration what is recorded.
    ///
    /// # Errors
    /// `Unsupported` where a store has no outbox, which a switch does not take.
    pub fn relays(&self) -> Result<Vec<Relay>> {
        let switch = self.migrator.switch();
        let stores = switch.stores().iter();
        stores
            .map(|(name, store)| {
                let none = || Error::unsupported(store.capabilities().backend, "outbox");
                let outbox = store.outbox().ok_or_else(none)?;
                let sink = ReplicateSink::new(switch, name.clone());
                Ok(Relay::spawn(outbox, sink, RelayConfig::new(Lane::Replicate)))
            })
            .collect()
    }

    fn tell(&self, advance: impl FnOnce() -> Advance) {
        if let Some(told) = &self.told {
            told(advance());
        }
    }

    fn change(&self, step: Step, asked: &Asked) -> Result<Change> {
        let Asked {
            author,
            reason,
            force,
        } = asked;
        let change = Change::new(step, author, reason, self.migrator.clock().now())?;
        Ok(match force {
            Force::Yes => change.forced(),
            Force::No => change,
        })
    }

    /// Sets a step.
    async fn set(&self, tenant: &TenantId, change: &Change) -> Result<crate::Known> {
        self.migrator.look_before(tenant, change).await?;
        let settings = self.migrator.settings();
        match &self.seen {
            Some(seen) => settings.change_while(tenant, change, seen).await,
            None => settings.change(tenant, change).await,
        }
    }

    fn store(&self, name: &Backend) -> Result<&Arc<dyn InteractionStore>> {
        self.migrator.stores().get(name)
    }

    /// # Errors
    /// `Config`.
    fn archive(&self) -> Result<&Archive> {
        self.archive.as_ref().ok_or_else(|| {
            let context = "there is no archive: an export and a backfill need one";
            Error::new(ErrorKind::Config, context)
        })
    }

    fn backfiller(&self) -> Result<Backfiller> {
        let archive = self.archive()?.clone();
        let config = self.config.backfill.clone();
        Ok(Backfiller::new(self.migrator.clone(), archive, config))
    }

    /// Notes that every write is replicated, where that was not seen yet: a start that was interrupted, or a store that went
    /// back in time and is to be begun anew.
    async fn confirm(&self, tenant: &TenantId) -> Result<crate::Known> {
        let known = self.migrator.settings().read(tenant).await?;
        let unseen = |migration: &crate::Migration| migration.in_force.is_none();
        match known.setting.phase == crate::Phase::DualWrite && known.setting.under_way().is_some_and(unseen)
        {
            true => self.migrator.confirm_lanes(tenant).await,
            false => Ok(known),
        }
    }
}

/// The tenant's setting is another one than the function began with.
fn changed_meanwhile() -> Error {
    moved_on("the tenant's setting was changed by another meanwhile")
}
