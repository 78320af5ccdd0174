//! The quickstart's data on the move: from the embedded store to PostgreSQL and back, while it is replayed and read.
//!
//! `DATABASE_URL=… cargo run --release --features migrate --package kaireon-examples --example migrate [COUNTS.json]`
//!
//! Every row of the data set is recorded by callers that do not know of the move, and read by others, who see to it
//! that a customer's counts never go back; a subscriber is told of all of them. Meanwhile the tenant is moved as an operator would move it. At the end all
//! that was recorded is on both sides, and nothing twice: whatever differs ends the program with an error.

#[path = "../src/bin/quickstart/dataset.rs"]
#[allow(dead_code, reason = "the catalogue is the quickstart's")]
mod dataset;
#[path = "../src/bin/quickstart/listener.rs"]
mod listener;
#[path = "../src/bin/quickstart/records.rs"]
mod records;
#[path = "migrate/traffic.rs"]
mod traffic;

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use kaireon::core::event::{DECISION_MADE, INTERACTION_RECORDED};
use kaireon::core::store::ScanQuery;
use kaireon::core::{InteractionStore, InteractionType, TenantId};
use kaireon::migrate::{Asked, Backend, GateBounds, Operator, Outcome, Policy, Start, StepReport};
use kaireon::{Config, Infra, TenantSwitch};
use serde::Serialize;

use crate::listener::Listener;
use crate::traffic::Traffic;

/// Whatever ends the program.
type Failure = Box<dyn Error + Send + Sync>;

/// How much a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Counts {
    decisions: u64,
    impressions: u64,
    clicks: u64,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let tenant = TenantId::new("zozotown")?;
    let rows = dataset::rows()?;
    let rows_in_all = rows.len();
    let wanted = Counts {
        decisions: rows.len() as u64,
        impressions: rows.len() as u64,
        clicks: rows.iter().filter(|row| row.clicked).count() as u64,
    };
    let folder = std::env::temp_dir().join(format!("kaireon-migrate-{}", std::process::id()));
    let infra = started(&folder).await?;
    let switch = infra.tenant_switch().ok_or("the switch is not configured")?;
    let listener = Listener::begin(&*infra.events()).await?;
    let traffic = Traffic::start(&infra, &tenant, rows);

    let operator = switch.operator();
    let acme = (&operator, &tenant, &traffic);
    traffic.reach(10_000).await?;
    filled(acme, [15_000, 25_000, 35_000, 36_000]).await?;
    let asked = Asked::by("example", "to PostgreSQL");
    let cut_over = async || operator.cut_over(&tenant, &asked).await;
    both(insisted(cut_over), traffic.reach(37_000)).await?;
    traffic.reach(50_000).await?;

    let asked = Asked::by("example", "and back");
    let roll_back = async || operator.roll_back(&tenant, &asked).await;
    both(insisted(roll_back), traffic.reach(55_000)).await?;
    // What was recorded since is on the one side alone, until the other one is filled once more.
    filled(acme, [56_000, 57_000, 58_000, rows_in_all]).await?;
    let (writes, reads) = traffic.stop().await?;
    println!("{writes} records were acknowledged and {reads} reads answered meanwhile; no read went back");
    let counts = counted(&switch, &tenant).await?;
    for (store, held) in &counts {
        println!("{store}: {held:?}");
        if *held != wanted {
            return Err(format!("{store} holds {held:?}, and the file {wanted:?}").into());
        }
    }
    same(&switch, &tenant).await?;
    println!("both stores hold the same rows");
    insisted(roll_back).await?;
    if let Some(path) = std::env::args_os().nth(1) {
        std::fs::write(path, serde_json::to_string_pretty(&counts)?)?;
    }
    let ended = infra.shutdown(Duration::from_secs(60)).await;
    std::fs::remove_dir_all(&folder)?;
    if !ended.is_clean() {
        return Err(format!("the shutdown was not clean: {ended}").into());
    }
    let told = listener.received().await?;
    println!(
        "{:?} different events were told, {} came again",
        told.by_type, told.repeats
    );
    let interactions = wanted.impressions + wanted.clicks;
    let all = BTreeMap::from([
        (DECISION_MADE, wanted.decisions),
        (INTERACTION_RECORDED, interactions),
    ]);
    match told.by_type == all && told.lost == 0 {
        true => Ok(()),
        false => Err(format!("{told:?} were told, and {all:?} recorded").into()),
    }
}

/// A service whose tenants are on the embedded store and may be on PostgreSQL, which `DATABASE_URL` names.
async fn started(folder: &std::path::Path) -> Result<Infra, Failure> {
    let environment = Config::from_env();
    let archive = format!("file://{}", folder.join("archive").display());
    let mut config = Config {
        database_url: environment.database_url,
        extra: environment.extra,
        ..Config::default()
    }
    .with_interaction_store("embedded")
    .with_data_dir(folder);
    for (name, value) in [
        (kaireon::KAIREON_SWITCH_STORES, "embedded,postgresql"),
        (kaireon::KAIREON_SETTINGS_STORE, "embedded"),
        (kaireon::KAIREON_ARCHIVE_URL, &archive),
        // An installation has one of its own, and keeps it.
        (kaireon::KAIREON_MASTER_KEY, &"5a".repeat(32)),
    ] {
        config.extra.insert(name.to_owned(), value.to_owned());
    }
    let builder = Infra::builder().config(config);
    builder.migrate().await?;
    Ok(builder.build().await?)
}

