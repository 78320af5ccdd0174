//! The example that moves the quickstart's data, held against counts taken from the data file without any code of ours.

use std::time::Duration;

use serde_json::Value;

use super::Outcome;
use super::examples::{EXAMPLES, MIGRATE, ON_SERVERS, embedded};
use super::quickstart::{DATA, Expected, count};
use crate::failure::{Context, Result};
use crate::process;
use crate::scratch::Scratch;
use crate::services::{PostgresSchema, Session};
use crate::workspace::Workspace;

/// Long for what takes two minutes on two cores.
const LIMIT: Duration = Duration::from_secs(600);

/// The stores of the move.
const STORES: [&str; 2] = ["embedded", "postgresql"];

/// On a real PostgreSQL server, in a schema of its own that nobody has used before.
pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    let mut session = Session::start_some(workspace, &["postgres"])?;
    if let Some((name, why)) = session.not_started().first() {
        return Err(format!("{name} did not start: {why}").into());
    }
    let schema = PostgresSchema::new(&session, MIGRATE)?;
    let faults = moved(workspace, &schema);
    // A run that failed may have left nothing to drop, and is what there is to tell.
    let dropped = schema.drop();
    let faults = faults?;
    dropped?;
    session.stop()?;
    match faults.is_empty() {
        true => Ok(Outcome::Passed),
        false => Err(faults.join("; ").into()),
    }
}

fn moved(workspace: &Workspace, schema: &PostgresSchema) -> Result<Vec<String>> {
    let expected = count(&workspace.root.join(DATA))?;
    let data = Scratch::new(&workspace.target, MIGRATE)?;
    let json = data.path().with_extension("json");
    // Compiling it is not among what is limited.
    let named = [
        "--release",
        "--package",
        EXAMPLES,
        "--features",
        ON_SERVERS,
        "--example",
        MIGRATE,
    ];
    process::run(workspace.cargo(["build"]).args(named))?;
    let mut example = workspace.cargo(["run", "--quiet"]);
    example.args(named).arg("--").arg(&json);
    embedded(&mut example, data.path());
    example
        .env("DATABASE_URL", schema.url())
        .env("KAIREON_PG_SCHEMA", schema.name());
    process::run_within(&mut example, LIMIT)?;
    let text = std::fs::read_to_string(&json).context(json.display())?;
    std::fs::remove_file(&json).context(json.display())?;
    println!("{text}");
    Ok(faults(
        expected,
        &serde_json::from_str(&text).context("the counts")?,
    ))
}

/// Where a store holds something else than the file.
fn faults(expected: Expected, counts: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    for store in STORES {
        for (kind, wanted) in [
            ("decisions", expected.rows),
            ("impressions", expected.rows),
            ("clicks", expected.clicks),
        ] {
            let found = &counts[store][kind];
            if found.as_u64() != Some(wanted) {
                faults.push(format!("{store} has {found} {kind}, not {wanted}"));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::faults;
    use crate::ci::quickstart::Expected;

    #[test]
    fn a_store_that_lacks_something_is_a_fault() {
        let expected = Expected { rows: 3, clicks: 1 };
        let whole = json!({"decisions": 3, "impressions": 3, "clicks": 1});
        let counts = json!({"embedded": whole, "postgresql": whole});
        assert!(faults(expected, &counts).is_empty());
        let lacking =
            json!({"embedded": whole, "postgresql": {"decisions": 3, "impressions": 2, "clicks": 1}});
        assert_eq!(
            faults(expected, &lacking),
            ["postgresql has 2 impressions, not 3"]
        );
        assert_eq!(faults(expected, &json!({"embedded": whole})).len(), 3);
    }
}
