//! A unit of work: one transaction, in which no answer is waited for without end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgQueryResult, PgRow};
use sqlx::{AssertSqlSafe, Execute, Executor, PgConnection, Postgres, Row};

use super::answer::{Left, Waits, give_back, is_silence, silence, within, works};
use super::mark::Mark;

/// A transaction of [`PgClient::begin`](super::PgClient::begin). Each statement's answer is waited for as long as the
/// server may work on it and the way there and back may take (`statement_timeout` and `acquire_timeout` together).
/// Where none comes, the call fails with `io::ErrorKind::TimedOut`, and the connection is closed and not given back,
/// because the answer may still come.
///
/// The driver's own transaction cannot do that: once it has begun, its connection cannot be closed.
///
/// # Dropped units
/// The transaction is rolled back, and the connection given back behind the caller's back, in bounded time.
pub struct PgUnit {
    /// There until the unit is dropped.
    connection: Option<PoolConnection<Postgres>>,
    options: Arc<PgConnectOptions>,
    waits: Waits,
    /// Set where a statement is refused because nothing can be written here.
    distrusted: Mark,
    patience: Patience,
    state: State,
}

/// How long a statement's answer is waited for.
#[derive(Clone, Copy, Debug)]
enum Patience {
    /// As long as its unit's bounds say.
    Bounded,
    /// As long as the server says that this session works on it.
    WhileWorking(i32),
}

/// What is known of the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It may be gone on with.
    Open,
    /// It is over.
    Ended,
    /// It is not known how the connection stands.
    Spoilt,
}

/// A transaction that takes no writes: of a replica, or of a session that began under such a default.
const READ_ONLY: &str = "25006";

const HAS_CONNECTION: &str = "a unit has its connection until it is dropped";

impl PgUnit {
    /// Begins a transaction by this text. A connection on which that fails is closed.
    pub(super) async fn begin(
        connection: PoolConnection<Postgres>,
        text: Arc<str>,
        (options, waits, distrusted): (Arc<PgConnectOptions>, Waits, Mark),
    ) -> Result<Self, sqlx::Error> {
        let mut unit = Self {
            connection: Some(connection),
            options,
            waits,
            distrusted,
            patience: Patience::Bounded,
            state: State::Spoilt,
        };
        // Nothing that takes the server time.
        let begin = unit.raw_mut().execute(sqlx::raw_sql(AssertSqlSafe(text)));
        within(Some(waits.way), begin).await?;
        unit.state = State::Open;
        Ok(unit)
    }

