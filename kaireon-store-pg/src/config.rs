//! How a store is reached, and how it lives there.

use kaireon_connect::postgres::PgConnectConfig;
use kaireon_core::Result;

use crate::options::PgStoreOptions;

/// How a store is reached, and how it lives there. Its `Debug` shows neither URL nor key.
#[derive(Clone, Debug, Default)]
pub struct PgStoreConfig {
    /// How the server is reached.
    pub connect: PgConnectConfig,
    /// How the store lives in the database.
    pub options: PgStoreOptions,
}

impl PgStoreConfig {
    /// A store on that server, otherwise as by default.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        let connect = PgConnectConfig {
            url: url.into(),
            ..PgConnectConfig::default()
        };
        Self {
            connect,
            options: PgStoreOptions::default(),
        }
    }

    /// What the environment says: `DATABASE_URL` and what else [`PgConnectConfig::from_env`] reads,
    /// `KAIREON_PG_SCHEMA`, and `KAIREON_MASTER_KEY` (64 hexadecimal digits).
    ///
    /// # Errors
    /// `Config` naming the variable that is missing or malformed.
    pub fn from_env() -> Result<Self> {
        Self::from_vars(|name| std::env::var(name).ok())
    }

    /// As [`from_env`](Self::from_env), with the variables from elsewhere.
    ///
    /// # Errors
    /// `Config` naming the variable that is missing or malformed.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self> {
        Ok(Self {
            connect: PgConnectConfig::from_vars(&var)?,
            options: PgStoreOptions::from_vars(&var)?,
        })
    }

    /// The same with other options.
    #[must_use]
    pub fn with_options(mut self, options: PgStoreOptions) -> Self {
        self.options = options;
        self
    }
}
