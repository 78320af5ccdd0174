//! `cargo xtask test`: services up, every suite, a look for what they left behind, services down.
//!
//! A test that cannot run everywhere is `#[ignore = "…"]`, and its reason alone says what it waits for:
//!
//! | reason begins | runs |
//! |---|---|
//! | `needs root:` | when this process is root; otherwise it is named as skipped |
//! | `needs <service>:` or `<service>:` | when that service runs; otherwise the run fails |
//! | `soak:` | in `cargo xtask soak`, and here with `--soak` |
//!
//! Any other reason, and none, fails the run. libtest cannot select by reason, so each test binary is asked:
//! `--list --ignored` names its ignored tests, and running exactly those without `--ignored` runs nothing and
//! prints each with its reason. Names carry no meaning, so nothing depends on how a test is called.

mod binary;
mod gate;
mod output;
mod tally;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::args::Args;
use crate::failure::Result;
use crate::services::{Leaks, Session};
use crate::workspace::Workspace;

pub(crate) use binary::{Binary, Profile, build};
pub(crate) use gate::Gate;
use gate::Situation;
use tally::Tally;

/// How long a server may take to notice that a client is gone, and another run beside this one to tidy up.
const PATIENCE: Duration = Duration::from_secs(30);

/// `cargo xtask test [--soak] [FILTER]`.
pub(crate) fn command(workspace: &Workspace, mut args: Args) -> Result<()> {
    let soak = args.flag("--soak");
    let filter = args.name()?;

    let mut session = Session::start(workspace)?;
    let leaks = Leaks::before(&session);
    let ran = run(workspace, &session, soak, filter.as_deref());
    let left = leaks.after(&session, PATIENCE);
    let stopped = session.stop();
    let mut tally = ran?;
    for left in left {
        tally.fault(format!("left behind: {left}"));
    }
    for (name, reason) in session.not_started() {
        tally.fault(format!("{name} did not start: {reason}"));
    }
    if let Err(failure) = stopped {
        tally.fault(format!("services were not stopped: {failure}"));
    }
    tally.conclude()
}

fn run(workspace: &Workspace, session: &Session, soak: bool, filter: Option<&str>) -> Result<Tally> {
    let situation = Situation {
        root: is_root(),
        soak,
        services: session.running().map(str::to_owned).collect::<BTreeSet<_>>(),
    };
    let environment = environment(session, soak);
    let mut tally = Tally::default();
    for binary in build(workspace, Profile::Dev, &[])? {
        if let Err(failure) = tally.run_binary(&binary, &situation, filter, &environment) {
            tally.fault(format!("{}: {failure}", binary.label()));
        }
    }
    tally.run_doc_tests(workspace, filter)?;
    Ok(tally)
}

/// What every test process finds in its environment: in service mode a test whose URL is missing panics.
pub(crate) fn environment(session: &Session, soak: bool) -> Vec<(String, String)> {
    let mut environment = session.environment();
    environment.push(("KAIREON_TEST_SERVICES".to_owned(), "1".to_owned()));
    if soak {
        environment.push(("KAIREON_SOAK".to_owned(), "1".to_owned()));
    }
    environment
}

pub(crate) fn is_root() -> bool {
    let mut id = std::process::Command::new("id");
    crate::process::stdout_of(id.arg("-u")).is_ok_and(|uid| uid.trim() == "0")
}
