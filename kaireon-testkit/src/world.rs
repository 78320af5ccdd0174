//! What a case works with: a store, a tenant of its own, and short ways to say what happens to them.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt::Debug;
use std::future::Future;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use kaireon_core::digest::TenantKey;
use kaireon_core::store::{
    Accepted, Erasure, ErasureId, ErasureReceipt, FenceRequest, Generation, HistoryCursor, HistoryQuery,
    Purge, RecordBatch, Recorded, ScanQuery, StoreCapabilities, SummaryQuery,
};
use kaireon_core::time::{ManualClock, Timestamp};
use kaireon_core::{
    Attributes, ChannelId, CreativeId, CustomerId, Decision, DecisionFields, DecisionFlowKey, Dimension,
    Error, ErrorKind, IdempotencyKey, Interaction, InteractionBuilder, InteractionId, InteractionStore,
    OfferId, Outbox, Period, RankedOffer, RecommendationId, Result, Stats, Summary, TenantId, groups,
};

use crate::{StoreFixture, suite};

/// When things happen in cases that do not care: a Wednesday, in 2024-W20.
pub(crate) const NOON: &str = "2024-05-15T12:00:00Z";

/// A time, from RFC 3339.
pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().expect("a case's time is RFC 3339")
}

/// Noon, so many milliseconds later.
pub(crate) fn noon(plus_ms: i64) -> Timestamp {
    at(NOON) + TimeDelta::milliseconds(plus_ms)
}

/// Something that a backend may declare away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    History,
    Scan,
    Decisions,
    Erasure,
    Purge,
    Fence,
    Replication,
    Outbox,
    Persistent,
}

/// Builds an interaction without comparing it with the machine's clock: cases have times of their own.
pub(crate) trait Built {
    fn built(self) -> Interaction;
}

impl Built for InteractionBuilder {
    fn built(self) -> Interaction {
        let far_ahead = ManualClock::at(at("2100-01-01T00:00:00Z"));
        self.build_at(&far_ahead)
            .expect("a case's interaction is within the bounds")
    }
}

/// A case's world.
pub(crate) struct World<'f> {
    pub(crate) fixture: &'f dyn StoreFixture,
    pub(crate) store: Arc<dyn InteractionStore>,
    pub(crate) can: StoreCapabilities,
    pub(crate) tenant: TenantId,
    marker: String,
    counter: AtomicU64,
}

impl<'f> World<'f> {
    pub(crate) async fn open(fixture: &'f dyn StoreFixture) -> Self {
        let store = fixture.open().await;
        let run = suite::run_number();
        let unique = InteractionId::fresh();
        Self {
            fixture,
            can: store.capabilities(),
            store,
            tenant: TenantId::new(format!("tenant-{run}-{unique}")).expect("a short name is an id"),
            marker: suite::marker(run),
            counter: AtomicU64::new(0),
        }
    }

    /// The same world through a second handle.
    pub(crate) async fn second_handle(&self) -> Arc<dyn InteractionStore> {
        self.fixture.open().await
    }

    /// Ends the store and opens it anew.
    pub(crate) async fn restart(&mut self) {
        self.store.disconnect().await.expect("a store disconnects");
        self.store = self.fixture.open().await;
    }

    /// Whether the backend has all of this. What it declares away is printed, and must answer `Unsupported`.
    pub(crate) async fn can(&self, needs: &[Need]) -> bool {
        for &need in needs {
            if !self.declares(need) {
                suite::declared_away(&self.can.backend, &format!("{need:?}").to_lowercase());
                self.check_unsupported(need).await;
                return false;
            }
        }
        true
    }

    fn declares(&self, need: Need) -> bool {
        match need {
            Need::History => self.can.history,
            Need::Scan => self.can.scan,
            Need::Decisions => self.can.decisions,
            Need::Erasure => self.can.erasure,
            Need::Purge => self.can.purge,
            Need::Fence => self.can.fence,
            Need::Replication => self.can.replication,
            Need::Outbox => self.can.outbox,
            Need::Persistent => self.can.persistent,
        }
    }

