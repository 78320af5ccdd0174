//! Where the data of an in-memory store lives, and the handles on it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use parking_lot::{Mutex, MutexGuard};

use super::MemoryStore;
use super::state::State;
use crate::digest::{Digest, MasterKey};
use crate::outbox::{ERASURE_PATIENCE, Lane, LaneSet, still_in_hand};
use crate::time::{Clock, SystemClock, Timestamp};
use crate::{Error, Result};

/// How long a dedupe record is kept after its arrival unless the options say otherwise: 30 days.
pub const DEDUPE_HORIZON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How often it is looked whether leases have ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(super) const BACKEND: &str = "memory";

/// Names backend and operation in an error of the rules, which know of neither.
pub(super) fn named(operation: &'static str, error: Error) -> Error {
    error.with_backend(BACKEND).with_operation(operation)
}

/// How an in-memory store behaves.
#[derive(Clone, Debug)]
pub struct MemoryOptions {
    /// Where "now" comes from: arrivals, leases, receipts. The machine's clock by default.
    pub clock: Arc<dyn Clock>,
    /// The key of the digests. One made for this place by default: tombstones and dedupe records then mean
    /// nothing to another place.
    pub master_key: MasterKey,
    /// How long a dedupe record is kept after its arrival, at least; [`DEDUPE_HORIZON`] by default.
    pub dedupe_horizon: Duration,
    /// The lanes in force for tenants whose fence names none; none by default. [`set_lanes`] changes them.
    ///
    /// [`set_lanes`]: crate::Outbox::set_lanes
    pub lanes: LaneSet,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        let mut key = [0; 32];
        fastrand::fill(&mut key);
        Self {
            clock: Arc::new(SystemClock),
            master_key: MasterKey::new(key),
            dedupe_horizon: DEDUPE_HORIZON,
            lanes: LaneSet::NONE,
        }
    }
}

impl MemoryOptions {
    /// The same options with another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The same options with another master key.
    #[must_use]
    pub fn with_master_key(mut self, master_key: MasterKey) -> Self {
        self.master_key = master_key;
        self
    }

    /// The same options with another dedupe horizon.
    #[must_use]
    pub fn with_dedupe_horizon(mut self, dedupe_horizon: Duration) -> Self {
        self.dedupe_horizon = dedupe_horizon;
        self
    }

    /// The same options with other default lanes.
    #[must_use]
    pub fn with_lanes(mut self, lanes: LaneSet) -> Self {
        self.lanes = lanes;
        self
    }
}

/// Where the data of an in-memory store lives: what a directory is to a store on disk. It ends with the process.
///
/// A clone is the same place. A store that is opened here finds what earlier ones recorded, also after they were
/// disconnected or dropped, and its capabilities say `persistent`.
#[derive(Clone)]
pub struct MemoryPlace(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    key_check: Digest,
    state: Mutex<State>,
}

impl MemoryPlace {
    /// An empty place.
    #[must_use]
    pub fn new(options: MemoryOptions) -> Self {
        let MemoryOptions {
            clock,
            master_key,
            dedupe_horizon,
            lanes,
        } = options;
        let horizon = TimeDelta::from_std(dedupe_horizon).unwrap_or(TimeDelta::MAX);
        Self(Arc::new(Shared {
            clock,
            key_check: master_key.check_value(),
            state: Mutex::new(State::new(master_key, horizon, lanes)),
        }))
    }

    /// Opens a store on what is here.
    #[must_use]
    pub fn open(&self) -> MemoryStore {
        MemoryStore::on(self.clone(), Ownership::Shared)
    }
}

impl Default for MemoryPlace {
    fn default() -> Self {
        Self::new(MemoryOptions::default())
    }
}

impl fmt::Debug for MemoryPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryPlace").finish_non_exhaustive()
    }
}

/// Whether a place can be opened again once the store is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ownership {
    /// The store made the place for itself.
    Private,
    /// Somebody else holds the place.
    Shared,
}

/// One opening of a place, shared by a store's clones and its outbox.
pub(super) struct Handle {
    place: MemoryPlace,
    pub(super) ownership: Ownership,
    connected: AtomicBool,
}

impl Handle {
    pub(super) fn new(place: MemoryPlace, ownership: Ownership) -> Self {
        Self {
            place,
            ownership,
            connected: AtomicBool::new(true),
        }
    }

    pub(super) fn place(&self) -> &MemoryPlace {
        &self.place
    }

    pub(super) fn now(&self) -> Timestamp {
        self.place.0.clock.now()
    }

    /// The check value of the place's master key.
    pub(super) fn key_check(&self) -> Digest {
        self.place.0.key_check
    }

    /// The one lock. Nothing is awaited under it, so each operation happens at once.
    ///
    /// # Errors
    /// `Unavailable`, not applied, once the handle is disconnected.
    pub(super) fn enter(&self, operation: &'static str) -> Result<MutexGuard<'_, State>> {
        let state = self.place.0.state.lock();
        if self.connected.load(Ordering::SeqCst) {
            Ok(state)
        } else {
            Err(Error::disconnected(BACKEND, operation))
        }
    }

    /// Waits until relays that were asked to give a range back, or one of any of them, have done so, or have lost it.
    ///
    /// # Errors
    /// [`still_in_hand`] where they have not within [`ERASURE_PATIENCE`].
    pub(super) async fn until_given_back(&self, operation: &'static str, range: Option<u16>) -> Result<()> {
        let recalled = || -> Result<_> {
            let mut state = self.enter(operation)?;
            let recalled = state.outbox.lane(Lane::Publish).recalled(self.now());
            Ok((recalled, state.outbox.handed.subscribe()))
        };
        let mut waited_for = recalled()?.0;
        waited_for.retain(|(of, _)| range.is_none_or(|range| range == *of));
        let given_back = async {
            loop {
                let (still, mut handed) = recalled()?;
                if waited_for.is_disjoint(&still) {
                    return Ok(());
                }
                // Leases end by the store's clock, which tells nobody.
                let _ = tokio::time::timeout(LOOK_EVERY, handed.changed()).await;
            }
        };
        tokio::time::timeout(ERASURE_PATIENCE, given_back)
            .await
            .unwrap_or_else(|_| Err(still_in_hand(BACKEND, operation)))
    }

    /// Ends this handle and wakes whoever waits on it.
    pub(super) fn disconnect(&self) {
        let state = self.place.0.state.lock();
        self.connected.store(false, Ordering::SeqCst);
        state.outbox.wake_all();
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("ownership", &self.ownership)
            .field("connected", &self.connected)
            .finish_non_exhaustive()
    }
}
