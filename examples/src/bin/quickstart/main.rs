//! The main job: a week of a fashion shop, replayed into an embedded kaireon and read back.
//!
//! Every row of the data set becomes a decision, an impression and, where it was clicked, a click, all through the
//! public API; a subscriber consumes their events at the same time. Then the program prints what a marketer would
//! want to see, shuts down, opens the directory anew, and shows that every count still stands. A second run
//! recognises every record as a duplicate.

mod args;
mod dataset;
mod estimate;
mod ledger;
mod listener;
mod records;
mod replay;
mod report;
mod table;

use std::error::Error;
use std::fmt::Display;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use kaireon::core::TenantId;
use kaireon::logging::{self, LogConfig, LogFormat};
use kaireon::{Config, Infra};

use crate::args::{Args, Request};
use crate::dataset::Row;
use crate::ledger::{Counts, Ledger};
use crate::listener::Listener;

/// Whatever ends the program.
type Failure = Box<dyn Error + Send + Sync>;

/// Whose shop it is.
const TENANT: &str = "zozotown";

/// How long a shutdown may take: enough to deliver every event on a slow disk.
const DEADLINE: Duration = Duration::from_secs(120);

const HEADER: &str = "\
Open Bandit Dataset, small sample: a week of recommendations of a fashion shop (ZOZOTOWN)
  by ZOZO, Inc., licensed CC BY 4.0; source: the files shipped with the Python package obp 0.4.1
  Customers are the 337 profiles of four hashed user features: the sample has no customer id.";

fn main() -> ExitCode {
    let environment = std::env::var_os(kaireon::KAIREON_DATA_DIR);
    match args::parse(std::env::args_os().skip(1), environment) {
        Ok(Request::Help) => {
            println!("{}", args::USAGE);
            ExitCode::SUCCESS
        }
        Ok(Request::Run(args)) => match run(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                eprintln!("quickstart: {}", with_sources(&*failure));
                ExitCode::FAILURE
            }
        },
        Err(wrong) => {
            eprintln!("quickstart: {wrong}\n{}", args::USAGE);
            ExitCode::from(2)
        }
    }
}

#[tokio::main]
async fn run(args: &Args) -> Result<(), Failure> {
    logging::init(&LogConfig {
        filter: "warn".to_owned(),
        format: LogFormat::Text,
    })?;
    let Args { data_dir, json } = args;
    let tenant = TenantId::new(TENANT)?;
    let rows = dataset::rows()?;
    let file = counts_of(&rows);
    show(HEADER)?;

    let infra = open(data_dir).await?;
    let startup = infra.startup();
    let (data, backend, stream) = (data_dir.display(), startup.store.backend, startup.events.backend);
    show(format_args!(
        "  Data directory: {data} (store {backend}, events {stream})"
    ))?;
    let store = infra.store();
    let before = Ledger::read(&*store, &tenant).await?.counts();
    // It subscribes before anything is recorded, because events are kept for those who listen.
    let listener = Listener::begin(&*infra.events()).await?;
    let bar = progress(rows.len());
    let replayed = replay::replay(&store, &tenant, rows, {
        let bar = bar.clone();
        move || bar.inc(1)
    })
    .await?;
    bar.finish_and_clear();

    let ledger = Ledger::read(&*store, &tenant).await?;
    let after = ledger.counts();
    show("")?;
    show(report::click_through(&ledger.samples(), &dataset::catalogue()?))?;
    show(report::items(&ledger))?;
    show(report::customer(&*store, &tenant, &ledger).await?)?;
    show(report::attribution(&ledger))?;
    show(report::throughput(&replayed, &store.capabilities().durability))?;
    drop(store);

    close(&infra).await?;
    let received = listener.received().await?;
    show(report::events(&received))?;
    let infra = open(data_dir).await?;
    let reopened = Ledger::read(&*infra.store(), &tenant).await?.counts();
    close(&infra).await?;
    show(report::standing(before, after, reopened))?;
    show(report::verdict(&replayed))?;
    if let Some(json) = json {
        let report = report::json(&replayed, &received, after, reopened);
        std::fs::write(json, format!("{report:#}\n"))?;
    }
    check(file, after, reopened)
}

/// What the environment names: without a word of it the embedded store, in that directory, and all else in this process.
async fn open(data_dir: &Path) -> kaireon::core::Result<Infra> {
    let environment = Config::from_env();
    let config = Config {
        interaction_store: environment.interaction_store,
        database_url: environment.database_url,
        extra: environment.extra,
        unreadable: environment.unreadable,
        event_publisher: environment.event_publisher,
        cache_store: environment.cache_store,
        redis_url: environment.redis_url,
        search_index: Some("memory".to_owned()),
        data_dir: Some(data_dir.to_owned()),
        ..Config::default()
    };
    let builder = Infra::builder().config(config);
    // A service leaves this to whoever rolls it out.
    builder.migrate().await?;
    builder.build().await
}

/// Delivers what waits in the outbox, ends the subscriptions, and lets go of the directory.
async fn close(infra: &Infra) -> Result<(), Failure> {
    let waiting = ProgressBar::new_spinner().with_message("delivering what waits in the outbox");
    waiting.enable_steady_tick(Duration::from_millis(100));
    let report = infra.shutdown(DEADLINE).await;
    waiting.finish_and_clear();
    if report.is_clean() {
        Ok(())
    } else {
        Err(format!("the shutdown was not clean: {report}").into())
    }
}

/// Hidden where standard error is no terminal.
fn progress(rows: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("  {bar:40} {pos} of {len} rows, {per_sec}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(rows as u64).with_style(style)
}

/// What the file holds, counted without the store.
fn counts_of(rows: &[Row]) -> Counts {
    Counts {
        decisions: rows.len() as u64,
        impressions: rows.len() as u64,
        clicks: rows.iter().filter(|row| row.clicked).count() as u64,
    }
}

fn check(file: Counts, after: Counts, reopened: Counts) -> Result<(), Failure> {
    if after != file {
        return Err(format!("the file holds {file:?}, and the store {after:?}").into());
    }
    if reopened != after {
        return Err(format!("the store held {after:?}, and {reopened:?} when it was reopened").into());
    }
    Ok(())
}

/// Prints a paragraph.
fn show(paragraph: impl Display) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{paragraph}")
}

/// An error with what caused it, on one line.
fn with_sources(failure: &(dyn Error + 'static)) -> String {
    let mut text = failure.to_string();
    let mut source = failure.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}
