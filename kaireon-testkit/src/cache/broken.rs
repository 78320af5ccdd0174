//! Deliberately wrong caches and fetches, by which the suite is shown to bite.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kaireon_core::cache::{
    CacheCapabilities, CacheKey, CacheStore, CacheStoreExt, FetchOptions, Flights, SetCondition, SetOptions,
};
use kaireon_core::memory::MemoryCache;
use kaireon_core::time::{ManualClock, from_millis};
use kaireon_core::{CustomerId, Result, TenantId};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{CacheFixture, Fetch, Fetched};

/// One altered rule of a cache that works, or of a fetch over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// For `IfAbsent`, what has expired is still there.
    ExpiredCountsAsPresent,
    /// For `IfPresent`, what has expired comes to life again.
    ExpiredComesToLife,
    /// Looks whether the condition holds, and sets later.
    LooksThenSets,
    /// Nothing expires.
    NeverExpires,
    /// The first ttl of a key stays.
    KeepsTheFirstTtl,
    /// Tenants share their keys.
    SharesTenants,
    /// A value above the bound is taken, and forgotten.
    ForgetsLargeValues,
    /// `peek` shows what was overwritten or deleted.
    PeekRemembers,
    /// An expired value counts as deleted.
    CountsExpiredAsDeleted,
    /// `get_many` leaves out what is not there.
    LeavesOutWhatIsMissing,
    /// An erasure leaves what was fetched.
    ErasureForgetsFetched,
    /// An erasure takes every customer whose name begins so.
    ErasureTakesPrefixes,
    /// An erasure lets what is being fetched be kept.
    ErasureForgetsFlights,
    /// Calls work on after `disconnect`.
    WorksAfterDisconnect,
    /// Each call finds a flight table of its own.
    FlightsOfTheirOwn,
    /// Who waits for a fetch that is cancelled waits for ever.
    StrandsWaiters,
    /// A failure is remembered.
    RemembersFailures,
    /// Absence is remembered unasked.
    RemembersAbsence,
    /// Those who could be shown a stale value wait.
    WaitsForRevalidation,
    /// A failed fetch is an error, whatever is there.
    IgnoresStaleIfError,
    /// Stale values are shown to everybody.
    ShowsStaleUnasked,
    /// Keys that are fetched together expire together.
    IgnoresJitter,
    /// What was fetched lies where `get` finds it.
    KeepsUnderThePlainKey,
}

impl Flaw {
    /// Every flaw.
    pub const ALL: &[Self] = &[
        Self::ExpiredCountsAsPresent,
        Self::ExpiredComesToLife,
        Self::LooksThenSets,
        Self::NeverExpires,
        Self::KeepsTheFirstTtl,
        Self::SharesTenants,
        Self::ForgetsLargeValues,
        Self::PeekRemembers,
        Self::CountsExpiredAsDeleted,
        Self::LeavesOutWhatIsMissing,
        Self::ErasureForgetsFetched,
        Self::ErasureTakesPrefixes,
        Self::ErasureForgetsFlights,
        Self::WorksAfterDisconnect,
        Self::FlightsOfTheirOwn,
        Self::StrandsWaiters,
        Self::RemembersFailures,
        Self::RemembersAbsence,
        Self::WaitsForRevalidation,
        Self::IgnoresStaleIfError,
        Self::ShowsStaleUnasked,
        Self::IgnoresJitter,
        Self::KeepsUnderThePlainKey,
    ];

