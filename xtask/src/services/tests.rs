//! A service of real processes, taken up and down through every provider.

mod fake;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use self::fake::{BROKEN, Before, DEAF, FAKE, Fake};

use super::control::{Control, Up};
use super::process::Process;
use super::provider::Provider;
use super::service::{Compose, Service};
use super::session::Session;
use super::state::{Environment, State};
use super::{Leaks, registry, required, selected, up};
use crate::scratch::Scratch;

fn control(scratch: &Scratch) -> Control {
    Control {
        root: scratch.path().to_owned(),
        folder: scratch.path().join("services"),
        variable: |_| None,
        docker: "/no/such/docker".into(),
        patience: Duration::from_secs(20),
    }
}

fn scratch(name: &str) -> Scratch {
    Scratch::new(&std::env::temp_dir(), name).unwrap()
}

fn state(control: &Control) -> Option<State> {
    State::load(&control.folder.join("fake")).unwrap()
}

#[test]
fn a_service_goes_up_is_found_again_and_goes_down() {
    let scratch = scratch("up-down");
    let control = control(&scratch);
    assert_eq!(control.status(&FAKE).state, "not started");

    let Up::Started(started) = control.up(&FAKE, &Environment::new()).unwrap() else {
        panic!("it was not running")
    };
    assert_eq!(started.provider, Provider::Packages);
    assert!(started.processes.iter().all(Process::is_alive));
    assert_eq!(control.status(&FAKE).state, "running");
    assert_eq!(control.status(&FAKE).provider, "packages");

    let Up::Was(provider, environment) = control.up(&FAKE, &Environment::new()).unwrap() else {
        panic!("it was started twice")
    };
    assert_eq!((provider, environment), (Provider::Packages, started.environment));

    assert_eq!(control.down(&FAKE).unwrap(), "stopped");
    assert!(!started.processes.iter().any(Process::is_alive));
    assert_eq!(control.down(&FAKE).unwrap(), "was not started here");
}

#[test]
fn a_server_that_died_is_started_anew() {
    let scratch = scratch("died");
    let control = control(&scratch);
    let Up::Started(first) = control.up(&FAKE, &Environment::new()).unwrap() else {
        panic!("it was not running")
    };
    FAKE.stop(&control.folder.join("fake"), &first.processes).unwrap();
    assert!(control.status(&FAKE).state.starts_with("does not answer"));

    let Up::Started(second) = control.up(&FAKE, &Environment::new()).unwrap() else {
        panic!("it was dead")
    };
    assert_ne!(first.processes, second.processes);
    control.down(&FAKE).unwrap();
}

#[test]
fn a_url_in_the_environment_is_used_and_left_running() {
    let scratch = scratch("given");
    let mut control = control(&scratch);
    control.variable = |_| Some("compose-answer".to_owned());
    let up = control.up(&FAKE, &Environment::new()).unwrap();
    assert!(matches!(up, Up::Was(Provider::Environment, _)));
    assert_eq!(up.exports().count(), 0);
    assert_eq!(control.status(&FAKE).provider, "environment");
    assert_eq!(control.down(&FAKE).unwrap(), "was not started here");
}

#[test]
fn a_url_where_nothing_answers_is_an_error_and_nothing_else_is_started() {
    let scratch = scratch("given-dead");
    let mut control = control(&scratch);
    control.variable = |_| Some("/no/such/answer".to_owned());
    let failure = control.up(&FAKE, &Environment::new()).unwrap_err().to_string();
    assert!(
        failure.contains("nothing answers at KAIREON_TEST_FAKE_URL"),
        "{failure}"
    );
    assert_eq!(state(&control), None);
}

