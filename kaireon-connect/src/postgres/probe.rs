//! Finds out what lies between, and what the server is, on a connection of its own that is closed afterwards.
//!
//! Nothing is left behind: the marker is a setting of the session, the statement that is prepared is closed in the
//! transaction that prepared it. The first messages go by the simple protocol, which no pooler mixes up.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};

use super::config::PoolerMode;
use super::fault::{PgFault, Phase};
use super::session::{PgSession, StatementMode};

/// What the server and what lies before it were found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) version: i32,
    pub(crate) in_recovery: bool,
    pub(crate) fsync: String,
    pub(crate) full_page_writes: String,
    pub(crate) synchronous_commit: String,
    /// `None`: sessions were declared to be each connection's own, and were seen to move.
    pub(crate) session: Option<PgSession>,
}

/// The setting that tells whether the start-up packet reached the session.
const MARKER: &str = "kaireon.probe";

/// One line about the server, and the marker as it arrived there.
const ABOUT: &str = "
    SELECT current_setting('server_version_num')::int4, pg_is_in_recovery(), current_setting('fsync'),
        current_setting('full_page_writes'), current_setting('synchronous_commit'),
        current_setting('kaireon.probe', true)";

/// Refusals of a start-up packet with options: PgBouncer says the first, a proxy that lacks them the second.
const REFUSALS: &[&str] = &["08P01", "0A000"];

/// The names that the driver gives to the statements it prepares. A pooler that keeps statements replaces them.
const DRIVERS_NAMES: &str = "sqlx_s_";

/// Asks.
pub(crate) async fn ask(options: &PgConnectOptions, declared: PoolerMode) -> Result<Found, PgFault> {
    let nonce = nonce();
    let marked = options.clone().options([(MARKER, nonce.as_str())]);
    let mut connection = match marked.connect().await {
        Ok(connection) => connection,
        Err(error) => {
            let fault = PgFault::new(&error, Phase::Connect);
            if !fault.sqlstate().is_some_and(|code| REFUSALS.contains(&code)) {
                return Err(fault);
            }
            connect(options).await?
        }
    };
    let about = row(&mut connection, ABOUT).await?;
    let marker: Option<String> = value(&about, 5)?;
    let own = marker.as_deref() == Some(nonce.as_str());
    let session = match declared {
        PoolerMode::Auto if own => Some(PgSession::Own),
        PoolerMode::Direct if own => Some(PgSession::Own),
        PoolerMode::Direct => {
            let mut second = connect(options).await?;
            let moved = sessions_move(&mut connection, &mut second).await?;
            // The probe ends here whether the goodbye arrives or not.
            let _ = second.close().await;
            (!moved).then_some(PgSession::Own)
        }
        PoolerMode::Auto | PoolerMode::Transaction => {
            Some(PgSession::Shared(statements(&mut connection, &nonce).await?))
        }
    };
    let found = Found {
        version: value(&about, 0)?,
        in_recovery: value(&about, 1)?,
        fsync: value(&about, 2)?,
        full_page_writes: value(&about, 3)?,
        synchronous_commit: value(&about, 4)?,
        session,
    };
    let _ = connection.close().await;
    Ok(found)
}

/// Whether what lies between keeps prepared statements: it then gives ours a name of its own choice, so that the same
/// statement can be prepared on any session.
async fn statements(connection: &mut PgConnection, nonce: &str) -> Result<StatementMode, PgFault> {
    let read = |error| PgFault::new(&error, Phase::InTransaction);
    let mut unit = connection.begin().await.map_err(read)?;
    // It finds itself by the text that no other statement has.
    let listing = format!("SELECT name FROM pg_prepared_statements WHERE statement LIKE '%{nonce}%' AND $1");
    let names = sqlx::query_scalar::<_, String>(AssertSqlSafe(listing))
        .bind(true)
        .fetch_all(&mut *unit)
        .await;
    match names {
        Ok(names) => {
            // Closes it on the very session that has it.
            unit.clear_cached_statements().await.map_err(read)?;
            unit.commit().await.map_err(read)?;
            let renamed = !names.is_empty() && names.iter().all(|name| !name.starts_with(DRIVERS_NAMES));
            Ok(if renamed {
                StatementMode::Cached
            } else {
                StatementMode::UncachedInTransaction
            })
        }
        Err(error) => {
            let fault = read(error);
            unit.rollback().await.map_err(read)?;
            // Another client's statement was left on the session under this name: nothing tells them apart.
            if fault.sqlstate() == Some("42P05") {
                Ok(StatementMode::UncachedInTransaction)
            } else {
                Err(fault)
            }
        }
    }
}

/// Whether two connections are seen on each other's sessions. A pooler hands out either the session that was given
/// back last or the one that waits longest: the second round shows the former, the third the latter.
async fn sessions_move(first: &mut PgConnection, second: &mut PgConnection) -> Result<bool, PgFault> {
    const BEGIN: &str = "BEGIN; SELECT pg_backend_pid()";
    let mut seen = Vec::new();
    for first_leads in [true, true, false] {
        let (one, two) = if first_leads {
            let one = session_of(first, BEGIN).await?;
            (one, session_of(second, BEGIN).await?)
        } else {
            let two = session_of(second, BEGIN).await?;
            (session_of(first, BEGIN).await?, two)
        };
        seen.push((one, two));
        for connection in [&mut *first, &mut *second] {
            sqlx::raw_sql("COMMIT")
                .execute(connection)
                .await
                .map_err(|error| PgFault::new(&error, Phase::Connect))?;
        }
    }
    Ok(seen.windows(2).any(|pair| pair[0] != pair[1]))
}

async fn session_of(connection: &mut PgConnection, sql: &'static str) -> Result<i32, PgFault> {
    value(&row(connection, sql).await?, 0)
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, PgFault> {
    let connected = options.connect().await;
    connected.map_err(|error| PgFault::new(&error, Phase::Connect))
}

async fn row(connection: &mut PgConnection, sql: &'static str) -> Result<PgRow, PgFault> {
    let answer = sqlx::raw_sql(sql).fetch_one(connection).await;
    answer.map_err(|error| PgFault::new(&error, Phase::Connect))
}

fn value<'r, T>(row: &'r PgRow, at: usize) -> Result<T, PgFault>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(at)
        .map_err(|error| PgFault::new(&error, Phase::Connect))
}

/// 16 hexadecimal digits that nobody else has at this moment.
fn nonce() -> String {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    #[test]
    fn nonces_differ_and_need_no_quoting() {
        let (one, two) = (super::nonce(), super::nonce());
        assert_ne!(one, two);
        assert!(one.len() == 16 && one.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
