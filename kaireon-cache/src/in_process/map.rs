//! The map: the only file that knows the cache crate.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use kaireon_core::cache::{CacheKey, SetCondition};
use kaireon_core::{CustomerId, TenantId};
use parking_lot::RwLock;
use quick_cache::sync::{Cache, DefaultLifecycle, EntryAction, EntryResult};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::config::{ENTRY_OVERHEAD, InProcessCacheConfig};
use super::ticks::Ticks;

/// What is kept without a deadline.
const NEVER: u64 = u64::MAX;

/// More shards gain nothing on any machine that was measured.
const MOST_SHARDS: u64 = 64;

/// An average entry, by which the map lays out its tables; an order of magnitude is enough.
const USUAL_ENTRY: u64 = 512;

#[derive(Clone, Debug)]
struct Entry {
    value: Bytes,
    /// From when on it has expired.
    deadline: u64,
}

impl Entry {
    fn is_live(&self, now: u64) -> bool {
        now < self.deadline
    }
}

#[derive(Clone, Debug)]
struct Weigh;

impl Weighter<Arc<str>, Entry> for Weigh {
    fn weight(&self, key: &Arc<str>, entry: &Entry) -> u64 {
        (key.len() + entry.value.len() + ENTRY_OVERHEAD) as u64
    }
}

/// The key is the text alone: a third shorter than a `CacheKey`, so that an entry touches fewer lines of memory, and
/// looked up by what a caller's key borrows, be it the plain or the fetched one.
type Inner = Cache<Arc<str>, Entry, Weigh, DefaultHashBuilder, DefaultLifecycle<Arc<str>, Entry>>;

/// Entries with a time to live, within a bound in bytes.
#[derive(Debug)]
pub(super) struct Map {
    entries: Inner,
    ticks: Ticks,
    /// Held shared by whoever sets and alone by whoever erases: a place that is reserved but not filled yet is
    /// invisible to an erasure, and would be filled behind it.
    writers: RwLock<()>,
}

impl Map {
    pub(super) fn new(config: &InProcessCacheConfig, ticks: Ticks) -> Self {
        // The map bounds each shard by itself, and keeps nothing that is heavier than 97 % of a shard: so a shard
        // has room for two of the largest entries.
        let fitting = config.max_bytes / (2 * config.largest_entry());
        let shards = fitting.clamp(1, MOST_SHARDS);
        // The map rounds up to a power of two.
        let shards = 1_u64 << shards.ilog2();
        let items = (config.max_bytes / USUAL_ENTRY).max(shards * 32);
        let options = OptionsBuilder::new()
            .shards(usize::try_from(shards).unwrap_or(1))
            .weight_capacity(config.max_bytes)
            .estimated_items_capacity(usize::try_from(items).unwrap_or(usize::MAX))
            .build()
            .expect("both capacities are set");
        Self {
            entries: Cache::with_options(
                options,
                Weigh,
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            ticks,
            writers: RwLock::new(()),
        }
    }

    /// How many bytes are taken now.
    pub(super) fn weight(&self) -> u64 {
        self.entries.weight()
    }

    /// Reads a value.
    #[inline]
    pub(super) fn get(&self, key: &str) -> Option<Bytes> {
        let entry = self.entries.get(key)?;
        if entry.deadline != NEVER && !entry.is_live(self.ticks.now()) {
            return None;
        }
        Some(entry.value)
    }

    /// Sets a value; returns whether the condition held.
    pub(super) fn set(
        &self,
        key: &str,
        value: &Bytes,
        ttl: Option<Duration>,
        condition: SetCondition,
    ) -> bool {
        // A copy, because the value may be a small part of a large buffer, which the bound would not see.
        let value = Bytes::copy_from_slice(value);
        // The count of references is made with the first clone. Made here, it lies beside the value and not wherever
        // the first reader happened to be, and no reader has to make it.
        let value = value.clone();
        let key: Arc<str> = key.into();
        let _writing = self.writers.read();
        let now = self.ticks.now();
        let deadline = match ttl {
            // Up to the next millisecond, so that nothing expires early by the fraction.
            Some(ttl) => {
                let millis = ttl.as_nanos().div_ceil(1_000_000);
                now.saturating_add(u64::try_from(millis).unwrap_or(NEVER))
                    .min(NEVER - 1)
            }
            None => NEVER,
        };
        let entry = Entry { value, deadline };
        match condition {
            SetCondition::Always => {
                self.entries.insert(key, entry);
                true
            }
            SetCondition::IfPresent => self.replace(&key, entry, now),
            SetCondition::IfAbsent => self.insert_new(&key, entry, now),
        }
    }

    fn replace(&self, key: &Arc<str>, entry: Entry, now: u64) -> bool {
        let result = self.entries.entry(key, None, |_, present| {
            if present.is_live(now) {
                *present = entry;
                EntryAction::Retain(())
            } else {
                EntryAction::Remove
            }
        });
        matches!(result, EntryResult::Retained(()))
    }

    fn insert_new(&self, key: &Arc<str>, entry: Entry, now: u64) -> bool {
        // Again when an expired entry is out of the way, or when somebody set or deleted the key meanwhile.
        loop {
            let result = self.entries.entry(key, None, |_, present| {
                if present.is_live(now) {
                    EntryAction::Retain(())
                } else {
                    EntryAction::Remove
                }
            });
            let inserted = match result {
                EntryResult::Retained(()) => return false,
                EntryResult::Vacant(place) => place.insert(entry.clone()).is_ok(),
                _ => false,
            };
            if inserted {
                return true;
            }
        }
    }

    /// Deletes a value; returns whether a live one was there.
    pub(super) fn remove(&self, key: &str) -> bool {
        let removed = self.entries.remove(key);
        removed.is_some_and(|(_, entry)| entry.is_live(self.ticks.now()))
    }

    /// Deletes what belongs to a customer; `detach` is called while nothing can be set. Returns how many live
    /// values were there.
    pub(super) fn erase(&self, tenant: &TenantId, customer: &CustomerId, detach: impl FnOnce()) -> u64 {
        let prefixes = CacheKey::customer_prefixes(tenant, customer);
        let erased = AtomicU64::new(0);
        let _alone = self.writers.write();
        detach();
        let now = self.ticks.now();
        self.entries.retain(|key, entry| {
            let keep = !prefixes.iter().any(|prefix| key.starts_with(prefix));
            if !keep && entry.is_live(now) {
                erased.fetch_add(1, Ordering::Relaxed);
            }
            keep
        });
        erased.into_inner()
    }

    /// Deletes everything.
    pub(super) fn clear(&self) {
        let _alone = self.writers.write();
        self.entries.clear();
    }
}