    /// Runs a statement.
    ///
    /// # Errors
    /// The driver's; `io::ErrorKind::TimedOut` where no answer came.
    ///
    /// # Dropped futures
    /// The statement may have run; the transaction can be gone on with.
    pub async fn execute<'q>(
        &mut self,
        query: impl Execute<'q, Postgres> + 'q,
    ) -> Result<PgQueryResult, sqlx::Error> {
        self.answer(async |connection| connection.execute(query).await)
            .await
    }

    /// Runs statements of ours without arguments, in one round trip.
    ///
    /// # Errors
    /// As for [`execute`](Self::execute).
    ///
    /// # Dropped futures
    /// As for [`execute`](Self::execute).
    pub async fn script(&mut self, text: String) -> Result<(), sqlx::Error> {
        self.execute(sqlx::raw_sql(AssertSqlSafe(text))).await.map(drop)
    }

    /// The one row that a statement answers.
    ///
    /// # Errors
    /// As for [`execute`](Self::execute), and `RowNotFound`.
    ///
    /// # Dropped futures
    /// As for [`execute`](Self::execute).
    pub async fn fetch_one<'q>(
        &mut self,
        query: impl Execute<'q, Postgres> + 'q,
    ) -> Result<PgRow, sqlx::Error> {
        self.fetch_optional(query).await?.ok_or(sqlx::Error::RowNotFound)
    }

    /// The row that a statement answers, if any.
    ///
    /// # Errors
    /// As for [`execute`](Self::execute).
    ///
    /// # Dropped futures
    /// As for [`execute`](Self::execute).
    pub async fn fetch_optional<'q>(
        &mut self,
        query: impl Execute<'q, Postgres> + 'q,
    ) -> Result<Option<PgRow>, sqlx::Error> {
        self.answer(async |connection| connection.fetch_optional(query).await)
            .await
    }

    /// The rows that a statement answers.
    ///
    /// # Errors
    /// As for [`execute`](Self::execute).
    ///
    /// # Dropped futures
    /// As for [`execute`](Self::execute).
    pub async fn fetch_all<'q>(
        &mut self,
        query: impl Execute<'q, Postgres> + 'q,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        self.answer(async |connection| connection.fetch_all(query).await)
            .await
    }

    /// Has something else run several statements on the connection; the bound holds for all of them together.
    ///
    /// # Errors
    /// Its own, and `io::ErrorKind::TimedOut` where it was not done in time.
    ///
    /// # Dropped futures
    /// As for [`execute`](Self::execute).
    pub async fn answer<T>(
        &mut self,
        call: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let (waits, patience, options) = (self.waits, self.patience, Arc::clone(&self.options));
        let answered = match patience {
            Patience::Bounded => within(waits.statement, call(self.raw_mut())).await,
            Patience::WhileWorking(session) => {
                tokio::select! {
                    biased;
                    answer = call(self.raw_mut()) => answer,
                    () = rests(&options, session, waits) => Err(silence()),
                }
            }
        };
        match &answered {
            Err(error) if is_silence(error) => self.state = State::Spoilt,
            // Of no use to who comes next, and those that are as old may be no better.
            Err(sqlx::Error::Database(refusal)) if refusal.code().as_deref() == Some(READ_ONLY) => {
                self.state = State::Spoilt;
                self.distrusted.set();
            }
            _ => {}
        }
        answered
    }

    /// From here on a statement may take what it takes, as a change of a large table does: the server puts no end to
    /// it, and its answer is waited for as long as the server, asked now and then on a connection of its own, says
    /// that it works on it.
    ///
    /// # Errors
    /// As for [`execute`](Self::execute).
    ///
    /// # Dropped futures
    /// As for [`execute`](Self::execute).
    pub async fn take_time(&mut self) -> Result<(), sqlx::Error> {
        let text = "SET LOCAL statement_timeout = 0; SELECT pg_backend_pid()";
        let session = self.fetch_one(sqlx::raw_sql(text)).await?;
        self.patience = Patience::WhileWorking(session.try_get(0)?);
        Ok(())
    }

    /// Commits. Whether an error left it applied, its phase says: nobody knows where no answer came.
    pub(super) async fn commit(mut self) -> Result<(), sqlx::Error> {
        let limit = self.waits.statement;
        let committed = within(limit, self.raw_mut().execute(sqlx::raw_sql("COMMIT"))).await;
        self.state = match &committed {
            Ok(_) => State::Ended,
            // The server answered, so the connection is as good as before.
            Err(sqlx::Error::Database(_)) => State::Open,
            Err(_) => State::Spoilt,
        };
        committed.map(drop)
    }

    /// The connection, whose answers nobody bounds.
    pub(super) fn raw(&self) -> &PgConnection {
        self.connection.as_ref().expect(HAS_CONNECTION)
    }

    /// As [`raw`](Self::raw).
    pub(super) fn raw_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect(HAS_CONNECTION)
    }

    /// Closes the connection instead of giving it back.
    pub(super) fn discard(mut self) {
        self.state = State::Spoilt;
    }
}

/// Returns once the server was found twice not to work on the session's statement, or could not be asked: the answer
/// was then under way and has not come, or the statement was never read.
async fn rests(options: &PgConnectOptions, session: i32, waits: Waits) {
    let mut pause = waits.statement.unwrap_or(waits.way).max(Duration::from_millis(1));
    let mut idle = 0;
    while idle < 2 {
        tokio::time::sleep(pause).await;
        if works(options, session, waits.way).await {
            idle = 0;
        } else {
            idle += 1;
            pause = waits.way;
        }
    }
}

impl Drop for PgUnit {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        match self.state {
            State::Open => give_back(connection, Left::InTransaction, self.waits),
            State::Ended => give_back(connection, Left::Clean, self.waits),
            State::Spoilt => connection.close_on_drop(),
        }
    }
}

impl fmt::Debug for PgUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgUnit")
            .field("patience", &self.patience)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
