//! The pool, and how units of work run on it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kaireon_core::store::Durability;
use kaireon_core::{Effect, Error, ErrorKind, Result};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions};
use sqlx::query::{Query, QueryScalar};
use sqlx::{AssertSqlSafe, Connection, Executor, PgPool, Postgres, SqlSafeStr};

use super::answer::{Left, Waits, give_back, is_silence, within};
use super::config::{PgConnectConfig, PoolerMode, wrong};
use super::ear::PgEar;
use super::fault::{PgFault, Phase};
use super::mark::Mark;
use super::probe::{self, Found};
use super::reader::{PgReader, Reader};
use super::server::{self, ServerInfo};
use super::session::{PgSession, Settings};
use super::shelf::{Kept, Shelf};
use super::unit::PgUnit;
use super::url;

/// A connection that rested for longer is asked whether it still lives before it is used: shorter rests are not worth
/// a round trip, and what broke meanwhile is met by [`PgClient::begin`].
const TRUSTED_REST: Duration = Duration::from_secs(5);

/// A pool of connections to one server, what was found out about it, and how units of work run there. Clones share
/// the pool.
#[derive(Clone, Debug)]
pub struct PgClient {
    pool: PgPool,
    /// What readers left for the next.
    shelf: Arc<Shelf>,
    session: PgSession,
    server: Arc<ServerInfo>,
    /// What is older is not used again.
    distrusted: Mark,
    /// The text that begins a unit of work.
    begin: Arc<str>,
    waits: Waits,
}

impl PgClient {
    /// Connects, finds out what lies between and what the server is, and opens a pool.
    ///
    /// # Errors
    /// All of them `NotApplied`, on the operation `connect`.
    /// - `Config`: a malformed URL or bound, a certificate that is not trusted, a database that does not exist, a
    ///   server older than 15, sessions that are declared to be each connection's own and are shared;
    /// - `Unauthorized`: the login is refused;
    /// - `Unavailable`: nothing answers in `acquire_timeout`, or it shuts down; `RateLimited`: it has no connection
    ///   left.
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn connect(config: PgConnectConfig) -> Result<Self> {
        config.check().map_err(connecting)?;
        let url::Parsed {
            options,
            pooler,
            passed_over,
        } = url::parse(&config).map_err(connecting)?;
        if !passed_over.is_empty() {
            tracing::warn!(parameters = ?passed_over, "parameters of the database url are passed over");
        }
        let (server, session) = find_out(&options, pooler, config.acquire_timeout).await?;
        let settings = Settings::new(&config, server.synchronous_commit);
        let distrusted = Mark::new();
        let pool = open(&config, options, session, &settings, &distrusted);
        Ok(Self {
            shelf: Shelf::new(pool.clone(), distrusted.clone()),
            distrusted,
            pool,
            session,
            begin: settings.begin(session),
            waits: Waits::new(config.statement_timeout, config.acquire_timeout),
            server: Arc::new(server),
        })
    }

