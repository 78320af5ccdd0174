//! What the tests of the archive share.
#![allow(dead_code, unreachable_pub, reason = "features decide which parts are used")]

pub mod dying;
pub mod gate;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::TimeDelta;
use kaireon_archive::{Archive, ArchiveConfig, Kind, Place};
use kaireon_core::digest::MasterKey;
use kaireon_core::memory::MemoryStore;
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::time::{self, Timestamp};
use kaireon_core::{
    Attributes, CustomerId, Decision, DecisionFields, DecisionFlowKey, Interaction, InteractionStore,
    InteractionType, RecommendationId, TenantId, Value,
};

pub const KEY: [u8; 32] = [7; 32];

/// 2026-04-29T12:00:00Z: the day before and the day after are within reach of a few records.
pub const NOON_MS: i64 = 1_777_464_000_000;

pub fn key() -> MasterKey {
    MasterKey::new(KEY)
}

pub fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

pub fn noon() -> Timestamp {
    time::from_millis(NOON_MS).unwrap()
}

/// Interaction `number` of a tenant: seven hours after the one before, so that days fill one after the other; ten
/// customers take turns.
pub fn interaction(tenant: &str, number: u64) -> Interaction {
    let hours = i64::try_from(number % 1_000).unwrap();
    Interaction::builder(tenant, customer_name(number % 10))
        .id(format!("id-{number}"))
        .idempotency_key(format!("key-{number}"))
        .offer(format!("offer-{}", number % 3))
        .creative("banner")
        .channel("web")
        .interaction_type(if number.is_multiple_of(2) {
            InteractionType::Impression
        } else {
            InteractionType::Convert
        })
        .value(Value::from_micros(i64::try_from(number).unwrap() * 1_500_000 + 1))
        .timestamp(noon() + TimeDelta::hours(7 * (hours % 20)))
        .attributes(serde_json::json!({ "number": number }))
        .build()
        .unwrap()
}

pub fn customer_name(number: u64) -> String {
    format!("customer-{number:04}-of-many")
}

pub fn decision(tenant: &str, number: u64) -> Decision {
    Decision::restore(DecisionFields {
        id: RecommendationId::new(format!("rec-{number}")).unwrap(),
        tenant: TenantId::new(tenant).unwrap(),
        customer: CustomerId::new(customer_name(number % 10)).unwrap(),
        flow: DecisionFlowKey::new("flow").unwrap(),
        offers: Vec::new(),
        timestamp: noon() + TimeDelta::hours(i64::try_from(number % 30).unwrap()),
        attributes: Attributes::default(),
    })
    .unwrap()
}

/// A store whose archive lane is in force.
pub async fn store() -> Arc<dyn InteractionStore> {
    let store: Arc<dyn InteractionStore> = Arc::new(MemoryStore::new());
    in_force(&store).await;
    store
}

pub async fn in_force(store: &Arc<dyn InteractionStore>) {
    let outbox = store.outbox().expect("every store here has an outbox");
    outbox.set_lanes(LaneSet::of(&[Lane::Archive])).await.unwrap();
}

pub async fn archive(place: Place) -> Archive {
    Archive::open(ArchiveConfig::new(place, key())).await.unwrap()
}

/// Every batch of a kind below a folder, as a glob finds them.
pub fn batches(folder: &Path, tenant: &TenantId, kind: Kind) -> Vec<PathBuf> {
    let root = folder
        .join("exports")
        .join(kaireon_archive::tenant_folder(tenant))
        .join(kind.folder());
    let mut found = Vec::new();
    collect(&root, &mut found);
    found.retain(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("batch-") && name.ends_with(".json")
    });
    found.sort();
    found
}

pub fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), found);
        } else {
            found.push(entry.path());
        }
    }
}

/// How often each record lies in the batches of a folder, by its key: what a glob over the files counts.
pub fn counted(folder: &Path, tenant: &TenantId, kind: Kind) -> BTreeMap<String, u64> {
    let member = match kind {
        Kind::Decisions => "id",
        _ => "idempotency_key",
    };
    let mut counts = BTreeMap::new();
    for path in batches(folder, tenant, kind) {
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let day = line["timestamp"].as_str().unwrap()[..10].to_owned();
            let partition = format!("year={}/month={}/day={}", &day[..4], &day[5..7], &day[8..]);
            assert!(path.to_string_lossy().contains(&partition), "{}", path.display());
            *counts
                .entry(line[member].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
    }
    counts
}

/// Each of the numbered keys exactly once, and nothing else.
pub fn each_once(counts: &BTreeMap<String, u64>, prefix: &str, numbers: impl IntoIterator<Item = u64>) {
    let expected: BTreeSet<String> = numbers
        .into_iter()
        .map(|number| format!("{prefix}{number}"))
        .collect();
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "more than once: {twice:?}");
    let found: BTreeSet<String> = counts.keys().cloned().collect();
    let missing: Vec<_> = expected.difference(&found).take(10).collect();
    let extra: Vec<_> = found.difference(&expected).take(10).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "missing {missing:?}, unasked {extra:?}"
    );
}
