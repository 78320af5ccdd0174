//! Commands that are killed, interrupted, paused and driven from elsewhere.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::path::begun;
use super::world::{LONG, Ran, Settings, World, signal, spawned};

/// Asks for the status until something is seen in it.
fn until(world: &World, seen: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let status = world.ask(&["migrate", "status"]).is(0).report();
        if seen(&status) {
            return status;
        }
        assert!(begun.elapsed() < LONG, "{status:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn state(status: &Value) -> &str {
    status["migration"]["backfill"]["state"]
        .as_str()
        .unwrap_or("none")
}

fn rows_done(status: &Value) -> u64 {
    status["migration"]["backfill"]["rows_done"].as_u64().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_backfill_is_paused_throttled_killed_and_gone_on_with() {
    // With the settings on a server, other processes look on while one has the embedded store open.
    let world = World::with_server(Settings::Server).await;
    begun(&world, 3_000).await;
    world.ask(&["export"]).is(0);
    world
        .ask(&["migrate", "throttle", "--rows-per-second", "200"])
        .is(0);
    let backfill = ["backfill", "--reason", "CHG-1207", "--chunk", "50"];
    let mut running = spawned(&world, &backfill);
    let status = until(&world, |status| {
        state(status) == "running" && rows_done(status) > 0
    });
    assert!(
        status["away"].to_string().contains("embedded"),
        "it is told without that store: {status:#}"
    );
    assert!(
        status["migration"]["backfill"]["eta_ms"].is_number(),
        "{status:#}"
    );

    world.ask(&["migrate", "pause"]).is(0);
    let paused = until(&world, |status| state(status) == "paused");
    assert_eq!(paused["next"], "resume");
    std::thread::sleep(Duration::from_secs(3));
    let later = world.ask(&["migrate", "status"]).is(0).report();
    assert_eq!(rows_done(&later), rows_done(&paused), "it stands still");

    // Killed while it stands still; whoever runs it next stands still as well.
    running.kill().unwrap();
    running.wait().unwrap();
    let mut running = spawned(&world, &backfill);
    until(&world, |status| state(status) == "paused");
    let pace = world
        .ask(&[
            "migrate",
            "throttle",
            "--rows-per-second",
            "400",
            "--target-latency",
            "1m",
        ])
        .is(0);
    assert_eq!(pace.report()["pace"]["target_latency_ms"], 60_000);
    world.ask(&["migrate", "resume"]).is(0);
    until(&world, |status| {
        state(status) == "running" && rows_done(status) > rows_done(&paused)
    });

    // Killed while it writes.
    running.kill().unwrap();
    running.wait().unwrap();
    let off = [
        "migrate",
        "throttle",
        "--rows-per-second",
        "off",
        "--target-latency",
        "off",
    ];
    let pace = world.ask(&off).is(0).report();
    assert_eq!(
        (
            &pace["pace"]["max_rows_per_second"],
            &pace["pace"]["target_latency_ms"]
        ),
        (&Value::Null, &Value::Null)
    );
    let done = world.step(&["backfill"]).is(0).report();
    assert_eq!((&done["begun"], &done["complete"]), (&false.into(), &true.into()));
    assert_eq!(done["progress"]["rows_done"], 3_000);
    let verified = world.step(&["migrate", "verify"]).is(0).report();
    assert_eq!(verified["kinds"][0]["equal"], 3_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn an_interrupted_backfill_says_what_is_kept_and_goes_on() {
    for name in ["-INT", "-TERM"] {
        let world = World::with_server(Settings::Server).await;
        begun(&world, 1_000).await;
        world.ask(&["export"]).is(0);
        world
            .ask(&["migrate", "throttle", "--rows-per-second", "100"])
            .is(0);
        let running = spawned(&world, &["backfill", "--reason", "x", "--chunk", "20"]);
        until(&world, |status| rows_done(status) > 0);
        signal(&running, name);
        let ended = Ran::of(running.wait_with_output().unwrap()).is(130);
        assert_eq!(ended.error()["kept"], "all rows that were applied");
        assert!(ended.err.contains("give the same command again"), "{}", ended.err);
        world
            .ask(&["migrate", "throttle", "--rows-per-second", "off"])
            .is(0);
        let done = world.step(&["backfill"]).is(0).report();
        assert_eq!(done["complete"], true);
        world.step(&["migrate", "verify"]).is(0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn an_export_that_is_killed_at_any_moment_is_gone_on_with_and_writes_nothing_twice() {
    let world = World::with_server(Settings::Folder).await;
    begun(&world, 5_000).await;
    let mut killed = 0;
    for wait in [5, 10, 20, 40, 60, 80, 120, 160, 240] {
        let mut running = spawned(&world, &["export"]);
        std::thread::sleep(Duration::from_millis(wait));
        running.kill().unwrap();
        killed += u32::from(running.wait().unwrap().code().is_none());
    }
    assert!(killed > 3, "the export is over too soon: {killed}");
    world.ask(&["export"]).is(0);
    let done = world.step(&["backfill"]).is(0).report();
    assert_eq!(
        (&done["progress"]["rows_total"], &done["progress"]["duplicates"]),
        (&5_000.into(), &0.into())
    );
    world.step(&["migrate", "verify"]).is(0);
}
