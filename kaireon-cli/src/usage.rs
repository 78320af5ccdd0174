//! Reading the command line, and what its help says of exit codes.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Command as Built, CommandFactory, FromArgMatches};
use serde_json::json;

use crate::args::Cli;
use crate::exit::{CODES, Exit};

/// The command line, or how the program ends because of it: help was printed, or what is wrong with it.
pub(crate) fn read(words: impl IntoIterator<Item = OsString>) -> Result<Cli, Exit> {
    let words: Vec<OsString> = words.into_iter().collect();
    let parsed = command().try_get_matches_from(&words);
    let parsed = parsed.and_then(|matches| Cli::from_arg_matches(&matches));
    parsed.map_err(|error| {
        let shown = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
        if shown {
            // A pipe that is closed early is no failure.
            let _ = error.print();
            return Exit::Done;
        }
        if words.iter().any(|word| word == "--json") {
            let message = error.render().to_string();
            println!(
                "{:#}",
                json!({
                    "command": null,
                    "exit": Exit::Usage.code(),
                    "outcome": Exit::Usage,
                    "error": { "kind": "usage", "message": message.trim_end() },
                })
            );
        }
        eprint!("{}", error.render());
        Exit::Usage
    })
}

/// The command, each part of it with the codes that it may end with.
fn command() -> Built {
    with_codes(Cli::command(), "")
}

fn with_codes(command: Built, path: &str) -> Built {
    let mut command = command;
    let names: Vec<String> = (command.get_subcommands())
        .map(|sub| sub.get_name().to_owned())
        .collect();
    for name in names {
        let path = format!("{path} {name}");
        command = command.mut_subcommand(&name, |sub| with_codes(sub, path.trim()));
    }
    command.after_help(codes(path))
}

/// The table of exit codes, with what "no" means to a command.
fn codes(path: &str) -> String {
    let mut table = "Exit codes:\n".to_owned();
    for (exit, words) in CODES {
        let words = match exit {
            Exit::No => no(path).unwrap_or(words),
            _ => words,
        };
        let mut label = exit.code().to_string();
        for line in wrapped(words) {
            table += &format!("  {label:<4} {line}\n");
            label.clear();
        }
    }
    table
}

/// The words in lines of at most 84 characters.
fn wrapped(words: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + word.len() < 84 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// What code 1 says, where it says something of its own.
fn no(path: &str) -> Option<&'static str> {
    Some(match path {
        "migrate start" => "refused: the tenant is on that store, or on its way to another one",
        "migrate verify" => {
            "the stores differ, or something was not compared; or there is nothing to compare"
        }
        "migrate cut-over" => "refused: the gate lacks what the message says; the tenant stays where it is",
        "migrate roll-back" => {
            "refused: there is no way back, or it loses what the message says; nothing moved"
        }
        "migrate finalise" => {
            "refused: the safety period is not over, or rows are in no verified object of the archive; nothing was removed"
        }
        "migrate pause" | "migrate resume" | "migrate throttle" => {
            "there is no migration that could have a backfill"
        }
        "migrate rehearse" => "the store did not keep up, or something of an earlier rehearsal is left",
        "migrate advise" => {
            "the tenant that was to be probed with is not empty; what the advice is, is no matter of the code"
        }
        "migrate status" => "never: what is away is named in the answer",
        "tables" => "never",
        "export" => "another process makes the tenant's first export",
        "backfill" => {
            "rows could not be applied, which are named; the export does not reach far enough; or another process is at it"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each(command: &Built, path: &str, seen: &mut Vec<String>) {
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let path = format!("{path} {}", sub.get_name());
            each(sub, path.trim(), seen);
            if !sub.has_subcommands() {
                seen.push(path.trim().to_owned());
            }
        }
    }

    #[test]
    fn each_command_says_what_no_means_to_it() {
        let mut commands = Vec::new();
        each(&command(), "", &mut commands);
        assert_eq!(commands.len(), 14, "{commands:?}");
        for path in commands {
            assert!(no(&path).is_some(), "{path}");
        }
    }
}
