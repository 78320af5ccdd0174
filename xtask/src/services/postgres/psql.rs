//! One query through `psql`, for what a person or the leak check wants to know.

use std::process::Command;

use super::programs;
use crate::failure::{Context, Result};
use crate::process;
use crate::services::install;

/// The rows of the answer, one line each, columns parted by `|`.
pub(super) fn query(url: &str, sql: &str) -> Result<Vec<String>> {
    let psql = install::program(&["psql"])
        .or_else(|| Some(programs::installed()?.join("psql")))
        .context("psql is not installed (package postgresql-client)")?;
    let mut psql = Command::new(psql);
    psql.args([
        "--no-psqlrc",
        "--no-password",
        "--tuples-only",
        "--no-align",
        "--quiet",
    ])
    .args(["--command", sql, url])
    .env("PGCONNECT_TIMEOUT", "10");
    let answer = process::capture(&mut psql)?;
    if !answer.status.success() {
        // Not the command: it holds the password.
        return Err(format!("psql: {}", answer.stderr.trim()).into());
    }
    Ok(answer.stdout.lines().map(str::to_owned).collect())
}
