//! Deliberately wrong settings stores, by which the suite is shown to bite.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::memory::MemorySettings;
use kaireon_core::settings::{
    Setting, SettingEntry, SettingVersion, SettingWrite, SettingsCapabilities, SettingsQuery, Swapped,
    TrailQuery,
};
use kaireon_core::store::Page;
use kaireon_core::{ChangeId, ErrorKind, Result, SettingsStore, TenantId};
use parking_lot::Mutex;

use super::SettingsFixture;

/// One altered rule of a settings store that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// The last writer wins.
    ComparesNothing,
    /// Compares, and sets later.
    ComparesThenSets,
    /// Takes a retry for another write.
    ForgetsIds,
    /// Knows a retry only while nothing came behind it.
    KnowsOnlyTheLastId,
    /// Takes every write with a known id for a retry.
    TrustsIds,
    /// Tells who lost nothing of what is there.
    LosesWithoutAWord,
    /// Takes tenants whose names differ in case for one.
    IgnoresCase,
    /// Lists tenants from the last to the first.
    ListsBackwards,
    /// A page begins with the last of the page before.
    RepeatsTheCursor,
    /// The trail has the newest setting alone.
    ForgetsWhatWas,
    /// The trail begins with the oldest.
    TellsFromTheBeginning,
    /// The trail does not say why.
    ForgetsWhy,
    /// Counts what was asked for.
    CountsCalls,
    /// Takes any document.
    TakesAnyDocument,
    /// Works on after a disconnect.
    StaysConnected,
    /// Starts anew when it is opened anew.
    ForgetsOnRestart,
}

impl Flaw {
    /// Every flaw.
    pub const ALL: &[Self] = &[
        Self::ComparesNothing,
        Self::ComparesThenSets,
        Self::ForgetsIds,
        Self::KnowsOnlyTheLastId,
        Self::TrustsIds,
        Self::LosesWithoutAWord,
        Self::IgnoresCase,
        Self::ListsBackwards,
        Self::RepeatsTheCursor,
        Self::ForgetsWhatWas,
        Self::TellsFromTheBeginning,
        Self::ForgetsWhy,
        Self::CountsCalls,
        Self::TakesAnyDocument,
        Self::StaysConnected,
        Self::ForgetsOnRestart,
    ];

    /// The cases that must fail.
    #[must_use]
    pub fn caught_by(self) -> &'static [&'static str] {
        match self {
            Self::ComparesNothing => &[
                "a_setting_is_replaced_only_by_who_saw_it",
                "of_concurrent_swaps_over_one_version_one_is_done",
            ],
            Self::ComparesThenSets => &["of_concurrent_swaps_over_one_version_one_is_done"],
            Self::ForgetsIds => &["the_same_swap_again_is_done_once"],
            Self::KnowsOnlyTheLastId => &["the_same_swap_again_is_done_also_behind_others"],
            Self::TrustsIds => &["an_id_used_for_another_document_conflicts"],
            Self::LosesWithoutAWord => &["a_setting_is_replaced_only_by_who_saw_it"],
            Self::IgnoresCase => &["tenants_have_settings_of_their_own"],
            Self::ListsBackwards | Self::RepeatsTheCursor => {
                &["settings_are_listed_once_in_the_order_of_tenants"]
            }
            Self::ForgetsWhatWas | Self::TellsFromTheBeginning | Self::ForgetsWhy => {
                &["a_trail_has_every_setting_newest_first_with_who_and_why"]
            }
            Self::CountsCalls => &["changes_count_swaps_and_nothing_else"],
            Self::TakesAnyDocument => &["what_is_out_of_bounds_is_invalid_input_naming_the_field"],
            Self::StaysConnected => &["after_disconnect_every_call_is_unavailable_and_not_applied"],
            Self::ForgetsOnRestart => &["everything_is_there_after_a_restart"],
        }
    }

    /// Cases that the flaw fails as well, because they count on its rule.
    #[must_use]
    pub fn may_fail(self) -> &'static [&'static str] {
        match self {
            Self::ComparesNothing => &[
                "a_first_setting_is_version_one",
                "concurrent_writers_who_read_again_lose_nothing",
                "changes_count_swaps_and_nothing_else",
                "what_was_lost_or_refused_leaves_no_entry",
            ],
            Self::ComparesThenSets => &["concurrent_writers_who_read_again_lose_nothing"],
            Self::ForgetsIds => &[
                "the_same_swap_again_is_done_also_behind_others",
                "an_id_used_for_another_document_conflicts",
                "what_was_lost_or_refused_leaves_no_entry",
                "everything_is_there_after_a_restart",
                "a_trail_has_every_setting_newest_first_with_who_and_why",
            ],
            Self::TrustsIds => &["what_was_lost_or_refused_leaves_no_entry"],
            Self::LosesWithoutAWord => &["of_concurrent_swaps_over_one_version_one_is_done"],
            Self::IgnoresCase => &["settings_are_listed_once_in_the_order_of_tenants"],
            Self::ForgetsWhatWas | Self::TellsFromTheBeginning => {
                &["a_trail_is_read_in_pages", "everything_is_there_after_a_restart"]
            }
            Self::ForgetsWhy => &[
                "what_was_lost_or_refused_leaves_no_entry",
                "everything_is_there_after_a_restart",
            ],
            Self::CountsCalls => &[
                "the_same_swap_again_is_done_once",
                "the_same_swap_again_is_done_also_behind_others",
                "concurrent_writers_who_read_again_lose_nothing",
                "what_is_out_of_bounds_is_invalid_input_naming_the_field",
                "everything_is_there_after_a_restart",
            ],
            _ => &[],
        }
    }
}

