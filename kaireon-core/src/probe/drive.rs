//! Calls each operation of a contract by its name.

use std::time::Duration;

use bytes::Bytes;

use crate::breaker::{CallResult, CircuitBreaker};
use crate::cache::{CacheKey, CacheStore, SetCondition, SetOptions};
use crate::event::Event;
use crate::limiter::{LimitKey, RateLimit, RateLimiter};
use crate::outbox::{DeadLetterQuery, Destination, Lane, LaneSet, LeaseRequest, Outbox};
use crate::publisher::{EventPublisher, Subscription};
use crate::search::{
    DeleteScope, Deletion, Document, IndexBatch, RebuildName, RebuildStep, SearchIndex, SearchQuery,
};
use crate::store::{
    Epoch, Erasure, ErasureId, FenceRequest, HistoryQuery, InteractionStore, Purge, RecordBatch, ScanQuery,
    SummaryQuery, TombstoneQuery,
};
use crate::time;
use crate::{
    Attributes, CustomerId, Decision, DecisionFields, DecisionFlowKey, EventType, Interaction,
    RecommendationId, Result, TenantId,
};

/// The operations of a store that return a future.
pub(crate) const STORE: [&str; 17] = [
    "record_event",
    "get_summaries",
    "disconnect",
    "ping",
    "record_events",
    "history",
    "scan",
    "scan_decisions",
    "record_decision",
    "record_decisions",
    "decision",
    "erase_customer",
    "tombstones",
    "install_tombstones",
    "purge_before",
    "raise_fence",
    "fence",
];

/// The operations of an outbox.
pub(crate) const OUTBOX: [&str; 12] = [
    "lanes",
    "set_lanes",
    "change_lanes",
    "append",
    "lease",
    "release",
    "fetch",
    "settle",
    "dead_letters",
    "replay",
    "status",
    "wait",
];

/// The operations of an event stream that return a future.
pub(crate) const EVENTS: [&str; 5] = ["publish", "publish_batch", "subscribe", "ping", "disconnect"];

/// The operations of a search index that return a future.
pub(crate) const SEARCH: [&str; 8] = [
    "index",
    "delete",
    "search",
    "refresh",
    "disconnect",
    "erase_customer",
    "rebuild",
    "ping",
];

/// The operations of a cache that return a future; `set` and `set_many` also under `IfAbsent`.
pub(crate) const CACHE: [&str; 11] = [
    "get",
    "set",
    "set if absent",
    "del",
    "get_many",
    "set_many",
    "set_many if absent",
    "del_many",
    "erase_customer",
    "ping",
    "disconnect",
];

/// The operations of limiters and breakers.
pub(crate) const GUARDS: [&str; 4] = ["acquire", "admit", "report", "state"];

pub(crate) fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn customer() -> CustomerId {
    CustomerId::new("secret-customer").unwrap()
}

/// An interaction under a key.
pub(crate) fn interaction(key: &str) -> Interaction {
    Interaction::builder("acme", "secret-customer")
        .offer("shoes")
        .creative("banner")
        .channel("web")
        .idempotency_key(key)
        .build()
        .unwrap()
}

pub(crate) fn decision(id: &str) -> Decision {
    Decision::restore(DecisionFields {
        id: RecommendationId::new(id).unwrap(),
        tenant: tenant(),
        customer: customer(),
        flow: DecisionFlowKey::new("home").unwrap(),
        offers: Vec::new(),
        timestamp: time::from_millis(1_700_000_000_000).unwrap(),
        attributes: Attributes::default(),
    })
    .unwrap()
}

/// An event with an id and perhaps a key.
pub(crate) fn event(id: &str, key: Option<&str>) -> Event {
    let event = Event::new("model.updated.v1", &()).unwrap().with_id(id).unwrap();
    match key {
        Some(key) => event.with_key(key).unwrap(),
        None => event,
    }
}

