use async_trait::async_trait;

use super::*;
use crate::ErrorKind;
use crate::memory::{MemoryCache, MemoryPublisher, MemorySearch, MemoryStore};
use crate::probe::{Probe, Step, drive};

fn failing() -> Arc<Probe> {
    Probe::scripted([Step::Fail(Error::new(ErrorKind::Unavailable, "connection reset"))])
}

#[tokio::test]
async fn the_parts_are_the_ones_that_were_given_and_answer_also_behind_pointers() {
    let probes = [(); 4].map(|()| Probe::shared());
    let [store, events, search, cache] = probes.each_ref().map(Arc::clone);
    // In another order than they are kept in.
    let parts = Container::builder()
        .cache(cache)
        .search(search)
        .events(events)
        .store(store)
        .build();
    drive::store(parts.store(), "history").await.unwrap();
    drive::events(parts.events(), "publish").await.unwrap();
    drive::search(parts.search(), "refresh").await.unwrap();
    drive::cache(parts.cache(), "get").await.unwrap();
    let shared: DynContainer = parts.into_dyn().clone();
    drive::store(shared.store(), "scan").await.unwrap();
    drive::events(shared.events(), "subscribe").await.unwrap();
    drive::search(shared.search(), "search").await.unwrap();
    drive::cache(shared.cache(), "del").await.unwrap();
    assert_eq!(
        probes.map(|probe| probe.calls()),
        [
            ["history", "scan"],
            ["publish", "subscribe"],
            ["refresh", "search"],
            ["get", "del"]
        ]
    );
}

#[tokio::test]
async fn the_reference_implementations_make_a_container() {
    let parts = Container::builder()
        .store(MemoryStore::new())
        .events(MemoryPublisher::new())
        .search(MemorySearch::new())
        .cache(MemoryCache::new())
        .build()
        .into_dyn();
    parts.disconnect().await.into_result().unwrap();
    parts.disconnect().await.into_result().unwrap();
    let error = drive::store(parts.store(), "record_event").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn every_part_is_disconnected_and_reported_also_when_others_fail() {
    let (store, events, search, cache) = (Probe::shared(), failing(), Probe::shared(), failing());
    let parts = Container::builder()
        .store(Arc::clone(&store))
        .events(Arc::clone(&events))
        .search(Arc::clone(&search))
        .cache(Arc::clone(&cache))
        .build();
    let report = parts.disconnect().await;
    for probe in [store, events, search, cache] {
        assert_eq!(probe.calls(), ["disconnect"]);
    }
    assert!(report.store.is_ok() && report.search.is_ok());
    let failed: Vec<_> = report
        .failures()
        .map(|(part, error)| (part, error.kind()))
        .collect();
    assert_eq!(
        failed,
        [
            ("events", ErrorKind::Unavailable),
            ("cache", ErrorKind::Unavailable)
        ]
    );
    assert_eq!(report.into_result().unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn the_failure_of_any_single_part_is_an_error() {
    for failed in 0..4 {
        let part = |place| {
            if place == failed {
                failing()
            } else {
                Probe::shared()
            }
        };
        let parts = Container::builder()
            .store(part(0))
            .events(part(1))
            .search(part(2))
            .cache(part(3))
            .build();
        assert!(parts.disconnect().await.into_result().is_err(), "{failed}");
    }
}

/// A part that notes the order in which it is let go.
#[derive(Debug)]
struct Last(Arc<parking_lot::Mutex<Vec<&'static str>>>);

#[async_trait]
impl InteractionStore for Last {
    fn capabilities(&self) -> crate::store::StoreCapabilities {
        crate::store::StoreCapabilities::minimal("last")
    }

    async fn record_event(&self, event: crate::Interaction) -> Result<crate::store::Recorded> {
        Ok(crate::store::Recorded::new(event.id.clone()))
    }

    async fn get_summaries(&self, _: crate::store::SummaryQuery) -> Result<Vec<crate::Summary>> {
        Ok(Vec::new())
    }

    async fn disconnect(&self) -> Result<()> {
        // Had the stream been let go before, it would stand here already.
        tokio::task::yield_now().await;
        self.0.lock().push("store");
        Ok(())
    }
}

#[async_trait]
impl EventPublisher for Last {
    fn capabilities(&self) -> crate::publisher::PublisherCapabilities {
        crate::publisher::PublisherCapabilities::minimal("last")
    }

    async fn publish(&self, _: crate::Event) -> Result<()> {
        Ok(())
    }

    async fn subscribe(&self, _: crate::publisher::Subscription) -> Result<crate::publisher::Subscriber> {
        Err(Error::unsupported("last", "subscribe"))
    }

    async fn disconnect(&self) -> Result<()> {
        self.0.lock().push("events");
        Ok(())
    }
}

#[tokio::test]
async fn the_store_is_let_go_before_the_stream() {
    let order = Arc::default();
    let parts = Container::builder()
        .store(Last(Arc::clone(&order)))
        .events(Last(Arc::clone(&order)))
        .search(Probe::shared())
        .cache(Probe::shared())
        .build();
    parts.disconnect().await.into_result().unwrap();
    assert_eq!(*order.lock(), ["store", "events"]);
}
