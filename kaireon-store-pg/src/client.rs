//! The connections: the only file that knows how they are got and given back.

use kaireon_connect::postgres::{PgClient, PgReader, PgSession, PgUnit, StatementMode};
use kaireon_core::Result;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Execute, Executor, PgConnection, Postgres, SqlStr};

use crate::again::unit_again;
use crate::error::{Remedy, of_sql, remedy};

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
        self.pg.acquire().await
    }

    /// The text that begins a transaction.
    pub(crate) fn begin_text(&self) -> &str {
        self.pg.begin_text()
    }

    pub(crate) async fn begin(&self) -> Result<PgUnit> {
        self.pg.begin().await
    }

    pub(crate) async fn commit(&self, unit: PgUnit) -> Result<()> {
        self.pg.commit(unit).await
    }

    /// The row that a statement reads, which does no harm when it runs twice.
    pub(crate) async fn fetch_optional(&self, query: Bound) -> Result<Option<PgRow>> {
        // The driver's own leaves the end of the answer for whoever has the connection next.
        Ok(self.fetch_all(query).await?.pop())
    }

    /// The rows that a statement reads, which does no harm when it runs twice.
    pub(crate) async fn fetch_all(&self, query: Bound) -> Result<Vec<PgRow>> {
        let mut read = Read {
            statement: Repeatable::of(query)?,
            tries: 0,
        };
        loop {
            let mut reader = self.pg.reader().await?;
            let rows = self
                .pg
                .answered(read.statement.query().fetch_all(&mut *reader))
                .await;
            match rows {
                Ok(rows) => {
                    reader.rest();
                    return Ok(rows);
                }
                Err(error) => self.broke(&mut read, reader, error)?,
            }
        }
    }

    /// Passes over a connection that rested through a restart of the server, or whose plan no longer fits: there may
    /// be as many of those as the pool has connections. One that did not answer in time is not tried again.
    fn broke(&self, read: &mut Read, reader: PgReader, error: sqlx::Error) -> Result<()> {
        let silent = matches!(&error, sqlx::Error::Io(io) if io.kind() == std::io::ErrorKind::TimedOut);
        let rested = remedy(&error) == Remedy::Reconnect;
        if silent || rested {
            reader.discard();
        }
        read.tries += 1;
        if !silent && rested && read.tries <= self.pg.pool().options().get_max_connections() {
            return Ok(());
        }
        Err(of_sql(error))
    }

    /// Runs one statement in a transaction of its own; returns how many rows it changed.
    pub(crate) async fn execute(&self, query: Bound) -> Result<u64> {
        let statement = Repeatable::of(query)?;
        unit_again(|| async {
            let mut unit = self.begin().await?;
            let done = unit.execute(statement.query()).await.map_err(of_sql)?;
            self.commit(unit).await?;
            Ok(done.rows_affected())
        })
        .await
    }

    /// Runs one statement in a transaction of its own, which is committed if its one row is accepted.
    pub(crate) async fn execute_if(
        &self,
        query: Bound,
        accept: impl Fn(PgRow) -> Result<()> + Send + Sync,
    ) -> Result<()> {
        let statement = Repeatable::of(query)?;
        unit_again(|| async {
            let mut unit = self.begin().await?;
            accept(unit.fetch_one(statement.query()).await.map_err(of_sql)?)?;
            self.commit(unit).await
        })
        .await
    }

    /// Runs one statement that has its effect at its commit, and does no harm when it runs twice.
    pub(crate) async fn effect(&self, query: Bound) -> Result<()> {
        match self.pg.session() {
            PgSession::Own => self.fetch_all(query).await.map(drop),
            // A reader's transaction is rolled back.
            _ => self.execute(query).await.map(drop),
        }
    }

    /// A connection that rested through a restart of the server says nothing of the server, so it is passed over.
    pub(crate) async fn ping(&self) -> Result<()> {
        self.fetch_optional(self.pg.query("SELECT 1")).await.map(drop)
    }

    /// How many connections there are, how many of them rest, and how many there may be.
    pub(crate) fn connections(&self) -> (u32, u32, u32) {
        let pool = self.pg.pool();
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        (pool.size(), idle, pool.options().get_max_connections())
    }

    pub(crate) async fn close(&self) {
        if self.owner == Owner::Store {
            self.pg.close().await;
        }
    }
}

/// A statement that is read by, and how often it was tried.
struct Read {
    statement: Repeatable,
    tries: u32,
}

/// A statement that may be sent again.
struct Repeatable {
    text: SqlStr,
    arguments: PgArguments,
    persistent: bool,
}

impl Repeatable {
    fn of(mut query: Bound) -> Result<Self> {
        let arguments = query.take_arguments();
        let arguments = arguments.map_err(|error| of_sql(sqlx::Error::Encode(error)))?;
        Ok(Self {
            arguments: arguments.unwrap_or_default(),
            persistent: Execute::persistent(&query),
            text: query.sql(),
        })
    }

    fn query(&self) -> Bound {
        sqlx::query_with(self.text.clone(), self.arguments.clone()).persistent(self.persistent)
    }
}

/// Runs statements of ours without arguments, in a transaction of the host's.
pub(crate) async fn script(connection: &mut PgConnection, text: String) -> Result<(), sqlx::Error> {
    let script = sqlx::raw_sql(AssertSqlSafe(text));
    connection.execute(script).await.map(drop)
}
