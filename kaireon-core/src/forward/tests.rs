use super::*;
use crate::probe::{Probe, drive};

#[allow(clippy::redundant_allocation, reason = "both pointers are what is tested")]
fn both(probe: &Arc<Probe>) -> Box<Arc<Probe>> {
    Box::new(Arc::clone(probe))
}

#[tokio::test]
async fn every_operation_of_a_store_arrives_once() {
    let probe = Probe::shared();
    let store: Arc<dyn InteractionStore> = Arc::new(both(&probe));
    for operation in drive::STORE {
        drive::store(&store, operation).await.unwrap();
    }
    assert_eq!(probe.calls(), drive::STORE);
    assert!(store.outbox().is_some() && store.capabilities().fence);
}

#[tokio::test]
async fn every_operation_of_an_outbox_arrives_once() {
    let probe = Probe::shared();
    let outbox: Box<dyn Outbox> = Box::new(both(&probe));
    for operation in drive::OUTBOX {
        drive::outbox(&outbox, operation).await.unwrap();
    }
    assert_eq!(probe.calls(), drive::OUTBOX);
}

#[tokio::test]
async fn every_operation_of_an_event_stream_arrives_once() {
    let probe = Probe::shared();
    let events: Arc<dyn EventPublisher> = Arc::new(both(&probe));
    for operation in drive::EVENTS {
        drive::events(&events, operation).await.unwrap();
    }
    assert_eq!(
        events.has_subscribers(&EventType::interaction_recorded()),
        Some(true)
    );
    let called: Vec<_> = drive::EVENTS.into_iter().chain(["has_subscribers"]).collect();
    assert_eq!(probe.calls(), called);
    assert_eq!(EventPublisher::capabilities(&events).backend, "probe");
}

#[tokio::test]
async fn every_operation_of_a_search_index_arrives_once() {
    let probe = Probe::shared();
    let index: Arc<dyn SearchIndex> = Arc::new(both(&probe));
    for operation in drive::SEARCH {
        drive::search(&index, operation).await.unwrap();
    }
    assert_eq!(probe.calls(), drive::SEARCH);
    assert_eq!(SearchIndex::capabilities(&index).backend, "probe");
}

#[tokio::test]
async fn every_operation_of_a_cache_arrives_once() {
    let probe = Probe::shared();
    let cache: Arc<dyn CacheStore> = Arc::new(both(&probe));
    for operation in drive::CACHE {
        drive::cache(&cache, operation).await.unwrap();
    }
    let key = CacheKey::new(&drive::tenant(), "name").unwrap();
    assert_eq!(cache.peek(&key).as_deref(), Some(&b"peeked"[..]));
    assert_eq!(cache.peek_fetched(&key), None);
    let _ = cache.flights();
    assert!(cache.limiter().is_none());
    assert!(cache.leases().is_none());
    assert!(cache.breaker(BreakerConfig::default()).unwrap().is_none());
    let called = drive::CACHE.map(drive::method);
    assert_eq!(
        probe.calls(),
        called
            .into_iter()
            .chain(["peek", "peek_fetched", "flights", "limiter", "leases", "breaker"])
            .collect::<Vec<_>>()
    );
    assert_eq!(CacheStore::capabilities(&cache).max_value_bytes, 1_024);
}

#[tokio::test]
async fn every_operation_of_a_limiter_and_a_breaker_arrives_once() {
    let probe = Probe::shared();
    for operation in drive::GUARDS {
        drive::guards(&Box::new(both(&probe)), operation).await.unwrap();
    }
    assert_eq!(probe.calls(), drive::GUARDS);
}

/// Where the last boxed future of [`Marked`] lies.
#[derive(Debug, Default)]
struct Marked(std::sync::atomic::AtomicUsize);

/// Not of size zero, so that its box has an address of its own.
struct Mark(u64);

impl Future for Mark {
    type Output = Result<Recorded>;

    fn poll(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        let id = crate::InteractionId::new(self.0.to_string());
        std::task::Poll::Ready(id.map(Recorded::new))
    }
}

#[async_trait::async_trait]
impl InteractionStore for Marked {
    fn capabilities(&self) -> StoreCapabilities {
        StoreCapabilities::minimal("marked")
    }

    fn record_event<'a, 'async_trait>(
        &'a self,
        _: Interaction,
    ) -> Pin<Box<dyn Future<Output = Result<Recorded>> + Send + 'async_trait>>
    where
        'a: 'async_trait,
        Self: 'async_trait,
    {
        let future = Box::pin(Mark(7));
        self.0
            .store(address(&*future), std::sync::atomic::Ordering::SeqCst);
        future
    }

    async fn get_summaries(&self, _: SummaryQuery) -> Result<Vec<Summary>> {
        Ok(Vec::new())
    }

    async fn disconnect(&self) -> Result<()> {
        Ok(())
    }
}

fn address<T: ?Sized>(at: &T) -> usize {
    std::ptr::from_ref(at).cast::<()>().addr()
}

#[tokio::test]
async fn a_future_is_handed_on_in_the_box_that_it_came_in() {
    let marked = Arc::new(Marked::default());
    let through: Box<dyn InteractionStore> = Box::new(Arc::new(Box::new(Arc::clone(&marked))));
    let future = InteractionStore::record_event(&through, drive::interaction("k"));
    assert_eq!(
        address(&*future),
        marked.0.load(std::sync::atomic::Ordering::SeqCst)
    );
    assert_eq!(future.await.unwrap().id().as_str(), "7");
}
