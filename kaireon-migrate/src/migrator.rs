//! Acting on settings: raising fences, confirming lanes, and carrying a move of the authority to its end.

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::outbox::{Lane, TenantBacklog};
use kaireon_core::store::{Epoch, FenceRequest, FenceState};
use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::{Effect, Error, ErrorKind, InteractionStore, Result, TenantId};
use tokio::time::{Instant, sleep, timeout};

use crate::switch::Attempt;
use crate::{
    Backend, Change, Drained, Draining, Force, Known, Purpose, ReadComparison, Replication, Side, Step,
    StoreMark, SwitchStore, TenantSetting,
};

/// The pauses between two looks at a lane that is being emptied.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// How long a fence may take to be raised where nothing waits for it.
const LONGEST: Duration = Duration::from_secs(30);

/// How often a fence is raised that others raise at the same time.
pub(crate) const TRIES: u32 = 16;

/// Who the library's own changes are by.
pub(crate) const AUTHOR: &str = "kaireon";

/// Carries out what tenants' settings say.
///
/// A change is set first and acted on afterwards, and acting again changes nothing, so that a crash between the two is
/// cured by whoever comes next, in any process: [`enforce`](Self::enforce) raises the fences that a setting asks for,
/// [`finish`](Self::finish) carries a move of the authority to its end.
#[derive(Clone, Debug)]
pub struct Migrator {
    switch: SwitchStore,
    clock: Arc<dyn Clock>,
}

impl Migrator {
    /// A migrator for the tenants of a switch.
    #[must_use]
    pub fn new(switch: SwitchStore) -> Self {
        Self {
            switch,
            clock: Arc::new(SystemClock),
        }
    }

    /// The same by another clock: of the times in settings. Bounds of waiting are the runtime's.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Makes a change and acts on it: to the end, where it moves the authority. The answer is the setting then: a step
    /// that was not taken within its bound has left the tenant in the phase it was in, under a later epoch.
    ///
    /// # Errors
    /// `Conflict`, whose source is [`Refused`](crate::Refused), where something is missing; the settings store's and the
    /// stores'. The change may have been made: ask for the same again, or for [`finish`](Self::finish).
    ///
    /// # Dropped futures
    /// The change was made or not, and acted on in part: [`finish`](Self::finish) does the rest.
    pub async fn change(&self, tenant: &TenantId, change: &Change) -> Result<Known> {
        self.look_before(tenant, change).await?;
        self.settings().change(tenant, change).await?;
        self.finish(tenant).await
    }

