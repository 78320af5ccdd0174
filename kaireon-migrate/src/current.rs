//! What this process knows of tenants' settings, and how old that is.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kaireon_core::{Effect, Error, ErrorKind, Result, TenantId};
use parking_lot::RwLock;
use tokio::time::{Instant, timeout};

use crate::{Known, Settings, TenantSetting};

/// How old a setting may be that a call goes by.
///
/// No age makes a write safe: a process can be stopped between a look at a setting and the write. Fences do that. What
/// these bounds decide is how soon a process follows a change that raises no fence, and how old the answer of a read
/// may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// How old it may be; 250 ms by default, the same in every process. One cheap read of the settings store in so long
    /// tells a process whether anything changed, of all tenants. A move of the authority lasts at least as long, so that
    /// every process has learnt of it before another store takes writes, and no customer's reads go back in time.
    pub bound: Duration,
    /// How long a call waits for the settings store where it can go on without it; 100 ms by default.
    pub patience: Duration,
}

impl Default for Freshness {
    fn default() -> Self {
        Self {
            bound: Duration::from_millis(250),
            patience: Duration::from_millis(100),
        }
    }
}

/// How long a call waits for the settings store where it cannot go on without it.
const LONGEST: Duration = Duration::from_secs(5);

/// How many changes there were, of all tenants, at an instant.
#[derive(Clone, Copy, Debug)]
struct Pulse {
    changes: u64,
    as_of: Instant,
}

/// A setting, with the pulse from before it was read.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) known: Known,
    pulse: Pulse,
}

impl Seen {
    pub(crate) fn setting(&self) -> &TenantSetting {
        &self.known.setting
    }
}

/// One tenant's setting, and who reads it anew.
#[derive(Debug, Default)]
struct Cell {
    seen: RwLock<Option<Arc<Seen>>>,
    reading: tokio::sync::Mutex<()>,
}

/// The settings that this process goes by.
pub(crate) struct Current {
    settings: Settings,
    freshness: Freshness,
    tenants: RwLock<HashMap<TenantId, Arc<Cell>>>,
    pulse: RwLock<Option<Pulse>>,
    feeling: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current")
            .field("freshness", &self.freshness)
            .field("tenants", &self.tenants.read().len())
            .finish_non_exhaustive()
    }
}

impl Current {
    pub(crate) fn new(settings: Settings, freshness: Freshness) -> Self {
        Self {
            settings,
            freshness,
            tenants: RwLock::default(),
            pulse: RwLock::default(),
            feeling: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) const fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// A tenant's setting to go by. One that is too old is read anew by one caller at a time, while the others go on;
    /// where it cannot be had, it is gone on with as it is known.
    ///
    /// # Errors
    /// Those of the settings store, where nothing is known yet.
    pub(crate) async fn get(&self, tenant: &TenantId) -> Result<Arc<Seen>> {
        let cell = self.cell(tenant);
        let Some(seen) = cell.seen.read().clone() else {
            return self.newer(tenant, Instant::now()).await;
        };
        if self.is_fresh(&seen) {
            return Ok(seen);
        }
        let Ok(_reading) = cell.reading.try_lock() else {
            return Ok(seen);
        };
        match timeout(self.freshness.patience, self.look(tenant, &cell, Instant::now())).await {
            Ok(Ok(fresh)) => Ok(fresh),
            Ok(Err(_)) | Err(_) => {
                metrics::counter!("kaireon.switch.settings_unavailable").increment(1);
                Ok(seen)
            }
        }
    }

    /// A tenant's setting as it was at this instant or later.
    ///
    /// # Errors
    /// Those of the settings store; `Unavailable`, transient and not applied, where it does not answer.
    pub(crate) async fn newer(&self, tenant: &TenantId, than: Instant) -> Result<Arc<Seen>> {
        let cell = self.cell(tenant);
        let look = async {
            let _reading = cell.reading.lock().await;
            self.look(tenant, &cell, than).await
        };
        timeout(LONGEST, look).await.unwrap_or_else(|_| {
            let context = "the tenant's setting could not be read";
            Err(Error::new(ErrorKind::Unavailable, context).with_effect(Effect::NotApplied))
        })
    }

    /// Whether a call may still go by a setting.
    pub(crate) fn is_fresh(&self, seen: &Seen) -> bool {
        self.as_of(seen).elapsed() <= self.freshness.bound
    }

    /// Until when a setting is known to have stood: nothing of any tenant changed since it was read.
    fn as_of(&self, seen: &Seen) -> Instant {
        match *self.pulse.read() {
            Some(pulse) if pulse.changes == seen.pulse.changes => pulse.as_of.max(seen.pulse.as_of),
            _ => seen.pulse.as_of,
        }
    }

    /// The setting as it was then or later; whoever calls holds the cell's lock.
    async fn look(&self, tenant: &TenantId, cell: &Cell, than: Instant) -> Result<Arc<Seen>> {
        let known = cell.seen.read().clone();
        if let Some(seen) = &known
            && self.as_of(seen) >= than
        {
            return Ok(Arc::clone(seen));
        }
        let pulse = self.feel(than).await?;
        if let Some(seen) = known
            && seen.pulse.changes == pulse.changes
        {
            return Ok(seen);
        }
        let known = self.settings.read(tenant).await?;
        let seen = Arc::new(Seen { known, pulse });
        *cell.seen.write() = Some(Arc::clone(&seen));
        Ok(seen)
    }

    /// How many changes there were at this instant or later. Tenants that are looked at together ask once.
    async fn feel(&self, than: Instant) -> Result<Pulse> {
        let _feeling = self.feeling.lock().await;
        if let Some(pulse) = *self.pulse.read()
            && pulse.as_of >= than
        {
            return Ok(pulse);
        }
        let as_of = Instant::now();
        let changes = self.settings.changes().await?;
        let pulse = Pulse { changes, as_of };
        *self.pulse.write() = Some(pulse);
        Ok(pulse)
    }

    fn cell(&self, tenant: &TenantId) -> Arc<Cell> {
        if let Some(cell) = self.tenants.read().get(tenant) {
            return Arc::clone(cell);
        }
        Arc::clone(self.tenants.write().entry(tenant.clone()).or_default())
    }
}