/// A place whose stores have a flaw, or none.
#[derive(Debug)]
pub struct Fixture {
    flaw: Option<Flaw>,
    settings: MemorySettings,
    calls: Arc<AtomicU64>,
    opened: AtomicBool,
}

impl Fixture {
    /// A place.
    #[must_use]
    pub fn new(flaw: Option<Flaw>) -> Self {
        Self {
            flaw,
            settings: MemorySettings::new(),
            calls: Arc::default(),
            opened: AtomicBool::new(false),
        }
    }
}

#[async_trait]
impl SettingsFixture for Fixture {
    async fn open(&self) -> Arc<dyn SettingsStore> {
        let handles = Arc::strong_count(&self.calls) > 1;
        let again = self.opened.swap(true, Ordering::SeqCst) && !handles;
        let settings = match self.flaw {
            Some(Flaw::ForgetsOnRestart) if again => MemorySettings::new(),
            _ => self.settings.open_again(),
        };
        Arc::new(Broken {
            flaw: self.flaw,
            settings,
            calls: Mutex::new(Some(Arc::clone(&self.calls))),
        })
    }
}

/// A settings store with a flaw.
#[derive(Debug)]
struct Broken {
    flaw: Option<Flaw>,
    settings: MemorySettings,
    /// Given back at the disconnect, by which the fixture knows a restart from a second handle.
    calls: Mutex<Option<Arc<AtomicU64>>>,
}

impl Broken {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn tenant(&self, tenant: &TenantId) -> TenantId {
        match self.has(Flaw::IgnoresCase) {
            true => TenantId::new(tenant.as_str().to_lowercase()).unwrap(),
            false => tenant.clone(),
        }
    }

    fn count(&self) {
        if let Some(calls) = &*self.calls.lock() {
            calls.fetch_add(1, Ordering::SeqCst);
        }
    }

    async fn present(&self, tenant: &TenantId) -> Result<SettingVersion> {
        let present = self.settings.setting(tenant).await?;
        Ok(present.map_or(SettingVersion::NONE, |present| present.version))
    }

    /// Sets, over whatever is there by now; the outcome is of the version that was expected.
    async fn set(&self, write: SettingWrite) -> Result<Swapped> {
        let mut over = write.clone();
        loop {
            over.expected = self.present(&write.tenant).await?;
            if let Swapped::Done(_) = self.settings.swap(over.clone()).await? {
                return Ok(Swapped::Done(write.expected.next()));
            }
        }
    }
}