    /// Acts on a tenant's setting as it is, and carries a move of the authority to its end.
    ///
    /// A move ends in one of three ways. The store that closes has told and replicated everything within the bound, and
    /// the other side opens; or it has not, and it is opened again; or the step was forced, and the other side opens
    /// though something is left behind, which the setting then names.
    ///
    /// # Errors
    /// As for [`change`](Self::change).
    pub async fn finish(&self, tenant: &TenantId) -> Result<Known> {
        loop {
            let known = self.enforce(tenant).await?;
            let Some(draining) = known.setting.draining else {
                return Ok(known);
            };
            let step = self.drained(tenant, &known.setting, draining).await?;
            let forced = matches!(step, Step::Open { .. }) && is_forced(&known.setting);
            let mut change = Change::new(step, AUTHOR, "the end of a move", self.clock.now())?;
            if forced {
                change = change.forced();
            }
            // What was looked at says nothing of another move, which somebody else may have begun after ending this one.
            let is_this = |now: &TenantSetting| now.draining == Some(draining);
            let is_this = only_of(is_this, "the move was ended by another");
            match self.settings().change_where(tenant, &change, is_this).await {
                Ok(_) => {}
                // Somebody else has ended it, or begun another.
                Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Unavailable) => {
                    let now = self.settings().read(tenant).await?;
                    if now.version == known.version {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Looks at both stores before a cut-over, which relies on what was learnt of them. A forced one goes by what it is told.
    pub(crate) async fn look_before(&self, tenant: &TenantId, change: &Change) -> Result<()> {
        let relies = change.step == Step::CutOver && change.force == Force::No;
        match relies {
            true => self.observe(tenant).await.map(drop),
            false => Ok(()),
        }
    }

    /// Raises the fence that a tenant's setting asks for: its authority's, to the setting's epoch, with its lanes.
    ///
    /// # Errors
    /// The settings store's and the store's; `Timeout` with unknown effect where the store does not answer for 30 s.
    pub async fn enforce(&self, tenant: &TenantId) -> Result<Known> {
        for _ in 0..TRIES {
            let known = self.heed(tenant).await?;
            if known.setting.epoch == Epoch::ZERO {
                return Ok(known);
            }
            let raise = self.raise(tenant, &known.setting);
            // While the authority moves nobody may write, so a store that does not answer must not hold it up for longer.
            match within(known.setting.draining.map_or(LONGEST, lasts), raise).await {
                Ok(_) => return Ok(known),
                // The setting has moved on since it was read. While a store drains that cannot be asked, its fence stays
                // where it is: nobody writes under the setting anyway.
                Err(error) if error.kind() == ErrorKind::Fenced => {}
                Err(_) if known.setting.draining.is_some() => return Ok(known),
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            "the tenant's fence is raised by others all the time",
        ))
    }

    /// Confirms that every write carries a `replicate` entry: raises the authority's fence and notes which stores the two
    /// are. In dual write.
    ///
    /// # Errors
    /// As for [`change`](Self::change).
    pub async fn confirm_lanes(&self, tenant: &TenantId) -> Result<Known> {
        let known = self.heed(tenant).await?;
        let setting = &known.setting;
        let fence = self.raise(tenant, setting).await?;
        let [source, target] = [Side::Source, Side::Target].map(|side| {
            setting
                .under_way()
                .map(|migration| migration.store(side).clone())
                .filter(|store| *store != setting.authority)
        });
        let mark = async |store: Option<Backend>| match store {
            None => Ok(StoreMark::from(&fence)),
            Some(store) => {
                let fence = self.switch.stores().get(&store)?.fence(tenant).await?;
                Ok::<_, Error>(StoreMark::from(&fence))
            }
        };
        let step = Step::ConfirmLanes {
            source: mark(source).await?,
            target: mark(target).await?,
        };
        self.note(tenant, step, "the fence was seen with its lanes").await
    }

    /// Measures the authority's `replicate` lane, for the gate.
    ///
    /// # Errors
    /// As for [`change`](Self::change).
    pub async fn measure(&self, tenant: &TenantId) -> Result<Known> {
        let known = self.settings().read(tenant).await?;
        let store = self.switch.stores().get(&known.setting.authority)?;
        let backlog = backlog(store.as_ref(), Lane::Replicate, tenant).await?;
        let at = self.clock.now();
        let replication = Replication {
            at,
            lag: backlog.oldest.map_or(Duration::ZERO, |oldest| {
                (at - oldest).to_std().unwrap_or_default()
            }),
            dead_letters: backlog.dead_letters,
        };
        self.note(tenant, Step::Replicated { replication }, "a measure of the lane")
            .await
    }

    /// Sets what this process's [sample](crate::ReadSampling) of the tenant's reads says as evidence for the gate, in place of
    /// what it noted last: nothing compared, where there is none. The gate goes by the sum over the processes that have noted
    /// theirs within its bound of age.
    ///
    /// # Errors
    /// As for [`change`](Self::change); `Unavailable`, transient and not applied, where the migration has moved on meanwhile.
    pub async fn note_reads(&self, tenant: &TenantId) -> Result<Known> {
        let known = self.settings().read(tenant).await?;
        let (at, attempt) = (self.clock.now(), Attempt::of(&known.setting));
        let sample = self.switch.reads_compared(tenant, &known.setting, at);
        let reads = sample.unwrap_or(ReadComparison {
            at,
            compared: 0,
            different: 0,
            baseline_compared: 0,
            baseline_different: 0,
        });
        let by = Some(self.switch.samples_by().clone());
        let step = Step::ReadsCompared { reads, by };
        let context = "the migration has moved on since its reads were compared";
        let is_of_this = |now: &TenantSetting| Attempt::of(now) == attempt;
        self.note_where(
            tenant,
            step,
            "a sample of live reads",
            only_of(is_of_this, context),
        )
        .await
    }

    pub(crate) const fn switch(&self) -> &SwitchStore {
        &self.switch
    }

    pub(crate) fn settings(&self) -> &crate::Settings {
        self.switch.settings()
    }

    pub(crate) fn stores(&self) -> &crate::Stores {
        self.switch.stores()
    }

    pub(crate) const fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Sets what was measured.
    pub(crate) async fn note(&self, tenant: &TenantId, step: Step, why: &str) -> Result<Known> {
        self.note_where(tenant, step, why, |_| Ok(())).await
    }

    /// Sets what was measured, in a setting of which something holds.
    pub(crate) async fn note_where(
        &self,
        tenant: &TenantId,
        step: Step,
        why: &str,
        holds: impl Fn(&TenantSetting) -> Result<()> + Send,
    ) -> Result<Known> {
        let change = Change::new(step, AUTHOR, why, self.clock.now())?;
        self.settings().change_where(tenant, &change, holds).await
    }

    /// Raises the authority's fence to the setting's epoch. While it drains its lanes stay as they are: nothing is
    /// written into them.
    async fn raise(&self, tenant: &TenantId, setting: &TenantSetting) -> Result<FenceState> {
        let request = FenceRequest {
            tenant: tenant.clone(),
            epoch: setting.epoch,
            lanes: setting.draining.is_none().then_some(setting.lanes),
        };
        self.switch
            .stores()
            .get(&setting.authority)?
            .raise_fence(request)
            .await
    }

    /// Waits until the store that closes has nothing left to tell, and says how the move ends.
    async fn drained(&self, tenant: &TenantId, setting: &TenantSetting, draining: Draining) -> Result<Step> {
        let begun = Instant::now();
        // By then every process has learnt that the authority moves, and looks at the setting behind each read.
        let learnt = self.switch.current().freshness().bound;
        let bound = lasts(draining).max(learnt);
        let closes = self.switch.stores().get(&setting.authority)?;
        let mut pause = PAUSES.0;
        loop {
            let left = self.left(tenant, setting, draining.purpose, closes.as_ref());
            // A store that does not answer is one that cannot be asked.
            let left = timeout(bound.saturating_sub(begun.elapsed()), left).await;
            let left = left.unwrap_or(Drained::Unreachable);
            let empty = matches!(
                left,
                Drained::Fenced {
                    waiting: 0,
                    dead_letters: 0,
                    unpublished: 0,
                    ..
                }
            );
            let waited = begun.elapsed();
            if empty && waited >= learnt {
                return self.opening(tenant, setting, draining, left).await;
            }
            if waited >= bound {
                return match is_forced(setting) {
                    true => self.opening(tenant, setting, draining, left).await,
                    false => Ok(Step::Reopen),
                };
            }
            sleep(pause.min(bound - waited)).await;
            pause = (pause * 2).min(PAUSES.1);
            let now = self.settings().read(tenant).await?;
            if now.setting.draining != Some(draining) {
                // Somebody else has ended it: this is refused, and the setting read again.
                return Ok(Step::Reopen);
            }
        }
    }

    /// What is left in the lanes of the store that closes.
    async fn left(
        &self,
        tenant: &TenantId,
        setting: &TenantSetting,
        purpose: Purpose,
        closes: &dyn InteractionStore,
    ) -> Drained {
        let look = async {
            let fence = self.raise(tenant, setting).await?;
            let unpublished = backlog(closes, Lane::Publish, tenant).await?.waiting;
            let replicate = match purpose {
                // Nothing is replicated.
                Purpose::Direct => TenantBacklog::default(),
                Purpose::CutOver | Purpose::RollBack => backlog(closes, Lane::Replicate, tenant).await?,
            };
            Ok::<_, Error>(Drained::Fenced {
                mark: StoreMark::from(&fence),
                waiting: replicate.waiting,
                dead_letters: replicate.dead_letters,
                unpublished,
            })
        };
        look.await.unwrap_or(Drained::Unreachable)
    }

    /// Raises the fence of the side that opens, with its lanes, before the setting says so: who reads the new setting
    /// finds them in force.
    async fn opening(
        &self,
        tenant: &TenantId,
        setting: &TenantSetting,
        draining: Draining,
        drained: Drained,
    ) -> Result<Step> {
        let other = setting.migration.as_ref().and_then(|migration| {
            [Side::Source, Side::Target]
                .map(|side| migration.store(side))
                .into_iter()
                .find(|store| **store != setting.authority)
        });
        let context = "a setting that drains has no other side";
        let other = other.ok_or_else(|| Error::new(ErrorKind::Internal, context))?;
        let request = FenceRequest {
            tenant: tenant.clone(),
            epoch: draining.opens,
            lanes: Some(draining.opens_with),
        };
        let raise = self.switch.stores().get(other)?.raise_fence(request);
        match within(lasts(draining), raise).await {
            Ok(fence) => Ok(Step::Open {
                drained,
                opened: StoreMark::from(&fence),
            }),
            // It cannot be opened: the present authority is, again.
            Err(_) => Ok(Step::Reopen),
        }
    }
}

/// How long a move may last: as whoever asked for it said, but by one clock, because those of two processes may disagree.
fn lasts(draining: Draining) -> Duration {
    (draining.until - draining.since).to_std().unwrap_or_default()
}

/// What a store answers, or `Timeout` with unknown effect where it does not in time.
async fn within<T>(bound: Duration, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
    timeout(bound, call).await.unwrap_or_else(|_| {
        let context = "the store did not answer in time";
        Err(Error::new(ErrorKind::Timeout, context).with_effect(Effect::Unknown))
    })
}

/// Whether the step that began the move was forced.
fn is_forced(setting: &TenantSetting) -> bool {
    setting
        .last
        .as_ref()
        .is_some_and(|last| last.change.force == Force::Yes)
}

async fn backlog(store: &dyn InteractionStore, lane: Lane, tenant: &TenantId) -> Result<TenantBacklog> {
    let outbox = store.outbox().ok_or_else(|| {
        let backend = store.capabilities().backend;
        Error::unsupported(backend, "outbox")
    })?;
    outbox.backlog(lane, tenant).await
}

/// What a change holds itself to: a setting of which this is so, or one that has moved on.
pub(crate) fn only_of(
    is_of_this: impl Fn(&TenantSetting) -> bool + Send,
    context: &'static str,
) -> impl Fn(&TenantSetting) -> Result<()> + Send {
    move |now| match is_of_this(now) {
        true => Ok(()),
        false => Err(moved_on(context)),
    }
}

/// What was read is no evidence of how things are now.
pub(crate) fn moved_on(context: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, context)
        .with_transient(true)
        .with_effect(Effect::NotApplied)
}
