//! A service of real processes, taken up and down through every provider.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::control::{Control, Up};
use super::launch::Launch;
use super::process::Process;
use super::provider::Provider;
use super::service::{Compose, Service};
use super::session::Session;
use super::state::{Environment, State};
use super::{selected, up};
use crate::failure::{Context, Result};
use crate::scratch::Scratch;

/// Writes a file when it is ready, and waits to be ended.
const SERVER: &str = "echo pong > \"$1\"; exec sleep 300";
/// Never ready.
const DEAF: &str = "exec sleep 300";
/// Ends before it is ready.
const BROKEN: &str = "echo no such configuration; exit 1";

/// Its URL is the file that the server answers through.
struct Fake {
    script: &'static str,
    compose: bool,
    installs: bool,
}

const FAKE: Fake = Fake {
    script: SERVER,
    compose: false,
    installs: true,
};

impl Service for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn variable(&self) -> &'static str {
        "KAIREON_TEST_FAKE_URL"
    }

    fn compose(&self) -> Option<Compose> {
        let url = ("KAIREON_TEST_FAKE_URL".to_owned(), "compose-answer".to_owned());
        self.compose.then(|| Compose {
            service: "fake-entry".to_owned(),
            environment: [url].into(),
        })
    }

    fn install(&self, _folder: &Path) -> Result<()> {
        if self.installs {
            Ok(())
        } else {
            Err("the package is not to be had".into())
        }
    }

    fn start(&self, launch: &mut Launch) -> Result<()> {
        let answer = launch.folder().join("answer").display().to_string();
        launch.export(self.variable(), &answer)?;
        launch.spawn(
            Command::new("sh").args(["-c", self.script, "sh", &answer]),
            "server",
        )
    }

    fn ready(&self, environment: &Environment) -> Result<()> {
        let path = environment.get(self.variable()).context("no URL")?;
        if path == "compose-answer" {
            return Ok(());
        }
        match std::fs::read_to_string(path).context(path)?.trim() {
            "pong" => Ok(()),
            other => Err(format!("answered {other:?}").into()),
        }
    }

    fn stop(&self, folder: &Path, processes: &[Process]) -> Result<()> {
        let _ = std::fs::remove_file(folder.join("answer"));
        super::process::end(processes)
    }
}

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

    let Up::Started(started) = control.up(&FAKE).unwrap() else {
        panic!("it was not running")
    };
    assert_eq!(started.provider, Provider::Packages);
    assert!(started.processes.iter().all(Process::is_alive));
    assert_eq!(control.status(&FAKE).state, "running");
    assert_eq!(control.status(&FAKE).provider, "packages");

    let Up::Was(provider, environment) = control.up(&FAKE).unwrap() else {
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
    let Up::Started(first) = control.up(&FAKE).unwrap() else {
        panic!("it was not running")
    };
    FAKE.stop(&control.folder.join("fake"), &first.processes).unwrap();
    assert!(control.status(&FAKE).state.starts_with("does not answer"));

    let Up::Started(second) = control.up(&FAKE).unwrap() else {
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
    let up = control.up(&FAKE).unwrap();
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
    let failure = control.up(&FAKE).unwrap_err().to_string();
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
        let failure = control.up(&fake).unwrap_err().to_string();
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
    let up = control.up(&compose()).unwrap();
    assert!(matches!(&up, Up::Started(state) if state.provider == Provider::Compose));
    assert_eq!(up.exports().count(), 1);
    assert_eq!(control.status(&compose()).provider, "compose");
    assert_eq!(control.down(&compose()).unwrap(), "stopped");

    control.docker = one_that_cannot_start(scratch.path());
    let up = control.up(&compose()).unwrap();
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
    assert_eq!(session.environment().len(), 1);
    let started = state(&control(&folder)).unwrap();
    session.stop().unwrap();
    assert!(!started.processes.iter().any(Process::is_alive));

    let control_of_another_command = control(&folder);
    control_of_another_command.up(&FAKE).unwrap();
    drop(Session::start_all(control(&folder), vec![Box::new(FAKE)]));
    assert_eq!(control_of_another_command.status(&FAKE).state, "running");
    control_of_another_command.down(&FAKE).unwrap();
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