#[async_trait]
impl SettingsStore for Broken {
    fn capabilities(&self) -> SettingsCapabilities {
        self.settings.capabilities()
    }

    async fn setting(&self, tenant: &TenantId) -> Result<Option<Setting>> {
        self.settings.setting(&self.tenant(tenant)).await
    }

    async fn swap(&self, mut write: SettingWrite) -> Result<Swapped> {
        self.count();
        write.tenant = self.tenant(&write.tenant);
        let given = write.clone();
        match self.flaw {
            Some(Flaw::ComparesNothing) => {
                write.check()?;
                let trail = self.settings.trail(TrailQuery::new(write.tenant.clone())).await?;
                if trail.items.iter().any(|entry| entry.id == write.id) {
                    return self.settings.swap(write).await;
                }
                return self.set(write).await;
            }
            Some(Flaw::ComparesThenSets) => {
                write.check()?;
                let present = self.present(&write.tenant).await?;
                tokio::task::yield_now().await;
                tokio::time::sleep(Duration::from_millis(1)).await;
                if present == write.expected {
                    return self.set(write).await;
                }
            }
            Some(Flaw::ForgetsIds) => write.id = ChangeId::fresh(),
            Some(Flaw::KnowsOnlyTheLastId) if self.present(&write.tenant).await? > write.expected.next() => {
                write.id = ChangeId::fresh();
            }
            Some(Flaw::ForgetsWhy) if write.reason.starts_with("reason") => {
                write.reason = "unknown".to_owned();
            }
            Some(Flaw::TakesAnyDocument) if matches!(write.check(), Err(error) if error.field() == Some("document")) =>
            {
                write.document = "null".into();
            }
            _ => {}
        }
        let swapped = self.settings.swap(write).await;
        match swapped {
            Ok(Swapped::Lost(_)) if self.has(Flaw::LosesWithoutAWord) => Ok(Swapped::Lost(None)),
            Err(error) if error.kind() == ErrorKind::Conflict && self.has(Flaw::TrustsIds) => {
                Ok(Swapped::Done(given.expected.next()))
            }
            swapped => swapped,
        }
    }

    async fn settings(&self, query: SettingsQuery) -> Result<Page<(TenantId, Setting), TenantId>> {
        let cursor = query.cursor.clone();
        let mut page = self.settings.settings(query).await?;
        if self.has(Flaw::ListsBackwards) {
            page.items.reverse();
        }
        if let (true, Some(cursor)) = (self.has(Flaw::RepeatsTheCursor), cursor)
            && let Some(setting) = self.settings.setting(&cursor).await?
        {
            page.items.insert(0, (cursor, setting));
        }
        Ok(page)
    }

    async fn trail(&self, mut query: TrailQuery) -> Result<Page<SettingEntry, SettingVersion>> {
        query.tenant = self.tenant(&query.tenant);
        let mut page = self.settings.trail(query).await?;
        match self.flaw {
            Some(Flaw::ForgetsWhatWas) => {
                page.items.truncate(1);
                page.next = None;
            }
            Some(Flaw::TellsFromTheBeginning) => page.items.reverse(),
            _ => {}
        }
        Ok(page)
    }

    async fn changes(&self) -> Result<u64> {
        let changes = self.settings.changes().await?;
        let calls = self.calls.lock().as_ref().map(Arc::clone);
        match calls {
            Some(calls) if self.has(Flaw::CountsCalls) => Ok(calls.load(Ordering::SeqCst)),
            _ => Ok(changes),
        }
    }

    async fn disconnect(&self) -> Result<()> {
        *self.calls.lock() = None;
        match self.has(Flaw::StaysConnected) {
            true => Ok(()),
            false => self.settings.disconnect().await,
        }
    }

    async fn ping(&self) -> Result<()> {
        self.settings.ping().await
    }
}
