//! What needs no server.

use serde_json::Value;

use super::world::{Ran, World};

/// The commands, with what each of them must be given.
const COMMANDS: [&[&str]; 14] = [
    &["migrate", "start", "--to", "postgresql", "--reason", "x"],
    &["migrate", "status"],
    &["migrate", "verify", "--reason", "x"],
    &["migrate", "pause"],
    &["migrate", "resume"],
    &["migrate", "throttle", "--rows-per-second", "5"],
    &["migrate", "rehearse", "--on", "embedded"],
    &["migrate", "cut-over", "--reason", "x"],
    &["migrate", "roll-back", "--reason", "x"],
    &["migrate", "finalise", "--old-rows", "drop", "--reason", "x"],
    &["migrate", "advise", "--store", "embedded", "--over", "100ms"],
    &["export"],
    &["backfill", "--reason", "x"],
    &["tables"],
];

/// The words of a command's name.
fn name<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let plain = words.iter().take_while(|word| !word.starts_with('-'));
    plain.copied().collect()
}

#[test]
fn the_help_of_each_command_lists_its_exit_codes() {
    let world = World::alone();
    for words in COMMANDS
        .iter()
        .map(|words| name(words))
        .chain([vec![], vec!["migrate"]])
    {
        let help = world.run(&[&words[..], &["--help"]].concat()).is(0);
        let (_, table) = help.out.split_once("Exit codes:\n").unwrap();
        for code in ["0 ", "1 ", "2 ", "3 ", "4 ", "5 ", "130 "] {
            let listed = table.lines().any(|line| line.trim_start().starts_with(code));
            assert!(listed, "{words:?} {code}: {table}");
        }
        assert!(help.err.is_empty());
    }
}

#[test]
fn what_is_misspelt_missing_or_out_of_bounds_is_a_usage_error_in_both_forms() {
    let world = World::alone();
    let long = "x".repeat(1_025);
    let hostile: &[&[&str]] = &[
        &[],
        &["migrate"],
        &["migrate", "statu", "--tenant", "acme"],
        &["migrate", "status"],
        &["migrate", "status", "--tenant", ""],
        &["migrate", "status", "--tenant", "a\nb"],
        &["migrate", "status", "--tenant", "acme", "--reason", "x"],
        &["migrate", "status", "--tenant", "acme", "--ticket=yes"],
        &[
            "migrate", "start", "--tenant", "acme", "--to", "Postgres", "--reason", "x",
        ],
        &[
            "migrate", "start", "--tenant", "acme", "--to", "../etc", "--reason", "x",
        ],
        &["migrate", "start", "--tenant", "acme", "--to", "postgresql"],
        &[
            "migrate", "start", "--tenant", "acme", "--to", "b", "--reason", &long,
        ],
        &[
            "migrate",
            "start",
            "--tenant",
            "acme",
            "--to",
            "b",
            "--reason",
            "x",
            "--drain-bound",
            "-1s",
        ],
        &["migrate", "throttle", "--tenant", "acme"],
        &[
            "migrate",
            "throttle",
            "--tenant",
            "acme",
            "--rows-per-second",
            "0",
        ],
        &[
            "migrate",
            "throttle",
            "--tenant",
            "acme",
            "--rows-per-second",
            "1e9",
        ],
        &["migrate", "finalise", "--tenant", "acme", "--reason", "x"],
        &[
            "migrate",
            "finalise",
            "--tenant",
            "acme",
            "--reason",
            "x",
            "--old-rows",
            "yes",
        ],
        &[
            "migrate", "rehearse", "--tenant", "acme", "--on", "embedded", "--times", "NaN",
        ],
        &[
            "migrate", "rehearse", "--tenant", "acme", "--on", "embedded", "--times", "-1",
        ],
        &[
            "migrate",
            "rehearse",
            "--tenant",
            "acme",
            "--on",
            "embedded",
            "--concurrency",
            "0",
        ],
        &["backfill", "--tenant", "acme", "--reason", "x", "--parallel", "0"],
        &["export", "--tenant", "acme", "--wait", "1 s"],
        &["migrate", "advise", "--store", "embedded", "--parts", "1"],
        &["migrate", "advise", "--store", "embedded", "--over", "0s"],
    ];
    for words in hostile {
        let ran = world.run(words).is(2);
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{words:?}: {ran:?}");
        let ran = world.run(&[words, &["--json"][..]].concat()).is(2);
        assert!(ran.error()["message"].is_string(), "{words:?}: {ran:?}");
    }
}

