//! The command line.

mod value;

use std::num::NonZeroU32;

use clap::{Args, Parser, Subcommand, ValueEnum};
use kaireon::core::TenantId;
use kaireon::core::time::Timestamp;
use kaireon::migrate::{Backend, OldRows, Regions};

pub(crate) use value::Bound;

use self::value::{backend, moment, noted, rows_or_off, span_or_off, tenant};
use crate::span::Span;

/// Moves tenants of kaireon from one interaction store to another, while they are used.
///
/// Where the stores, the settings and the archive lie is said by the environment, with the same variables as for the hosts:
/// see docs/migrate.md.
#[derive(Debug, Parser)]
#[command(name = "kaireon", version, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) form: Form,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Form {
    /// Print one JSON document on standard output, and nothing else; whatever is told meanwhile goes to standard error
    #[arg(long, global = true, display_order = 100)]
    pub(crate) json: bool,
    /// Print a summary that can be pasted into a ticket
    #[arg(long, global = true, display_order = 101, conflicts_with = "json")]
    pub(crate) ticket: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Move a tenant from one store to another, step by step
    #[command(subcommand)]
    Migrate(Migrate),
    /// Write what a tenant has into its archive: once what is there, and what came since
    Export(Export),
    /// Apply a tenant's archive to the store that it is moved to
    Backfill(Backfill),
    /// Tell which tables of the stores and the settings are not of this release, and make them so
    Tables(Tables),
}

#[derive(Debug, Args)]
pub(crate) struct Tables {
    /// Do it; without it nothing is changed
    #[arg(long)]
    pub(crate) apply: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Migrate {
    /// Begin: from now on every write is brought to the other store as well
    Start(Start),
    /// Tell where a tenant stands, what the gate lacks, and what comes next
    Status(Whose),
    /// Compare the two stores, and pass the gate where nothing is lacking
    Verify(Verify),
    /// Let the backfill stand still, whichever process runs it
    Pause(Whose),
    /// Let the backfill go on
    Resume(Whose),
    /// Bound how fast the backfill goes, whichever process runs it
    Throttle(Throttle),
    /// Replay archived traffic into a scratch tenant of a store, before anything moves
    Rehearse(Rehearse),
    /// Make the other store the one that counts
    CutOver(Move),
    /// Go back to the store that the tenant came from
    RollBack(Move),
    /// End the migration, after its safety period, and decide what becomes of the old rows
    Finalise(Finalise),
    /// Measure a store, and say whether it is to be left
    Advise(Advise),
}

/// Whose data.
#[derive(Clone, Debug, Args)]
pub(crate) struct Whose {
    /// Whose data it is about
    #[arg(long, value_name = "TENANT", value_parser = tenant)]
    pub(crate) tenant: TenantId,
}

/// Who asks, and why.
#[derive(Clone, Debug, Args)]
pub(crate) struct Who {
    /// Who asks for it, which is recorded; without it $KAIREON_AUTHOR, or else $USER
    #[arg(long, value_name = "NAME", value_parser = noted)]
    pub(crate) author: Option<String>,
    /// Why, which is recorded: a ticket, a sentence
    #[arg(long, value_name = "TEXT", value_parser = noted)]
    pub(crate) reason: String,
}

/// Whether entries are carried over by this process.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Carry {
    /// Carry replicated entries from one store to the other meanwhile, as hosts do; for when none is running. It is done
    /// without being asked for where a store is open in this process alone
    #[arg(long)]
    pub(crate) relay: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Start {
    #[command(flatten)]
    pub(crate) whose: Whose,
    #[command(flatten)]
    pub(crate) who: Who,
    /// The store to move to
    #[arg(long, value_name = "STORE", value_parser = backend)]
    pub(crate) to: Backend,
    /// How long whoever writes waits for the other store
    #[arg(long, value_enum, default_value = "async")]
    pub(crate) dual_write: Mode,
    /// The longest that a writer waits with `--dual-write strict`
    #[arg(long, value_name = "TIME", default_value = "250ms")]
    pub(crate) budget: Span,
    /// How old a comparison may be when the gate is asked
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub(crate) max_age: Span,
    /// How far replication may lag when the gate is asked
    #[arg(long, value_name = "TIME", default_value = "1s")]
    pub(crate) max_lag: Span,
    /// How many live reads have to be compared by the hosts before the gate opens; 0 asks for none
    #[arg(long, value_name = "READS", default_value_t = 1_000)]
    pub(crate) min_reads: u64,
    /// How long writers wait at most while the authority moves
    #[arg(long, value_name = "TIME", default_value = "2s")]
    pub(crate) drain_bound: Span,
    /// How long after the cut-over the migration may not be finalised
    #[arg(long, value_name = "TIME", default_value = "7d")]
    pub(crate) safety_period: Span,
    /// Override what is lacking, where it can be; what was is recorded
    #[arg(long)]
    pub(crate) force: bool,
}

/// How long a writer waits for the other store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Not at all
    Async,
    /// For one attempt
    BestEffort,
    /// Until its own entry is there, or `--budget` has run out
    Strict,
}

