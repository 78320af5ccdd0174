//! How a server is reached.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use kaireon_core::{Error, ErrorKind, Result};
use sqlx::postgres::PgSslMode;

/// How a server is reached. Its `Debug` shows no URL.
///
/// What the URL does not say is taken as libpq takes it: `PGHOST`, `PGUSER`, `PGPASSWORD`, `PGSSLROOTCERT` and their
/// kin, and `~/.pgpass`.
#[derive(Clone, PartialEq, Eq)]
pub struct PgConnectConfig {
    /// `postgresql://user:password@host:port/database?sslmode=…&sslrootcert=…`. A secret. Parameters that are not
    /// PostgreSQL's own are passed over with a warning that names them, except `pgbouncer=true`, which means
    /// [`PoolerMode::Transaction`] where `pooler` is `Auto`.
    pub url: String,
    /// The most connections that are open at a time; 10 by default, at least 1.
    pub max_connections: u32,
    /// How many are kept open when there is nothing to do; 0 by default.
    pub min_connections: u32,
    /// How long a caller waits for a connection, and how long opening one may take; 5 s by default.
    pub acquire_timeout: Duration,
    /// After how long without use a connection is closed; 10 minutes by default. `None`: never.
    pub idle_timeout: Option<Duration>,
    /// After how long any connection is closed and opened anew, so that a moved address or a changed pooler is
    /// found; 30 minutes by default. `None`: never.
    pub max_lifetime: Option<Duration>,
    /// The most that one statement may take; 30 s by default. `None`: without end.
    pub statement_timeout: Option<Duration>,
    /// The most that a statement waits for a lock; 10 s by default. `None`: without end.
    pub lock_timeout: Option<Duration>,
    /// After how long the server ends a session that stands idle inside a transaction, so that a process that hangs
    /// holds no lock for ever; 60 s by default. `None`: never.
    pub idle_in_transaction_timeout: Option<Duration>,
    /// What the server's views and logs call these connections; `kaireon` by default.
    pub application_name: String,
    /// How TLS is used. `None` (the default): as the URL says, else [`TlsMode::Prefer`].
    pub tls: Option<TlsMode>,
    /// The file of the certificate authorities to trust, PEM. `None` (the default): as the URL says, else the roots
    /// of the web that are compiled in, which know no private server.
    pub ca_file: Option<PathBuf>,
    /// What lies between; found out by default.
    pub pooler: PoolerMode,
}

/// How TLS is used, by libpq's names. With a CA file, `Require` verifies as `VerifyCa` does, as in libpq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsMode {
    /// `disable`: never.
    Disable,
    /// `prefer`: where the server has it, without looking at its certificate.
    Prefer,
    /// `require`: always, without looking at the certificate.
    Require,
    /// `verify-ca`: always, by an authority that is trusted.
    VerifyCa,
    /// `verify-full`: always, by an authority that is trusted, for the very name that was connected to.
    VerifyFull,
}

/// What lies between this process and the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolerMode {
    /// Find out at `connect`.
    #[default]
    Auto,
    /// Nothing, or what keeps one session for each connection, such as a pooler in session mode. Refused where it
    /// can be seen that a session is shared.
    Direct,
    /// A pooler in transaction mode; whether it keeps prepared statements is found out all the same.
    Transaction,
}

impl TlsMode {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "disable" => Self::Disable,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }

    pub(crate) fn driver(self) -> PgSslMode {
        match self {
            Self::Disable => PgSslMode::Disable,
            Self::Prefer => PgSslMode::Prefer,
            Self::Require => PgSslMode::Require,
            Self::VerifyCa => PgSslMode::VerifyCa,
            Self::VerifyFull => PgSslMode::VerifyFull,
        }
    }
}

impl PoolerMode {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "auto" => Self::Auto,
            "direct" => Self::Direct,
            "transaction" => Self::Transaction,
            _ => return None,
        })
    }
}

impl Default for PgConnectConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            max_connections: 10,
            min_connections: 0,
            acquire_timeout: Duration::from_secs(5),
            idle_timeout: Some(Duration::from_secs(600)),
            max_lifetime: Some(Duration::from_secs(1_800)),
            statement_timeout: Some(Duration::from_secs(30)),
            lock_timeout: Some(Duration::from_secs(10)),
            idle_in_transaction_timeout: Some(Duration::from_secs(60)),
            application_name: "kaireon".to_owned(),
            tls: None,
            ca_file: None,
            pooler: PoolerMode::Auto,
        }
    }
}