fn key() -> CacheKey {
    CacheKey::of_customer(&tenant(), &customer(), "view").unwrap()
}

/// Calls an operation of a store; a batch has one item, and its error is the item's.
pub(crate) async fn store(store: &dyn InteractionStore, operation: &str) -> Result<()> {
    let recommendation = RecommendationId::new("r1").unwrap();
    let before = time::from_millis(1_700_000_000_000).unwrap();
    match operation {
        "record_event" => store.record_event(interaction("secret-key")).await.map(drop),
        "get_summaries" => {
            let query = SummaryQuery::new(tenant(), customer());
            store.get_summaries(query).await.map(drop)
        }
        "disconnect" => store.disconnect().await,
        "ping" => store.ping().await,
        "record_events" => {
            let batch = RecordBatch::live([interaction("secret-key")]);
            store.record_events(batch).await?.into_values().map(drop)
        }
        "history" => {
            let query = HistoryQuery::new(tenant(), customer());
            store.history(query).await.map(drop)
        }
        "scan" => store.scan(ScanQuery::new(tenant())).await.map(drop),
        "scan_decisions" => store.scan_decisions(ScanQuery::new(tenant())).await.map(drop),
        "record_decision" => store.record_decision(decision("r1")).await.map(drop),
        "record_decisions" => {
            let batch = RecordBatch::live([decision("r1")]);
            store.record_decisions(batch).await?.into_values().map(drop)
        }
        "decision" => store.decision(&tenant(), &recommendation).await.map(drop),
        "erase_customer" => {
            let request = Erasure {
                tenant: tenant(),
                customer: customer(),
                id: ErasureId::fresh(),
            };
            store.erase_customer(request).await.map(drop)
        }
        "tombstones" => {
            let query = TombstoneQuery {
                tenant: tenant(),
                limit: 1,
                cursor: None,
            };
            store.tombstones(query).await.map(drop)
        }
        "install_tombstones" => store.install_tombstones(&tenant(), Vec::new()).await,
        "purge_before" => {
            let request = Purge {
                tenant: tenant(),
                before,
            };
            store.purge_before(request).await.map(drop)
        }
        "raise_fence" => {
            let request = FenceRequest {
                tenant: tenant(),
                epoch: Epoch::ZERO,
                lanes: None,
            };
            store.raise_fence(request).await.map(drop)
        }
        "fence" => store.fence(&tenant()).await.map(drop),
        other => panic!("{other} is no operation of a store"),
    }
}

/// Calls an operation of an outbox.
pub(crate) async fn outbox(outbox: &dyn Outbox, operation: &str) -> Result<()> {
    let lane = Lane::Publish;
    match operation {
        "lanes" => outbox.lanes().await.map(drop),
        "set_lanes" => outbox.set_lanes(LaneSet::NONE).await,
        "change_lanes" => (outbox.change_lanes(LaneSet::NONE, LaneSet::NONE).await).map(drop),
        "append" => outbox.append(Vec::new()).await,
        "lease" => {
            let request = LeaseRequest {
                lane,
                owner: "relay".to_owned(),
                ttl: Duration::from_secs(10),
                max_ranges: 64,
                destination: Destination::unnamed(),
            };
            outbox.lease(request).await.map(drop)
        }
        "release" => outbox.release(Vec::new()).await,
        "fetch" => outbox.fetch(Vec::new(), 1).await.map(drop),
        "settle" => outbox.settle(&[], Vec::new()).await,
        "dead_letters" => {
            let query = DeadLetterQuery {
                lane,
                limit: 1,
                cursor: None,
            };
            outbox.dead_letters(query).await.map(drop)
        }
        "replay" => outbox.replay(lane, Vec::new()).await.map(drop),
        "status" => outbox.status(lane).await.map(drop),
        "wait" => outbox.wait(lane, 0, Duration::from_millis(500)).await.map(drop),
        other => panic!("{other} is no operation of an outbox"),
    }
}