#[test]
fn what_cannot_start_says_why_for_each_provider_and_leaves_nothing_behind() {
    let scratch = scratch("refusals");
    let mut control = control(&scratch);
    control.patience = Duration::from_millis(300);
    for (fake, why) in [
        (
            Fake {
                installs: false,
                ..FAKE
            },
            "the package is not to be had",
        ),
        (Fake { script: DEAF, ..FAKE }, "no answer within"),
        (
            Fake {
                script: BROKEN,
                ..FAKE
            },
            "it ended before it answered",
        ),
    ] {
        // Whichever is seen first of a short-lived process: that it is gone, or that it is not ready.
        let failure = control.up(&fake, &Environment::new()).unwrap_err().to_string();
        let vanished = fake.script == BROKEN && failure.contains("ended as it started");
        assert!(failure.contains(why) || vanished, "{failure}");
        assert!(failure.contains("KAIREON_TEST_FAKE_URL is not set"), "{failure}");
        assert_eq!(state(&control), None);
    }
}

#[test]
fn a_container_engine_that_answers_is_used_and_one_that_fails_is_passed_over() {
    let scratch = scratch("compose");
    let mut control = control(&scratch);
    let compose = || Fake {
        compose: true,
        ..FAKE
    };
    std::fs::write(scratch.path().join("compose.yaml"), "services: {}\n").unwrap();

    // An engine that says yes to everything, then one that cannot start the entry.
    control.docker = "true".into();
    let up = control.up(&compose(), &Environment::new()).unwrap();
    assert!(matches!(&up, Up::Started(state) if state.provider == Provider::Compose));
    assert_eq!(up.exports().count(), 1);
    assert_eq!(control.status(&compose()).provider, "compose");
    assert_eq!(control.down(&compose()).unwrap(), "stopped");

    control.docker = one_that_cannot_start(scratch.path());
    let up = control.up(&compose(), &Environment::new()).unwrap();
    assert!(matches!(&up, Up::Started(state) if state.provider == Provider::Packages));
    control.down(&compose()).unwrap();
}

fn one_that_cannot_start(folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("docker");
    std::fs::write(&path, "#!/bin/sh\n[ \"$2\" != up ]\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_session_stops_what_it_started_and_leaves_what_was_there() {
    let folder = scratch("session");
    let mut session = Session::start_all(control(&folder), vec![Box::new(FAKE)]);
    assert_eq!(session.running().collect::<Vec<_>>(), ["fake"]);
    let names: Vec<String> = session.environment().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["KAIREON_TEST_FAKE_URL", "KAIREON_TEST_RUN"]);
    let started = state(&control(&folder)).unwrap();
    session.stop().unwrap();
    assert!(!started.processes.iter().any(Process::is_alive));

    let control_of_another_command = control(&folder);
    control_of_another_command.up(&FAKE, &Environment::new()).unwrap();
    drop(Session::start_all(control(&folder), vec![Box::new(FAKE)]));
    assert_eq!(control_of_another_command.status(&FAKE).state, "running");
    control_of_another_command.down(&FAKE).unwrap();
}

#[test]
fn what_a_run_left_on_a_server_and_which_processes_are_named_and_what_was_there_before_is_not() {
    let folder = scratch("leaks");
    let mut session = Session::start_all(control(&folder), vec![Box::new(FAKE)]);
    let left = folder.path().join("services/fake/left");
    std::fs::write(&left, "schema of somebody\n").unwrap();
    let leaks = Leaks::before(&session);
    assert_eq!(leaks.after(&session, Duration::ZERO), Vec::<String>::new());

    std::fs::write(&left, "schema of somebody\nschema of the run\n").unwrap();
    let mut child = Command::new("sleep")
        .arg("300")
        .envs(session.environment())
        .spawn()
        .unwrap();
    wait_for_environment_of(child.id());
    let found = leaks.after(&session, Duration::ZERO);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut expected = vec!["fake: schema of the run".to_owned()];
    if Path::new("/proc/self/environ").exists() {
        expected.push(format!("process {}: sleep 300", child.id()));
    }
    assert_eq!(found, expected);
    session.stop().unwrap();
}

