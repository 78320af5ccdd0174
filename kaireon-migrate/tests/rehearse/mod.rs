//! The rehearsal: archived traffic replayed into a scratch tenant.

#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use kaireon_archive::{Archive, ArchiveConfig, ExportConfig, Exporter, Place};
use kaireon_core::memory::{MemoryOptions, MemoryPlace};
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::time::{Clock, SystemClock, Timestamp};
use kaireon_core::{
    Attributes, CustomerId, Decision, DecisionFields, DecisionFlowKey, Interaction, InteractionStore,
    RecommendationId, TenantId, time,
};
use kaireon_migrate::{Rehearsal, RehearsalConfig};
use kaireon_store_embedded::{EmbeddedConfig, EmbeddedStore};
use kaireon_testkit::fault::{Fault, Faulty, Plan};
use tokio::time::Instant;

use crate::backfill::server::Server;
use crate::switch::{KEY, rows_of, tenant};

/// How many records there are, and over how many seconds.
const ROWS: u64 = 60;
const SECONDS: u64 = 3;

fn noon() -> Timestamp {
    time::from_millis(1_740_830_400_000).unwrap()
}

fn scratch() -> TenantId {
    TenantId::new("acme-rehearsal").unwrap()
}

/// Twenty a second; of seven customers.
fn event(number: u64) -> Interaction {
    let millis = i64::try_from(number * SECONDS * 1_000 / ROWS).unwrap();
    Interaction::builder("acme", format!("customer-{}", number % 7))
        .idempotency_key(format!("key-{number}"))
        .offer(format!("offer-{}", number % 3))
        .creative("banner")
        .channel("web")
        .timestamp(noon() + TimeDelta::milliseconds(millis))
        .attributes(serde_json::json!({ "number": number }))
        .build()
        .unwrap()
}

fn decision(number: u64) -> Decision {
    Decision::restore(DecisionFields {
        id: RecommendationId::new(format!("rec-{number}")).unwrap(),
        tenant: tenant(),
        customer: CustomerId::new(format!("customer-{number}")).unwrap(),
        flow: DecisionFlowKey::new("flow").unwrap(),
        offers: Vec::new(),
        timestamp: noon() + TimeDelta::seconds(1),
        attributes: Attributes::default(),
    })
    .unwrap()
}

fn memory() -> Arc<dyn InteractionStore> {
    Arc::new(MemoryPlace::new(MemoryOptions::default().with_master_key(KEY)).open())
}

/// What the archive holds of a tenant that has these decisions beside its interactions.
async fn archived(decisions: u64) -> Archive {
    let source = memory();
    let lanes = LaneSet::of(&[Lane::Archive]);
    source.outbox().unwrap().set_lanes(lanes).await.unwrap();
    for number in 0..ROWS {
        source.record_event(event(number)).await.unwrap();
    }
    for number in 0..decisions {
        source.record_decision(decision(number)).await.unwrap();
    }
    // Of an earlier day.
    let earlier = event(0).edited(|row| {
        row.timestamp = noon() - TimeDelta::days(3);
        row.idempotency_key = kaireon_core::IdempotencyKey::new("earlier").unwrap();
    });
    source.record_event(earlier.unwrap()).await.unwrap();
    let archive = Archive::open(ArchiveConfig::new(Place::memory(), KEY))
        .await
        .unwrap();
    let config = ExportConfig::new("old").with_tenants([tenant()]);
    let exporter = Exporter::new(archive.clone(), source, config).unwrap();
    exporter.scan(&tenant()).await.unwrap();
    exporter.export_once().await.unwrap();
    archive
}

/// A store that would tell everything that is live.
async fn telling(store: Arc<dyn InteractionStore>) -> Arc<dyn InteractionStore> {
    let lanes = LaneSet::of(&Lane::ALL);
    store.outbox().unwrap().set_lanes(lanes).await.unwrap();
    store
}

/// Ten times as fast, and never late.
fn config() -> RehearsalConfig {
    RehearsalConfig {
        times: 10.0,
        late_after: Duration::from_secs(120),
        ..RehearsalConfig::default()
    }
}

