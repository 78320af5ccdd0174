//! Instances whose clocks are wrong, each in its own way, on the whole path.

use std::sync::Arc;
use std::time::Duration;

use super::host::{Host, Plan};
use super::judge::{are_same, judge};
use super::ledger::Ledger;
use super::load::{Callers, Load};
use super::place::{FIRST, Place, SECOND};
use super::taken::Taken;

/// So few that the lane is empty now and then: behind one that never is, each look of a comparison waits as long as clocks
/// may differ.
const CALLERS: Callers = Callers {
    writers: 2,
    readers: 3,
    rest: Duration::from_millis(250),
};

/// There and back. Steps are taken by each in turn, so that each reads what another one's clock has dated; comparisons are made
/// by those who know that clocks differ, and wait for it.
const THERE_AND_BACK: [(usize, Taken); 6] = [
    (2, Taken::Start),
    (0, Taken::BeginBackfill),
    (1, Taken::Backfill),
    (0, Taken::PassGate),
    (2, Taken::CutOver),
    (0, Taken::RollBack),
];

/// There for good.
const THERE: [(usize, Taken); 5] = [
    (1, Taken::Start),
    (2, Taken::BeginBackfill),
    (0, Taken::Backfill),
    (2, Taken::PassGate),
    (0, Taken::CutOver),
];

/// Three instances: one is behind, one is right, and one is ahead, by so much.
async fn apart(by: Duration, path: &[(usize, Taken)]) {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan {
        settings: Place::on(FIRST),
        compared: 1.0,
        // Lag is by two clocks.
        max_lag: 2 * by + Duration::from_secs(10),
        ..Plan::new(folder.path(), [Place::on(FIRST), Place::on(SECOND)])
    };
    let by = i64::try_from(by.as_millis()).unwrap();
    let ledger = Arc::new(Ledger::at(folder.path()));
    let (mut hosts, mut loads) = (Vec::new(), Vec::new());
    for (process, skew_ms) in (0..).zip([-by, 0, by]) {
        let plan = Plan {
            process,
            skew_ms,
            ..plan.clone()
        };
        let host = Host::open(&plan).await;
        loads.push(Load::begin(&host, &ledger, CALLERS));
        hosts.push(host);
    }
    for &(by, step) in path {
        step.take(&hosts[by]).await;
        loads[by].progress(10).await;
    }
    for load in loads {
        println!("{:?}", load.end().await);
    }
    let equal = are_same(&hosts[1]).await;
    Taken::Finalise.take(&hosts[0]).await;
    let verdict = judge(&hosts[1], &ledger).await;
    println!("{verdict}, {equal} equal on both sides");
    for host in hosts {
        host.close().await;
    }
    plan.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres-18: set KAIREON_TEST_PG18_URL and KAIREON_TEST_PG_URL"]
async fn a_tenant_goes_the_whole_path_between_instances_whose_clocks_are_five_seconds_apart() {
    apart(Duration::from_millis(2_500), &THERE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "soak: clocks five seconds behind, right, and five seconds ahead"]
async fn a_tenant_goes_the_whole_path_between_instances_whose_clocks_are_ten_seconds_apart() {
    let path = [&THERE_AND_BACK[..], &THERE].concat();
    apart(Duration::from_secs(5), &path).await;
    println!(
        r#"kaireon-soak {{"instances": 3, "steps": {}, "lost": 0}}"#,
        path.len()
    );
}
