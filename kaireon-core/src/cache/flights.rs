//! Single flight: where concurrent callers of one key meet.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::CacheKey;
use crate::time::{Clock, SystemClock, Timestamp};
use crate::{CustomerId, Result, TenantId};

/// What a fetch brought.
pub(super) type Fetched = Result<Option<Bytes>>;

type Outcome = watch::Receiver<Option<Fetched>>;

/// The keys that are being fetched, in one place per cache: adapters own one, wrappers, `Arc` and `Box` hand it on.
///
/// Its clock decides how fresh a fetched value is.
pub struct Flights {
    table: Mutex<HashMap<CacheKey, Flight>>,
    /// How many flights have begun, which numbers them, and how many have left the table.
    begun: AtomicU64,
    gone: AtomicU64,
    clock: Arc<dyn Clock>,
}

struct Flight {
    number: u64,
    outcome: Outcome,
}

impl Default for Flights {
    fn default() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }
}

impl Flights {
    /// No flights yet; freshness by this clock.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            table: Mutex::default(),
            begun: AtomicU64::new(0),
            gone: AtomicU64::new(0),
            clock,
        }
    }

    /// How many keys are being fetched now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.table.lock().len()
    }

    /// Lets those who come from now on fetch anew; what is under way is handed to those who wait, and not kept.
    /// An adapter calls it when it erases a customer, before it deletes.
    pub fn detach_customer(&self, tenant: &TenantId, customer: &CustomerId) {
        let (tenant, customer) = (tenant.as_str(), customer.as_str());
        self.detach_where(|key| key.tenant() == tenant && key.customer() == Some(customer));
    }

    pub(super) fn detach(&self, key: &CacheKey) {
        self.detach_where(|other| other == key);
    }

    fn detach_where(&self, condition: impl Fn(&CacheKey) -> bool) {
        let mut table = self.table.lock();
        let gone = table.extract_if(|key, _| condition(key)).count();
        self.gone.fetch_add(gone as u64, Ordering::Release);
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How many flights have left the table. What has not changed since before a look into the cache has put
    /// nothing there that the look missed.
    pub(super) fn gone(&self) -> u64 {
        self.gone.load(Ordering::Acquire)
    }

    /// Joins the flight of a key, or begins one.
    pub(super) fn board(&self, key: &CacheKey) -> Boarded<'_> {
        let mut table = self.table.lock();
        if let Some(flight) = table.get(key) {
            return Boarded::Passenger(flight.outcome.clone());
        }
        let (sender, outcome) = watch::channel(None);
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        table.insert(key.clone(), Flight { number, outcome });
        Boarded::Pilot(Pilot {
            flights: self,
            key: key.clone(),
            number,
            sender,
        })
    }
}

impl fmt::Debug for Flights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights")
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

/// The part a caller has in a flight.
pub(super) enum Boarded<'a> {
    /// It fetches.
    Pilot(Pilot<'a>),
    /// Another does. The channel closes without a value when that one goes away.
    Passenger(Outcome),
}

/// The right to fetch a key. Dropped at any time it leaves the table, and those who wait try again.
pub(super) struct Pilot<'a> {
    flights: &'a Flights,
    key: CacheKey,
    number: u64,
    sender: watch::Sender<Option<Fetched>>,
}

impl Pilot<'_> {
    /// Answers all who wait. Who comes while the flight is still in the table is answered the same.
    pub(super) fn announce(&self, fetched: Fetched) {
        self.sender.send_replace(Some(fetched));
    }

    /// Whether nobody has detached the flight.
    pub(super) fn is_attached(&self) -> bool {
        let table = self.flights.table.lock();
        table
            .get(&self.key)
            .is_some_and(|flight| flight.number == self.number)
    }

    /// Leaves the table, so that who comes later fetches anew.
    pub(super) fn leave(&self) {
        let mut table = self.flights.table.lock();
        if table
            .get(&self.key)
            .is_some_and(|flight| flight.number == self.number)
        {
            table.remove(&self.key);
            self.flights.gone.fetch_add(1, Ordering::Release);
        }
    }
}

impl Drop for Pilot<'_> {
    fn drop(&mut self) {
        // Before the channel closes: a waiter that finds it closed must not find this flight again.
        self.leave();
    }
}