impl PgConnectConfig {
    /// The server at that URL, otherwise as by default.
    #[must_use]
    pub fn from_url(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ..Self::default()
        }
    }

    /// What the process's environment says, otherwise as by default: see [`from_vars`](Self::from_vars).
    ///
    /// # Errors
    /// `Config` naming the variable that is missing or malformed.
    pub fn from_env() -> Result<Self> {
        Self::from_vars(|name| std::env::var(name).ok())
    }

    /// As [`from_env`](Self::from_env), with the variables from elsewhere.
    ///
    /// | variable | field |
    /// |---|---|
    /// | `DATABASE_URL` | `url`; needed |
    /// | `KAIREON_PG_MAX_CONNECTIONS`, `KAIREON_PG_MIN_CONNECTIONS` | the bounds of the pool |
    /// | `KAIREON_PG_ACQUIRE_TIMEOUT_MS` | `acquire_timeout`, from 1 |
    /// | `KAIREON_PG_IDLE_TIMEOUT_MS`, `KAIREON_PG_MAX_LIFETIME_MS` | 0: never |
    /// | `KAIREON_PG_STATEMENT_TIMEOUT_MS`, `KAIREON_PG_LOCK_TIMEOUT_MS` | 0: without end |
    /// | `KAIREON_PG_IDLE_IN_TRANSACTION_TIMEOUT_MS` | 0: never |
    /// | `KAIREON_PG_APPLICATION_NAME` | `application_name` |
    /// | `KAIREON_PG_SSLMODE` | `disable`, `prefer`, `require`, `verify-ca`, `verify-full` |
    /// | `KAIREON_PG_SSLROOTCERT` | `ca_file` |
    /// | `KAIREON_PG_POOLER` | `auto`, `direct`, `transaction` |
    ///
    /// # Errors
    /// `Config` naming the variable that is missing or malformed.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let url = var("DATABASE_URL").filter(|url| !url.is_empty());
        let mut config = Self::from_url(url.ok_or_else(|| wrong("DATABASE_URL", "is not set"))?);
        let number = |name: &'static str| match var(name) {
            None => Ok(None),
            Some(text) => match text.trim().parse::<u32>() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(wrong(name, "is not a whole number from 0 to 4294967295")),
            },
        };
        let limit = |name: &'static str, old: Option<Duration>| -> Result<Option<Duration>> {
            Ok(match number(name)? {
                None => old,
                Some(0) => None,
                Some(ms) => Some(Duration::from_millis(ms.into())),
            })
        };
        if let Some(most) = number("KAIREON_PG_MAX_CONNECTIONS")? {
            if most == 0 {
                return Err(wrong("KAIREON_PG_MAX_CONNECTIONS", "is zero"));
            }
            config.max_connections = most;
        }
        if let Some(least) = number("KAIREON_PG_MIN_CONNECTIONS")? {
            if least > config.max_connections {
                return Err(wrong(
                    "KAIREON_PG_MIN_CONNECTIONS",
                    "is above the most connections",
                ));
            }
            config.min_connections = least;
        }
        if let Some(ms) = number("KAIREON_PG_ACQUIRE_TIMEOUT_MS")? {
            if ms == 0 {
                return Err(wrong("KAIREON_PG_ACQUIRE_TIMEOUT_MS", "is zero"));
            }
            config.acquire_timeout = Duration::from_millis(ms.into());
        }
        config.idle_timeout = limit("KAIREON_PG_IDLE_TIMEOUT_MS", config.idle_timeout)?;
        config.max_lifetime = limit("KAIREON_PG_MAX_LIFETIME_MS", config.max_lifetime)?;
        config.statement_timeout = limit("KAIREON_PG_STATEMENT_TIMEOUT_MS", config.statement_timeout)?;
        config.lock_timeout = limit("KAIREON_PG_LOCK_TIMEOUT_MS", config.lock_timeout)?;
        config.idle_in_transaction_timeout = limit(
            "KAIREON_PG_IDLE_IN_TRANSACTION_TIMEOUT_MS",
            config.idle_in_transaction_timeout,
        )?;
        if let Some(name) = var("KAIREON_PG_APPLICATION_NAME") {
            config.application_name = name;
        }
        if let Some(mode) = var("KAIREON_PG_SSLMODE") {
            config.tls = Some(TlsMode::parse(&mode).ok_or_else(|| {
                let allowed = "is none of disable, prefer, require, verify-ca, verify-full";
                wrong("KAIREON_PG_SSLMODE", allowed)
            })?);
        }
        if let Some(file) = var("KAIREON_PG_SSLROOTCERT") {
            config.ca_file = Some(PathBuf::from(file));
        }
        if let Some(mode) = var("KAIREON_PG_POOLER") {
            config.pooler = PoolerMode::parse(&mode)
                .ok_or_else(|| wrong("KAIREON_PG_POOLER", "is none of auto, direct, transaction"))?;
        }
        config.check().map_err(|error| match error.field() {
            Some("url") => error.with_field("DATABASE_URL"),
            Some("application_name") => error.with_field("KAIREON_PG_APPLICATION_NAME"),
            _ => error,
        })?;
        Ok(config)
    }

    /// The same with another bound on open connections.
    #[must_use]
    pub fn with_max_connections(mut self, most: u32) -> Self {
        self.max_connections = most;
        self
    }

    /// The same with another wait for a connection.
    #[must_use]
    pub fn with_acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// The same with another bound on one statement; `None`: without end.
    #[must_use]
    pub fn with_statement_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.statement_timeout = timeout.into();
        self
    }

    /// The same with another bound on the wait for a lock; `None`: without end.
    #[must_use]
    pub fn with_lock_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.lock_timeout = timeout.into();
        self
    }

    /// The same under another name in the server's views and logs.
    #[must_use]
    pub fn with_application_name(mut self, name: impl Into<String>) -> Self {
        self.application_name = name.into();
        self
    }

    /// The same with TLS used so.
    #[must_use]
    pub fn with_tls(mut self, tls: TlsMode) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The same trusting the authorities in that file.
    #[must_use]
    pub fn with_ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(file.into());
        self
    }

    /// The same with that between.
    #[must_use]
    pub fn with_pooler(mut self, pooler: PoolerMode) -> Self {
        self.pooler = pooler;
        self
    }

    /// Checks the bounds and the URL, without a network.
    ///
    /// # Errors
    /// `Config` naming the field.
    pub fn check(&self) -> Result<()> {
        if self.max_connections == 0 {
            return Err(wrong("max_connections", "is zero"));
        }
        if self.min_connections > self.max_connections {
            return Err(wrong("min_connections", "is above the most connections"));
        }
        if self.acquire_timeout.is_zero() {
            return Err(wrong("acquire_timeout", "is zero"));
        }
        // The server cuts longer ones off and replaces other characters.
        let plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        if self.application_name.len() > 63 || !self.application_name.bytes().all(plain) {
            return Err(wrong(
                "application_name",
                "is not up to 63 printable ascii characters",
            ));
        }
        super::url::parse(self).map(drop)
    }
}

pub(crate) fn wrong(field: &'static str, why: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Config, why)
        .with_backend(super::BACKEND)
        .with_field(field)
}

impl fmt::Debug for PgConnectConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            url,
            max_connections,
            min_connections,
            acquire_timeout,
            idle_timeout,
            max_lifetime,
            statement_timeout,
            lock_timeout,
            idle_in_transaction_timeout,
            application_name,
            tls,
            ca_file,
            pooler,
        } = self;
        f.debug_struct("PgConnectConfig")
            .field("url", &if url.is_empty() { "unset" } else { "set" })
            .field("max_connections", max_connections)
            .field("min_connections", min_connections)
            .field("acquire_timeout", acquire_timeout)
            .field("idle_timeout", idle_timeout)
            .field("max_lifetime", max_lifetime)
            .field("statement_timeout", statement_timeout)
            .field("lock_timeout", lock_timeout)
            .field("idle_in_transaction_timeout", idle_in_transaction_timeout)
            .field("application_name", application_name)
            .field("tls", tls)
            .field("ca_file", ca_file)
            .field("pooler", pooler)
            .finish()
    }
}

#[cfg(test)]
mod tests;