    /// The cases that must fail.
    #[must_use]
    pub fn caught_by(self) -> &'static [&'static str] {
        match self {
            Self::ExpiredCountsAsPresent => &["if_absent_counts_what_has_expired_as_absent"],
            Self::ExpiredComesToLife => &["if_present_counts_what_has_expired_as_absent"],
            Self::LooksThenSets => &[
                "of_concurrent_callers_if_absent_one_sets",
                "if_absent_never_replaces_what_is_set_meanwhile",
            ],
            Self::NeverExpires => &[
                "a_value_is_gone_after_its_ttl_and_not_before",
                "what_was_fetched_is_not_fetched_again",
                "absence_is_remembered_for_its_ttl",
            ],
            Self::KeepsTheFirstTtl => &["setting_again_begins_a_new_ttl"],
            Self::SharesTenants => &["tenants_and_customers_do_not_share_keys"],
            Self::ForgetsLargeValues => &["a_value_above_the_bound_is_invalid_input_naming_value"],
            Self::PeekRemembers => &["peek_agrees_with_get"],
            Self::CountsExpiredAsDeleted => &["an_expired_value_does_not_count_as_deleted"],
            Self::LeavesOutWhatIsMissing => {
                &["many_values_are_read_set_and_deleted_in_the_order_of_the_keys"]
            }
            Self::ErasureForgetsFetched => &["erasing_a_customer_removes_what_was_fetched"],
            Self::ErasureTakesPrefixes => {
                &["erasing_a_customer_removes_what_carries_the_customer_and_nothing_else"]
            }
            Self::ErasureForgetsFlights => &["a_fetch_under_way_is_not_kept_behind_an_erasure"],
            Self::WorksAfterDisconnect => &["after_disconnect_calls_are_unavailable_and_not_applied"],
            Self::FlightsOfTheirOwn => &[
                "a_thousand_concurrent_callers_fetch_once",
                "callers_meet_across_handles",
                "a_failure_answers_all_who_waited_with_the_same_error",
            ],
            Self::StrandsWaiters => &[
                "a_cancelled_fetcher_hands_over_to_one_who_waits",
                "a_fetcher_that_panics_hands_over_to_one_who_waits",
            ],
            Self::RemembersFailures => &["who_comes_after_a_failure_fetches_anew"],
            Self::RemembersAbsence => &["absence_is_fetched_again_unless_it_is_remembered"],
            Self::WaitsForRevalidation => &["one_caller_revalidates_and_the_others_get_the_stale_value"],
            Self::IgnoresStaleIfError => &["a_failure_within_the_window_is_answered_with_the_stale_value"],
            Self::ShowsStaleUnasked => &[
                "without_a_window_an_expired_value_is_fetched_anew",
                "a_failure_beyond_the_window_is_answered_with_the_error",
            ],
            Self::IgnoresJitter => &["jitter_only_shortens_the_ttl"],
            Self::KeepsUnderThePlainKey => &["get_set_and_del_do_not_see_what_was_fetched"],
        }
    }

    /// Cases that the flaw fails as well, because they count on its rule.
    #[must_use]
    pub fn may_fail(self) -> &'static [&'static str] {
        match self {
            Self::ExpiredCountsAsPresent => &["of_concurrent_callers_if_absent_one_sets"],
            Self::NeverExpires => &[
                "setting_again_begins_a_new_ttl",
                "an_expired_value_does_not_count_as_deleted",
                "if_absent_counts_what_has_expired_as_absent",
                "if_present_counts_what_has_expired_as_absent",
                "of_concurrent_callers_if_absent_one_sets",
                "jitter_only_shortens_the_ttl",
            ],
            Self::KeepsTheFirstTtl => &["of_concurrent_callers_if_absent_one_sets"],
            Self::SharesTenants => &["erasing_a_customer_removes_what_carries_the_customer_and_nothing_else"],
            Self::PeekRemembers => &[
                "a_value_is_gone_after_its_ttl_and_not_before",
                "after_disconnect_calls_are_unavailable_and_not_applied",
                "what_was_fetched_is_not_fetched_again",
                "erasing_a_customer_removes_what_was_fetched",
                "invalidate_removes_what_was_fetched",
                "absence_is_remembered_for_its_ttl",
                "jitter_only_shortens_the_ttl",
                "a_fetch_under_way_is_not_kept_behind_an_erasure",
                "what_is_being_fetched_while_it_is_invalidated_is_not_kept",
            ],
            Self::LeavesOutWhatIsMissing => &[
                "a_value_is_gone_after_its_ttl_and_not_before",
                "erasing_a_customer_removes_what_carries_the_customer_and_nothing_else",
                "after_disconnect_calls_are_unavailable_and_not_applied",
            ],
            Self::FlightsOfTheirOwn => &[
                "a_cancelled_fetcher_hands_over_to_one_who_waits",
                "a_cancelled_waiter_strands_nobody",
                "a_fetch_under_way_is_not_kept_behind_an_erasure",
                "what_is_being_fetched_while_it_is_invalidated_is_not_kept",
                "one_caller_revalidates_and_the_others_get_the_stale_value",
                "beyond_the_window_everybody_waits",
                "a_failure_within_the_window_is_answered_with_the_stale_value",
            ],
            Self::StrandsWaiters => &[
                "what_is_being_fetched_while_it_is_invalidated_is_not_kept",
                "one_caller_revalidates_and_the_others_get_the_stale_value",
            ],
            Self::RemembersFailures => &[
                "a_failure_within_the_window_is_answered_with_the_stale_value",
                "without_a_window_an_expired_value_is_fetched_anew",
                "a_failure_beyond_the_window_is_answered_with_the_error",
            ],
            Self::ShowsStaleUnasked => &["beyond_the_window_everybody_waits"],
            Self::KeepsUnderThePlainKey => &[
                "erasing_a_customer_removes_what_was_fetched",
                "invalidate_removes_what_was_fetched",
                "what_is_being_fetched_while_it_is_invalidated_is_not_kept",
            ],
            _ => &[],
        }
    }
}

