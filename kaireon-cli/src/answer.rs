//! What a command answers, in the three forms in which it is printed.

use std::io::Write;

use serde::Serialize;
use serde_json::{Value, json};

use crate::args::Form;
use crate::exit::Exit;
use crate::redact::redacted;
use crate::show::Page;

/// What a command answers.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The command, as it is typed.
    pub(crate) command: &'static str,
    pub(crate) exit: Exit,
    /// `report` or `error`.
    key: &'static str,
    document: Value,
    page: Page,
}

impl Answer {
    /// What came of it.
    pub(crate) fn report(command: &'static str, exit: Exit, report: &impl Serialize, page: Page) -> Self {
        Self {
            command,
            exit,
            key: "report",
            // A report is plain data with text as keys.
            document: serde_json::to_value(report).unwrap_or_default(),
            page,
        }
    }

    /// Why nothing, or not everything, came of it.
    pub(crate) fn error(command: &'static str, exit: Exit, error: Value, page: Page) -> Self {
        Self {
            command,
            exit,
            key: "error",
            document: error,
            page,
        }
    }

    /// Prints it; the code to end with.
    pub(crate) fn print(self, form: Form) -> Exit {
        let Self {
            command,
            exit,
            key,
            document,
            page,
        } = self;
        let failed = key == "error";
        let text = match form {
            Form { json: true, .. } => {
                if failed {
                    eprint!("{}", redacted(&page.words()));
                }
                let whole =
                    json!({ "command": command, "exit": exit.code(), "outcome": exit, key: document });
                format!("{whole:#}\n")
            }
            Form { ticket: true, .. } => {
                if failed {
                    eprint!("{}", redacted(&page.words()));
                }
                page.ticket(command)
            }
            _ if failed => {
                eprint!("{}", redacted(&page.words()));
                return exit;
            }
            _ => page.words(),
        };
        let mut out = std::io::stdout().lock();
        // A reader that went away, such as `head`, is no failure of the command.
        let _ = out
            .write_all(redacted(&text).as_bytes())
            .and_then(|()| out.flush());
        exit
    }
}