#[test]
fn an_answer_has_one_form() {
    let world = World::alone();
    let both = world
        .run(&["migrate", "status", "--tenant", "acme", "--ticket", "--json"])
        .is(2);
    assert_eq!(both.error()["kind"], "usage");
}

#[test]
fn an_environment_that_is_not_whole_is_a_usage_error_that_names_the_variable() {
    let mut world = World::alone();
    world.vars.remove("KAIREON_SWITCH_STORES");
    let ran = world.ask(&["migrate", "status"]).is(2);
    assert!(
        ran.error()["message"]
            .as_str()
            .unwrap()
            .contains("KAIREON_SWITCH_STORES"),
        "{ran:?}"
    );
    let mut world = World::alone();
    world.set("KAIREON_SWITCH_STORES", "embedded,postgresql");
    world.set("DATABASE_URL", "mysql://app:hunter2@db/app");
    let ran = world.ask(&["migrate", "status"]).is(2);
    assert!(
        ran.error()["message"].as_str().unwrap().contains("DATABASE_URL"),
        "{ran:?}"
    );
}

#[test]
fn nobody_asks_for_a_step_without_a_name() {
    let mut world = World::alone();
    world.vars.remove("KAIREON_AUTHOR");
    let nobody = world.step(&["migrate", "cut-over"]).is(2);
    assert_eq!(nobody.error()["field"], "author");
    // Each of these is somebody, and is refused for another reason.
    world.set("USER", "ops");
    world.step(&["migrate", "cut-over"]).is(1);
    world.vars.remove("USER");
    world.step(&["migrate", "cut-over", "--author", "ops"]).is(1);
}

#[test]
fn a_tenant_that_was_never_moved_is_told_as_such() {
    let world = World::alone();
    let status = world.ask(&["migrate", "status"]).is(0);
    let document = status.document();
    assert_eq!(
        (&document["command"], &document["outcome"]),
        (&"migrate status".into(), &"done".into())
    );
    let report = status.report();
    assert_eq!(
        (&report["phase"], &report["authority"]),
        (&"single".into(), &"embedded".into())
    );
    assert_eq!(
        (&report["next"], &report["migration"]),
        (&"start".into(), &Value::Null)
    );
    assert!(status.err.is_empty(), "{}", status.err);
    let words = world.run(&["migrate", "status", "--tenant", "acme"]).is(0).out;
    assert!(words.starts_with("acme: on embedded\n"), "{words}");
    assert!(
        words.contains("kaireon migrate start --tenant acme --to"),
        "{words}"
    );
    let ticket = world
        .run(&["migrate", "status", "--tenant", "acme", "--ticket"])
        .is(0)
        .out;
    assert!(ticket.starts_with("kaireon migrate status, 20"), "{ticket}");
    assert!(
        !ticket.contains("next"),
        "a ticket tells what was, not what to type: {ticket}"
    );
}

