//! How a server is reached.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use kaireon_core::{Error, ErrorKind, Result};

use super::url;

/// How Redis is reached. Its `Debug` shows no URL and no password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisConnectConfig {
    /// `redis://user:password@host:port,host:port/database?mode=…&master=…`, with `rediss://` for TLS. A secret. Several
    /// hosts are nodes of a cluster, any of which may be down, or sentinels; a single one may be any of these. The
    /// login is that of the servers. Other parameters are passed over with a warning that names them.
    pub url: String,
    /// What is at the URL; found out by default.
    pub mode: RedisMode,
    /// What the sentinels call the primary. `None` (the default): as the URL says.
    pub master: Option<String>,
    /// The login at the sentinels, where they ask for one.
    pub sentinel_username: Option<String>,
    /// The password at the sentinels, where they ask for one. A secret.
    pub sentinel_password: Option<String>,
    /// The file of the certificate authorities to trust, PEM. `None` (the default): the roots of the web that are
    /// compiled in, which know no private server.
    pub ca_file: Option<PathBuf>,
    /// How long opening a connection may take; 5 s by default.
    pub connect_timeout: Duration,
    /// How long a call may take, opening a connection included; 2 s by default. A connection on which nothing is
    /// answered for so long is closed.
    pub command_timeout: Duration,
}

/// What is at a URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisMode {
    /// Find out at `connect`, by what the first of the servers says it is. One that does not say is `Standalone`.
    #[default]
    Auto,
    /// One server, or what looks like one.
    Standalone,
    /// Sentinels, which know the primary.
    Sentinel,
    /// Nodes of a cluster.
    Cluster,
}

impl RedisMode {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "auto" => Self::Auto,
            "standalone" => Self::Standalone,
            "sentinel" => Self::Sentinel,
            "cluster" => Self::Cluster,
            _ => return None,
        })
    }
}

impl Default for RedisConnectConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            mode: RedisMode::Auto,
            master: None,
            sentinel_username: None,
            sentinel_password: None,
            ca_file: None,
            connect_timeout: Duration::from_secs(5),
            command_timeout: Duration::from_secs(2),
        }
    }
}

impl RedisConnectConfig {
    /// What is at that URL, otherwise as by default.
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
    /// | `REDIS_URL` | `url`; needed |
    /// | `KAIREON_REDIS_MODE` | `auto`, `standalone`, `sentinel`, `cluster` |
    /// | `KAIREON_REDIS_MASTER` | `master` |
    /// | `KAIREON_REDIS_SENTINEL_USERNAME`, `KAIREON_REDIS_SENTINEL_PASSWORD` | the login at the sentinels |
    /// | `KAIREON_REDIS_CA_FILE` | `ca_file` |
    /// | `KAIREON_REDIS_CONNECT_TIMEOUT_MS`, `KAIREON_REDIS_COMMAND_TIMEOUT_MS` | from 1 |
    ///
    /// # Errors
    /// `Config` naming the variable that is missing or malformed.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |name: &str| var(name).filter(|value| !value.is_empty());
        let url = set("REDIS_URL").ok_or_else(|| wrong("REDIS_URL", "is not set"))?;
        let mut config = Self::from_url(url);
        if let Some(mode) = set("KAIREON_REDIS_MODE") {
            config.mode = RedisMode::parse(&mode).ok_or_else(|| {
                let allowed = "is none of auto, standalone, sentinel, cluster";
                wrong("KAIREON_REDIS_MODE", allowed)
            })?;
        }
        config.master = set("KAIREON_REDIS_MASTER");
        config.sentinel_username = set("KAIREON_REDIS_SENTINEL_USERNAME");
        config.sentinel_password = set("KAIREON_REDIS_SENTINEL_PASSWORD");
        config.ca_file = set("KAIREON_REDIS_CA_FILE").map(PathBuf::from);
        let limit = |name: &'static str, old: Duration| match set(name) {
            None => Ok(old),
            Some(text) => match text.trim().parse::<u32>() {
                Ok(ms) if ms > 0 => Ok(Duration::from_millis(ms.into())),
                _ => Err(wrong(name, "is not a whole number from 1 to 4294967295")),
            },
        };
        config.connect_timeout = limit("KAIREON_REDIS_CONNECT_TIMEOUT_MS", config.connect_timeout)?;
        config.command_timeout = limit("KAIREON_REDIS_COMMAND_TIMEOUT_MS", config.command_timeout)?;
        config.check().map_err(|error| match error.field() {
            Some("url") => error.with_field("REDIS_URL"),
            Some("master") => error.with_field("KAIREON_REDIS_MASTER"),
            _ => error,
        })?;
        Ok(config)
    }

    /// The same with that at the URL.
    #[must_use]
    pub fn with_mode(mut self, mode: RedisMode) -> Self {
        self.mode = mode;
        self
    }

    /// The same with the primary called so by the sentinels.
    #[must_use]
    pub fn with_master(mut self, name: impl Into<String>) -> Self {
        self.master = Some(name.into());
        self
    }

    /// The same trusting the authorities in that file.
    #[must_use]
    pub fn with_ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(file.into());
        self
    }

    /// The same with another bound on opening a connection.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The same with another bound on a call.
    #[must_use]
    pub fn with_command_timeout(mut self, timeout: Duration) -> Self {
        self.command_timeout = timeout;
        self
    }

    /// Checks the bounds and the URL, without a network.
    ///
    /// # Errors
    /// `Config` naming the field.
    pub fn check(&self) -> Result<()> {
        for (field, timeout) in [
            ("connect_timeout", self.connect_timeout),
            ("command_timeout", self.command_timeout),
        ] {
            if timeout.is_zero() {
                return Err(wrong(field, "is zero"));
            }
        }
        url::parse(self).map(|_| ())
    }
}

