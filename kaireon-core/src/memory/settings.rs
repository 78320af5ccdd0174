//! Settings in memory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};

use super::place::{BACKEND, named};
use crate::settings::{
    Reach, Setting, SettingEntry, SettingVersion, SettingWrite, SettingsCapabilities, SettingsQuery,
    SettingsStore, Swapped, TrailQuery,
};
use crate::store::{Durability, Page};
use crate::{Error, Result, TenantId};

/// Everything that every tenant's setting ever was, oldest first.
type Trails = BTreeMap<TenantId, Vec<SettingEntry>>;

/// The reference settings store: every trail, behind one lock. A clone is the same handle;
/// [`open_again`](Self::open_again) is another on the same settings.
#[derive(Clone)]
pub struct MemorySettings {
    trails: Arc<Mutex<Trails>>,
    connected: Arc<AtomicBool>,
}

impl MemorySettings {
    /// No settings.
    #[must_use]
    pub fn new() -> Self {
        Self {
            trails: Arc::default(),
            connected: Arc::new(AtomicBool::new(true)),
        }
    }

    /// Another handle on the same settings; it stays connected when this one is disconnected.
    #[must_use]
    pub fn open_again(&self) -> Self {
        Self {
            trails: Arc::clone(&self.trails),
            connected: Arc::new(AtomicBool::new(true)),
        }
    }

    fn enter(&self, operation: &'static str) -> Result<MutexGuard<'_, Trails>> {
        let trails = self.trails.lock();
        if self.connected.load(Ordering::SeqCst) {
            Ok(trails)
        } else {
            Err(Error::disconnected(BACKEND, operation))
        }
    }
}

impl Default for MemorySettings {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemorySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemorySettings")
    }
}

#[async_trait]
impl SettingsStore for MemorySettings {
    fn capabilities(&self) -> SettingsCapabilities {
        let volatile = Durability::Volatile(Cow::Borrowed("kept in the memory of this process"));
        SettingsCapabilities::new(BACKEND, volatile, Reach::Process)
    }

    async fn setting(&self, tenant: &TenantId) -> Result<Option<Setting>> {
        let trails = self.enter("setting")?;
        let present = trails.get(tenant).and_then(|trail| trail.last());
        Ok(present.map(|entry| entry.setting.clone()))
    }

    async fn swap(&self, write: SettingWrite) -> Result<Swapped> {
        let of_swap = |error| named("swap", error);
        write.check().map_err(of_swap)?;
        let mut trails = self.enter("swap")?;
        let trail = trails.get(&write.tenant).map_or(&[][..], Vec::as_slice);
        for entry in trail {
            if entry.is_of(&write).map_err(of_swap)? {
                return Ok(Swapped::Done(entry.setting.version));
            }
        }
        let present = trail.last().map(|entry| entry.setting.clone());
        let version = present
            .as_ref()
            .map_or(SettingVersion::NONE, |present| present.version);
        if version != write.expected {
            return Ok(Swapped::Lost(present));
        }
        let tenant = write.tenant.clone();
        trails.entry(tenant).or_default().push(SettingEntry::of(write));
        Ok(Swapped::Done(version.next()))
    }

    async fn settings(&self, query: SettingsQuery) -> Result<Page<(TenantId, Setting), TenantId>> {
        query.check().map_err(|error| named("settings", error))?;
        let SettingsQuery { limit, cursor } = query;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let trails = self.enter("settings")?;
        let after = cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let mut behind = trails.range((after, Bound::Unbounded));
        let present = |(tenant, trail): (&TenantId, &Vec<SettingEntry>)| {
            Some((tenant.clone(), trail.last()?.setting.clone()))
        };
        let items: Vec<_> = behind.by_ref().take(limit).filter_map(present).collect();
        let last = items.last().map(|(tenant, _)| tenant.clone());
        let next = last.filter(|_| behind.next().is_some());
        Ok(Page { items, next })
    }

    async fn trail(&self, query: TrailQuery) -> Result<Page<SettingEntry, SettingVersion>> {
        query.check().map_err(|error| named("trail", error))?;
        let TrailQuery {
            tenant,
            limit,
            cursor,
        } = query;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let trails = self.enter("trail")?;
        let trail = trails.get(&tenant).map_or(&[][..], Vec::as_slice);
        let before = |entry: &&SettingEntry| cursor.is_none_or(|cursor| entry.setting.version < cursor);
        let mut older = trail.iter().rev().filter(before);
        let items: Vec<_> = older.by_ref().take(limit).cloned().collect();
        let last = items.last().map(|entry| entry.setting.version);
        let next = last.filter(|_| older.next().is_some());
        Ok(Page { items, next })
    }

    async fn changes(&self) -> Result<u64> {
        let trails = self.enter("changes")?;
        Ok(trails.values().map(|trail| trail.len() as u64).sum())
    }

    async fn disconnect(&self) -> Result<()> {
        self.connected.store(false, Ordering::SeqCst);
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        self.enter("ping").map(drop)
    }
}
