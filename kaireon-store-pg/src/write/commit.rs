//! One transaction at a time, on a connection that is kept while there is work, and tried again where that may help.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use kaireon_core::{Error, ErrorKind, Result};
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres};

use super::op::{SharedOp, Value};
use super::unit::{Done, Failure, Held, run};
use crate::error::{Remedy, not_applied, of_commit, of_sql, remedy, restarts};
use crate::partitions::Month;
use crate::shared::Shared;

/// How often a batch is tried again that lost a race, before its callers are told.
const RACES: u32 = 10;

/// How often it is tried on another connection: a pool may hold several that a restart of the server has cut.
const CONNECTIONS: u32 = 20;

/// What stopped a batch.
#[derive(Debug)]
pub(super) struct Stopped {
    pub(super) remedy: Remedy,
    pub(super) error: Error,
}

/// Commits batches.
pub(super) struct Committer {
    shared: Arc<Shared>,
    connection: Option<PoolConnection<Postgres>>,
}

/// Where a try failed.
enum Point {
    /// At its beginning: nothing was applied.
    Begin(sqlx::Error),
    /// Before its commit: nothing was applied.
    Before(Failure),
    /// No answer came before its commit: nothing was applied, and the connection is of no more use.
    Silence(sqlx::Error),
    /// While it committed: it may have been.
    Commit(sqlx::Error),
    /// There was no connection.
    Connect(Error),
}

impl Committer {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            connection: None,
        }
    }

    /// Gives the connection back.
    pub(super) fn rest(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.shared.client.pg().give_back(connection);
        }
    }

    /// Whether no connection is kept.
    pub(super) const fn is_resting(&self) -> bool {
        self.connection.is_none()
    }

    /// Commits a batch, and tries again where that may help.
    pub(super) async fn commit(&mut self, ops: &[SharedOp], held: Held) -> Result<Done, Stopped> {
        let (mut races, mut connections) = (0, 0);
        loop {
            let point = match self.attempt(ops, held).await {
                Ok(done) => {
                    self.shared.tell(done.told);
                    if done.raised {
                        self.shared.want_sweep();
                    }
                    return Ok(done);
                }
                Err(point) => point,
            };
            let (remedy, error) = match point {
                Point::Connect(error) => (Remedy::None, not_applied(error)),
                Point::Commit(error) => {
                    self.drop_connection();
                    let error = of_commit(error);
                    // Only where the server says itself that it has rolled all of it back.
                    let again = restarts(&error);
                    (if again { Remedy::Again } else { Remedy::None }, error)
                }
                Point::Begin(error) => (remedy(&error), not_applied(of_sql(error))),
                Point::Silence(error) => {
                    self.drop_connection();
                    // It may have been too much at once; where the server is gone, the next connection says so.
                    (Remedy::Divide, not_applied(of_sql(error)))
                }
                Point::Before(Failure::Own(error)) => (Remedy::Divide, not_applied(error)),
                Point::Before(Failure::Race) => (Remedy::Again, not_applied(lost_race())),
                Point::Before(Failure::Sql(error)) => (remedy(&error), not_applied(of_sql(error))),
            };
            match remedy {
                Remedy::Again if races < RACES => {
                    races += 1;
                    self.shared.partitions.forget();
                    // Two processes that collide must not do so again at the same instant.
                    let pause = u64::from(races) * (1 + u64::from(std::process::id() % 7));
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                Remedy::Reconnect => {
                    self.drop_connection();
                    connections += 1;
                    if connections >= CONNECTIONS {
                        return Err(Stopped { remedy, error });
                    }
                }
                Remedy::Elsewhere => {
                    self.drop_connection();
                    self.shared.client.pg().distrust();
                    return Err(Stopped { remedy, error });
                }
                _ => return Err(Stopped { remedy, error }),
            }
        }
    }

    fn drop_connection(&mut self) {
        if let Some(connection) = self.connection.take() {
            close(&self.shared, connection);
        }
    }

    async fn attempt(&mut self, ops: &[SharedOp], held: Held) -> Result<Done, Point> {
        let shared = Arc::clone(&self.shared);
        let months: BTreeSet<Month> = ops
            .iter()
            .filter(|op| matches!(op.value, Value::Interaction(_)))
            .map(|op| Month::of(op.value.timestamp()))
            .collect();
        if shared.partitions.lacks(shared.now(), months.iter().copied()) {
            // They are made on another connection, and this may be the pool's last.
            self.rest();
            let ensured = shared
                .partitions
                .ensure(&shared.client, shared.now(), months)
                .await;
            ensured.map_err(Point::Connect)?;
        }
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => shared.client.acquire().await.map_err(Point::Connect)?,
        };
        let outcome = within(&mut connection, &shared, ops, held).await;
        if let Err(Point::Begin(_)) = outcome {
            // The server may have an open transaction that the driver does not know of.
            close(&shared, connection);
        } else {
            self.connection = Some(connection);
        }
        outcome
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.rest();
    }
}

/// Closes a connection whose state is not known; the pool makes another. Nobody waits for it: a farewell to somebody
/// who is gone may take long.
fn close(shared: &Arc<Shared>, connection: PoolConnection<Postgres>) {
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let _ = shared.client.pg().answered(connection.close()).await;
    });
}

/// One transaction on a connection.
async fn within(
    connection: &mut PgConnection,
    shared: &Shared,
    ops: &[SharedOp],
    held: Held,
) -> Result<Done, Point> {
    let client = shared.client.pg();
    let begun = client.answered(connection.begin_with(AssertSqlSafe(entry(shared, ops))));
    let mut unit = begun.await.map_err(Point::Begin)?;
    let done = client.answered(async { Ok(run(&mut unit, shared, ops, held).await) });
    let done = match done.await.map_err(Point::Silence)? {
        Ok(done) => done,
        Err(failure) => {
            // Else its locks would be held until the next use of the connection.
            if is_open_after(&failure) {
                client.answered(unit.rollback()).await.map_err(Point::Silence)?;
            }
            return Err(Point::Before(failure));
        }
    };
    client.answered(unit.commit()).await.map_err(Point::Commit)?;
    Ok(done)
}

/// Whether the server still holds the transaction's locks. After an error of its own it has let them go, and on a
/// connection that broke there is nothing to be done.
const fn is_open_after(failure: &Failure) -> bool {
    match failure {
        Failure::Own(_) | Failure::Race => true,
        Failure::Sql(error) => matches!(
            error,
            sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. }
        ),
    }
}

fn lost_race() -> Error {
    Error::new(ErrorKind::Unavailable, "other writers were first again and again")
}

/// Begins a transaction and locks the fences of its tenants, in one round trip; the statements behind it read what is
/// set under their own, later snapshots.
///
/// Generic plans, because the plan for an array must not depend on its length: with many elements the planner would
/// rather read a whole table than look each up.
fn entry(shared: &Shared, ops: &[SharedOp]) -> String {
    let fences: BTreeSet<i64> = ops.iter().map(|op| shared.fence_lock(op.who.0)).collect();
    let mut text = format!(
        "{}; SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET LOCAL plan_cache_mode = force_generic_plan; \
         SET LOCAL jit = off; SELECT ",
        shared.client.begin_text()
    );
    for (at, fence) in fences.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}pg_advisory_xact_lock_shared({fence})");
    }
    let _ = write!(
        text,
        "; SET LOCAL lock_timeout = {}",
        shared.options.lock_wait.as_millis().max(1)
    );
    text
}