#[test]
fn what_has_no_migration_is_refused_with_what_is_missing() {
    let world = World::alone();
    for words in [
        &["migrate", "cut-over"][..],
        &["migrate", "roll-back"],
        &["migrate", "finalise", "--old-rows", "drop"],
    ] {
        let ran = world.step(words).is(1);
        let error = ran.error();
        assert_eq!(error["kind"], "conflict");
        assert_eq!(super::world::missing(&error), ["phase"], "{error:#}");
        assert_eq!(
            (&error["effect"], &error["refused"]["can_be_forced"]),
            (&"not_applied".into(), &false.into())
        );
        // It is told on standard error as well.
        assert!(ran.err.starts_with("kaireon: "), "{}", ran.err);
    }
    for words in [
        &["migrate", "pause"][..],
        &["migrate", "resume"],
        &["migrate", "throttle", "--rows-per-second", "9"],
    ] {
        world.ask(words).is(1);
    }
    world.step(&["migrate", "verify"]).is(1);
    world.step(&["backfill"]).is(1);
}

#[test]
fn a_store_or_an_archive_that_is_not_there_is_said_before_anything_is_set() {
    let mut world = World::alone();
    world.step(&["migrate", "start", "--to", "postgresql"]).is(2);
    world.vars.remove("KAIREON_ARCHIVE_URL");
    world.ask(&["export"]).is(2);
    world.ask(&["migrate", "rehearse", "--on", "embedded"]).is(2);
    let status = world.ask(&["migrate", "status"]).is(0).report();
    assert_eq!(status["version"], 0);
}

#[test]
fn a_store_that_is_away_is_told_and_may_be_tried_again() {
    let mut world = World::alone();
    world.set("KAIREON_SWITCH_STORES", "embedded,postgresql");
    // Nobody listens there.
    world.set("DATABASE_URL", "postgres://app:hunter2@127.0.0.1:1/app");
    let ran = world.step(&["migrate", "start", "--to", "postgresql"]).is(3);
    let error = ran.error();
    assert_eq!(
        (&error["effect"], &error["kind"]),
        (&"not_applied".into(), &"unavailable".into())
    );
    let status = world.ask(&["migrate", "status"]).is(0).report();
    assert_eq!(
        (&status["phase"], &status["version"]),
        (&"single".into(), &0.into())
    );
}

#[tokio::test]
async fn what_another_process_has_open_is_told_with_what_to_do() {
    let world = World::alone();
    let held = world.open().await;
    let ran = world.ask(&["migrate", "status"]).is(3);
    let error = ran.error();
    assert!(
        error["hint"]
            .as_str()
            .unwrap()
            .contains("/api/v1/settings/interaction-store"),
        "{error:#}"
    );
    assert!(
        ran.err.contains("is in use") && ran.err.contains("stop it"),
        "{}",
        ran.err
    );
    held.disconnect().await.unwrap();
    drop(held);
    world.ask(&["migrate", "status"]).is(0);
}

#[test]
fn advice_is_given_with_what_was_measured() {
    let world = World::alone();
    let words = [
        "migrate", "advise", "--store", "embedded", "--over", "200ms", "--parts", "2",
    ];
    let report = world.run(&[&words[..], &["--json"]].concat()).is(0).report();
    assert_eq!(report["verdict"], "stay_as_far_as_known");
    assert_eq!(report["measured"]["store"], "embedded");
    assert_eq!(report["measured"]["ceiling_per_second"], Value::Null);
    let several = world
        .run(&[&words[..], &["--json", "--regions", "several"]].concat())
        .is(0);
    assert_eq!(several.report()["verdict"], "leave");
    let probed = world
        .run(&[&words[..], &["--json", "--probe", "scratch"]].concat())
        .is(0);
    assert!(
        probed.report()["measured"]["ceiling_per_second"]
            .as_f64()
            .unwrap()
            > 0.0
    );
    let said = world.run(&words).is(0);
    assert!(
        said.out.starts_with("stay on embedded, as far as is known"),
        "{}",
        said.out
    );
    world
        .run(&["migrate", "advise", "--store", "postgresql", "--over", "200ms"])
        .is(2);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let world = World::alone();
    let mut child = world
        .command(&["migrate", "status", "--tenant", "acme", "--json"])
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(Ran::of(child.wait_with_output().unwrap()).code, Some(0));
}
