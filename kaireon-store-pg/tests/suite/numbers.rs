//! A database that is exchanged behind a process's back: by a backup that was restored, or a fail-over to a replica that
//! lagged. The numbers of tenants that the process knows are then others', or nobody's.

use std::sync::Arc;

use kaireon_core::outbox::{HostEvent, Lane, LaneSet};
use kaireon_core::store::{
    Accepted, Epoch, Erasure, ErasureId, FenceRequest, Generation, HistoryQuery, Purge, RecordBatch,
    ScanQuery, SummaryQuery, Tombstone, TombstoneQuery,
};
use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::{
    CustomerId, Decision, DecisionFields, DecisionFlowKey, ErrorKind, Event, Interaction, InteractionStore,
    RecommendationId, TenantId,
};
use kaireon_store_pg::PgStore;
use kaireon_testkit::StoreFixture;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

use crate::fixture::{Fixture, connection};

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

/// Every customer bears the name of the tenant, so that one who is found elsewhere is seen.
fn customer(of: &str, name: &str) -> CustomerId {
    CustomerId::new(format!("{of}:{name}")).unwrap()
}

fn event(of: &str, name: &str, key: &str, days: i64) -> Interaction {
    let shown = Interaction::builder(of, customer(of, name))
        .offer(format!("offer-of-{of}"))
        .creative("k")
        .channel("web")
        .timestamp(SystemClock.now() - chrono::TimeDelta::days(days));
    shown.idempotency_key(key).build().unwrap()
}

fn decision(of: &str, name: &str, id: &str) -> Decision {
    let fields = DecisionFields {
        id: RecommendationId::new(id).unwrap(),
        tenant: tenant(of),
        customer: customer(of, name),
        flow: DecisionFlowKey::new(format!("flow-of-{of}")).unwrap(),
        offers: Vec::new(),
        timestamp: SystemClock.now(),
        attributes: kaireon_core::Attributes::default(),
    };
    Decision::new(fields, &SystemClock).unwrap()
}

/// One store in two copies, in which two tenants have each other's numbers. One of the copies is in force.
struct Copies {
    fixture: Fixture,
    /// A handle that was opened when there was only one.
    store: PgStore,
    beside: PgConnection,
}

impl Copies {
    async fn new() -> Self {
        let fixture = Fixture::new();
        let schema = fixture.schema().to_owned();
        let store = fixture.connect(fixture.config(&schema)).await;
        let outbox = store.outbox().unwrap();
        outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
        fill(&store, ["a", "b"]).await;
        let other = fixture.connect(fixture.config(&format!("{schema}_other"))).await;
        fill(&other, ["b", "a"]).await;
        other.disconnect().await.unwrap();
        let mut copies = Self {
            fixture,
            store,
            beside: connection().await,
        };
        // A copy has the incarnation of what it was made of.
        copies
            .run("DELETE FROM {s}_other.meta; INSERT INTO {s}_other.meta SELECT * FROM {s}.meta")
            .await;
        assert_ne!(
            copies.number("SELECT id FROM {s}.tenants WHERE name = 'a'").await,
            copies
                .number("SELECT id FROM {s}_other.tenants WHERE name = 'a'")
                .await
        );
        copies
    }

    async fn run(&mut self, sql: &str) {
        let sql = sql.replace("{s}", self.fixture.schema());
        let script = sqlx::raw_sql(AssertSqlSafe(sql));
        self.beside.execute(script).await.unwrap();
    }

    async fn number(&mut self, sql: &str) -> i32 {
        let sql = sql.replace("{s}", self.fixture.schema());
        self.beside.fetch_one(AssertSqlSafe(sql)).await.unwrap().get(0)
    }

    /// Puts the other copy in force. The handle knows the numbers of the one before.
    async fn exchange(&mut self) {
        for name in ["a", "b"] {
            self.store.fence(&tenant(name)).await.unwrap();
            assert!(!self.scan(name).await.is_empty());
        }
        self.run(
            "BEGIN; ALTER SCHEMA {s} RENAME TO {s}_away; ALTER SCHEMA {s}_other RENAME TO {s}; \
             ALTER SCHEMA {s}_away RENAME TO {s}_other; COMMIT",
        )
        .await;
    }

