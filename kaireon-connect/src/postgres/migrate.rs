//! Versions of a crate's tables: planned, run once however many ask, and refused where a newer library made them.

use std::time::Duration;

use kaireon_core::{Error, ErrorKind, Result};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres, Row};

use super::client::PgClient;
use super::fault::Phase;
use super::schema::Schema;
use super::unit::PgUnit;

/// The most that a migration waits for another instance's to end.
const TURN_WAIT: Duration = Duration::from_secs(300);

/// The most that a step waits for a table that is in use. Everybody behind it waits as well, so it gives up soon and
/// is run again.
const TABLE_WAIT: Duration = Duration::from_secs(10);

/// One version of a crate's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// From 1 upwards, without gaps.
    pub version: u32,
    /// What it brings, in a few words.
    pub name: &'static str,
    /// Its statements, with `{s}` for the schema; one text may hold several. They run in one transaction, so what
    /// cannot (`CREATE INDEX CONCURRENTLY`) has no place here.
    pub statements: &'static [&'static str],
    /// The oldest library, by its own last version, that still works once this one is applied.
    ///
    /// **Expand, then contract**: a version that only adds leaves this at the version before it, so that instances of
    /// the library before go on working while new ones roll out. What is to go (a column, a table) is first no longer
    /// used by a release, and removed by the version after that, whose `oldest_library` is that release's.
    pub oldest_library: u32,
}

/// A crate's versions, oldest first, and the table that notes which were applied.
#[derive(Clone, Copy, Debug)]
pub struct Migrations {
    /// The table, in the crate's schema: letters and underscores. Each crate has its own, so that several can live
    /// in one schema.
    pub table: &'static str,
    /// The versions, 1 first, without gaps.
    pub list: &'static [Migration],
    /// The oldest version of the tables that this library works with; where the database is older, run
    /// [`migrate`](Migrations::migrate) first.
    pub oldest_database: u32,
}

/// A version that is not applied yet, with the statements that would run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedMigration {
    /// Its version; 0 makes the schema and the table of versions.
    pub version: u32,
    /// What it brings.
    pub name: &'static str,
    /// Its statements, as they would be sent.
    pub statements: Vec<String>,
}

/// What a migration did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationReport {
    /// The versions that this call applied; none where another instance did, or where there was nothing to do.
    pub applied: Vec<u32>,
    /// The version that the tables have now.
    pub version: u32,
}

/// How a library and the tables stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MigrationStatus {
    /// The tables are of this library's version.
    Current,
    /// They are older, and this library works with them.
    Behind {
        /// The version of the tables; 0 where there are none.
        found: u32,
    },
    /// They are newer, and made so that this library works with them.
    Ahead {
        /// The version of the tables.
        found: u32,
    },
}

/// What the table of versions says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Applied {
    version: u32,
    name: String,
    oldest_library: u32,
}

