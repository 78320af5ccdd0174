//! Each command as one call of the library.

mod finding;
mod moving;
mod ways;

use std::sync::Arc;
use std::time::Duration;

use kaireon::TenantSwitch;
use kaireon::core::relay::Relay;
use kaireon::core::{Error, Result};
use kaireon::migrate::{Asked, Operator, OperatorConfig};

use crate::answer::Answer;
use crate::args::{Command, Migrate, Who};
use crate::exit::Exit;
use crate::failure;
use crate::interrupt::guarded;
use crate::open::{hint, is_alone, is_in_use, open};
use crate::progress::Reporter;
use crate::show::Page;

pub(crate) use ways::Way;

/// How long relays and stores may take to let go at the end.
const LET_GO: Duration = Duration::from_secs(5);

/// What a command works with.
pub(crate) struct Session {
    pub(crate) switch: TenantSwitch,
    pub(crate) reporter: Arc<Reporter>,
}

/// Runs a command to its end, or until a signal comes.
pub(crate) async fn run(command: Command) -> Answer {
    let way = Way::of(&command);
    if let Command::Tables(tables) = &command {
        return finding::tables(way, tables.apply).await;
    }
    let switch = match open().await {
        Ok(switch) => switch,
        // Nothing was begun, so that it is as it was whatever the error says.
        Err(error) => {
            let exit = match is_in_use(&error) {
                true => Exit::Again,
                false => Exit::of(&error, true),
            };
            return failure::answer(way.name, &error, exit, hint(&error));
        }
    };
    let session = Session {
        switch,
        reporter: Arc::new(Reporter::new()),
    };
    let answer = session.answer(command, way).await;
    // What does not let go in time ends with the process.
    let _ = tokio::time::timeout(LET_GO, session.switch.disconnect()).await;
    answer
}

impl Session {
    async fn answer(&self, command: Command, way: Way) -> Answer {
        let relays = match self.relays(&command) {
            Ok(relays) => relays,
            Err(error) => return failure::answer(way.name, &error, Exit::of(&error, true), None),
        };
        let done = guarded(self.done(command, way), way.manner).await;
        self.reporter.end();
        for relay in &relays {
            // Leases that are not given back end by themselves.
            let _ = relay.stop(LET_GO).await;
        }
        match done {
            Some(Ok(answer)) => answer,
            Some(Err(error)) => {
                failure::answer(way.name, &error, Exit::of(&error, way.retakes), hint(&error))
            }
            None => interrupted(way),
        }
    }

    /// Carries entries over where nobody else can, or where it was asked for.
    fn relays(&self, command: &Command) -> Result<Vec<Relay>> {
        let asked = match command {
            Command::Migrate(Migrate::Verify(verify)) => verify.carry.relay,
            Command::Migrate(Migrate::CutOver(step) | Migrate::RollBack(step)) => step.carry.relay,
            _ => return Ok(Vec::new()),
        };
        match asked || is_alone(&self.switch) {
            true => self.switch.operator().relays(),
            false => Ok(Vec::new()),
        }
    }

    async fn done(&self, command: Command, way: Way) -> Result<Answer> {
        match command {
            Command::Export(export) => moving::export(self, way, export).await,
            Command::Backfill(backfill) => moving::backfill(self, way, backfill).await,
            Command::Tables(tables) => Ok(finding::tables(way, tables.apply).await),
            Command::Migrate(migrate) => match migrate {
                Migrate::Start(start) => moving::start(self, way, start).await,
                Migrate::Status(whose) => finding::status(self, way, &whose.tenant).await,
                Migrate::Verify(verify) => moving::verify(self, way, verify).await,
                Migrate::Pause(whose) => moving::pause(self, way, &whose.tenant).await,
                Migrate::Resume(whose) => moving::resume(self, way, &whose.tenant).await,
                Migrate::Throttle(throttle) => moving::throttle(self, way, throttle).await,
                Migrate::Rehearse(rehearse) => finding::rehearse(self, way, rehearse).await,
                Migrate::CutOver(step) => moving::cut_over(self, way, step).await,
                Migrate::RollBack(step) => moving::roll_back(self, way, step).await,
                Migrate::Finalise(finalise) => moving::finalise(self, way, finalise).await,
                Migrate::Advise(advise) => finding::advise(self, way, advise).await,
            },
        }
    }

    /// The operator's functions, telling how far they have come.
    pub(crate) fn operator(&self, edit: impl FnOnce(&mut OperatorConfig)) -> Operator {
        let mut config = OperatorConfig::default();
        edit(&mut config);
        let reporter = Arc::clone(&self.reporter);
        let operator = self.switch.operator().with_config(config);
        operator.with_progress(move |advance| reporter.advance(&advance))
    }
}

/// Who asks.
///
/// # Errors
/// `InvalidInput` naming `author` where nothing says who.
pub(crate) fn asked(who: &Who, force: bool) -> Result<Asked> {
    let of_environment = || {
        let variables = ["KAIREON_AUTHOR", "USER"].iter();
        let mut found = variables.filter_map(|name| std::env::var(name).ok());
        found.find(|author| !author.trim().is_empty())
    };
    let author = who.author.clone().or_else(of_environment);
    let nobody = || {
        Error::invalid(
            "author",
            "nothing says who asks: give --author, or set KAIREON_AUTHOR",
        )
    };
    let asked = Asked::by(author.ok_or_else(nobody)?, &who.reason);
    Ok(match force {
        true => asked.forced(),
        false => asked,
    })
}

fn interrupted(way: Way) -> Answer {
    let mut page = Page::new("interrupted");
    page.is_failure = true;
    page.field("kept", way.kept);
    page.next = Some(way.goes_on.to_owned());
    let document = serde_json::json!({
        "kind": "interrupted",
        "message": "interrupted",
        "kept": way.kept,
        "hint": way.goes_on,
    });
    Answer::error(way.name, Exit::Interrupted, document, page)
}