/// Opens caches with a flaw, or sound ones.
#[derive(Clone, Debug)]
pub struct Fixture {
    flaw: Option<Flaw>,
    clock: ManualClock,
    cache: Arc<Broken>,
    table: Arc<Mutex<HashMap<CacheKey, Stranding>>>,
    failures: Arc<Mutex<HashMap<CacheKey, kaireon_core::Error>>>,
}

/// A flight whose channel nobody closes.
type Stranding = (watch::Sender<Option<Fetched>>, watch::Receiver<Option<Fetched>>);

impl Fixture {
    /// A fixture.
    ///
    /// # Panics
    /// Never: the time it begins at can be expressed.
    #[must_use]
    pub fn new(flaw: Option<Flaw>) -> Self {
        let clock = ManualClock::at(from_millis(1_700_000_000_000).expect("a time of 2023"));
        let cache = Arc::new(Broken {
            flaw,
            inner: MemoryCache::with_clock(Arc::new(clock.clone())),
            ever: Mutex::default(),
            peeked: Mutex::default(),
            flights: (0..64)
                .map(|_| Flights::with_clock(Arc::new(clock.clone())))
                .collect(),
            calls: AtomicUsize::new(0),
        });
        Self {
            flaw,
            clock,
            cache,
            table: Arc::default(),
            failures: Arc::default(),
        }
    }

    /// As a first attempt at single flight would be.
    async fn stranding(
        &self,
        cache: Arc<dyn CacheStore>,
        key: CacheKey,
        options: FetchOptions,
        fetch: Fetch,
    ) -> Fetched {
        let waiting = {
            let mut table = self.table.lock();
            let waiting = table.get(&key).map(|(_, outcome)| outcome.clone());
            if waiting.is_none() {
                table.insert(key.clone(), watch::channel(None));
            }
            waiting
        };
        if let Some(mut waiting) = waiting {
            let fetched = waiting.wait_for(Option::is_some).await;
            return fetched
                .ok()
                .and_then(|fetched| fetched.clone())
                .expect("the channel is never closed");
        }
        let fetched = through(&*cache, &key, options, fetch).await;
        if let Some((sender, _)) = self.table.lock().remove(&key) {
            sender.send_replace(Some(fetched.clone()));
        }
        fetched
    }
}

async fn through(cache: &dyn CacheStore, key: &CacheKey, options: FetchOptions, fetch: Fetch) -> Fetched {
    let fetched = cache.get_or_fetch(key, options, || async { Ok(fetch.await?.map(Into::into)) });
    Ok(fetched.await?.map(|value| value.to_vec()))
}

#[async_trait]
impl CacheFixture for Fixture {
    async fn open(&self) -> Arc<dyn CacheStore> {
        Arc::<Broken>::clone(&self.cache)
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.clock.clone())
    }

    async fn get_or_fetch(
        &self,
        cache: Arc<dyn CacheStore>,
        key: CacheKey,
        mut options: FetchOptions,
        fetch: Fetch,
    ) -> Fetched {
        options.check()?;
        match self.flaw {
            Some(Flaw::StrandsWaiters) => return self.stranding(cache, key, options, fetch).await,
            Some(Flaw::RemembersFailures) => {
                if let Some(error) = self.failures.lock().get(&key) {
                    return Err(error.clone());
                }
                let fetched = through(&*cache, &key, options, fetch).await;
                if let Err(error) = &fetched {
                    self.failures.lock().insert(key, error.clone());
                }
                return fetched;
            }
            Some(Flaw::KeepsUnderThePlainKey) => {
                let fetched = through(&*cache, &key, options, fetch).await;
                if let Ok(Some(value)) = &fetched {
                    let keep = SetOptions::ttl(options.ttl);
                    cache.set(&key, Bytes::copy_from_slice(value), keep).await?;
                }
                return fetched;
            }
            Some(Flaw::RemembersAbsence) => {
                options.negative_ttl = options.negative_ttl.or(Some(Duration::from_secs(60)));
            }
            Some(Flaw::WaitsForRevalidation) => {
                // Kept as long, but shown to nobody who could wait.
                options.stale_if_error = options.stale_if_error.max(options.stale_while_revalidate);
                options.stale_while_revalidate = Duration::ZERO;
            }
            Some(Flaw::IgnoresStaleIfError) => options.stale_if_error = Duration::ZERO,
            Some(Flaw::ShowsStaleUnasked) => options.stale_if_error = Duration::from_secs(600),
            Some(Flaw::IgnoresJitter) => options.jitter_percent = 0,
            _ => {}
        }
        through(&*cache, &key, options, fetch).await
    }
}

struct Broken {
    flaw: Option<Flaw>,
    inner: MemoryCache,
    /// Every key that was ever set and not deleted since.
    ever: Mutex<HashSet<CacheKey>>,
    /// What `peek` would show that only remembers.
    peeked: Mutex<HashMap<CacheKey, Bytes>>,
    flights: Vec<Flights>,
    calls: AtomicUsize,
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Broken({:?})", self.flaw)
    }
}