    /// Takes a pool that the host owns, and finds out what lies between on a connection of its own with the pool's
    /// options. Of the configuration only the bounds on statements, locks and idle transactions and `pooler` count;
    /// every transaction sets them for itself, because the sessions are the host's.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn from_pool(pool: PgPool, config: PgConnectConfig) -> Result<Self> {
        let options = pool.connect_options();
        let acquire_timeout = pool.options().get_acquire_timeout();
        let (server, session) = find_out(&options, config.pooler, acquire_timeout).await?;
        let settings = Settings::new(&config, server.synchronous_commit);
        let distrusted = Mark::new();
        Ok(Self {
            begin: settings.begin(PgSession::Shared(session.statements())),
            shelf: Shelf::new(pool.clone(), distrusted.clone()),
            distrusted,
            pool,
            session,
            waits: Waits::new(config.statement_timeout, acquire_timeout),
            server: Arc::new(server),
        })
    }

    /// The pool, for what has no place here, such as `COPY`. **Behind a pooler that does not keep statements, nothing
    /// may run on it outside a transaction**: see [`PgSession`].
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Whose the sessions are, and how statements must be run.
    #[must_use]
    pub fn session(&self) -> PgSession {
        self.session
    }

    /// What the server said about itself.
    #[must_use]
    pub fn server(&self) -> &ServerInfo {
        &self.server
    }

    /// A statement, kept or not as the sessions demand. Its types must be the server's own: for others the driver
    /// asks by statements that it keeps.
    pub fn query<'q>(&self, sql: impl SqlSafeStr) -> Query<'q, Postgres, PgArguments> {
        sqlx::query(sql).persistent(self.session.statements().is_persistent())
    }

    /// As [`query`](Self::query), for the first column of the answer.
    pub fn scalar<'q, O>(&self, sql: impl SqlSafeStr) -> QueryScalar<'q, Postgres, O, PgArguments>
    where
        (O,): for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
    {
        sqlx::query_scalar(sql).persistent(self.session.statements().is_persistent())
    }

    /// The text that begins a transaction under the settings in force, for who sends more in the same round trip.
    ///
    /// Where what is sent behind it fails, the server's transaction is open and the driver does not know it: close the
    /// connection then instead of giving it back.
    #[must_use]
    pub fn begin_text(&self) -> &str {
        &self.begin
    }

    /// Begins a transaction under the settings in force, in one round trip. Connections that broke while they rested
    /// are passed over.
    ///
    /// # Errors
    /// `Unavailable` or `RateLimited`, `NotApplied`: no connection in time.
    ///
    /// # Dropped futures
    /// The transaction is rolled back.
    pub async fn begin(&self) -> Result<PgUnit> {
        let until = Instant::now() + self.waits.way;
        let mut left = self.pool.options().get_max_connections();
        loop {
            let error = match self.try_begin().await {
                Ok(unit) => return Ok(unit),
                Err(error) => error,
            };
            let fault = PgFault::new(&error, Phase::Connect);
            // What rested through a restart of the server answers so, once for each connection.
            let broke = matches!(error, sqlx::Error::Io(_))
                || matches!(
                    fault.sqlstate(),
                    Some("57P01" | "57P02" | "57P05" | "08P01" | "25P02")
                );
            if !broke || left == 0 || Instant::now() >= until {
                return Err(self.no_connection(&error, fault));
            }
            left -= 1;
        }
    }

    async fn try_begin(&self) -> Result<PgUnit, sqlx::Error> {
        self.shelf.make_room();
        let connection = self.pool.acquire().await?;
        let bounds = (self.pool.connect_options(), self.waits, self.distrusted.clone());
        PgUnit::begin(connection, Arc::clone(&self.begin), bounds).await
    }

    /// Commits.
    ///
    /// # Errors
    /// `Unavailable`, `Unknown`, where the connection broke or no answer came, and nobody knows whether it was
    /// committed; otherwise `NotApplied`: a deferred constraint, a serialization failure.
    ///
    /// # Dropped futures
    /// Committed or rolled back; nobody knows.
    pub async fn commit(&self, unit: PgUnit) -> Result<()> {
        unit.commit().await.map_err(self.fault(Phase::Commit))
    }

    /// Waits for the server's answer no longer than the server itself may work on it and the way there may take:
    /// `statement_timeout` and `acquire_timeout` together, without end where there is no `statement_timeout`.
    ///
    /// A connection whose other side went away without a word (a cut cable, a dropped NAT entry) answers never, and
    /// neither the driver nor the server's own `statement_timeout` ends that wait.
    ///
    /// # Errors
    /// Those of the call, and `io::ErrorKind::TimedOut` where no answer came: close the connection then instead of
    /// giving it back, because the answer may still come.
    ///
    /// # Dropped futures
    /// As for the call.
    pub async fn answered<T>(
        &self,
        call: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        within(self.waits.statement, call).await
    }

    /// A connection to be kept for some transactions, until it is [given back](Self::give_back). It may have broken
    /// while it rested.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn acquire(&self) -> Result<PoolConnection<Postgres>> {
        match self.shelf.take() {
            Some(kept) => Ok(kept.into_connection()),
            None => match self.pool.acquire().await {
                Ok(connection) => Ok(connection),
                Err(error) => Err(self.no_connection(&error, PgFault::new(&error, Phase::Connect))),
            },
        }
    }

    /// Gives a connection back, with what the driver has begun on it rolled back; closes it where the server does
    /// not answer in time. Dropping it does the same, but the pool waits for the answer without end.
    pub fn give_back(&self, connection: PoolConnection<Postgres>) {
        give_back(connection, Left::Clean, self.waits);
    }

    /// A connection for reads: inside a transaction where sessions are shared. Dropping it gives it back to the pool,
    /// which asks it for a sign of life; after a whole answer [`PgReader::rest`] spares that.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn reader(&self) -> Result<PgReader> {
        match self.session {
            PgSession::Shared(_) => self.begin().await.map(|unit| PgReader(Reader::Unit(unit))),
            PgSession::Own => {
                let kept = match self.shelf.take() {
                    Some(kept) => kept,
                    None => Kept::new(self.acquire().await?, self.waits),
                };
                Ok(PgReader(Reader::Connection(kept, Arc::clone(&self.shelf))))
            }
        }
    }

    /// Has the connections that are open now closed when they are next asked for, instead of being used: for whoever
    /// learned, outside a [`PgUnit`], that the server takes no writes (`25006`). The address may lead to another server by
    /// now, and a session keeps the default that it began with. A pool of the host's is left as it is.
    pub fn distrust(&self) {
        self.distrusted.set();
    }

    /// Makes the contracts' error of the driver's, for `map_err`.
    pub fn fault(&self, phase: Phase) -> impl Fn(sqlx::Error) -> Error + use<> {
        move |error| PgFault::new(&error, phase).into_error()
    }

    /// Hears what is notified on a channel, on a connection of its own; `None` where sessions are shared: poll.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn listen(&self, channel: &str) -> Result<Option<PgEar>> {
        if !self.session.can_listen() {
            return Ok(None);
        }
        let ear = PgEar::open(&self.pool.connect_options(), channel, self.waits).await;
        ear.map(Some).map_err(self.fault(Phase::Connect))
    }

    /// Asks the server for a sign of life.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn ping(&self) -> Result<()> {
        let mut reader = self.reader().await?;
        // A lone Sync would do for a server; a pooler answers that itself.
        let answer = self.answered(reader.execute(sqlx::raw_sql("SELECT 1"))).await;
        if answer.as_ref().is_err_and(is_silence) {
            reader.discard();
        }
        answer.map(drop).map_err(self.fault(Phase::InTransaction))
    }

    /// Closes the pool: who waits for a connection gets an error, and this waits until those in use are given back, as
    /// long as it waits for an answer at most.
    ///
    /// # Dropped futures
    /// The pool stays closed.
    pub async fn close(&self) {
        self.shelf.close();
        let closed = self.answered(async {
            self.pool.close().await;
            Ok(())
        });
        if closed.await.is_err() {
            tracing::debug!("connections were still in use when the pool was closed");
        }
    }

    /// Tells a pool that is used up from a server that does not answer.
    fn no_connection(&self, error: &sqlx::Error, fault: PgFault) -> Error {
        let used_up = self.pool.size() >= self.pool.options().get_max_connections();
        match error {
            sqlx::Error::PoolTimedOut if used_up => Error::new(
                ErrorKind::RateLimited,
                "every connection of the pool stayed in use for too long",
            )
            .with_backend(super::BACKEND)
            .with_source(fault),
            _ => fault.into_error(),
        }
    }
}

