//! The connections: the only file that knows how they are got and given back.

use kaireon_connect::postgres::{PgClient, Phase, StatementMode};
use kaireon_core::Result;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Executor, PgConnection, PgTransaction, Postgres};

use crate::error::of_sql;

/// Whose the pool is, which decides whether a disconnect closes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// It was made by [`connect`](crate::PgStore::connect).
    Store,
    /// It was given by the host, who closes it.
    Host,
}

/// A statement with its arguments.
pub(crate) type Bound = Query<'static, Postgres, PgArguments>;

#[derive(Clone, Debug)]
pub(crate) struct Client {
    pg: PgClient,
    owner: Owner,
}

impl Client {
    pub(crate) const fn new(pg: PgClient, owner: Owner) -> Self {
        Self { pg, owner }
    }

    /// What the connection is made of.
    pub(crate) const fn pg(&self) -> &PgClient {
        &self.pg
    }

    /// Whether prepared statements are kept.
    pub(crate) fn keeps_statements(&self) -> bool {
        self.pg.session().statements() == StatementMode::Cached
    }

    /// A connection of the pool, to be kept for some transactions.
    pub(crate) async fn acquire(&self) -> Result<PoolConnection<Postgres>> {
        let acquired = self.pg.pool().acquire().await;
        acquired.map_err(self.pg.fault(Phase::Connect))
    }

    /// The text that begins a transaction.
    pub(crate) fn begin_text(&self) -> &str {
        self.pg.begin_text()
    }

    pub(crate) async fn begin(&self) -> Result<PgTransaction<'static>> {
        self.pg.begin().await
    }

    pub(crate) async fn commit(&self, unit: PgTransaction<'_>) -> Result<()> {
        self.pg.commit(unit).await
    }

    pub(crate) async fn fetch_optional(&self, query: Bound) -> Result<Option<PgRow>> {
        let mut reader = self.pg.reader().await?;
        query.fetch_optional(&mut *reader).await.map_err(of_sql)
    }

    pub(crate) async fn fetch_all(&self, query: Bound) -> Result<Vec<PgRow>> {
        let mut reader = self.pg.reader().await?;
        query.fetch_all(&mut *reader).await.map_err(of_sql)
    }

    /// Runs one statement in a transaction of its own; returns how many rows it changed.
    pub(crate) async fn execute(&self, query: Bound) -> Result<u64> {
        let mut unit = self.begin().await?;
        let done = query.execute(&mut *unit).await.map_err(of_sql)?;
        self.commit(unit).await?;
        Ok(done.rows_affected())
    }

    pub(crate) async fn ping(&self) -> Result<()> {
        self.pg.ping().await
    }

    pub(crate) async fn close(&self) {
        if self.owner == Owner::Store {
            self.pg.close().await;
        }
    }
}

/// Runs statements of ours without arguments.
pub(crate) async fn script(connection: &mut PgConnection, text: String) -> Result<(), sqlx::Error> {
    let script = sqlx::raw_sql(AssertSqlSafe(text));
    connection.execute(script).await.map(drop)
}
