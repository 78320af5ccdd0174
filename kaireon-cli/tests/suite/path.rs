//! A tenant there and back, and to the end.

use serde_json::Value;

use super::world::{Settings, World, missing};

/// Without live reads to compare: nobody reads here.
pub(super) const START: [&str; 6] = ["migrate", "start", "--to", "postgresql", "--min-reads", "0"];

pub(super) async fn begun(world: &World, rows: u32) {
    world.record(0..rows).await;
    world.step(&START).is(0);
}

pub(super) async fn moved(world: &World, rows: u32) {
    begun(world, rows).await;
    world.ask(&["export"]).is(0);
    world.step(&["backfill"]).is(0);
    world.step(&["migrate", "verify"]).is(0);
    world.step(&["migrate", "cut-over"]).is(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_tenant_goes_there_and_back_and_there_for_good() {
    let world = World::with_server(Settings::Folder).await;
    world.record(0..500).await;

    let started = world.step(&START).is(0).report();
    assert_eq!(
        (&started["step"], &started["outcome"]),
        (&"start".into(), &"taken".into())
    );
    assert_eq!(
        (&started["author"], &started["reason"]),
        (&"ops@example.com".into(), &"CHG-1207".into())
    );
    assert_eq!(started["status"]["next"], "export");
    assert_eq!(world.step(&START).is(0).report()["outcome"], "already_taken");
    let other = world.step(&["migrate", "start", "--to", "embedded"]).is(1);
    assert!(!missing(&other.error()).is_empty());

    let early = world.step(&["migrate", "cut-over"]).is(1);
    assert_eq!(missing(&early.error()), ["backfill", "verification"]);
    assert_eq!(early.error()["refused"]["can_be_forced"], true);
    assert!(
        early.err.contains("the backfill is not complete"),
        "{}",
        early.err
    );

    world.record(500..600).await;
    let exported = world.ask(&["export"]).is(0).report();
    let [store] = &exported["stores"].as_array().unwrap()[..] else {
        panic!("{exported:#}");
    };
    assert_eq!(store["store"], "embedded");
    let count = |of: &Value| of["interactions"].as_u64().unwrap();
    // What the scan finds may be in the lane as well, and is written once.
    assert_eq!(count(&store["scan"]) + count(&store["lane"]), 600);

    let filled = world.step(&["backfill"]).is(0).report();
    assert_eq!(
        (&filled["begun"], &filled["complete"]),
        (&true.into(), &true.into())
    );
    assert_eq!(filled["progress"]["rows_done"], 600);
    assert_eq!(filled["status"]["next"], "verify");

    let verified = world.step(&["migrate", "verify"]).is(0).report();
    assert_eq!(
        (&verified["clean"], &verified["passed"]),
        (&true.into(), &true.into())
    );
    assert_eq!(verified["kinds"][0]["equal"], 600);

    let moved = world.step(&["migrate", "cut-over"]).is(0).report();
    assert_eq!(
        (&moved["outcome"], &moved["status"]["authority"]),
        (&"taken".into(), &"postgresql".into())
    );
    assert_eq!(moved["status"]["next"], "await_safety");
    world.record(600..650).await;

    let early = world.step(&["migrate", "finalise", "--old-rows", "drop"]).is(1);
    assert_eq!(missing(&early.error()), ["safety_period"]);
    let from = early.error()["refused"]["possible_from"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        early
            .err
            .contains(&format!("the safety period lasts until {}", &from[..10])),
        "{}",
        early.err
    );

    let back = world.step(&["migrate", "roll-back"]).is(0).report();
    assert_eq!(
        (&back["outcome"], &back["status"]["authority"]),
        (&"taken".into(), &"embedded".into())
    );
    assert_eq!(
        world.held().await["embedded"],
        650,
        "nothing is lost on the way back"
    );

    super::path::moved_again(&world).await;
    let kept = world
        .step(&["migrate", "finalise", "--old-rows", "archive", "--force"])
        .is(0)
        .report();
    assert_eq!(
        (&kept["old_rows"], &kept["dropped"]["found_in_archive"]),
        (&"archive".into(), &650.into())
    );
    assert_eq!(kept["dropped"]["interactions"], 650);
    assert_eq!(kept["overridden"][0]["missing"], "safety_period");
    let held = world.held().await;
    assert_eq!((held["embedded"], held["postgresql"]), (0, 650));
    let again = world
        .step(&["migrate", "finalise", "--old-rows", "archive", "--force"])
        .is(0)
        .report();
    assert_eq!(again["outcome"], "already_taken");
}

/// The same once more, as it is done by hand.
async fn moved_again(world: &World) {
    let said = |words: &[&str]| {
        let all = [words, &["--tenant", "acme", "--reason", "CHG-1208"]].concat();
        world.run(&all).is(0).out
    };
    let started = said(&START);
    assert!(started.starts_with("acme: start is done\n"), "{started}");
    world.run(&["export", "--tenant", "acme"]).is(0);
    let filled = said(&["backfill", "--ticket"]);
    for line in [
        "outcome       acme: the backfill is complete",
        "gate lacks    the stores were not compared",
    ] {
        assert!(filled.contains(line), "{filled}");
    }
    let verified = said(&["migrate", "verify", "--ticket"]);
    for line in [
        "interactions: 650 equal, 0 missing",
        "gate          passed",
        "now           acme: from embedded",
    ] {
        assert!(verified.contains(line), "{verified}");
    }
    let moved = said(&["migrate", "cut-over"]);
    assert!(moved.starts_with("acme: cut-over is done\n"), "{moved}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_row_that_one_side_lacks_is_found_and_keeps_the_gate_shut() {
    let world = World::with_server(Settings::Folder).await;
    begun(&world, 100).await;
    world.ask(&["export"]).is(0);
    world.step(&["backfill"]).is(0);
    // A row that nobody ever wrote to the source.
    let switch = world.open().await;
    let (_, target) = switch
        .stores()
        .iter()
        .find(|(name, _)| name.as_str() == "postgresql")
        .unwrap();
    super::world::intrude(target, 777).await;
    switch.disconnect().await.unwrap();

    let ran = world.step(&["migrate", "verify"]).is(1);
    let report = ran.report();
    assert_eq!(
        (&report["clean"], &report["kinds"][0]["extra"]),
        (&false.into(), &1.into())
    );
    assert_eq!(report["kinds"][0]["samples"][0]["of"], "interaction row-000777");
    let refused = world.step(&["migrate", "cut-over"]).is(1);
    assert_eq!(missing(&refused.error()), ["equality"], "{}", refused.err);
    let none = world
        .step(&["migrate", "verify", "--samples", "0"])
        .is(1)
        .report();
    assert_eq!(none["kinds"][0]["samples"].as_array().unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn archived_days_are_rehearsed_before_anything_is_filled() {
    let world = World::with_server(Settings::Folder).await;
    begun(&world, 200).await;
    world.ask(&["export"]).is(0);
    let words = ["migrate", "rehearse", "--on", "postgresql", "--times", "20000"];
    let report = world.ask(&words).is(0).report();
    assert_eq!(
        (&report["kept_up"], &report["records"]),
        (&true.into(), &10.into())
    );
    assert_eq!(
        (&report["scratch"], &report["left_behind"]),
        (&"acme-rehearsal".into(), &Value::Null)
    );
    let nothing = world
        .ask(&["migrate", "rehearse", "--on", "postgresql", "--clean-up"])
        .is(0)
        .report();
    assert_eq!(nothing["cleaned_up"], false);
    let none = world
        .ask(&[
            "migrate",
            "rehearse",
            "--on",
            "postgresql",
            "--from",
            "2020-01-01",
        ])
        .is(2);
    assert_eq!(none.error()["field"], "from");
    assert_eq!(
        world.held().await["postgresql"],
        0,
        "the tenant itself was not touched"
    );
}