fn connecting(error: Error) -> Error {
    error.with_operation("connect")
}

/// Asks, within the time that a connection may take, and judges the answer.
async fn find_out(
    options: &PgConnectOptions,
    pooler: PoolerMode,
    limit: Duration,
) -> Result<(ServerInfo, PgSession)> {
    let asked = tokio::time::timeout(limit, probe::ask(options, pooler)).await;
    let found = asked
        .map_err(|_| {
            Error::new(ErrorKind::Unavailable, "the server did not answer in time")
                .with_backend(super::BACKEND)
                .with_effect(Effect::NotApplied)
        })
        .and_then(|found| found.map_err(PgFault::into_error))
        .map_err(connecting)?;
    judge(found)
}

fn judge(found: Found) -> Result<(ServerInfo, PgSession)> {
    server::check_version(found.version)?;
    let session = found.session.ok_or_else(|| {
        let why = "is direct, but sessions are shared between connections: a pooler in transaction mode lies between";
        connecting(wrong("pooler", why))
    })?;
    let server = ServerInfo {
        version: found.version,
        in_recovery: found.in_recovery,
        durability: server::durability(&found.fsync, &found.full_page_writes),
        synchronous_commit: server::commit_level(&found.synchronous_commit),
    };
    tracing::info!(
        version = server.version_text(),
        in_recovery = server.in_recovery,
        durable = server.durability == Durability::Durable,
        session = ?session,
        "connected to postgresql"
    );
    Ok((server, session))
}

/// Opens the pool; its connections come as they are needed.
fn open(
    config: &PgConnectConfig,
    options: PgConnectOptions,
    session: PgSession,
    settings: &Settings,
    distrusted: &Mark,
) -> PgPool {
    let distrusted = distrusted.clone();
    let mut pool = PgPoolOptions::new()
        .max_connections(config.max_connections)
        .min_connections(config.min_connections)
        .acquire_timeout(config.acquire_timeout)
        .idle_timeout(config.idle_timeout)
        .max_lifetime(config.max_lifetime)
        .test_before_acquire(false)
        .before_acquire(move |connection, rest| {
            let is_trusted = !distrusted.is_behind(rest.age);
            Box::pin(async move {
                if !is_trusted {
                    return Ok(false);
                }
                if rest.idle_for >= TRUSTED_REST {
                    connection.ping().await?;
                }
                Ok(true)
            })
        });
    if session == PgSession::Own {
        let text = settings.of_session();
        pool = pool.after_connect(move |connection, _| {
            let text = Arc::clone(&text);
            Box::pin(async move {
                connection
                    .execute(sqlx::raw_sql(AssertSqlSafe(text)))
                    .await
                    .map(drop)
            })
        });
    }
    pool.connect_lazy_with(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(version: i32, session: Option<PgSession>) -> Found {
        Found {
            version,
            in_recovery: false,
            fsync: "off".to_owned(),
            full_page_writes: "on".to_owned(),
            synchronous_commit: "off".to_owned(),
            session,
        }
    }

    #[test]
    fn what_is_found_is_judged() {
        let (server, session) = judge(found(150_018, Some(PgSession::Own))).unwrap();
        assert_eq!(session, PgSession::Own);
        assert_ne!(server.durability, Durability::Durable);
        assert_eq!(
            (server.synchronous_commit, server.version_text()),
            ("on", "15.18".to_owned())
        );
        let shared = judge(found(150_018, None)).unwrap_err();
        assert_eq!(
            (shared.kind(), shared.field()),
            (ErrorKind::Config, Some("pooler"))
        );
        assert_eq!(judge(found(140_000, None)).unwrap_err().kind(), ErrorKind::Config);
    }
}
