//! How settings are reached, and where they live.

use kaireon_connect::postgres::{PgConnectConfig, Schema};
use kaireon_core::Result;

/// The variable of the settings' own database.
const URL: &str = "KAIREON_SETTINGS_URL";

/// The variable of the store's schema, beside which the settings' lies.
const SCHEMA: &str = "KAIREON_PG_SCHEMA";

/// The most connections of a process to its settings.
const MAX_CONNECTIONS: u32 = 4;

/// How settings are reached, and where they live. Its `Debug` does not show the URL.
#[derive(Clone, Debug)]
pub struct PgSettingsConfig {
    /// How the server is reached.
    pub connect: PgConnectConfig,
    /// The schema of the tables, `kaireon_settings` by default: 1 to 63 letters, digits and underscores.
    pub schema: String,
}

impl Default for PgSettingsConfig {
    fn default() -> Self {
        Self {
            connect: PgConnectConfig::default(),
            schema: "kaireon_settings".to_owned(),
        }
    }
}

impl PgSettingsConfig {
    /// Settings on that server, otherwise as by default.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            connect: PgConnectConfig {
                url: url.into(),
                ..PgConnectConfig::default()
            },
            ..Self::default()
        }
    }

    /// What the environment says: `KAIREON_SETTINGS_URL`, or `DATABASE_URL` where that is unset; what else
    /// [`PgConnectConfig::from_env`] reads, of the pool 4 connections at most, because a process asks little of it; and
    /// the schema `{KAIREON_PG_SCHEMA}_settings`, `kaireon_settings` where that is unset.
    ///
    /// # Errors
    /// `Config` naming the variable that is missing or malformed.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let given = |name: &str| var(name).filter(|value| !value.is_empty());
        let own = given(URL);
        let mut connect = PgConnectConfig::from_vars(|name| match (name, &own) {
            ("DATABASE_URL", Some(url)) => Some(url.clone()),
            _ => var(name),
        })?;
        connect.max_connections = connect.max_connections.min(MAX_CONNECTIONS);
        connect.min_connections = connect.min_connections.min(connect.max_connections);
        let schema = match given(SCHEMA) {
            Some(of_store) => format!("{}_settings", of_store.trim()),
            None => Self::default().schema,
        };
        let settings = Self { connect, schema };
        settings.schema().map_err(|error| error.with_field(SCHEMA))?;
        Ok(settings)
    }

    /// The same in another schema.
    #[must_use]
    pub fn with_schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    pub(super) fn schema(&self) -> Result<Schema> {
        Schema::new(&self.schema)
    }
}

#[cfg(test)]
mod tests {
    use kaireon_core::ErrorKind;

    use super::*;

    fn of(vars: &[(&str, &str)]) -> Result<PgSettingsConfig> {
        PgSettingsConfig::from_vars(|asked| {
            let found = vars.iter().find(|(name, _)| *name == asked);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn settings_have_a_database_of_their_own_or_lie_beside_the_store_in_another_schema() {
        let beside = of(&[("DATABASE_URL", "postgres://store"), (SCHEMA, "shop")]).unwrap();
        assert_eq!(
            (beside.connect.url.as_str(), beside.schema.as_str()),
            ("postgres://store", "shop_settings")
        );
        assert_eq!(beside.connect.max_connections, MAX_CONNECTIONS);
        let own = [
            ("DATABASE_URL", "postgres://store"),
            (URL, "postgres://settings"),
            ("KAIREON_PG_MAX_CONNECTIONS", "2"),
        ];
        let own = of(&own).unwrap();
        assert_eq!(
            (own.connect.url.as_str(), own.schema.as_str()),
            ("postgres://settings", "kaireon_settings")
        );
        assert_eq!(own.connect.max_connections, 2);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        assert_eq!(of(&[]).unwrap_err().field(), Some("DATABASE_URL"));
        for wrong in ["a\"b", &"x".repeat(60)] {
            let error = of(&[(URL, "postgres://settings"), (SCHEMA, wrong)]).unwrap_err();
            assert_eq!((error.kind(), error.field()), (ErrorKind::Config, Some(SCHEMA)));
        }
    }
}
