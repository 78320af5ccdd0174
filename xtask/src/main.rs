//! The project's own commands, run as `cargo xtask <command>`.
//!
//! | command | what it does |
//! |---|---|
//! | `ci [--list] [STEP…]` | runs every check and prints step, time and outcome of each |
//! | `test [--soak] [FILTER]` | services up, every suite, services down |
//! | `services up\|down\|status [NAME…]` | starts, stops and shows the servers that suites need |
//! | `bench [--only ID…] [--json FILE] [--smoke]` | measures, and writes `docs/benchmarks.md`; with `--page` writes it alone |
//! | `soak [NAME] [--package PACKAGE...]` | runs what is too long for CI, and writes `docs/soak.md` |
//!
//! How tests are chosen is told in `docs/testing.md`.

use std::process::ExitCode;

mod args;
mod bench;
mod ci;
mod failure;
mod jsonl;
mod process;
mod provenance;
mod scratch;
mod services;
mod soak;
mod table;
mod test;
mod workspace;

use crate::args::Args;
use crate::failure::Result;
use crate::workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask <command>

  ci [--list] [STEP...]                      every check, or the named ones
  test [--soak] [FILTER]                     services up, every suite, services down
  services up|down|status [NAME...]          the servers that suites need
  bench [--only ID...] [--json FILE] [--smoke]
                                             measure, and write docs/benchmarks.md; --page writes it alone
  soak [NAME] [--package PACKAGE...]         what is too long for CI; writes docs/soak.md";

fn main() -> ExitCode {
    match dispatch(Args::from_process()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(mut args: Args) -> Result<()> {
    let Some(command) = args.next_word() else {
        println!("{USAGE}");
        return Err("no command given".into());
    };
    if matches!(command.as_str(), "help" | "--help" | "-h") {
        println!("{USAGE}");
        return Ok(());
    }
    let workspace = Workspace::load()?;
    match command.as_str() {
        "ci" => ci::command(&workspace, args),
        "test" => test::command(&workspace, args),
        "services" => services::command(&workspace, args),
        "bench" => bench::command(&workspace, args),
        "soak" => soak::command(&workspace, args),
        other => {
            println!("{USAGE}");
            Err(format!("there is no command {other:?}").into())
        }
    }
}
