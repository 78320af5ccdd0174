//! The main job: a real week of a fashion shop through kaireon's public API.
//!
//! `cargo run --release --bin quickstart [-- --data-dir DIR] [--json FILE]`
//!
//! Replays every row of the data set as a decision, an impression and, where clicked, a response, while a
//! subscriber reads both event streams; prints what a marketer would want to see, all of it read back from the
//! store; shuts down, reopens the directory, and shows that every count still stands. A second run on the same
//! directory finds duplicates only, and moves no count.

mod args;
mod customer;
mod ledger;
mod listener;
mod marketing;
mod replay;
mod table;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use kaireon::core::TenantId;
use kaireon::{Config, Infra};
use kaireon_examples::open_bandit;
use serde_json::json;

use crate::args::Args;
use crate::ledger::Ledger;
use crate::listener::Listener;
use crate::replay::Replayed;

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Whose shop it is.
const TENANT: &str = "zozotown";

/// Long enough for a slow disk to deliver what waits.
const DEADLINE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse(std::env::args().skip(1))?;
    let config = configuration(&args);
    let tenant = TenantId::new(TENANT)?;
    let rows = open_bandit::rows()?;
    println!(
        "Open Bandit Dataset (ZOZO, Inc., CC BY 4.0): {} logged recommendations\n",
        rows.len()
    );

    let infra = config.clone().start().await?;
    println!(
        "{}\ndata directory: {}\n",
        infra.startup(),
        config.data_dir().display()
    );

    // The subscriber comes first: what is recorded from here on is published to it.
    let listener = Listener::subscribe(&infra).await?;
    let begun = Instant::now();
    let replayed = replay::all(&infra, &tenant, rows).await?;
    let took = begun.elapsed();

    let ledger = Ledger::read(&*infra.store(), &tenant).await?;
    marketing::print(&ledger)?;
    customer::print(&infra, &ledger).await?;
    print_throughput(&replayed, took);

    let drained = infra.shutdown(DEADLINE).await;
    let received = listener.finish().await?;
    received.print();
    println!("shut down: {drained}\n");

    let reopened = count_again(config, &tenant).await?;
    let counts = ledger.counts();
    println!(
        "in the store           decisions {}, impressions {}, clicks {}",
        counts.decisions, counts.impressions, counts.clicks
    );
    println!(
        "after opening it anew  decisions {}, impressions {}, clicks {}",
        reopened.decisions, reopened.impressions, reopened.clicks
    );
    if let Some(file) = args.json {
        let report = json!({
            "decisions": counts.decisions,
            "impressions": counts.impressions,
            "clicks": counts.clicks,
            "new": replayed.new,
            "duplicates": replayed.duplicates,
            "events_received": received.by_type(),
            "reopened": {
                "decisions": reopened.decisions,
                "impressions": reopened.impressions,
                "clicks": reopened.clicks,
            },
        });
        std::fs::write(file, format!("{report:#}\n"))?;
    }
    if counts != reopened {
        return Err("the counts did not survive the restart".into());
    }
    if !drained.is_clean() {
        return Err("the shutdown was not clean".into());
    }
    Ok(())
}

/// The environment's choice of backends; the directory from the command line, the environment, or a default of
/// its own.
fn configuration(args: &Args) -> Config {
    let mut config = Config::from_env();
    if let Some(directory) = &args.data_dir {
        config.data_dir = Some(directory.clone());
    }
    config
        .data_dir
        .get_or_insert_with(|| PathBuf::from("data/quickstart"));
    config
}

async fn count_again(config: Config, tenant: &TenantId) -> Result<ledger::Counts> {
    let infra: Infra = config.start().await?;
    let ledger = Ledger::read(&*infra.store(), tenant).await?;
    let report = infra.shutdown(DEADLINE).await;
    if !report.is_clean() {
        return Err(format!("the second shutdown was not clean: {report}").into());
    }
    Ok(ledger.counts())
}

fn print_throughput(replayed: &Replayed, took: Duration) {
    let total = replayed.new + replayed.duplicates;
    let rate = total as f64 / took.as_secs_f64();
    println!(
        "Replay: {total} records in {:.1} s, {rate:.0} a second",
        took.as_secs_f64()
    );
    println!("  new {}, duplicates {}\n", replayed.new, replayed.duplicates);
}
