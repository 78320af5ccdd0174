//! How settings are reached, and where they live.

use kaireon_connect::postgres::{PgConnectConfig, Schema};
use kaireon_core::Result;

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