/// A configuration that cannot be; the context holds no value.
pub(crate) fn wrong(field: &'static str, context: &'static str) -> Error {
    Error::new(ErrorKind::Config, context)
        .with_backend(super::BACKEND)
        .with_field(field)
}

impl fmt::Debug for RedisConnectConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            url,
            mode,
            master,
            sentinel_username,
            sentinel_password,
            ca_file,
            connect_timeout,
            command_timeout,
        } = self;
        let set = |is_set: bool| if is_set { "set" } else { "unset" };
        f.debug_struct("RedisConnectConfig")
            .field("url", &set(!url.is_empty()))
            .field("mode", mode)
            .field("master", master)
            .field("sentinel_username", &set(sentinel_username.is_some()))
            .field("sentinel_password", &set(sentinel_password.is_some()))
            .field("ca_file", ca_file)
            .field("connect_timeout", connect_timeout)
            .field("command_timeout", command_timeout)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(vars: &[(&str, &str)]) -> Result<RedisConnectConfig> {
        RedisConnectConfig::from_vars(|name| {
            let found = vars.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn every_variable_reaches_its_field() {
        let config = from(&[
            ("REDIS_URL", "rediss://u:p@h"),
            ("KAIREON_REDIS_MODE", "sentinel"),
            ("KAIREON_REDIS_MASTER", "main"),
            ("KAIREON_REDIS_SENTINEL_USERNAME", "su"),
            ("KAIREON_REDIS_SENTINEL_PASSWORD", "sp"),
            ("KAIREON_REDIS_CA_FILE", "/ca.crt"),
            ("KAIREON_REDIS_CONNECT_TIMEOUT_MS", "7"),
            ("KAIREON_REDIS_COMMAND_TIMEOUT_MS", "8"),
        ]);
        let expected = RedisConnectConfig {
            url: "rediss://u:p@h".to_owned(),
            mode: RedisMode::Sentinel,
            master: Some("main".to_owned()),
            sentinel_username: Some("su".to_owned()),
            sentinel_password: Some("sp".to_owned()),
            ca_file: Some("/ca.crt".into()),
            connect_timeout: Duration::from_millis(7),
            command_timeout: Duration::from_millis(8),
        };
        assert_eq!(config.unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_names_its_variable_and_no_value() {
        for (name, value) in [
            ("REDIS_URL", "postgres://secret@h"),
            ("REDIS_URL", ""),
            ("KAIREON_REDIS_MODE", "secret"),
            ("KAIREON_REDIS_CONNECT_TIMEOUT_MS", "0"),
            ("KAIREON_REDIS_COMMAND_TIMEOUT_MS", "secret"),
        ] {
            let error = from(&[(name, value), ("REDIS_URL", "redis://h")]).unwrap_err();
            assert_eq!((error.kind(), error.field()), (ErrorKind::Config, Some(name)));
            assert!(!format!("{error} {error:?}").contains("secret"));
        }
        let nameless = from(&[("REDIS_URL", "redis://h"), ("KAIREON_REDIS_MODE", "sentinel")]);
        assert_eq!(nameless.unwrap_err().field(), Some("KAIREON_REDIS_MASTER"));
    }

    #[test]
    fn debug_shows_no_secret() {
        let config = RedisConnectConfig {
            sentinel_username: Some("secret".to_owned()),
            sentinel_password: Some("secret".to_owned()),
            ..RedisConnectConfig::from_url("redis://secret:secret@h")
        };
        let shown = format!("{config:?}");
        assert!(!shown.contains("secret"), "{shown}");
    }
}
