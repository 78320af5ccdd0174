//! Four processes on two PostgreSQL servers, one of which is frozen between the look at the setting and the write, while the
//! tenant is moved and the migration is finalised.

use futures_util::future::join_all;
use kaireon_migrate::Phase;

use super::child::{Answer, Child, Order, serve_if_child};
use super::host::{Host, Plan};
use super::judge::judge;
use super::ledger::Ledger;
use super::place::{FIRST, Place, SECOND};
use super::taken::Taken;

const LOAD: Order = Order::Load {
    writers: 4,
    readers: 2,
    rest_ms: 40,
};

/// What the frozen process is about to write, by what a caller of another process did about it meanwhile: nothing, or the
/// same again before the cut-over, after it, or once it was finalised.
const HELD: [u64; 4] = [90, 91, 92, 93];

const fn held(writer: u64) -> Order {
    Order::Record {
        process: 0,
        writer,
        number: 0,
    }
}

fn is_new(answer: Answer) -> (bool, String) {
    match answer {
        Answer::Recorded { is_new, id } => (is_new, id),
        other => panic!("{other:?}"),
    }
}

/// Tells each of them, and waits for all.
async fn each(children: &mut [Child], order: Order) -> Vec<Answer> {
    join_all(children.iter_mut().map(|child| child.ask(order))).await
}

async fn take(child: &mut Child, taken: Taken) {
    assert_eq!(child.ask(Order::Take(taken)).await, Answer::Done);
}

async fn frozen(test: &str, skews_ms: [i64; 4]) {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan {
        settings: Place::on(FIRST),
        ..Plan::new(folder.path(), [Place::on(FIRST), Place::on(SECOND)])
    };
    let plans = (0..).zip(skews_ms).map(|(process, skew_ms)| Plan {
        process,
        skew_ms,
        ..plan.clone()
    });
    // The first one makes the tables.
    let mut children = Vec::new();
    for plan in plans {
        children.push(Child::begin(test, &plan).await);
    }
    let mut others = children.split_off(1);
    let mut cold = children.pop().unwrap();
    each(&mut others, LOAD).await;
    take(&mut others[0], Taken::Start).await;
    take(&mut others[1], Taken::BeginBackfill).await;
    take(&mut others[2], Taken::Backfill).await;
    // These have read the setting and are about to write to the old store.
    cold.ask(Order::Hold(HELD.len())).await;
    let mut waiting = Vec::new();
    for writer in HELD {
        waiting.push(cold.tell(held(writer)).await);
    }
    cold.ask(Order::AwaitHeld(HELD.len())).await;
    // It is at work besides, and stops wherever that is.
    cold.ask(LOAD).await;
    take(&mut others[0], Taken::PassGate).await;
    cold.freeze().await;
    let before = is_new(others[0].ask(held(HELD[1])).await);
    take(&mut others[1], Taken::CutOver).await;
    let after = is_new(others[1].ask(held(HELD[2])).await);
    take(&mut others[2], Taken::Finalise).await;
    let finalised = is_new(others[2].ask(held(HELD[3])).await);
    assert!(before.0 && after.0 && finalised.0);
    // What it had in hand is let go as it wakes: its setting is two epochs old.
    let released = cold.tell(Order::Release).await;
    cold.thaw().await;
    cold.hear("release", released).await;
    let mut outcomes = Vec::new();
    for heard in waiting {
        outcomes.push(is_new(cold.hear("write what was held", heard).await));
    }
    assert!(outcomes[0].0, "nobody had recorded it: {outcomes:?}");
    for (late, known) in outcomes[1..].iter().zip([before, after, finalised]) {
        assert_eq!(
            (late.0, &late.1),
            (false, &known.1),
            "it is known by then: {outcomes:?}"
        );
    }
    others.push(cold);
    let mut retried = 0;
    for answer in each(&mut others, Order::EndLoad).await {
        let Answer::Ended {
            written,
            read,
            retried: of,
        } = answer
        else {
            panic!("{answer:?}");
        };
        assert!(written > 0 && read > 0, "{answer:?}");
        retried += of;
    }
    for child in others {
        child.end().await;
    }
    let host = Host::open(&plan).await;
    let setting = host.read().await.unwrap().setting;
    assert_eq!(
        (setting.phase, setting.authority.as_str()),
        (Phase::Finalised, "new")
    );
    let verdict = judge(&host, &Ledger::at(folder.path())).await;
    println!("{verdict}, {retried} errors that a retry cured");
    host.close().await;
    plan.remove().await;
}

fn run(test: &str, skews_ms: [i64; 4]) {
    serve_if_child();
    kaireon_testkit::suite::block_on(frozen(&format!("servers::processes::{test}"), skews_ms));
}

#[test]
#[ignore = "needs postgres-18: set KAIREON_TEST_PG18_URL and KAIREON_TEST_PG_URL"]
fn a_process_that_was_frozen_over_a_cut_over_and_the_end_writes_to_the_right_store() {
    run(
        "a_process_that_was_frozen_over_a_cut_over_and_the_end_writes_to_the_right_store",
        [0; 4],
    );
}

#[test]
#[ignore = "needs postgres-18: set KAIREON_TEST_PG18_URL and KAIREON_TEST_PG_URL"]
fn so_does_one_whose_clock_is_five_seconds_behind() {
    run(
        "so_does_one_whose_clock_is_five_seconds_behind",
        [-2_500, 2_500, 0, 2_500],
    );
}