async fn replays(store: Arc<dyn InteractionStore>) {
    let target = telling(store).await;
    let archive = archived(4).await;
    let rehearsal = Rehearsal::new(archive, Arc::clone(&target), config());
    // Twice: what the first left must not be in the way of the second.
    for _ in 0..2 {
        let begun = Instant::now();
        let report = rehearsal.run(&tenant()).await.unwrap();
        assert!(report.kept_up(), "{report:?}");
        let calls = (report.records, report.calls, report.answered);
        assert_eq!(calls, (ROWS + 4, ROWS + 4, ROWS + 4), "of the newest day alone");
        assert!(
            report.errors.is_empty() && report.left_behind.is_none(),
            "{report:?}"
        );
        // The last is due 2.95 s behind the first.
        assert!(begun.elapsed() >= Duration::from_millis(295), "none came early");
        assert!(report.p50 <= report.p99 && report.p99 <= report.slowest.max(report.p99));
        assert!(report.p99 > Duration::ZERO);
        for tenant in [scratch(), tenant()] {
            assert!(rows_of(target.as_ref(), &tenant).await.is_empty());
            for lane in Lane::ALL {
                let backlog = target.outbox().unwrap().backlog(lane, &tenant).await.unwrap();
                assert!(backlog.is_empty(), "{lane} {backlog:?}");
            }
        }
    }
    assert!(!rehearsal.clean_up(&tenant()).await.unwrap(), "there is nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archived_records_are_replayed_and_leave_nothing_in_memory() {
    replays(memory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archived_records_are_replayed_and_leave_nothing_in_the_embedded_store() {
    let folder = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig::at(folder.path()).with_master_key(KEY);
    replays(Arc::new(EmbeddedStore::open(config).await.unwrap())).await;
}

#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archived_records_are_replayed_and_leave_nothing_in_postgresql() {
    let server = Server::new();
    let store = server.store().await;
    replays(Arc::clone(&store)).await;
    store.disconnect().await.unwrap();
    server.drop_schema().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_is_of_nobody_whom_the_archive_names() {
    let archive = archived(0).await;
    let inner = telling(memory()).await;
    // It stays, because it cannot be removed.
    let plan = Plan::script([("purge_before", Fault::Before)]);
    let target: Arc<dyn InteractionStore> = Arc::new(Faulty::new(Arc::clone(&inner), plan.clone()));
    let before = SystemClock.now();
    let rehearsal = Rehearsal::new(archive, target, config());
    let report = rehearsal.run(&tenant()).await.unwrap();
    assert!(report.left_behind.is_some(), "{report:?}");
    let rows = rows_of(inner.as_ref(), &scratch()).await;
    assert_eq!(rows.len() as u64, ROWS);
    let mut met: BTreeMap<String, u64> = BTreeMap::new();
    let mut numbers = BTreeSet::new();
    for (key, row) in &rows {
        let value = &row.value;
        assert!(!key.contains("key-") && value.timestamp >= before, "{value:?}");
        *met.entry(value.customer.as_str().to_owned()).or_default() += 1;
        numbers.insert(serde_json::to_string(&value.attributes).unwrap());
    }
    let mut counts: Vec<u64> = met.values().copied().collect();
    counts.sort_unstable();
    assert_eq!(
        counts,
        [8, 8, 8, 9, 9, 9, 9],
        "as many as of the seven there were"
    );
    assert!(met.keys().all(|name| !name.contains("customer")), "{met:?}");
    assert_eq!(numbers.len() as u64, ROWS, "each record once");
    assert!(rows_of(inner.as_ref(), &tenant()).await.is_empty());
    // The next one is told where, and removes it once it is asked to.
    let refused = rehearsal.run(&tenant()).await.unwrap_err();
    assert_eq!(refused.kind(), kaireon_core::ErrorKind::Conflict);
    assert!(refused.to_string().contains("acme-rehearsal"), "{refused}");
    assert!(rehearsal.clean_up(&tenant()).await.unwrap());
    assert!(rows_of(inner.as_ref(), &scratch()).await.is_empty());
    assert!(rehearsal.run(&tenant()).await.unwrap().kept_up());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_that_is_cut_off_is_named_by_the_next_one() {
    let archive = archived(0).await;
    let target = memory();
    let slow = RehearsalConfig {
        times: 0.001,
        ..config()
    };
    let rehearsal = Rehearsal::new(archive.clone(), Arc::clone(&target), slow);
    let run = tokio::spawn(async move { rehearsal.run(&tenant()).await });
    let written = async {
        while rows_of(target.as_ref(), &scratch()).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), written)
        .await
        .unwrap();
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
    let other = RehearsalConfig {
        scratch: Some(TenantId::new("elsewhere").unwrap()),
        ..config()
    };
    let rehearsal = Rehearsal::new(archive, Arc::clone(&target), other);
    let refused = rehearsal.run(&tenant()).await.unwrap_err();
    assert!(refused.to_string().contains("acme-rehearsal"), "{refused}");
    assert!(rehearsal.clean_up(&tenant()).await.unwrap());
    assert!(rows_of(target.as_ref(), &scratch()).await.is_empty());
    assert!(rehearsal.run(&tenant()).await.unwrap().kept_up());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scratch_tenant_that_has_anything_is_refused_and_stays_as_it_is() {
    let archive = archived(0).await;
    let target = memory();
    let mine = Interaction::builder("acme-rehearsal", "somebody")
        .offer("shoes")
        .creative("banner")
        .channel("web")
        .build()
        .unwrap();
    target.record_event(mine).await.unwrap();
    let rehearsal = Rehearsal::new(archive, Arc::clone(&target), config());
    let refused = rehearsal.run(&tenant()).await.unwrap_err();
    assert_eq!(refused.kind(), kaireon_core::ErrorKind::Conflict);
    assert!(!rehearsal.clean_up(&tenant()).await.unwrap(), "it is not ours");
    assert_eq!(rows_of(target.as_ref(), &scratch()).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_counted_by_kind_and_are_not_keeping_up() {
    let plan = Plan::script([("record_events", Fault::Before); 5]);
    let target = Arc::new(Faulty::new(memory(), plan));
    let report = Rehearsal::new(archived(0).await, target, config());
    let report = report.run(&tenant()).await.unwrap();
    assert_eq!(report.errors, BTreeMap::from([("unavailable".to_owned(), 5)]));
    assert_eq!((report.calls, report.answered), (ROWS, ROWS - 5));
    assert!(!report.kept_up());
    let json: serde_json::Value = serde_json::to_value(&report).unwrap();
    assert_eq!(json["errors"]["unavailable"], 5);
    assert!(json["p99_us"].as_u64() > Some(0), "{json}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_does_not_answer_makes_later_calls_late_and_no_more_at_once() {
    let plan = Plan::script([("record_events", Fault::Hang)]);
    let target = Arc::new(Faulty::new(memory(), plan));
    let config = RehearsalConfig {
        concurrency: 1,
        deadline: Duration::from_millis(400),
        late_after: Duration::from_millis(50),
        ..config()
    };
    let report = Rehearsal::new(archived(0).await, target, config);
    let report = report.run(&tenant()).await.unwrap();
    assert_eq!(report.errors, BTreeMap::from([("timeout".to_owned(), 1)]));
    // All are due within 295 ms, and the first takes 400.
    assert!(
        report.late >= ROWS / 2 && report.latest >= Duration::from_millis(390),
        "{report:?}"
    );
    assert!(report.slowest >= Duration::from_millis(390), "{report:?}");
    assert!(!report.kept_up());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_that_is_replayed_is_the_operators() {
    let archive = archived(0).await;
    let of = |from: Option<Timestamp>, until| RehearsalConfig {
        from,
        until,
        times: 1_000.0,
        ..config()
    };
    let run = async |config| {
        let rehearsal = Rehearsal::new(archive.clone(), memory(), config);
        rehearsal.run(&tenant()).await
    };
    let second = noon() + TimeDelta::seconds(1);
    let report = run(of(Some(second), Some(second + TimeDelta::seconds(1)))).await;
    assert_eq!(report.unwrap().calls, ROWS / SECONDS);
    let report = run(of(Some(noon() - TimeDelta::days(3)), None)).await.unwrap();
    assert_eq!(report.calls, 1, "of that day");
    let field = async |config| {
        let error = run(config).await.unwrap_err();
        assert_eq!(error.kind(), kaireon_core::ErrorKind::InvalidInput, "{error}");
        error.field().map(str::to_owned).unwrap()
    };
    let day = TimeDelta::days(1);
    assert_eq!(
        field(of(Some(noon() - day * 60), None)).await,
        "from",
        "nothing is there"
    );
    assert_eq!(field(of(Some(noon()), Some(noon()))).await, "until");
    assert_eq!(field(of(Some(noon()), Some(noon() + day * 32))).await, "until");
    for times in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(field(RehearsalConfig { times, ..config() }).await, "times");
    }
    let none = RehearsalConfig {
        concurrency: 0,
        ..config()
    };
    assert_eq!(field(none).await, "concurrency");
    let itself = RehearsalConfig {
        scratch: Some(tenant()),
        ..config()
    };
    assert_eq!(field(itself).await, "scratch");
}