impl Migrations {
    /// This library's version: its last one.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.list.last().map_or(0, |last| last.version)
    }

    /// Whether the list keeps its rules: versions from 1 without gaps, and each works with the library and the tables
    /// one version older. For `const _: () = assert!(…)` beside a list.
    #[must_use]
    pub const fn spares_neighbours(&self) -> bool {
        let list = self.list;
        let mut at = 0;
        let mut version = 0;
        while at < list.len() {
            version += 1;
            let step = &list[at];
            let spares_older = step.oldest_library < version || version == 1;
            if step.version != version || !spares_older || step.oldest_library == 0 {
                return false;
            }
            at += 1;
        }
        version > 0 && self.oldest_database > 0 && (self.oldest_database < version || version == 1)
    }

    /// Whether this library works with the tables as they are. It changes nothing.
    ///
    /// # Errors
    /// - `Config`: the tables are missing or too old (run `migrate`), or were made by a newer library that this one
    ///   does not work with;
    /// - those of the connection.
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn check(&self, client: &PgClient, schema: &Schema) -> Result<MigrationStatus> {
        let mut unit = client.begin().await?;
        let applied = self.applied(client, &mut unit, schema).await?;
        self.judge(schema, applied.as_ref())
    }

    /// The versions that [`migrate`](Self::migrate) would apply, with their statements. It changes nothing.
    ///
    /// # Errors
    /// `Config`: the tables were made by a newer library; those of the connection.
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn plan(&self, client: &PgClient, schema: &Schema) -> Result<Vec<PlannedMigration>> {
        let mut unit = client.begin().await?;
        let applied = self.applied(client, &mut unit, schema).await?;
        self.refuse_newer(schema, applied.as_ref())?;
        let mut plan = Vec::new();
        if applied.is_none() {
            let has_schema = self.has_schema(client, &mut unit, schema).await?;
            plan.push(PlannedMigration {
                version: 0,
                name: "the schema and its table of versions",
                statements: self.founding(schema, has_schema),
            });
        }
        let found = applied.map_or(0, |applied| applied.version);
        plan.extend(self.after(found).map(|step| PlannedMigration {
            version: step.version,
            name: step.name,
            statements: step.statements.iter().map(|text| schema.fill(text)).collect(),
        }));
        Ok(plan)
    }

    /// Brings the tables to this library's version, each version in a transaction of its own. Any number of instances
    /// may call it at once: a lock that ends with each transaction lets one do it and the others find it done.
    ///
    /// # Errors
    /// - `Config`: the tables were made by a newer library;
    /// - `Unauthorized`: the role may not create;
    /// - `Timeout`, transient: another instance's migration did not end, or a table stayed in use;
    /// - those of the connection. Versions before the failed one are applied; call it again.
    ///
    /// # Dropped futures
    /// Each version is applied wholly or not at all.
    pub async fn migrate(&self, client: &PgClient, schema: &Schema) -> Result<MigrationReport> {
        let mut report = MigrationReport::default();
        loop {
            let mut unit = client.begin().await?;
            self.take_turn(client, &mut unit, schema).await?;
            let applied = self.applied(client, &mut unit, schema).await?;
            self.refuse_newer(schema, applied.as_ref())?;
            let found = applied.as_ref().map_or(0, |applied| applied.version);
            let Some(step) = self.after(found).next() else {
                report.version = found;
                return Ok(report);
            };
            if applied.is_none() {
                let has_schema = self.has_schema(client, &mut unit, schema).await?;
                for text in self.founding(schema, has_schema) {
                    run(client, &mut unit, text).await?;
                }
            }
            for text in step.statements {
                run(client, &mut unit, schema.fill(text)).await?;
            }
            self.note(client, &mut unit, schema, step).await?;
            client.commit(unit).await?;
            tracing::info!(
                schema = schema.name(),
                version = step.version,
                name = step.name,
                "migrated"
            );
            report.applied.push(step.version);
        }
    }

    /// Waits for the lock, which ends with the transaction: a session's would stay with a pooler.
    async fn take_turn(&self, client: &PgClient, unit: &mut PgUnit, schema: &Schema) -> Result<()> {
        unit.take_time()
            .await
            .map_err(client.fault(Phase::InTransaction))?;
        let wait = format!("SET LOCAL lock_timeout = {}", TURN_WAIT.as_millis());
        run(client, unit, wait).await?;
        let lock = client
            .query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")
            .bind(format!("kaireon migration of {}.{}", schema.name(), self.table));
        unit.execute(lock)
            .await
            .map_err(client.fault(Phase::InTransaction))?;
        let wait = format!("SET LOCAL lock_timeout = {}", TABLE_WAIT.as_millis());
        run(client, unit, wait).await
    }

    /// The newest applied version and the oldest library that all of them allow; `None` without a table of versions.
    async fn applied(
        &self,
        client: &PgClient,
        unit: &mut PgUnit,
        schema: &Schema,
    ) -> Result<Option<Applied>> {
        let exists = client.query("SELECT to_regclass($1) IS NOT NULL").bind(format!(
            "\"{}\".{}",
            schema.name(),
            self.table
        ));
        if !self.holds(client, unit, exists).await? {
            return Ok(None);
        }
        let newest = format!(
            "SELECT version, name, max(oldest_library) OVER () AS oldest_library FROM {{s}}.{} \
             ORDER BY version DESC LIMIT 1",
            self.table
        );
        let row = unit
            .fetch_optional(client.query(AssertSqlSafe(schema.fill(&newest))))
            .await
            .map_err(client.fault(Phase::InTransaction))?;
        let Some(row) = row else {
            return Ok(Some(Applied::default()));
        };
        let number = |column: &str| -> Result<u32> {
            let number: i32 = row.try_get(column).map_err(client.fault(Phase::InTransaction))?;
            Ok(u32::try_from(number).unwrap_or(0))
        };
        Ok(Some(Applied {
            version: number("version")?,
            oldest_library: number("oldest_library")?,
            name: row.try_get("name").map_err(client.fault(Phase::InTransaction))?,
        }))
    }

    async fn has_schema(&self, client: &PgClient, unit: &mut PgUnit, schema: &Schema) -> Result<bool> {
        let exists = client
            .query("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)")
            .bind(schema.name().to_owned());
        self.holds(client, unit, exists).await
    }

    /// The one truth value that a statement answers.
    async fn holds(
        &self,
        client: &PgClient,
        unit: &mut PgUnit,
        question: Query<'static, Postgres, PgArguments>,
    ) -> Result<bool> {
        let answer = unit.fetch_one(question).await;
        answer
            .and_then(|row| row.try_get(0))
            .map_err(client.fault(Phase::InTransaction))
    }

    /// What must be there before the first version. `CREATE SCHEMA IF NOT EXISTS` asks for the right to create one
    /// even where it exists, which a role that was given a schema need not have.
    fn founding(&self, schema: &Schema, has_schema: bool) -> Vec<String> {
        let create = (!has_schema).then(|| schema.fill("CREATE SCHEMA {s}"));
        let table = format!(
            "CREATE TABLE {{s}}.{} (version integer PRIMARY KEY, name text NOT NULL, oldest_library integer NOT NULL, \
             applied_at timestamptz NOT NULL DEFAULT clock_timestamp())",
            self.table
        );
        create.into_iter().chain([schema.fill(&table)]).collect()
    }

    async fn note(
        &self,
        client: &PgClient,
        unit: &mut PgUnit,
        schema: &Schema,
        step: &Migration,
    ) -> Result<()> {
        let note = format!(
            "INSERT INTO {{s}}.{} (version, name, oldest_library) VALUES ($1, $2, $3)",
            self.table
        );
        let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        let note = client
            .query(AssertSqlSafe(schema.fill(&note)))
            .bind(number(step.version))
            .bind(step.name)
            .bind(number(step.oldest_library));
        unit.execute(note)
            .await
            .map(drop)
            .map_err(client.fault(Phase::InTransaction))
    }

    fn after(&self, found: u32) -> impl Iterator<Item = &'static Migration> + use<> {
        self.list.iter().filter(move |step| step.version > found)
    }

    fn judge(&self, schema: &Schema, applied: Option<&Applied>) -> Result<MigrationStatus> {
        self.refuse_newer(schema, applied)?;
        let found = applied.map_or(0, |applied| applied.version);
        if found < self.oldest_database {
            let what = match found {
                0 => format!("schema {schema} has no tables of this library; run migrate"),
                _ => format!(
                    "schema {schema} is at version {found}, and this library needs {} or newer; run migrate",
                    self.oldest_database
                ),
            };
            return Err(refused(what));
        }
        Ok(match found.cmp(&self.version()) {
            std::cmp::Ordering::Less => MigrationStatus::Behind { found },
            std::cmp::Ordering::Equal => MigrationStatus::Current,
            std::cmp::Ordering::Greater => MigrationStatus::Ahead { found },
        })
    }

    /// Refuses tables that need a newer library, by the name of the version that made them so.
    fn refuse_newer(&self, schema: &Schema, applied: Option<&Applied>) -> Result<()> {
        match applied {
            Some(applied) if applied.oldest_library > self.version() => Err(refused(format!(
                "schema {schema} was made by a newer library, version {} ({}), which needs {} or newer; this one is {}",
                applied.version,
                applied.name,
                applied.oldest_library,
                self.version()
            ))),
            _ => Ok(()),
        }
    }
}

fn refused(what: String) -> Error {
    Error::new(ErrorKind::Config, what)
        .with_backend(super::BACKEND)
        .with_field("schema")
}

/// Runs a text of ours by the simple protocol, which takes several statements and prepares none.
async fn run(client: &PgClient, unit: &mut PgUnit, text: String) -> Result<()> {
    unit.script(text)
        .await
        .map_err(client.fault(Phase::InTransaction))
}

#[cfg(test)]
mod tests;
