//! What a host may set.

use kaireon_connect::redis::RedisConnectConfig;
use kaireon_core::Result;

use super::error;
use crate::MAX_VALUE_BYTES_VARIABLE;

/// The variable that sets [`RedisCacheConfig::key_prefix`].
pub const KEY_PREFIX_VARIABLE: &str = "KAIREON_REDIS_KEY_PREFIX";

/// The longest prefix, in bytes.
const MAX_PREFIX_BYTES: usize = 64;

/// The largest value of the server's own, 512 MiB, less what holds it.
const LARGEST_VALUE: usize = (512 << 20) - 1;

/// Where the cache on Redis is, and what it may hold. Its `Debug` shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisCacheConfig {
    /// The server, or servers.
    pub connect: RedisConnectConfig,
    /// What every key begins with; `kaireon:` by default, 1 to 64 bytes without control characters. Two hosts that
    /// share a server and must not share a cache have two.
    pub key_prefix: String,
    /// The largest value in bytes; 1 MiB by default, below 512 MiB.
    pub max_value_bytes: usize,
}

impl Default for RedisCacheConfig {
    fn default() -> Self {
        Self {
            connect: RedisConnectConfig::default(),
            key_prefix: "kaireon:".to_owned(),
            max_value_bytes: 1 << 20,
        }
    }
}

impl RedisCacheConfig {
    /// The server at that URL, otherwise as by default.
    #[must_use]
    pub fn from_url(url: impl Into<String>) -> Self {
        Self::default().with_connect(RedisConnectConfig::from_url(url))
    }

    /// The same on that server.
    #[must_use]
    pub fn with_connect(mut self, connect: RedisConnectConfig) -> Self {
        self.connect = connect;
        self
    }

    /// The same under another prefix.
    #[must_use]
    pub fn with_key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = prefix.into();
        self
    }

    /// The same with another bound on one value.
    #[must_use]
    pub fn with_max_value_bytes(mut self, max_value_bytes: usize) -> Self {
        self.max_value_bytes = max_value_bytes;
        self
    }

    /// What the process's environment says, otherwise as by default: see [`from_vars`](Self::from_vars).
    ///
    /// # Errors
    /// `Config` naming the variable that is missing or malformed.
    pub fn from_env() -> Result<Self> {
        Self::from_vars(|name| std::env::var(name).ok())
    }

    /// As [`from_env`](Self::from_env), with the variables from elsewhere: those of
    /// [`RedisConnectConfig::from_vars`], `KAIREON_REDIS_KEY_PREFIX` and `KAIREON_CACHE_MAX_VALUE_BYTES`.
    ///
    /// # Errors
    /// `Config` naming the variable that is missing or malformed.
    pub fn from_vars(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut config = Self::default().with_connect(RedisConnectConfig::from_vars(&variable)?);
        if let Some(prefix) = variable(KEY_PREFIX_VARIABLE) {
            config.key_prefix = prefix;
        }
        if let Some(bytes) = variable(MAX_VALUE_BYTES_VARIABLE) {
            let wrong = |_| error::config(MAX_VALUE_BYTES_VARIABLE, "is not a number of bytes");
            config.max_value_bytes = bytes.trim().parse().map_err(wrong)?;
        }
        config.check_own().map_err(|error| match error.field() {
            Some("key_prefix") => error.with_field(KEY_PREFIX_VARIABLE),
            Some("max_value_bytes") => error.with_field(MAX_VALUE_BYTES_VARIABLE),
            _ => error,
        })?;
        Ok(config)
    }

    /// Checks the bounds and the URL, without a network.
    ///
    /// # Errors
    /// `Config` naming the field.
    pub fn check(&self) -> Result<()> {
        self.check_own()?;
        self.connect.check()
    }

    fn check_own(&self) -> Result<()> {
        if self.key_prefix.is_empty() || self.key_prefix.len() > MAX_PREFIX_BYTES {
            return Err(error::config("key_prefix", "is not 1 to 64 bytes long"));
        }
        if self.key_prefix.chars().any(char::is_control) {
            return Err(error::config("key_prefix", "contains a control character"));
        }
        if self.max_value_bytes == 0 || self.max_value_bytes > LARGEST_VALUE {
            return Err(error::config("max_value_bytes", "is not from 1 to 536870911"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(vars: &[(&str, &str)]) -> Result<RedisCacheConfig> {
        RedisCacheConfig::from_vars(|name| {
            let found = vars.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn every_variable_reaches_its_field() {
        let config = from(&[
            ("REDIS_URL", "redis://h"),
            (KEY_PREFIX_VARIABLE, "mine:"),
            (MAX_VALUE_BYTES_VARIABLE, "7"),
        ]);
        let expected = RedisCacheConfig::from_url("redis://h")
            .with_key_prefix("mine:")
            .with_max_value_bytes(7);
        assert_eq!(config.unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_names_its_variable() {
        for (name, value) in [
            ("REDIS_URL", ""),
            (KEY_PREFIX_VARIABLE, ""),
            (KEY_PREFIX_VARIABLE, "a\nb"),
            (MAX_VALUE_BYTES_VARIABLE, "0"),
            (MAX_VALUE_BYTES_VARIABLE, "536870912"),
            (MAX_VALUE_BYTES_VARIABLE, "many"),
        ] {
            let error = from(&[(name, value), ("REDIS_URL", "redis://h")]).unwrap_err();
            assert_eq!(error.field(), Some(name), "{value}");
        }
    }
}