    /// An operation that is declared away answers `Unsupported`, and changes nothing.
    pub(crate) async fn check_unsupported(&self, need: Need) {
        let (store, tenant) = (&self.store, self.tenant.clone());
        let customer = self.customer("unsupported");
        let event = self.event("unsupported").built();
        match need {
            Need::History => {
                let query = HistoryQuery::new(tenant, customer);
                self.refused(store.history(query).await, ErrorKind::Unsupported);
            }
            Need::Scan => {
                self.refused(
                    store.scan(ScanQuery::new(tenant.clone())).await,
                    ErrorKind::Unsupported,
                );
                let decisions = store.scan_decisions(ScanQuery::new(tenant)).await;
                self.refused(decisions, ErrorKind::Unsupported);
            }
            Need::Decisions => {
                let decision = self.decision("unsupported", "unsupported", 1);
                let id = decision.id.clone();
                let recorded = store.record_decision(decision.clone()).await;
                self.refused(recorded, ErrorKind::Unsupported);
                let batch = store.record_decisions(RecordBatch::live([decision])).await;
                self.refused(
                    batch.and_then(|batch| batch.into_values()),
                    ErrorKind::Unsupported,
                );
                self.refused(store.decision(&tenant, &id).await, ErrorKind::Unsupported);
            }
            Need::Erasure => {
                let id = ErasureId::fresh();
                let request = Erasure {
                    tenant: tenant.clone(),
                    customer,
                    id,
                };
                self.refused(store.erase_customer(request).await, ErrorKind::Unsupported);
                let query = kaireon_core::store::TombstoneQuery {
                    tenant: tenant.clone(),
                    limit: 1,
                    cursor: None,
                };
                self.refused(store.tombstones(query).await, ErrorKind::Unsupported);
                let installed = store.install_tombstones(&tenant, Vec::new()).await;
                self.refused(installed, ErrorKind::Unsupported);
            }
            Need::Purge => {
                let request = Purge {
                    tenant,
                    before: noon(0),
                };
                self.refused(store.purge_before(request).await, ErrorKind::Unsupported);
            }
            Need::Fence => {
                let epoch = kaireon_core::store::Epoch(1);
                let request = FenceRequest {
                    tenant: tenant.clone(),
                    epoch,
                    lanes: None,
                };
                self.refused(store.raise_fence(request).await, ErrorKind::Unsupported);
                self.refused(store.fence(&tenant).await, ErrorKind::Unsupported);
                let batch = RecordBatch::live([event]).with_epoch(epoch);
                self.refused(self.values(batch).await, ErrorKind::Unsupported);
            }
            Need::Replication => {
                for origin in [
                    kaireon_core::store::Origin::Replicated,
                    kaireon_core::store::Origin::Backfill,
                ] {
                    let accepted = Accepted {
                        value: event.clone(),
                        generation: Generation::ZERO,
                    };
                    let batch = RecordBatch::accepted(origin, [accepted]);
                    self.refused(self.values(batch).await, ErrorKind::Unsupported);
                }
            }
            Need::Outbox => assert!(
                store.outbox().is_none(),
                "an outbox that is declared away is there"
            ),
            // Nothing to ask: the store is free to forget.
            Need::Persistent => {}
        }
    }

    async fn values(&self, batch: RecordBatch<Interaction>) -> Result<Vec<Recorded>> {
        self.store.record_events(batch).await?.into_values()
    }

    pub(crate) fn outbox(&self) -> Arc<dyn Outbox> {
        self.store
            .outbox()
            .expect("a store that declares an outbox has one")
    }

    /// Personal data of this case.
    pub(crate) fn mark(&self, name: &str) -> String {
        format!("{}{name}", self.marker)
    }

    pub(crate) fn customer(&self, name: &str) -> CustomerId {
        CustomerId::new(self.mark(name)).expect("a short name is an id")
    }

    pub(crate) fn key(&self, name: &str) -> IdempotencyKey {
        IdempotencyKey::new(self.mark(name)).expect("a short name is an id")
    }

