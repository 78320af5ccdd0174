//! What is true of each command whatever comes of it.

use crate::args::{Command, Migrate};
use crate::interrupt::Manner;

/// What is true of a command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// As it is typed.
    pub(crate) name: &'static str,
    /// Whether giving it again is safe whatever became of it, and goes on.
    pub(crate) retakes: bool,
    /// What a signal does.
    pub(crate) manner: Manner,
    /// What is kept where a signal ends it.
    pub(crate) kept: &'static str,
    /// How to go on then.
    pub(crate) goes_on: &'static str,
}

impl Way {
    pub(crate) fn of(command: &Command) -> Self {
        match command {
            Command::Export(_) => Self::long(
                "export",
                "all objects that were written",
                "give the same command again: it goes on behind the last object",
            ),
            Command::Backfill(_) => Self::long(
                "backfill",
                "all rows that were applied",
                "give the same command again: it goes on, after ten seconds at most",
            ),
            Command::Tables(_) => Self::step("tables"),
            Command::Migrate(migrate) => Self::of_migrate(migrate),
        }
    }

    const fn of_migrate(migrate: &Migrate) -> Self {
        match migrate {
            Migrate::Start(_) => Self::step("migrate start"),
            Migrate::Status(_) => Self::long("migrate status", NOTHING, AGAIN),
            Migrate::Verify(_) => Self::long(
                "migrate verify",
                "nothing of this comparison; an earlier one counts as before",
                "give the same command again: it begins anew",
            ),
            Migrate::Pause(_) => Self::step("migrate pause"),
            Migrate::Resume(_) => Self::step("migrate resume"),
            Migrate::Throttle(_) => Self::step("migrate throttle"),
            Migrate::Rehearse(_) => Self::long(
                "migrate rehearse",
                "what was written into the scratch tenant",
                "give the same command with --clean-up: it removes that",
            ),
            Migrate::CutOver(_) => Self::moving("migrate cut-over"),
            Migrate::RollBack(_) => Self::moving("migrate roll-back"),
            Migrate::Finalise(_) => Self {
                manner: Manner::Finish,
                ..Self::long(
                    "migrate finalise",
                    "the end of the migration, if it had come so far; rows are gone or not",
                    "give the same command again, with the same --old-rows: it goes on",
                )
            },
            Migrate::Advise(_) => Self::long("migrate advise", NOTHING, AGAIN),
        }
    }

    /// It takes long, and goes on where it was.
    const fn long(name: &'static str, kept: &'static str, goes_on: &'static str) -> Self {
        Self {
            name,
            retakes: true,
            manner: Manner::Stop,
            kept,
            goes_on,
        }
    }

    /// It is soon over.
    const fn step(name: &'static str) -> Self {
        Self {
            retakes: false,
            manner: Manner::Finish,
            ..Self::long(
                name,
                "it was done or not",
                "kaireon migrate status, then the same command again",
            )
        }
    }

    /// It moves the authority.
    const fn moving(name: &'static str) -> Self {
        Self {
            kept: "the authority may be moving, and nobody may write until that is ended",
            goes_on: "give the same command again at once: it ends the move",
            ..Self::step(name)
        }
    }
}

const NOTHING: &str = "nothing was changed";

const AGAIN: &str = "give the same command again";
