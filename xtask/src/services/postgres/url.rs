//! The parts of a connection URL that a pooler's configuration and a first message need.

use crate::failure::{Context, Result};

/// `postgres://user:password@host:port/database?options`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) user: String,
    pub(super) password: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: String,
}

impl Url {
    /// Reads what these commands write themselves and what a person sets; without percent escapes.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let wrong = "is not of the form postgres://user:password@host:port/database";
        let rest = url
            .strip_prefix("postgres://")
            .or_else(|| url.strip_prefix("postgresql://"));
        let rest = rest.context(format_args!("the URL {wrong}"))?;
        let rest = rest.split('?').next().unwrap_or_default();
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, address) = authority
            .rsplit_once('@')
            .context(format_args!("the URL {wrong}"))?;
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "5432"));
        let database = if database.is_empty() { user } else { database };
        Ok(Self {
            user: user.to_owned(),
            password: password.to_owned(),
            host: host.to_owned(),
            port: port.parse().context(format_args!("the URL's port {port:?}"))?,
            database: database.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Url;

    #[test]
    fn a_url_gives_its_parts() {
        let url = Url::parse("postgres://app:s:e@127.0.0.1:19500/app?sslmode=disable").unwrap();
        let text = |text: &str| text.to_owned();
        let expected = Url {
            user: text("app"),
            password: text("s:e"),
            host: text("127.0.0.1"),
            port: 19500,
            database: text("app"),
        };
        assert_eq!(url, expected);
        let short = Url::parse("postgresql://me@db").unwrap();
        assert_eq!((short.port, short.database.as_str()), (5432, "me"));
        for wrong in ["redis://h", "postgres://h/d", "postgres://u@h:x/d"] {
            assert!(Url::parse(wrong).is_err(), "{wrong}");
        }
    }
}
