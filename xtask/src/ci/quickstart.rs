//! The README's first command, held against counts taken from the data file without any code of ours.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::Outcome;
use super::examples::{EXAMPLES, ON_SERVERS, QUICKSTART, embedded};
use super::redis_cli::RedisCli;
use crate::failure::{Context, Result};
use crate::process;
use crate::scratch::Scratch;
use crate::services::{PostgresSchema, Session};
use crate::workspace::Workspace;

/// The data set.
pub(super) const DATA: &str = "examples/data/open-bandit/impressions.csv.gz";
const DECISION: &str = "decision.made.v1";
const INTERACTION: &str = "interaction.recorded.v1";

/// What the file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) rows: u64,
    pub(super) clicks: u64,
}

/// What quickstart says it did.
#[derive(Debug)]
struct Report(Value);

/// What it runs on.
enum Place<'a> {
    Embedded,
    Postgres(&'a PostgresSchema),
    /// The embedded store, with its events on the server at that URL.
    Redis(&'a str),
}

/// On the embedded store.
pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    on(workspace, &Place::Embedded)
}

/// On a real PostgreSQL server, in a schema of its own that nobody has used before.
pub(super) fn run_on_postgres(workspace: &Workspace) -> Result<Outcome> {
    let mut session = Session::start_some(workspace, &["postgres"])?;
    if let Some((name, why)) = session.not_started().first() {
        return Err(format!("{name} did not start: {why}").into());
    }
    let schema = PostgresSchema::new(&session, QUICKSTART)?;
    let outcome = on(workspace, &Place::Postgres(&schema));
    // A run that failed may have left nothing to drop, and is what there is to tell.
    let dropped = schema.drop();
    let outcome = outcome?;
    dropped?;
    session.stop()?;
    Ok(outcome)
}

/// With the events on a real Redis server, and a client of Redis's own that listens to them.
pub(super) fn run_on_redis(workspace: &Workspace) -> Result<Outcome> {
    let mut session = Session::start_some(workspace, &["redis-bin", "redis"])?;
    if let Some((name, why)) = session.not_started().first() {
        return Err(format!("{name} did not start: {why}").into());
    }
    let environment = session.environment();
    let told = |wanted: &str| {
        let found = environment.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.clone()).context(wanted)
    };
    let (programs, url) = (
        told("KAIREON_TEST_REDIS_BINDIR")?,
        told("KAIREON_TEST_REDIS_URL")?,
    );
    let heard = Scratch::new(&workspace.target, "quickstart-redis-cli")?;
    let listener = RedisCli::listen(Path::new(&programs), &url, heard.path(), &[INTERACTION, DECISION])?;
    let outcome = on(workspace, &Place::Redis(&url))?;
    let heard = listener.heard()?;
    let Expected { rows, clicks } = count(&workspace.root.join(DATA))?;
    for (topic, wanted) in [(INTERACTION, rows + clicks), (DECISION, rows)] {
        let found = heard.ids(topic)?;
        if found != wanted {
            return Err(format!("redis-cli heard {found} different events on {topic}, not {wanted}").into());
        }
    }
    session.stop()?;
    Ok(outcome)
}

fn on(workspace: &Workspace, place: &Place<'_>) -> Result<Outcome> {
    let expected = count(&workspace.root.join(DATA))?;
    println!("{DATA}: {} rows, {} clicks", expected.rows, expected.clicks);
    let data = Scratch::new(&workspace.target, QUICKSTART)?;
    let first = replay(workspace, data.path(), place, "first")?;
    let second = replay(workspace, data.path(), place, "second")?;
    let mut faults = first_faults(expected, &first);
    faults.extend(second_faults(expected, &first, &second));
    if faults.is_empty() {
        Ok(Outcome::Passed)
    } else {
        Err(faults.join("; ").into())
    }
}

/// Counted without any code of ours.
pub(super) fn count(path: &Path) -> Result<Expected> {
    let csv = process::stdout_of(Command::new("gzip").arg("-dc").arg(path))?;
    expected(&csv)
}

/// Counts rows and clicks. The fields of this file hold no quotes, which is checked rather than assumed.
fn expected(csv: &str) -> Result<Expected> {
    if csv.contains('"') {
        return Err("the data file has quoted fields, which this count cannot read".into());
    }
    let mut lines = csv.lines();
    let head = lines.next().context("the data file is empty")?;
    let column = head
        .split(',')
        .position(|name| name == "click")
        .context("the data file has no column click")?;
    let mut counted = Expected { rows: 0, clicks: 0 };
    for line in lines.filter(|line| !line.is_empty()) {
        counted.rows += 1;
        match line.split(',').nth(column) {
            Some("1") => counted.clicks += 1,
            Some("0") => {}
            other => return Err(format!("row {} has click {other:?}", counted.rows).into()),
        }
    }
    Ok(counted)
}

