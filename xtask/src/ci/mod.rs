//! `cargo xtask ci`: every check, each timed, none hidden by another that failed before it.

mod deny;
mod examples;
mod host;
mod layout;
mod lint;
mod markdown;
mod migrate;
mod publish;
mod quickstart;
mod readme;
mod redis_cli;
mod tools;
mod tree;

use std::time::{Duration, Instant};

use crate::args::Args;
use crate::failure::Result;
use crate::process;
use crate::table;
use crate::workspace::Workspace;

/// How a step that did not fail ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// All of it held.
    Passed,
    /// It could not run, for a reason that does not fail the whole.
    Skipped(String),
}

/// One check.
struct Step {
    name: &'static str,
    what: &'static str,
    run: fn(&Workspace) -> Result<Outcome>,
}

/// Cheap ones first, so that a slip is seen early by who watches.
const STEPS: &[Step] = &[
    Step {
        name: "lock",
        what: "Cargo.lock is up to date",
        run: lint::lock,
    },
    Step {
        name: "fmt",
        what: "rustfmt",
        run: lint::fmt,
    },
    Step {
        name: "layout",
        what: "who may depend on whom",
        run: layout::run,
    },
    Step {
        name: "readme",
        what: "the README's commands, links, variables and figures",
        run: readme::run,
    },
    Step {
        name: "tree",
        what: "no client where none belongs",
        run: tree::run,
    },
    Step {
        name: "machete",
        what: "no dependency that is not used",
        run: deny::machete,
    },
    Step {
        name: "deny",
        what: "licences, bans, sources",
        run: deny::deny,
    },
    Step {
        name: "advisories",
        what: "known vulnerabilities",
        run: deny::advisories,
    },
    Step {
        name: "publish",
        what: "every published package packs",
        run: publish::run,
    },
    Step {
        name: "clippy",
        what: "all targets, all features, no warning",
        run: lint::clippy,
    },
    Step {
        name: "doc",
        what: "rustdoc without a warning",
        run: lint::doc,
    },
    Step {
        name: "features",
        what: "each feature compiles by itself",
        run: lint::features,
    },
    Step {
        name: "test",
        what: "cargo xtask test",
        run: test,
    },
    Step {
        name: "quickstart",
        what: "the main job, twice, against the file's own counts",
        run: quickstart::run,
    },
    Step {
        name: "quickstart-postgres",
        what: "the same on a real PostgreSQL server",
        run: quickstart::run_on_postgres,
    },
    Step {
        name: "quickstart-redis",
        what: "the same with its events on a real Redis server, where redis-cli hears them",
        run: quickstart::run_on_redis,
    },
    Step {
        name: "examples",
        what: "every other example runs",
        run: examples::run,
    },
    Step {
        name: "examples-migrate",
        what: "the main job's data moved there and back under traffic, on a real PostgreSQL server",
        run: migrate::run,
    },
    Step {
        name: "host",
        what: "the README's example in a crate outside, from the packages",
        run: host::run,
    },
    Step {
        name: "bench",
        what: "cargo xtask bench --smoke",
        run: bench,
    },
];

/// `cargo xtask ci [--list] [STEP…]`.
pub(crate) fn command(workspace: &Workspace, mut args: Args) -> Result<()> {
    let list = args.flag("--list");
    let names = args.names()?;
    if let Some(unknown) = names
        .iter()
        .find(|name| !STEPS.iter().any(|step| step.name == **name))
    {
        return Err(format!("there is no step {unknown}; cargo xtask ci --list shows them").into());
    }
    if list {
        let rows: Vec<_> = STEPS
            .iter()
            .map(|step| [step.name, step.what].map(str::to_owned))
            .collect();
        print!("{}", table::layout(["step", "what"], &rows));
        return Ok(());
    }
    let wanted = |step: &&Step| names.is_empty() || names.iter().any(|name| name == step.name);
    run(workspace, STEPS.iter().filter(wanted))
}

fn run<'a>(workspace: &Workspace, steps: impl Iterator<Item = &'a Step>) -> Result<()> {
    let start = Instant::now();
    let mut rows: Vec<[String; 3]> = Vec::new();
    let mut failed = Vec::new();
    for step in steps {
        println!("\n=== {}: {}", step.name, step.what);
        let began = Instant::now();
        let outcome = match (step.run)(workspace) {
            Ok(Outcome::Passed) => "passed".to_owned(),
            Ok(Outcome::Skipped(why)) => {
                println!("SKIPPED: {why}");
                format!("SKIPPED: {why}")
            }
            Err(failure) => {
                failed.push(step.name);
                println!("FAILED: {failure}");
                format!("FAILED: {}", start_of(&failure.to_string()))
            }
        };
        rows.push([step.name.to_owned(), seconds(began.elapsed()), outcome]);
    }
    rows.push(["all".to_owned(), seconds(start.elapsed()), summary(&failed)]);
    println!("\n{}", table::layout(["step", "time", "outcome"], &rows));
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("failed: {}", failed.join(", ")).into())
    }
}

/// What fits a table; the whole stands where the step ended.
fn start_of(text: &str) -> String {
    const MOST: usize = 100;
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= MOST {
        line.to_owned()
    } else {
        line.chars().take(MOST).chain(" …".chars()).collect()
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn summary(failed: &[&str]) -> String {
    if failed.is_empty() {
        "passed".to_owned()
    } else {
        format!("{} failed", failed.len())
    }
}

fn test(workspace: &Workspace) -> Result<Outcome> {
    process::run(&mut workspace.cargo(["xtask", "test"]))?;
    Ok(Outcome::Passed)
}

fn bench(workspace: &Workspace) -> Result<Outcome> {
    process::run(&mut workspace.cargo(["xtask", "bench", "--smoke"]))?;
    Ok(Outcome::Passed)
}

#[cfg(test)]
mod tests {
    use super::{Outcome, STEPS, Step, run};
    use crate::workspace::Workspace;

    fn nowhere() -> Workspace {
        Workspace {
            root: "/".into(),
            target: "/".into(),
            packages: Vec::new(),
        }
    }

    #[test]
    fn a_failure_hides_no_later_step_and_fails_the_whole() {
        use std::sync::atomic::{AtomicU32, Ordering};
        static RAN: AtomicU32 = AtomicU32::new(0);
        let counted = |_: &Workspace| {
            RAN.fetch_add(1, Ordering::Relaxed);
            Ok(Outcome::Skipped("no database".to_owned()))
        };
        let steps = [
            Step {
                name: "broken",
                what: "",
                run: |_| Err("why\nmore".into()),
            },
            Step {
                name: "after",
                what: "",
                run: counted,
            },
        ];
        assert_eq!(
            run(&nowhere(), steps.iter()).unwrap_err().to_string(),
            "failed: broken"
        );
        assert_eq!(RAN.load(Ordering::Relaxed), 1);
        assert!(
            run(&nowhere(), steps[1..].iter()).is_ok(),
            "a skipped step is no failure"
        );
    }

    #[test]
    fn no_two_steps_share_a_name() {
        for (place, step) in STEPS.iter().enumerate() {
            assert!(
                STEPS[..place].iter().all(|other| other.name != step.name),
                "{}",
                step.name
            );
        }
    }
}