    pub(crate) fn next(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    /// An impression of a customer at noon, under a key of its own.
    pub(crate) fn event(&self, customer: &str) -> InteractionBuilder {
        self.event_of(&self.tenant, customer)
    }

    pub(crate) fn event_of(&self, tenant: &TenantId, customer: &str) -> InteractionBuilder {
        Interaction::builder(tenant, self.mark(customer))
            .offer("offer-1")
            .creative("creative-1")
            .channel("web")
            .idempotency_key(self.mark(&format!("key-{}", self.next())))
            .timestamp(noon(0))
    }

    /// A decision at noon with so many offers.
    pub(crate) fn decision(&self, id: &str, customer: &str, offers: u32) -> Decision {
        self.decision_of(&self.tenant, id, customer, offers)
    }

    pub(crate) fn decision_of(&self, tenant: &TenantId, id: &str, customer: &str, offers: u32) -> Decision {
        let offer = |rank: u32| {
            let offer = OfferId::new(format!("offer-{rank}")).expect("a short name is an id");
            let creative = CreativeId::new("creative-1").expect("a short name is an id");
            RankedOffer::new(
                rank,
                offer,
                creative,
                ChannelId::new("web").expect("a short name is an id"),
            )
        };
        let fields = DecisionFields {
            id: RecommendationId::new(id).expect("a short name is an id"),
            tenant: tenant.clone(),
            customer: self.customer(customer),
            flow: DecisionFlowKey::new("flow-1").expect("a short name is an id"),
            offers: (1..=offers).map(offer).collect(),
            timestamp: noon(0),
            attributes: Attributes::default(),
        };
        Decision::restore(fields).expect("a case's decision is within the bounds")
    }

    /// Records an interaction that must be new.
    pub(crate) async fn record(&self, event: &Interaction) {
        let recorded = self.store.record_event(event.clone()).await;
        let recorded = recorded.expect("an interaction within the bounds is recorded");
        assert_eq!(
            recorded,
            Recorded::New(event.id.clone()),
            "a first record of a key is new"
        );
    }

    /// Records interactions in batches; all must be new.
    pub(crate) async fn record_all(&self, events: &[Interaction]) {
        for batch in events.chunks(500) {
            let outcome = self.store.record_events(RecordBatch::live(batch.to_vec())).await;
            let recorded = outcome.and_then(|outcome| outcome.into_values());
            let recorded = recorded.expect("a batch within the bounds is recorded");
            let expected: Vec<_> = batch
                .iter()
                .map(|event| Recorded::New(event.id.clone()))
                .collect();
            assert_eq!(recorded, expected, "each item of a batch is new, in its order");
        }
    }

    pub(crate) async fn summaries(&self, customer: &str) -> Vec<Summary> {
        self.summaries_of(&self.tenant, customer).await
    }

    /// A customer's summaries in the order of reads: what that order is has a case of its own.
    pub(crate) async fn summaries_of(&self, tenant: &TenantId, customer: &str) -> Vec<Summary> {
        let mut found = self.summaries_as_read(tenant, customer).await;
        found.sort_by(Summary::read_order);
        found
    }

    /// A customer's summaries as the store returned them.
    pub(crate) async fn summaries_as_read(&self, tenant: &TenantId, customer: &str) -> Vec<Summary> {
        let query = SummaryQuery::new(tenant.clone(), self.customer(customer));
        self.store.get_summaries(query).await.expect("summaries are read")
    }

    /// The counts of a customer's offer in a period, or nothing.
    pub(crate) async fn stats(&self, customer: &str, offer: &str, period: &str) -> Option<Stats> {
        let period: Period = period.parse().expect("a case's period is a key");
        let found = self.summaries(customer).await;
        let is = |summary: &&Summary| {
            summary.dimension == Dimension::Offer && &*summary.value == offer && summary.period == period
        };
        let mut found = found.iter().filter(is);
        let first = found.next().map(|summary| summary.stats.clone());
        assert!(found.next().is_none(), "a group is returned once");
        first
    }

    /// How many interactions the summaries count for a customer.
    pub(crate) async fn counted(&self, customer: &str) -> u64 {
        let found = self.summaries(customer).await;
        let is = |summary: &&Summary| {
            summary.dimension == Dimension::Channel && summary.period == Period::ALL_TIME
        };
        found
            .iter()
            .filter(is)
            .map(|summary| summary.stats.interactions())
            .sum()
    }

    /// A customer's whole history, in pages of so many.
    pub(crate) async fn history_by(&self, mut query: HistoryQuery, limit: u32) -> Vec<Interaction> {
        let mut items = Vec::new();
        query.limit = limit;
        loop {
            let page = self
                .store
                .history(query.clone())
                .await
                .expect("a history is read");
            let most = usize::try_from(limit).expect("a limit fits");
            assert!(page.items.len() <= most, "a page holds at most its limit");
            items.extend(page.items);
            assert!(items.len() < 1_000_000, "a history ends");
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => return items,
            }
        }
    }

    pub(crate) fn history_query(&self, customer: &str) -> HistoryQuery {
        HistoryQuery::new(self.tenant.clone(), self.customer(customer))
    }

    pub(crate) async fn history(&self, customer: &str) -> Vec<Interaction> {
        self.history_by(self.history_query(customer), 1_000).await
    }