/// Calls an operation of an event stream.
pub(crate) async fn events(publisher: &dyn EventPublisher, operation: &str) -> Result<()> {
    match operation {
        "publish" => publisher.publish(event("e1", Some("secret-customer"))).await,
        "publish_batch" => {
            let batch = vec![event("e1", Some("secret-customer"))];
            publisher.publish_batch(batch).await?.into_values().map(drop)
        }
        "subscribe" => {
            let subscription = Subscription::to([EventType::interaction_recorded()]);
            publisher.subscribe(subscription).await.map(drop)
        }
        "ping" => publisher.ping().await,
        "disconnect" => publisher.disconnect().await,
        other => panic!("{other} is no operation of an event stream"),
    }
}

/// A document under an id.
pub(crate) fn document(id: &str) -> Document {
    Document::builder(&tenant(), "offer", id)
        .title("secret title")
        .build()
        .unwrap()
}

/// Calls an operation of a search index.
pub(crate) async fn search(index: &dyn SearchIndex, operation: &str) -> Result<()> {
    match operation {
        "index" => {
            let batch = IndexBatch::live([document("secret-id")]);
            index.index(batch).await?.into_values().map(drop)
        }
        "delete" => {
            let scope = DeleteScope::Tenant;
            let tenant = tenant();
            index.delete(Deletion { tenant, scope }).await.map(drop)
        }
        "search" => index.search(SearchQuery::new(tenant())).await.map(drop),
        "refresh" => index.refresh().await,
        "disconnect" => index.disconnect().await,
        "erase_customer" => index.erase_customer(&tenant(), &customer()).await.map(drop),
        "rebuild" => {
            let step = RebuildStep::Begin(RebuildName::new("nightly").unwrap());
            index.rebuild(step).await.map(drop)
        }
        "ping" => index.ping().await,
        other => panic!("{other} is no operation of a search index"),
    }
}

/// Calls an operation of a cache.
pub(crate) async fn cache(cache: &dyn CacheStore, operation: &str) -> Result<()> {
    let (key, value) = (key(), Bytes::from_static(b"secret-value"));
    let always = SetOptions::default();
    let if_absent = always.when(SetCondition::IfAbsent);
    match operation {
        "get" => cache.get(&key).await.map(drop),
        "set" => cache.set(&key, value, always).await.map(drop),
        "set if absent" => cache.set(&key, value, if_absent).await.map(drop),
        "del" => cache.del(&key).await.map(drop),
        "get_many" => cache.get_many(&[key]).await.map(drop),
        "set_many" => cache.set_many(vec![(key, value)], always).await.map(drop),
        "set_many if absent" => cache.set_many(vec![(key, value)], if_absent).await.map(drop),
        "del_many" => cache.del_many(&[key]).await.map(drop),
        "erase_customer" => cache.erase_customer(&tenant(), &customer()).await.map(drop),
        "ping" => cache.ping().await,
        "disconnect" => cache.disconnect().await,
        other => panic!("{other} is no operation of a cache"),
    }
}

/// Calls an operation of a limiter or a breaker.
pub(crate) async fn guards<G: RateLimiter + CircuitBreaker>(guard: &G, operation: &str) -> Result<()> {
    let limit = RateLimit {
        limit: 1,
        window: Duration::from_secs(1),
    };
    match operation {
        "acquire" => {
            let key = LimitKey::new(&tenant(), "secret-key").unwrap();
            guard.acquire(&key, limit).await.map(drop)
        }
        "admit" => guard.admit("database").await.map(drop),
        "report" => guard.report("database", 1, CallResult::Success).await,
        "state" => guard.state("database").await.map(drop),
        other => panic!("{other} is no operation of a limiter or breaker"),
    }
}

/// The method that an operation calls.
pub(crate) fn method(operation: &'static str) -> &'static str {
    operation.split(' ').next().unwrap_or_default()
}
