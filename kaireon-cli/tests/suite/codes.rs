//! The codes that take a server which fails.

use std::time::{Duration, Instant};

use kaireon::core::InteractionStore;
use kaireon_testkit::proxy::Direction::ToClient;
use kaireon_testkit::proxy::{Cut, PostgresFraming, Proxy, Rule, postgres};
use kaireon_testkit::server::Shutdown;

use super::path::{START, begun, moved};
use super::world::{LONG, Ran, Settings, World, event, signal, spawned};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_step_whose_answer_is_lost_ends_as_unknown_and_is_then_seen_to_be_taken() {
    let mut world = World::with_server(Settings::Server).await;
    world.record(0..10).await;
    let (address, url) = {
        let server = world.server.as_ref().unwrap();
        (server.address(), server.url())
    };
    let proxy = Proxy::start::<PostgresFraming>(address).await.unwrap();
    world.set("KAIREON_SETTINGS_URL", &proxy.in_url(&url));
    let armed = proxy.arm(Rule::on(ToClient, postgres::command_complete("COMMIT")).cut_before(Cut::Reset));
    let lost = tokio::task::block_in_place(|| world.step(&START)).is(4);
    assert!(armed.has_fired());
    assert_eq!(lost.error()["effect"], "unknown");
    assert!(lost.err.contains("it may have been done"), "{}", lost.err);
    let status = tokio::task::block_in_place(|| world.ask(&["migrate", "status"]))
        .is(0)
        .report();
    assert_eq!(status["phase"], "dual_write");
    let again = tokio::task::block_in_place(|| world.step(&START)).is(0).report();
    assert_eq!(again["outcome"], "already_taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_status_tells_the_rest_while_a_store_is_away_and_a_move_may_be_tried_again() {
    let mut world = World::with_server(Settings::Folder).await;
    moved(&world, 50).await;
    world.server.as_mut().unwrap().stop(Shutdown::Fast).await.unwrap();
    let status = world.ask(&["migrate", "status"]).is(0).report();
    assert_eq!(
        (&status["phase"], &status["authority"]),
        (&"cut_over".into(), &"postgresql".into())
    );
    let away = status["away"].as_array().unwrap();
    assert!(
        away.iter()
            .any(|away| away["what"] == "the replicate lane of postgresql"),
        "{away:?}"
    );
    let words = world.run(&["migrate", "status", "--tenant", "acme"]).is(0).out;
    assert!(words.contains("the rest is told without it"), "{words}");
    // The authority cannot be asked, so that nothing says that all it has is on the other side.
    let back = world.step(&["migrate", "roll-back"]);
    assert!([Some(1), Some(3)].contains(&back.code), "{back:?}");
    assert_eq!(
        world.ask(&["migrate", "status"]).is(0).report()["phase"],
        "cut_over"
    );
    world.server.as_mut().unwrap().restart().await.unwrap();
    world.step(&["migrate", "roll-back"]).is(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn who_is_not_let_in_is_told_that_again_does_not_help() {
    let mut world = World::with_server(Settings::Folder).await;
    begun(&world, 10).await;
    let url = world.server.as_ref().unwrap().url();
    let (scheme, rest) = url.split_once("://").unwrap();
    let (_, place) = rest.split_once('@').unwrap();
    world.set("DATABASE_URL", &format!("{scheme}://nobody:hunter2@{place}"));
    let refused = world.ask(&["migrate", "status"]).is(5);
    assert_eq!(refused.error()["kind"], "unauthorized");
}

/// A tenant that is ready, with one entry that nobody publishes, so that no move can be ended.
async fn stuck(world: &World) {
    world.record(0..50).await;
    world.step(&[&START[..], &["--drain-bound", "5s"]].concat()).is(0);
    world.ask(&["export"]).is(0);
    world.step(&["backfill"]).is(0);
    world.step(&["migrate", "verify"]).is(0);
    // By a process that publishes nothing.
    let switch = world.open().await;
    switch.switch_store().record_event(event(50)).await.unwrap();
    switch.disconnect().await.unwrap();
}

/// Waits until the authority moves.
fn until_it_drains(world: &World) {
    let begun = Instant::now();
    while world.ask(&["migrate", "status"]).is(0).report()["phase"] != "draining" {
        assert!(begun.elapsed() < LONG, "the move does not begin");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_move_whose_lanes_are_not_emptied_may_be_tried_again() {
    let world = World::with_server(Settings::Folder).await;
    stuck(&world).await;
    let ran = world.step(&["migrate", "cut-over"]).is(3);
    let report = ran.report();
    assert_eq!(report["outcome"], "not_taken");
    assert_eq!(report["status"]["migration"]["publishing"]["waiting"], 1);
    let words = world
        .run(&["migrate", "cut-over", "--tenant", "acme", "--reason", "x"])
        .is(3)
        .out;
    for line in [
        "acme: cut-over was not done; all is as it was\n",
        "publishing    1 entries wait",
    ] {
        assert!(words.contains(line), "{words}");
    }
    // A host lets it be published.
    world.record(51..52).await;
    world.step(&["migrate", "cut-over"]).is(0);
    let held = world.held().await;
    assert_eq!((held["embedded"], held["postgresql"]), (52, 52));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_signal_lets_a_move_come_to_its_end_and_a_second_one_leaves_it_to_the_next_command() {
    let world = World::with_server(Settings::Server).await;
    stuck(&world).await;
    let words = ["migrate", "cut-over", "--reason", "x"];
    let running = spawned(&world, &words);
    until_it_drains(&world);
    signal(&running, "-INT");
    let ended = Ran::of(running.wait_with_output().unwrap()).is(3);
    assert!(
        ended.err.contains("once more leaves it as it is"),
        "{}",
        ended.err
    );
    assert_eq!(ended.report()["status"]["phase"], "ready");

    let mut running = spawned(&world, &words);
    until_it_drains(&world);
    signal(&running, "-INT");
    // The first is told before the second can be heard.
    std::thread::sleep(Duration::from_millis(300));
    assert!(running.try_wait().unwrap().is_none(), "it goes on");
    signal(&running, "-INT");
    let left = Ran::of(running.wait_with_output().unwrap()).is(130);
    assert!(left.error()["kept"].as_str().unwrap().contains("may be moving"));
    assert_eq!(
        world.ask(&["migrate", "status"]).is(0).report()["phase"],
        "draining"
    );
    // The bound has passed, and nothing was published: the old store is opened again.
    world.step(&["migrate", "cut-over"]).is(3);
    assert_eq!(world.ask(&["migrate", "status"]).is(0).report()["phase"], "ready");
}