/// From start to where the gate is passed, while rows up to these are recorded in each step.
async fn filled(
    (operator, tenant, traffic): (&Operator, &TenantId, &Traffic),
    rows: [usize; 4],
) -> Result<(), Failure> {
    let asked = Asked::by("example", "to PostgreSQL");
    let start = Start {
        policy: Policy {
            gate: GateBounds {
                // The readers here compare what they are told themselves.
                min_reads: 0,
                // This machine has both stores, all callers and the move on it.
                max_lag: Duration::from_secs(5),
                ..GateBounds::default()
            },
            ..Policy::default()
        },
        ..Start::to(Backend::new("postgresql")?)
    };
    let begun = insisted(async || operator.start(tenant, start.clone(), &asked).await);
    both(begun, traffic.reach(rows[0])).await?;
    let export = async { Ok(operator.export(tenant).await?) };
    let exported = both(export, traffic.reach(rows[1])).await?;
    println!("export: {} stores", exported.stores.len());
    let backfill = async { Ok(operator.backfill(tenant, &asked).await?) };
    let filled = both(backfill, traffic.reach(rows[2])).await?;
    let Some(progress) = filled.progress.filter(|_| filled.complete) else {
        return Err("the backfill is not complete".into());
    };
    println!(
        "backfill: {} rows, {} were there",
        progress.rows_done, progress.duplicates
    );
    let verify = async {
        for _ in 0..10 {
            let verified = operator.verify(tenant, &asked).await?;
            let equal: u64 = verified.kinds.iter().map(|kind| kind.equal).sum();
            let lacking: Vec<_> = verified.gate.iter().map(|lacking| &lacking.words).collect();
            println!("verify: {equal} equal, the gate lacks {lacking:?}");
            if verified.passed {
                return Ok(());
            }
        }
        Err("the gate does not open".into())
    };
    both(verify, traffic.reach(rows[3])).await
}

/// Both to their ends; what the first gives.
async fn both<T>(
    step: impl Future<Output = Result<T, Failure>>,
    traffic: impl Future<Output = Result<(), Failure>>,
) -> Result<T, Failure> {
    let (given, recorded) = tokio::join!(step, traffic);
    recorded?;
    given
}

/// Takes a step. One whose lanes were not emptied within its bound was not taken, and nothing was lost by it: it is asked for
/// again, as an operator would.
async fn insisted(step: impl AsyncFn() -> kaireon::core::Result<StepReport>) -> Result<(), Failure> {
    for _ in 0..10 {
        let StepReport {
            step,
            outcome,
            took,
            status,
            ..
        } = step().await?;
        println!(
            "{step}: {outcome:?} in {took:?}, writes go to {}",
            status.authority
        );
        if outcome == Outcome::Taken {
            return Ok(());
        }
    }
    Err("the lanes are never emptied in time".into())
}

/// What each store holds of a tenant, by its name.
async fn counted(switch: &TenantSwitch, tenant: &TenantId) -> Result<BTreeMap<String, Counts>, Failure> {
    let mut all = BTreeMap::new();
    for (name, store) in switch.stores().iter() {
        let (interactions, decisions) = held(store, tenant).await?;
        let of = |kind| interactions.values().filter(|found| **found == kind).count() as u64;
        let counts = Counts {
            decisions: decisions.len() as u64,
            impressions: of(InteractionType::Impression),
            clicks: of(InteractionType::Click),
        };
        all.insert(name.to_string(), counts);
    }
    Ok(all)
}

/// The ids of what a store holds.
async fn held(
    store: &Arc<dyn InteractionStore>,
    tenant: &TenantId,
) -> Result<(BTreeMap<String, InteractionType>, Vec<String>), Failure> {
    let (mut interactions, mut decisions) = (BTreeMap::new(), Vec::new());
    let mut query = ScanQuery::new(tenant.clone());
    loop {
        let page = store.scan(query.clone()).await?;
        for row in page.items {
            let (id, kind) = (row.value.id.to_string(), row.value.interaction_type.clone());
            if let Some(twice) = interactions.insert(id.clone(), kind) {
                return Err(format!("{id} is there twice, as {twice:?}").into());
            }
        }
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    loop {
        let page = store.scan_decisions(query.clone()).await?;
        decisions.extend(page.items.into_iter().map(|row| row.value.id.to_string()));
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    decisions.sort();
    Ok((interactions, decisions))
}

/// Whether all stores hold the same rows.
async fn same(switch: &TenantSwitch, tenant: &TenantId) -> Result<(), Failure> {
    let mut first = None;
    for (name, store) in switch.stores().iter() {
        let found = held(store, tenant).await?;
        match &first {
            None => first = Some(found),
            Some(first) if *first == found => {}
            Some(_) => return Err(format!("{name} holds other rows").into()),
        }
    }
    Ok(())
}
