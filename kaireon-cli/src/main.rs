//! The command `kaireon`: what an operator does, one call of `kaireon::migrate::Operator` for each command.

mod answer;
mod args;
mod exit;
mod failure;
mod interrupt;
mod open;
mod progress;
mod redact;
mod run;
mod show;
mod span;
mod usage;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match usage::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(ended) => return ended.into(),
    };
    let form = cli.form;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("kaireon: the runtime cannot be started: {error}");
            return exit::Exit::Failed.into();
        }
    };
    let answer = runtime.block_on(run::run(cli.command));
    // What still waits for a store that does not answer is left behind.
    runtime.shutdown_background();
    answer.print(form).into()
}
