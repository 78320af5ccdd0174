//! Work on the disk is never done by a thread that runs tasks: shown from outside, with strace.
//!
//! A child has one thread for all of its tasks and says which operation it begins. Whatever that thread does with a file
//! of the store is an offence; that other threads touch the disk in each operation shows that there was something to do.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use kaireon_core::store::{Erasure, ErasureId, HistoryQuery, Purge, RecordBatch, ScanQuery};
use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::{Attributes, CustomerId, Interaction, InteractionStore, TenantId};
use kaireon_store_embedded::{EmbeddedConfig, EmbeddedStore};
use serde_json::json;

use crate::durability::install_strace;
use crate::fixture::event;

const PLACE: &str = "KAIREON_EMBEDDED_BLOCKING";
const NAME: &str = "blocking::no_task_s_thread_touches_the_disk";
const OPERATIONS: [&str; 7] = [
    "open",
    "record",
    "history",
    "scan",
    "erase",
    "purge",
    "disconnect",
];

/// Caches of next to nothing, so that reads go to the disk.
fn config(directory: &Path) -> EmbeddedConfig {
    EmbeddedConfig {
        block_cache_bytes: 1,
        summary_cache_bytes: 1,
        ..EmbeddedConfig::at(directory)
    }
}

fn large(customer: &str, number: usize) -> Interaction {
    event(customer, &format!("{customer}-{number}"))
        .edited(|fields| {
            // Of many letters, so that it stays large on disk.
            let pad: String = (0..60_000_usize)
                .map(|n| char::from(b'a' + u8::try_from((n * n + n * number) % 23).unwrap()))
                .collect();
            fields.attributes = Attributes::from_value(json!({ "pad": pad })).unwrap();
        })
        .unwrap()
}

/// More than the engine keeps in memory, so that most of it lies in tables.
async fn fill(directory: &Path) {
    let store = EmbeddedStore::open(config(directory)).await.unwrap();
    for batch in 0..10 {
        let events = (0..64).map(|number| large(["c", "d"][number % 2], batch * 64 + number));
        let outcome = store.record_events(RecordBatch::live(events)).await.unwrap();
        outcome.into_values().unwrap();
    }
    store.disconnect().await.unwrap();
}

/// The child: every kind of operation, one after the other.
async fn work(directory: &Path) {
    let (tenant, customer) = (TenantId::new("t").unwrap(), CustomerId::new("c").unwrap());
    let [open, record, history, scan, erase, purge, disconnect] = OPERATIONS;
    let begins = |operation: &str| println!("begins {operation}");
    begins(open);
    let store = EmbeddedStore::open(config(directory)).await.unwrap();
    begins(record);
    store.record_event(event("e", "one")).await.unwrap();
    let batch = RecordBatch::live((0..40).map(|number| event("e", &format!("of-batch-{number}"))));
    store.record_events(batch).await.unwrap().into_values().unwrap();
    begins(history);
    let query = HistoryQuery {
        limit: 200,
        ..HistoryQuery::new(tenant.clone(), customer.clone())
    };
    assert_eq!(store.history(query).await.unwrap().items.len(), 200);
    begins(scan);
    let query = ScanQuery {
        limit: 200,
        ..ScanQuery::new(tenant.clone())
    };
    assert_eq!(store.scan(query).await.unwrap().items.len(), 200);
    begins(erase);
    let id = ErasureId::fresh();
    let request = Erasure {
        tenant: tenant.clone(),
        customer,
        id,
    };
    assert_eq!(
        store.erase_customer(request).await.unwrap().deleted["history"],
        320
    );
    begins(purge);
    let before = SystemClock.now() + chrono::TimeDelta::hours(1);
    assert!(
        store
            .purge_before(Purge { tenant, before })
            .await
            .unwrap()
            .interactions
            > 0
    );
    begins(disconnect);
    store.disconnect().await.unwrap();
    println!("ends");
}

#[test]
#[ignore = "needs root: traces system calls, and installs strace where there is none"]
fn no_task_s_thread_touches_the_disk() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    if let Some(directory) = std::env::var_os(PLACE) {
        runtime.block_on(work(Path::new(&directory)));
        return;
    }
    install_strace();
    let parent = tempfile::tempdir().unwrap();
    let (directory, trace) = (parent.path().join("data"), parent.path().join("trace"));
    runtime.block_on(fill(&directory));
    let status = Command::new("strace")
        .args(["-f", "-y", "-s", "64", "-e", "trace=%file,%desc", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args([NAME, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(PLACE, &directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "the child does all of it");

    let trace = fs::read_to_string(&trace).unwrap();
    let directory = directory.to_str().unwrap();
    let said = |line: &str, what: &str| line.contains(&format!("\"{what}")) && line.contains("write(1<");
    let begun = trace.lines().find(|line| said(line, "begins open"));
    let (of_tasks, _) = begun.and_then(|line| line.split_once(' ')).expect("it began");
    let mut present = None;
    let mut elsewhere: BTreeMap<&str, usize> = BTreeMap::new();
    for line in trace.lines() {
        if let Some(begins) = OPERATIONS
            .iter()
            .find(|operation| said(line, &format!("begins {operation}\\n")))
        {
            present = Some(*begins);
        }
        if said(line, "ends\\n") {
            present = None;
        }
        let Some(operation) = present.filter(|_| line.contains(directory)) else {
            continue;
        };
        let (thread, call) = line.split_once(' ').expect("strace names the thread");
        assert_ne!(thread, of_tasks, "in {operation}: {call}");
        *elsewhere.entry(operation).or_default() += 1;
    }
    println!("calls of other threads: {elsewhere:?}");
    for operation in OPERATIONS {
        assert!(
            elsewhere.contains_key(operation),
            "{operation} had nothing to do: {elsewhere:?}"
        );
    }
}
