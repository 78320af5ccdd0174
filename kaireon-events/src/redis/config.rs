//! What a host may set.

use kaireon_connect::redis::RedisConnectConfig;
use kaireon_core::Result;

use super::error;
use crate::vars::{self, MAX_PENDING};

/// The variable that sets [`RedisPublisherConfig::max_event_bytes`].
pub const MAX_EVENT_BYTES_VARIABLE: &str = "KAIREON_EVENTS_MAX_BYTES";

/// The largest value of the server's own, 512 MiB, less what holds it.
const LARGEST_EVENT: usize = (512 << 20) - 1;

/// Where the event stream on Redis is. Its `Debug` shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisPublisherConfig {
    /// The server, or servers.
    pub connect: RedisConnectConfig,
    /// The largest envelope in bytes; 1 MiB by default, below 512 MiB. A larger one is `InvalidInput`: it can never be
    /// published.
    pub max_event_bytes: usize,
    /// The largest `max_pending` that a subscription may ask for, from 1; 1,048,576 by default. It bounds what one
    /// subscriber can make this process hold.
    pub max_pending: usize,
}

impl Default for RedisPublisherConfig {
    fn default() -> Self {
        Self {
            connect: RedisConnectConfig::default(),
            max_event_bytes: 1 << 20,
            max_pending: 1 << 20,
        }
    }
}

impl RedisPublisherConfig {
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

    /// The same with another bound on one envelope.
    #[must_use]
    pub fn with_max_event_bytes(mut self, max_event_bytes: usize) -> Self {
        self.max_event_bytes = max_event_bytes;
        self
    }

    /// The same with another bound on `max_pending`.
    #[must_use]
    pub fn with_max_pending(mut self, max_pending: usize) -> Self {
        self.max_pending = max_pending;
        self
    }

    /// What the process's environment says, otherwise as by default: see [`from_vars`](Self::from_vars).
    ///
    /// # Errors
    /// `Config` naming the variable that is missing or malformed.
    pub fn from_env() -> Result<Self> {
        Self::from_vars(|name| std::env::var(name).ok())
    }

    /// As [`from_env`](Self::from_env), with the variables from elsewhere: those of [`RedisConnectConfig::from_vars`],
    /// `KAIREON_EVENTS_MAX_BYTES` and `KAIREON_EVENTS_MAX_PENDING`.
    ///
    /// # Errors
    /// `Config` naming the variable that is missing or malformed.
    pub fn from_vars(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut config = Self::default().with_connect(RedisConnectConfig::from_vars(&variable)?);
        if let Some(bytes) = vars::number(&variable, MAX_EVENT_BYTES_VARIABLE)? {
            config.max_event_bytes = bytes;
        }
        if let Some(events) = vars::number(&variable, MAX_PENDING)? {
            config.max_pending = events;
        }
        config.check_own().map_err(|error| match error.field() {
            Some("max_event_bytes") => error.with_field(MAX_EVENT_BYTES_VARIABLE),
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
        if self.max_event_bytes == 0 || self.max_event_bytes > LARGEST_EVENT {
            return Err(error::config("max_event_bytes", "is not from 1 to 536870911"));
        }
        if self.max_pending == 0 {
            return Err(error::config("max_pending", "is zero"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(vars: &[(&str, &str)]) -> Result<RedisPublisherConfig> {
        RedisPublisherConfig::from_vars(|name| {
            let found = vars.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn every_variable_reaches_its_field() {
        let config = from(&[
            ("REDIS_URL", "redis://h"),
            (MAX_EVENT_BYTES_VARIABLE, "7"),
            (MAX_PENDING, " 8 "),
        ]);
        let expected = RedisPublisherConfig::from_url("redis://h")
            .with_max_event_bytes(7)
            .with_max_pending(8);
        assert_eq!(config.unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_names_its_variable() {
        for (name, value) in [
            ("REDIS_URL", ""),
            (MAX_EVENT_BYTES_VARIABLE, "0"),
            (MAX_EVENT_BYTES_VARIABLE, "536870912"),
            (MAX_EVENT_BYTES_VARIABLE, "many"),
            (MAX_PENDING, "0"),
            (MAX_PENDING, ""),
        ] {
            let error = from(&[(name, value), ("REDIS_URL", "redis://h")]).unwrap_err();
            assert_eq!(error.field(), Some(name), "{value}");
        }
        assert!(RedisPublisherConfig::from_url("redis://h").check().is_ok());
        let none = RedisPublisherConfig::from_url("redis://h").with_max_pending(0);
        assert_eq!(none.check().unwrap_err().field(), Some("max_pending"));
    }
}