#[derive(Debug, Args)]
pub(crate) struct Move {
    #[command(flatten)]
    pub(crate) whose: Whose,
    #[command(flatten)]
    pub(crate) who: Who,
    /// Override what is lacking, where it can be; what was is recorded
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) carry: Carry,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) whose: Whose,
    /// How long to wait for other exporters that hold a part of what is to be written
    #[arg(long, value_name = "TIME", default_value = "90s")]
    pub(crate) wait: Span,
}

#[derive(Debug, Args)]
pub(crate) struct Backfill {
    #[command(flatten)]
    pub(crate) whose: Whose,
    #[command(flatten)]
    pub(crate) who: Who,
    /// Begin it anew, whatever was done before
    #[arg(long)]
    pub(crate) again: bool,
    /// How many days are applied at once
    #[arg(long, value_name = "DAYS", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(crate) parallel: u16,
    /// How many rows are written at once
    #[arg(long, value_name = "ROWS", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) chunk: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) whose: Whose,
    #[command(flatten)]
    pub(crate) who: Who,
    /// Read at most so many rows a second, of both stores together
    #[arg(long, value_name = "ROWS")]
    pub(crate) rows_per_second: Option<NonZeroU32>,
    /// Leave out rows from before this time (2026-05-01, 2026-05-01T12:00:00Z), which one of the stores has purged
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) kept_from: Option<Timestamp>,
    /// Name so many differences of each kind, by the ids of records
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u16).range(..=1_000))]
    pub(crate) samples: u16,
    #[command(flatten)]
    pub(crate) carry: Carry,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("bounds").required(true).multiple(true))]
pub(crate) struct Throttle {
    #[command(flatten)]
    pub(crate) whose: Whose,
    /// Write at most so many rows a second; `off` takes the bound away
    #[arg(long, value_name = "ROWS", value_parser = rows_or_off, group = "bounds")]
    pub(crate) rows_per_second: Option<Bound<NonZeroU32>>,
    /// Make room while a write to the target takes longer than that; `off` takes the bound away
    #[arg(long, value_name = "TIME", value_parser = span_or_off, group = "bounds")]
    pub(crate) target_latency: Option<Bound<Span>>,
}

#[derive(Debug, Args)]
pub(crate) struct Rehearse {
    #[command(flatten)]
    pub(crate) whose: Whose,
    /// The store that is to be tried
    #[arg(long, value_name = "STORE", value_parser = backend)]
    pub(crate) on: Backend,
    /// How many times as fast as it was made traffic is replayed
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub(crate) times: f64,
    /// From when on (2026-05-01, 2026-05-01T12:00:00Z); by default the newest archived day
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) from: Option<Timestamp>,
    /// Before when; by default the end of the day that --from is in
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<Timestamp>,
    /// How many calls may be under way at once
    #[arg(long, value_name = "CALLS", default_value_t = 256)]
    pub(crate) concurrency: u32,
    /// The tenant that is written to; by default the tenant's name with `-rehearsal` behind it
    #[arg(long, value_name = "TENANT", value_parser = tenant)]
    pub(crate) scratch: Option<TenantId>,
    /// Replay nothing: remove what a rehearsal left that was cut off
    #[arg(long, conflicts_with_all = ["times", "from", "until", "concurrency"])]
    pub(crate) clean_up: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Finalise {
    #[command(flatten)]
    pub(crate) whose: Whose,
    #[command(flatten)]
    pub(crate) who: Who,
    /// What becomes of the rows on the store that the tenant came from. There is no default
    #[arg(long, value_enum)]
    pub(crate) old_rows: Rows,
    /// Do not wait out what is left of the safety period; that is recorded
    #[arg(long)]
    pub(crate) force: bool,
}

/// What becomes of the old rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rows {
    /// They stay where they are
    Keep,
    /// They are removed, once each of them was found in a verified object of the archive
    Archive,
    /// They are removed
    Drop,
}

impl From<Rows> for OldRows {
    fn from(rows: Rows) -> Self {
        match rows {
            Rows::Keep => Self::Keep,
            Rows::Archive => Self::Archive,
            Rows::Drop => Self::Drop,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Advise {
    /// The store
    #[arg(long, value_name = "STORE", value_parser = backend)]
    pub(crate) store: Backend,
    /// For how long it is looked at; "sustained" is as long as that
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(crate) over: Span,
    /// In how many parts
    #[arg(long, value_name = "PARTS", default_value_t = 6, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub(crate) parts: u32,
    /// Whether its customers are to be served from more than one region, which nothing measures
    #[arg(long, value_enum, default_value = "one")]
    pub(crate) regions: Served,
    /// Also measure how many writes a second the store takes on this machine, by writing into this tenant, which must be
    /// empty: for 5 s, and not while others need the store
    #[arg(long, value_name = "TENANT", value_parser = tenant)]
    pub(crate) probe: Option<TenantId>,
}

/// From where customers are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Served {
    /// One region is enough
    One,
    /// Several are needed
    Several,
}

impl From<Served> for Regions {
    fn from(served: Served) -> Self {
        match served {
            Served::One => Self::One,
            Served::Several => Self::Several,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_whole() {
        Cli::command().debug_assert();
    }
}