    async fn scan(&self, name: &str) -> Vec<Accepted<Interaction>> {
        let page = self.store.scan(ScanQuery::new(tenant(name))).await.unwrap();
        assert!(page.next.is_none());
        page.items
    }

    async fn count(&self, name: &str) -> usize {
        self.scan(name).await.len()
    }

    async fn tombstones(&self, name: &str) -> Vec<Tombstone> {
        let query = TombstoneQuery::new(tenant(name));
        self.store.tombstones(query).await.unwrap().items
    }

    /// Asserts, from beside the store and through it, that everything lies where it belongs.
    async fn assert_apart(&mut self) {
        for copy in ["{s}", "{s}_other"] {
            let astray = format!(
                "SELECT count(*)::integer FROM {copy}.customers c JOIN {copy}.tenants t ON t.id = c.tenant \
                 WHERE c.customer NOT LIKE t.name || ':%' OR c.id >> 40 <> t.id"
            );
            assert_eq!(self.number(&astray).await, 0);
            let entries = format!(
                "SELECT count(*)::integer FROM {copy}.outbox o JOIN {copy}.tenants t ON t.id = o.tenant \
                 JOIN {copy}.customers c ON c.digest = o.customer WHERE c.tenant <> o.tenant"
            );
            assert_eq!(self.number(&entries).await, 0);
        }
        for name in ["a", "b"] {
            for item in self.scan(name).await {
                assert_eq!(item.value.tenant, tenant(name));
                assert_eq!(item.value.offer.as_str(), format!("offer-of-{name}"));
                assert!(item.value.customer.as_str().starts_with(&format!("{name}:")));
            }
        }
    }

    async fn close(mut self) {
        self.run("DROP SCHEMA {s}_other CASCADE").await;
        self.beside.close().await.unwrap();
        self.fixture.close().await;
    }
}