/// `spawn` returns once the child has dropped its parent's memory, which is a moment before the kernel has
/// noted where the new program's environment stands: until then `/proc` shows an empty one.
fn wait_for_environment_of(process: u32) {
    let path = format!("/proc/{process}/environ");
    while std::fs::read(&path).is_ok_and(|environment| environment.is_empty()) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_server_that_moved_takes_those_that_stand_before_it_along() {
    let scratch = scratch("moved");
    let control = control(&scratch);
    let server = |at: &str| Environment::from([("KAIREON_TEST_FAKE_SERVER_URL".to_owned(), at.to_owned())]);
    let without = control.up(&Before, &Environment::new()).unwrap_err().to_string();
    assert!(
        without.contains("it needs fake-server, which is not running"),
        "{without}"
    );

    let Up::Started(first) = control.up(&Before, &server("here")).unwrap() else {
        panic!("it was not running")
    };
    assert!(matches!(
        control.up(&Before, &server("here")).unwrap(),
        Up::Was(..)
    ));
    let Up::Started(second) = control.up(&Before, &server("there")).unwrap() else {
        panic!("it stands before a server that is gone")
    };
    assert_ne!(first.processes, second.processes);
    control.down(&Before).unwrap();
}

#[test]
fn a_session_names_what_did_not_start() {
    let folder = scratch("session-missing");
    let session = Session::start_all(
        control(&folder),
        vec![Box::new(Fake {
            installs: false,
            ..FAKE
        })],
    );
    assert_eq!(session.running().count(), 0);
    let (name, reason) = &session.not_started()[0];
    assert_eq!(name, "fake");
    assert!(reason.contains("the package is not to be had"), "{reason}");
}

#[test]
fn the_command_selects_by_name_and_fails_when_one_is_missing() {
    let fakes = || -> Vec<Box<dyn Service>> {
        vec![Box::new(Fake {
            installs: false,
            ..FAKE
        })]
    };
    assert_eq!(selected(fakes(), &[]).unwrap().len(), 1);
    let before: Vec<Box<dyn Service>> = vec![Box::new(Before)];
    assert_eq!(required(&before, &["before".to_owned()]), ["fake-server"]);
    assert_eq!(required(&before, &["other".to_owned()]), Vec::<String>::new());
    assert_eq!(selected(fakes(), &["fake".to_owned()]).unwrap().len(), 1);
    let failure = selected(fakes(), &["other".to_owned()])
        .err()
        .unwrap()
        .to_string();
    assert_eq!(failure, "there is no service other; known: fake");
    let folder = scratch("command");
    assert!(
        up(&control(&folder), &fakes())
            .unwrap_err()
            .to_string()
            .contains("not started: fake")
    );
}

#[test]
fn compose_yaml_has_every_service_on_the_port_that_suites_are_told() {
    // Programs of a test's own, an interpreter, a server with a layer that no image has, and servers that tell their
    // clients where the others are, which in containers is no place that a test can reach.
    const WITHOUT: [&str; 6] = [
        "postgres-bin",
        "duckdb",
        "moto",
        "redis-bin",
        "redis-cluster",
        "redis-sentinel",
    ];
    let yaml = include_str!("../../../compose.yaml");
    for service in registry() {
        let Some(Compose {
            service: entry,
            environment,
            ..
        }) = service.compose(Path::new("/services"))
        else {
            assert!(
                WITHOUT.contains(&service.name()),
                "{} has no entry",
                service.name()
            );
            continue;
        };
        let start = yaml.find(&format!("\n  {entry}:")).expect(&entry);
        let port = environment[service.variable()]
            .split(['@', '/'])
            .find_map(|part| part.strip_prefix("127.0.0.1:"))
            .expect("a port");
        let ports = yaml[start..].find("ports: ").expect("ports");
        assert!(
            yaml[start + ports..].starts_with(&format!("ports: [\"127.0.0.1:{port}:")),
            "{entry} is not on port {port}"
        );
        assert!(yaml.contains("healthcheck:"), "{entry}");
    }
}
