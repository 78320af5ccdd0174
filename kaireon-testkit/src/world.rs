//! What a case works with: a store, a tenant of its own, and short ways to say what happens to them.

mod expect;
mod needs;
mod read;

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use kaireon_core::digest::TenantKey;
use kaireon_core::store::{
    Erasure, ErasureId, ErasureReceipt, Purge, PurgeReceipt, RecordBatch, StoreCapabilities,
};
use kaireon_core::time::{ManualClock, Timestamp};
use kaireon_core::{
    Attributes, ChannelId, CreativeId, CustomerId, Decision, DecisionFields, DecisionFlowKey, IdempotencyKey,
    Interaction, InteractionBuilder, InteractionId, InteractionStore, OfferId, Outbox, RankedOffer,
    RecommendationId, TenantId,
};
use tokio::task::JoinSet;

pub(crate) use self::expect::{fold, newest_first, same};
pub(crate) use self::needs::Need;
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
            (recorded.is_new(), recorded.id()),
            (true, &event.id),
            "a first record of a key is new"
        );
    }

    /// Records interactions in batches; all must be new.
    pub(crate) async fn record_all(&self, events: &[Interaction]) {
        for batch in events.chunks(500) {
            let outcome = self.store.record_events(RecordBatch::live(batch.to_vec())).await;
            let recorded = outcome.and_then(|outcome| outcome.into_values());
            let recorded = recorded.expect("a batch within the bounds is recorded");
            let recorded: Vec<_> = recorded.iter().map(|item| (item.is_new(), item.id())).collect();
            let expected: Vec<_> = batch.iter().map(|event| (true, &event.id)).collect();
            assert_eq!(recorded, expected, "each item of a batch is new, in its order");
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

    pub(crate) async fn purge(&self, before: Timestamp) -> PurgeReceipt {
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

    /// Lets time pass: on the fixture's clock, or in fact.
    pub(crate) async fn pass(&self, time: Duration) {
        match self.fixture.clock() {
            Some(clock) => clock.advance(TimeDelta::from_std(time).expect("a case's time is short")),
            None => tokio::time::sleep(time).await,
        }
    }
}

/// Runs futures on tasks of their own, at the same time; a panic of one is a panic of all, and ends the others.
pub(crate) async fn together<T: Send + 'static>(
    futures: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let mut tasks = JoinSet::new();
    for (place, future) in futures.into_iter().enumerate() {
        tasks.spawn(async move { (place, future.await) });
    }
    let mut results = BTreeMap::new();
    while let Some(ended) = tasks.join_next().await {
        let (place, result) = ended.unwrap_or_else(|error| resume_unwind(error.into_panic()));
        results.insert(place, result);
    }
    results.into_values().collect()
}