/// Two customers of each tenant, in the order of the tenants; another was erased, of the second tenant two.
async fn fill(store: &PgStore, tenants: [&str; 2]) {
    for (n, of) in tenants.into_iter().enumerate() {
        for (name, days) in [("anna", 0), ("anna", 40), ("bert", 1)] {
            let recorded = store.record_event(event(of, name, &format!("{name}-{days}"), days));
            assert!(recorded.await.unwrap().is_new());
        }
        let recorded = store.record_decision(decision(of, "anna", "decided"));
        assert!(recorded.await.unwrap().is_new());
        for erased in 0..=n {
            let erasure = Erasure {
                tenant: tenant(of),
                customer: customer(of, &format!("erased-{erased}")),
                id: ErasureId::fresh(),
            };
            store.erase_customer(erasure).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
async fn after_an_exchange_every_read_is_of_its_own_tenant_and_whole() {
    let mut copies = Copies::new().await;
    for name in ["a", "b", "a"] {
        copies.exchange().await;
        assert_eq!(copies.count(name).await, 3);

        copies.exchange().await;
        let decisions = copies.store.scan_decisions(ScanQuery::new(tenant(name)));
        let decisions = decisions.await.unwrap().items;
        let flows: Vec<_> = decisions.iter().map(|found| found.value.flow.as_str()).collect();
        assert_eq!(flows, [format!("flow-of-{name}")]);

        copies.exchange().await;
        let id = RecommendationId::new("decided").unwrap();
        let found = copies.store.decision(&tenant(name), &id).await.unwrap().unwrap();
        assert_eq!(found.flow.as_str(), format!("flow-of-{name}"));

        copies.exchange().await;
        let query = HistoryQuery::new(tenant(name), customer(name, "anna"));
        let found = copies.store.history(query).await.unwrap().items;
        assert_eq!(found.len(), 2);

        copies.exchange().await;
        let query = SummaryQuery::new(tenant(name), customer(name, "anna"));
        assert!(!copies.store.get_summaries(query).await.unwrap().is_empty());

        copies.exchange().await;
        // In the one copy it was the second tenant, in the other the first.
        let (before, after) = (copies.tombstones(name).await.len(), {
            copies.exchange().await;
            copies.tombstones(name).await.len()
        });
        assert_eq!((before.min(after), before.max(after)), (1, 2));
        copies.assert_apart().await;
    }
    copies.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
async fn after_an_exchange_every_write_is_its_own_tenants() {
    let mut copies = Copies::new().await;
    for (round, (name, other)) in [("a", "b"), ("b", "a"), ("a", "b")].into_iter().enumerate() {
        copies.exchange().await;
        let (mine, theirs) = (
            copies.number_of_rows(name).await,
            copies.number_of_rows(other).await,
        );
        let new = event(name, "carl", &format!("new-{round}"), 0);
        assert!(copies.store.record_event(new).await.unwrap().is_new());
        assert_eq!(copies.count(name).await, mine + 1);
        assert_eq!(copies.count(other).await, theirs);
        copies.assert_apart().await;

        // Equal keys in one call keep their order, whatever their numbers.
        copies.exchange().await;
        let batch = [name, other, name, other].map(|of| event(of, "dora", &format!("batch-{round}"), 0));
        let outcome = copies
            .store
            .record_events(RecordBatch::live(batch))
            .await
            .unwrap();
        let recorded = outcome.into_values().unwrap();
        let new: Vec<bool> = recorded.iter().map(|recorded| recorded.is_new()).collect();
        assert_eq!(new, [true, true, false, false]);
        copies.assert_apart().await;

        copies.exchange().await;
        let recorded = copies
            .store
            .record_decision(decision(name, "anna", &format!("more-{round}")));
        assert!(recorded.await.unwrap().is_new());
        copies.assert_apart().await;

        copies.exchange().await;
        let mut host = connection().await;
        let mut unit = host.begin().await.unwrap();
        let batch = RecordBatch::live([event(name, "emil", &format!("host-{round}"), 0)]);
        let recorded = copies.store.record_in(&mut unit, batch).await.unwrap();
        assert!(recorded.into_values().unwrap()[0].is_new());
        unit.commit().await.unwrap();
        host.close().await.unwrap();
        copies.assert_apart().await;

        copies.exchange().await;
        let told = HostEvent {
            tenant: tenant(name),
            customer: Some(customer(name, &format!("fritz-{round}"))),
            event: Event::new("model.updated.v1", &serde_json::json!({})).unwrap(),
        };
        copies.store.outbox().unwrap().append(vec![told]).await.unwrap();
        copies.assert_apart().await;
    }
    copies.close().await;
}

impl Copies {
    /// How many rows a tenant has in the copy in force, as the server says.
    async fn number_of_rows(&mut self, name: &str) -> usize {
        let rows = format!(
            "SELECT count(*)::integer FROM {{s}}.history h JOIN {{s}}.tenants t ON t.id = h.customer >> 40 \
             WHERE t.name = '{name}'"
        );
        usize::try_from(self.number(&rows).await).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
async fn after_an_exchange_erasures_purges_and_fences_are_their_own_tenants() {
    let mut copies = Copies::new().await;
    for (round, (name, other)) in [("a", "b"), ("b", "a")].into_iter().enumerate() {
        copies.exchange().await;
        let erasure = Erasure {
            tenant: tenant(name),
            customer: customer(name, "bert"),
            id: ErasureId::fresh(),
        };
        let receipt = copies.store.erase_customer(erasure.clone()).await.unwrap();
        assert_eq!(receipt.deleted["history"], 1);
        assert_eq!(copies.store.erase_customer(erasure).await.unwrap(), receipt);
        let query = HistoryQuery::new(tenant(other), customer(other, "bert"));
        let theirs = copies.store.history(query.clone()).await.unwrap().items.len();

        // The tombstones of one copy, in the other.
        let stones = copies.tombstones(name).await;
        copies.exchange().await;
        copies
            .store
            .install_tombstones(&tenant(name), stones.clone())
            .await
            .unwrap();
        let installed = copies.tombstones(name).await;
        assert!(stones.iter().all(|stone| installed.contains(stone)));
        assert!(
            copies
                .tombstones(other)
                .await
                .iter()
                .all(|stone| !stones.contains(stone))
        );
        copies.exchange().await;
        assert_eq!(copies.store.history(query).await.unwrap().items.len(), theirs);
        copies.assert_apart().await;

        copies.exchange().await;
        let rows = copies.number_of_rows(other).await;
        let purge = Purge {
            tenant: tenant(name),
            before: SystemClock.now() - chrono::TimeDelta::days(30),
        };
        let purged = copies.store.purge_before(purge).await.unwrap();
        assert_eq!(purged.interactions, 1);
        assert_eq!(copies.number_of_rows(other).await, rows);
        let watermark = format!(
            "SELECT count(*)::integer FROM {{s}}.tenants WHERE watermark IS NOT NULL AND name = '{name}'"
        );
        assert_eq!(copies.number(&watermark).await, 1);
        copies.assert_apart().await;

        copies.exchange().await;
        let epoch = Epoch(round as u64 + 1);
        let before = copies.store.fence(&tenant(other)).await.unwrap().epoch;
        let request = FenceRequest {
            tenant: tenant(name),
            epoch,
            lanes: None,
        };
        assert_eq!(copies.store.raise_fence(request).await.unwrap().epoch, epoch);
        assert_eq!(copies.store.fence(&tenant(name)).await.unwrap().epoch, epoch);
        assert_eq!(copies.store.fence(&tenant(other)).await.unwrap().epoch, before);
        let refused = copies.store.record_event(event(name, "anna", "fenced", 0)).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Fenced);
        copies
            .run("UPDATE {s}.tenants SET epoch = 0, watermark = NULL")
            .await;
        copies.exchange().await;
        copies
            .run("UPDATE {s}.tenants SET epoch = 0, watermark = NULL")
            .await;
    }
    copies.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
async fn a_cursor_of_another_copys_scan_is_refused_and_never_goes_on_in_anothers_rows() {
    let mut copies = Copies::new().await;
    let query = ScanQuery {
        limit: 1,
        ..ScanQuery::new(tenant("a"))
    };
    let page = copies.store.scan(query.clone()).await.unwrap();
    let query = ScanQuery {
        cursor: page.next,
        ..query
    };
    assert!(query.cursor.is_some());
    assert!(copies.store.scan(query.clone()).await.is_ok());
    copies.exchange().await;
    let error = copies.store.scan(query.clone()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::InvalidInput, Some("cursor"))
    );
    let theirs = ScanQuery {
        tenant: tenant("b"),
        ..query
    };
    // The number is theirs now, but the place is none of their rows': they begin behind it, and see only theirs.
    let found = copies.store.scan(theirs).await.unwrap().items;
    assert!(found.iter().all(|found| found.value.tenant == tenant("b")));
    copies.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "postgres: set KAIREON_TEST_PG_URL"]
async fn a_tenant_that_is_gone_and_comes_back_under_another_number_is_empty_and_takes_records() {
    let fixture = Fixture::new();
    let store = fixture.store().await;
    fill(&store, ["a", "b"]).await;
    let mut beside = connection().await;
    let schema = fixture.schema().to_owned();
    let mut run = async |sql: &str| {
        let script = sqlx::raw_sql(AssertSqlSafe(sql.replace("{s}", &schema)));
        beside.execute(script).await.unwrap();
    };
    run("DELETE FROM {s}.tenants WHERE name = 'a'").await;
    // Nobody: reads find nothing, and enter nobody.
    let scan = || ScanQuery::new(tenant("a"));
    let history = || HistoryQuery::new(tenant("a"), customer("a", "anna"));
    assert!(store.scan(scan()).await.unwrap().items.is_empty());
    assert!(store.history(history()).await.unwrap().items.is_empty());
    let new = event("a", "anna", "again", 0);
    assert!(store.record_event(new.clone()).await.unwrap().is_new());
    let found = store.scan(scan()).await.unwrap().items;
    assert_eq!(
        found.iter().map(|found| &found.value.id).collect::<Vec<_>>(),
        [&new.id]
    );
    // Its number was given to another meanwhile, in a batch with one that is right.
    run("UPDATE {s}.tenants SET name = 'c' WHERE name = 'a'").await;
    let batch = [event("a", "anna", "third", 0), event("b", "anna", "third", 0)];
    let outcome = store.record_events(RecordBatch::live(batch)).await.unwrap();
    assert!(outcome.into_values().unwrap().iter().all(|found| found.is_new()));
    let found = store.scan(scan()).await.unwrap().items;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].generation, Generation::ZERO);
    let store: Arc<dyn InteractionStore> = Arc::new(store);
    assert_eq!(
        store.scan(ScanQuery::new(tenant("b"))).await.unwrap().items.len(),
        4
    );
    beside.close().await.unwrap();
    fixture.close().await;
}