impl Broken {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn key(&self, key: &CacheKey) -> CacheKey {
        // Only plain keys: a framed one cannot be made here.
        if !self.has(Flaw::SharesTenants) || key.as_str().starts_with('\u{1}') {
            return key.clone();
        }
        let shared = TenantId::new("shared");
        let same = shared.and_then(|tenant| match key.customer() {
            Some(customer) => CacheKey::of_customer(&tenant, &CustomerId::new(customer)?, key.name()),
            None => CacheKey::new(&tenant, key.name()),
        });
        same.unwrap_or_else(|_| key.clone())
    }
}

#[async_trait]
impl CacheStore for Broken {
    fn capabilities(&self) -> CacheCapabilities {
        self.inner.capabilities()
    }

    async fn get(&self, key: &CacheKey) -> Result<Option<Bytes>> {
        self.inner.get(&self.key(key)).await
    }

    async fn set(&self, key: &CacheKey, value: Bytes, mut options: SetOptions) -> Result<bool> {
        options.check()?;
        let key = self.key(key);
        let known = self.ever.lock().contains(&key);
        match self.flaw {
            Some(Flaw::ExpiredCountsAsPresent) if options.condition == SetCondition::IfAbsent && known => {
                return Ok(false);
            }
            Some(Flaw::ExpiredComesToLife) if options.condition == SetCondition::IfPresent && known => {
                options.condition = SetCondition::Always;
            }
            Some(Flaw::LooksThenSets) if options.condition == SetCondition::IfAbsent => {
                if self.inner.get(&key).await?.is_some() {
                    return Ok(false);
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
                options.condition = SetCondition::Always;
            }
            Some(Flaw::NeverExpires) => options.ttl = None,
            Some(Flaw::KeepsTheFirstTtl) if known => options.ttl = Some(Duration::from_millis(300)),
            Some(Flaw::ForgetsLargeValues) if value.len() > self.capabilities().max_value_bytes => {
                return Ok(true);
            }
            _ => {}
        }
        if self.has(Flaw::PeekRemembers) {
            self.peeked
                .lock()
                .entry(key.clone())
                .or_insert_with(|| value.clone());
        }
        let set = self.inner.set(&key, value, options).await?;
        if set {
            self.ever.lock().insert(key);
        }
        Ok(set)
    }

    async fn del(&self, key: &CacheKey) -> Result<bool> {
        let key = self.key(key);
        let known = self.ever.lock().remove(&key);
        let deleted = self.inner.del(&key).await?;
        Ok(deleted || (known && self.has(Flaw::CountsExpiredAsDeleted)))
    }

    async fn get_many(&self, keys: &[CacheKey]) -> Result<Vec<Option<Bytes>>> {
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            let value = self.get(key).await?;
            if value.is_some() || !self.has(Flaw::LeavesOutWhatIsMissing) {
                values.push(value);
            }
        }
        Ok(values)
    }

    async fn erase_customer(&self, tenant: &TenantId, customer: &CustomerId) -> Result<u64> {
        let keys: Vec<CacheKey> = self.ever.lock().iter().cloned().collect();
        let erased = |key: &CacheKey| {
            let framed = key.as_str().starts_with('\u{1}');
            let same = match self.flaw {
                Some(Flaw::ErasureTakesPrefixes) => {
                    key.customer().is_some_and(|of| of.starts_with(customer.as_str()))
                }
                Some(Flaw::ErasureForgetsFetched) if framed => false,
                _ => key.customer() == Some(customer.as_str()),
            };
            same && (key.tenant() == tenant.as_str() || self.has(Flaw::SharesTenants))
        };
        if !self.has(Flaw::ErasureForgetsFlights) {
            self.flights().detach_customer(tenant, customer);
        }
        let mut count = 0;
        for key in keys.iter().filter(|key| erased(key)) {
            count += u64::from(self.inner.del(key).await?);
            self.ever.lock().remove(key);
        }
        Ok(count)
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }

    async fn disconnect(&self) -> Result<()> {
        match self.has(Flaw::WorksAfterDisconnect) {
            true => Ok(()),
            false => self.inner.disconnect().await,
        }
    }

    fn flights(&self) -> &Flights {
        if self.has(Flaw::FlightsOfTheirOwn) {
            let call = self.calls.fetch_add(1, Ordering::SeqCst);
            return &self.flights[call % self.flights.len()];
        }
        self.inner.flights()
    }

    fn peek(&self, key: &CacheKey) -> Option<Bytes> {
        match self.has(Flaw::PeekRemembers) {
            true => self.peeked.lock().get(key).cloned(),
            false => self.inner.peek(&self.key(key)),
        }
    }
}