    /// A tenant's interactions, page by page.
    pub(crate) async fn scan(&self, tenant: &TenantId, limit: u32) -> Vec<Accepted<Interaction>> {
        let mut items = Vec::new();
        let mut query = ScanQuery {
            limit,
            ..ScanQuery::new(tenant.clone())
        };
        loop {
            let page = self.store.scan(query.clone()).await.expect("a tenant is scanned");
            items.extend(page.items);
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => return items,
            }
        }
    }

    pub(crate) async fn scan_decisions(&self, tenant: &TenantId, limit: u32) -> Vec<Accepted<Decision>> {
        let mut items = Vec::new();
        let mut query = ScanQuery {
            limit,
            ..ScanQuery::new(tenant.clone())
        };
        loop {
            let page = self
                .store
                .scan_decisions(query.clone())
                .await
                .expect("a tenant is scanned");
            items.extend(page.items);
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => return items,
            }
        }
    }

    /// Checks that a customer consists of exactly these interactions: summaries, and history where there is one.
    pub(crate) async fn holds(&self, customer: &str, events: &[Interaction]) {
        same(
            &self.summaries(customer).await,
            &fold(events),
            "summaries are the fold of what was accepted",
        );
        if self.can.history {
            same(
                &self.history(customer).await,
                &newest_first(events),
                "the history is what was accepted",
            );
        }
    }

    pub(crate) async fn erase(&self, customer: &str, id: &str) -> ErasureReceipt {
        let request = Erasure {
            tenant: self.tenant.clone(),
            customer: self.customer(customer),
            id: ErasureId::new(id).expect("a short name is an id"),
        };
        self.store
            .erase_customer(request)
            .await
            .expect("a customer is erased")
    }

    pub(crate) async fn purge(&self, before: Timestamp) -> kaireon_core::store::PurgeReceipt {
        let request = Purge {
            tenant: self.tenant.clone(),
            before,
        };
        self.store
            .purge_before(request)
            .await
            .expect("a tenant is purged")
    }

    /// The key of this case's tenant, where the fixture tells its master key.
    pub(crate) fn tenant_key(&self) -> Option<TenantKey> {
        self.fixture.master_key().map(|key| key.tenant(&self.tenant))
    }

    /// Checks that a call was refused so, and that its error says nothing personal.
    pub(crate) fn refused<T: Debug>(&self, result: Result<T>, kind: ErrorKind) -> Error {
        match result {
            Ok(_) => panic!("the call succeeded where {kind} was expected"),
            Err(error) => {
                self.tells_nothing(&error);
                assert_eq!(error.kind(), kind, "{error}");
                error
            }
        }
    }

    /// Checks that an error says nothing personal, on one line.
    pub(crate) fn tells_nothing(&self, error: &Error) {
        let mut texts = vec![error.to_string(), format!("{error:?}")];
        assert_eq!(texts[0].lines().count(), 1, "an error is one line: {}", texts[0]);
        let mut source = StdError::source(error);
        while let Some(inner) = source {
            texts.push(format!("{inner} {inner:?}"));
            source = inner.source();
        }
        for text in texts {
            assert!(
                !text.contains(&self.marker),
                "an error tells personal data: {text}"
            );
        }
    }

    /// Lets time pass: on the fixture's clock, or in fact.
    pub(crate) async fn pass(&self, time: Duration) {
        match self.fixture.clock() {
            Some(clock) => clock.advance(TimeDelta::from_std(time).expect("a case's time is short")),
            None => tokio::time::sleep(time).await,
        }
    }
}

/// The summaries of these interactions, in the order of reads.
pub(crate) fn fold(events: &[Interaction]) -> Vec<Summary> {
    let mut folded: BTreeMap<(Dimension, &str, Period), Stats> = BTreeMap::new();
    for event in events {
        for group in groups(event) {
            folded.entry(group).or_default().merge(&Stats::of(event));
        }
    }
    let summary = |((dimension, value, period), stats): ((Dimension, &str, Period), Stats)| {
        Summary::new(dimension, Arc::from(value), period, stats)
    };
    let mut summaries: Vec<_> = folded.into_iter().map(summary).collect();
    summaries.sort_by(Summary::read_order);
    summaries
}

/// These interactions as a history returns them.
pub(crate) fn newest_first(events: &[Interaction]) -> Vec<Interaction> {
    let mut events = events.to_vec();
    events.sort_by_cached_key(|event| Reverse(HistoryCursor::after(event)));
    events
}

/// Checks that two lists are equal, and says where they differ first instead of printing all of them.
pub(crate) fn same<T: PartialEq + Debug>(found: &[T], expected: &[T], what: &str) {
    if found == expected {
        return;
    }
    let place = found
        .iter()
        .zip(expected)
        .position(|(found, expected)| found != expected);
    let place = place.unwrap_or(found.len().min(expected.len()));
    panic!(
        "{what}: {} found where {} were expected, first unlike at {place}: {:?} where {:?} was expected",
        found.len(),
        expected.len(),
        found.get(place),
        expected.get(place),
    );
}

/// Runs futures on tasks of their own, at the same time; a panic of one is a panic of all.
pub(crate) async fn together<T: Send + 'static>(
    futures: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = futures.into_iter().map(tokio::spawn).collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(
            task.await
                .unwrap_or_else(|error| resume_unwind(error.into_panic())),
        );
    }
    results
}