fn replay(workspace: &Workspace, data: &Path, place: &Place<'_>, name: &str) -> Result<Report> {
    let json = data.with_extension(format!("{name}.json"));
    // The README's commands; that each feature compiles by itself is another step.
    let features: &[&str] = match place {
        Place::Embedded => &[],
        Place::Postgres(_) | Place::Redis(_) => &["--package", EXAMPLES, "--features", ON_SERVERS],
    };
    let mut quickstart = workspace.cargo(["run", "--release", "--bin", QUICKSTART]);
    quickstart.args(features).args(["--", "--data-dir"]);
    quickstart.arg(data).arg("--json").arg(&json);
    embedded(&mut quickstart, data);
    match place {
        Place::Embedded => {}
        Place::Postgres(schema) => {
            quickstart
                .env("INTERACTION_STORE", "postgresql")
                .env("DATABASE_URL", schema.url())
                .env("KAIREON_PG_SCHEMA", schema.name());
        }
        Place::Redis(url) => {
            quickstart.env("EVENT_PUBLISHER", "redis").env("REDIS_URL", url);
        }
    }
    process::run(&mut quickstart)?;
    let text =
        std::fs::read_to_string(&json).context(format_args!("quickstart wrote no {}", json.display()))?;
    std::fs::remove_file(&json).context(json.display())?;
    println!("{name} run: {text}");
    Ok(Report(
        serde_json::from_str(&text).context("quickstart's report")?,
    ))
}

impl Report {
    fn number(&self, path: &[&str]) -> Option<u64> {
        path.iter()
            .try_fold(&self.0, |value, name| value.get(name))
            .and_then(Value::as_u64)
    }

    /// Says where a number is not what it should be.
    fn is(&self, run: &str, path: &[&str], wanted: u64) -> Option<String> {
        let found = self.number(path);
        (found != Some(wanted)).then(|| {
            let found = found.map_or("missing".to_owned(), |found| found.to_string());
            format!("{run} run: {} is {found}, not {wanted}", path.join("."))
        })
    }
}

/// The counts that stand after any number of replays, before and after the directory was reopened.
fn standing(run: &str, expected: Expected, report: &Report) -> Vec<String> {
    let counts = [
        ("decisions", expected.rows),
        ("impressions", expected.rows),
        ("clicks", expected.clicks),
    ];
    let now = counts
        .iter()
        .filter_map(|(name, count)| report.is(run, &[name], *count));
    let reopened = counts
        .iter()
        .filter_map(|(name, count)| report.is(run, &["reopened", name], *count));
    now.chain(reopened).collect()
}

fn first_faults(expected: Expected, first: &Report) -> Vec<String> {
    let Expected { rows, clicks } = expected;
    let mut faults = standing("first", expected, first);
    faults.extend(first.is("first", &["duplicates"], 0));
    faults.extend(first.is("first", &["new"], rows + rows + clicks));
    faults.extend(first.is("first", &["events_received", DECISION], rows));
    faults.extend(first.is("first", &["events_received", INTERACTION], rows + clicks));
    faults
}

fn second_faults(expected: Expected, first: &Report, second: &Report) -> Vec<String> {
    let mut faults = standing("second", expected, second);
    faults.extend(second.is("second", &["new"], 0));
    faults.extend(second.is(
        "second",
        &["duplicates"],
        first.number(&["new"]).unwrap_or_default(),
    ));
    // A duplicate is no event.
    faults.extend(second.is("second", &["events_received", DECISION], 0));
    faults.extend(second.is("second", &["events_received", INTERACTION], 0));
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Expected, Report, expected, first_faults, second_faults};

    const EXPECTED: Expected = Expected { rows: 3, clicks: 1 };

    fn report(new: u64, duplicates: u64, decisions: u64, interactions: u64) -> Value {
        let counts = json!({"decisions": 3, "impressions": 3, "clicks": 1});
        let mut report = counts.clone();
        report["new"] = json!(new);
        report["duplicates"] = json!(duplicates);
        report["events_received"] =
            json!({"decision.made.v1": decisions, "interaction.recorded.v1": interactions});
        report["reopened"] = counts;
        report
    }

    #[test]
    fn rows_and_clicks_are_counted_by_the_head() {
        let csv = "policy,click,timestamp\nbts,0,a\nbts,1,b\nrandom,0,c\n";
        assert_eq!(expected(csv).unwrap(), EXPECTED);
        assert!(expected("policy\nbts\n").is_err());
        assert!(expected("policy,click\n\"a,b\",1\n").is_err());
        assert!(expected("policy,click\nbts,yes\n").is_err());
    }

    #[test]
    fn two_good_runs_have_no_fault() {
        let (first, second) = (Report(report(7, 0, 3, 4)), Report(report(0, 7, 0, 0)));
        assert!(first_faults(EXPECTED, &first).is_empty());
        assert!(second_faults(EXPECTED, &first, &second).is_empty());
    }

    #[test]
    fn a_count_that_moves_or_is_missing_is_a_fault() {
        let first = Report(report(7, 0, 3, 4));
        assert_eq!(second_faults(EXPECTED, &first, &first).len(), 4);
        let mut moved = report(7, 0, 3, 4);
        moved["reopened"]["clicks"] = json!(0);
        moved["events_received"] = json!({});
        let faults = first_faults(EXPECTED, &Report(moved));
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert_eq!(faults[0], "first run: reopened.clicks is 0, not 1");
    }
}
