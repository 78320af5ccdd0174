//! How long a server's answer is waited for, and that a connection is given back in bounded time.
//!
//! A connection whose other side went away without a word (a cut cable, a dropped NAT entry) answers never: neither
//! the driver nor the server's own `statement_timeout` ends that wait.

use std::io;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, Postgres};
use tokio::runtime::Handle;

/// How long answers are waited for before their connection counts as broken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    /// What a statement may take on the server, and the way there and back; `None`: without end.
    pub(super) statement: Option<Duration>,
    /// What the way alone may take, and what takes the server no time: beginning a transaction, a sign of life.
    pub(super) way: Duration,
}

impl Waits {
    pub(super) fn new(statement_timeout: Option<Duration>, acquire_timeout: Duration) -> Self {
        Self {
            statement: statement_timeout.map(|statement| statement.saturating_add(acquire_timeout)),
            way: acquire_timeout,
        }
    }
}

/// Waits so long for an answer, and no longer.
pub(super) async fn within<T>(
    limit: Option<Duration>,
    call: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    match limit {
        None => call.await,
        Some(limit) => tokio::time::timeout(limit, call)
            .await
            .unwrap_or_else(|_| Err(silence())),
    }
}

/// No answer came in time.
pub(super) fn silence() -> sqlx::Error {
    sqlx::Error::Io(io::ErrorKind::TimedOut.into())
}

/// Whether an answer did not come in time.
pub(super) fn is_silence(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(io) if io.kind() == io::ErrorKind::TimedOut)
}

/// What a connection is in when it is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing.
    Clean,
    /// A transaction that is to be rolled back.
    InTransaction,
}

/// Gives a connection back to its pool, which asks it for a sign of life first; closes it where that does not come in
/// time. The pool by itself waits for it without end, and is one connection short meanwhile.
pub(super) fn give_back(mut connection: PoolConnection<Postgres>, left: Left, waits: Waits) {
    let Ok(runtime) = Handle::try_current() else {
        // Nobody is there to wait for the server: it learns of the end from the socket.
        drop(connection.detach());
        return;
    };
    runtime.spawn(async move {
        // A statement that was under way is answered before anything else is.
        let given = within(waits.statement, async {
            if left == Left::InTransaction {
                connection.execute(sqlx::raw_sql("ROLLBACK")).await?;
            }
            // What dropping it spawns, but here it can be bounded. Not in the driver's documentation.
            connection.return_to_pool().await;
            Ok(())
        });
        if given.await.is_err() {
            connection.close_on_drop();
        }
    });
}

/// Asks, on a connection of its own, whether a session still works on a statement.
pub(super) async fn works(options: &PgConnectOptions, session: i32, way: Duration) -> bool {
    let asked = within(Some(way), async {
        let mut connection = options.connect().await?;
        let ask = format!("SELECT FROM pg_stat_activity WHERE pid = {session} AND state = 'active'");
        // Whatever lies between, a text without arguments is no prepared statement.
        let found = sqlx::raw_sql(sqlx::AssertSqlSafe(ask))
            .fetch_optional(&mut connection)
            .await?;
        // The farewell is no part of the answer.
        let _ = connection.close().await;
        Ok(found.is_some())
    });
    asked.await.unwrap_or(false)
}
