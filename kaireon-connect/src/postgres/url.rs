//! A connection URL, read without ever showing it.

use std::str::FromStr;

use kaireon_core::Result;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::config::{PgConnectConfig, PoolerMode, wrong};

/// The parameters that the driver takes.
const KNOWN: &[&str] = &[
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// What a URL says.
pub(crate) struct Parsed {
    /// For the driver; without the settings that depend on what lies between.
    pub(crate) options: PgConnectOptions,
    pub(crate) pooler: PoolerMode,
    /// The names of parameters that were passed over.
    pub(crate) passed_over: Vec<String>,
}

/// Reads the URL and what the configuration puts above it.
///
/// # Errors
/// `Config` on the field `url`, with a reason that contains no part of it.
pub(crate) fn parse(config: &PgConnectConfig) -> Result<Parsed> {
    let PgConnectConfig {
        url, tls, ca_file, ..
    } = config;
    if url.is_empty() {
        return Err(wrong("url", "is not set"));
    }
    let scheme = url
        .split_once("://")
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    if !matches!(scheme.as_deref(), Some("postgres" | "postgresql")) {
        return Err(wrong("url", "does not begin with postgres:// or postgresql://"));
    }
    let Split {
        kept,
        has_ca,
        pgbouncer,
        passed_over,
    } = split(url);
    if several_hosts(&kept) {
        return Err(wrong(
            "url",
            "names several hosts, of which this driver takes one",
        ));
    }
    // The driver's own text may quote a parameter's value.
    let mut options = PgConnectOptions::from_str(&kept).map_err(|_| wrong("url", "is malformed"))?;
    if let Some(tls) = tls {
        options = options.ssl_mode(tls.driver());
    }
    if let Some(file) = ca_file {
        options = options.ssl_root_cert(file);
    }
    // As in libpq, which keeps it for compatibility and means well: an authority is given to be asked.
    if matches!(options.get_ssl_mode(), PgSslMode::Require) && (has_ca || ca_file.is_some()) {
        options = options.ssl_mode(PgSslMode::VerifyCa);
    }
    if options.get_application_name().is_none() || config.application_name != "kaireon" {
        options = options.application_name(&config.application_name);
    }
    let pooler = match config.pooler {
        PoolerMode::Auto if pgbouncer => PoolerMode::Transaction,
        pooler => pooler,
    };
    Ok(Parsed {
        // Floats are not stored, and a pooler refuses the parameter. Statements are not logged: counters and spans
        // say how long an operation took.
        options: options.extra_float_digits(None::<i8>).disable_statement_logging(),
        pooler,
        passed_over,
    })
}

struct Split {
    kept: String,
    has_ca: bool,
    pgbouncer: bool,
    passed_over: Vec<String>,
}

/// Takes out the parameters that the driver does not know: it would log their values.
fn split(url: &str) -> Split {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let mut split = Split {
        kept: base.to_owned(),
        has_ca: false,
        pgbouncer: false,
        passed_over: Vec::new(),
    };
    let mut separator = '?';
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        split.has_ca |= matches!(key, "sslrootcert" | "ssl-root-cert" | "ssl-ca");
        if key == "pgbouncer" {
            split.pgbouncer |= value == "true";
        } else if KNOWN.contains(&key) || key.starts_with("options[") {
            split.kept.push(separator);
            split.kept.push_str(pair);
            separator = '&';
        } else {
            split.passed_over.push(shown(key));
        }
    }
    split
}

/// A parameter's name as far as it can be shown: what does not look like one may be part of a password.
fn shown(key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if key.len() <= 32 && key.bytes().all(plain) {
        key.to_owned()
    } else {
        "(not a name)".to_owned()
    }
}

fn several_hosts(url: &str) -> bool {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, hosts)| hosts)
        .contains(',')
}

#[cfg(test)]
mod tests {
    use super::super::TlsMode;
    use super::*;

    fn parsed(url: &str) -> Parsed {
        parse(&PgConnectConfig::from_url(url)).unwrap()
    }

    #[test]
    fn parameters_of_others_are_passed_over_by_name() {
        let parsed = parsed(
            "postgresql://app@db/app?schema=public&sslmode=disable&connection_limit=5&p%40ss=1&application_name=shop",
        );
        assert_eq!(parsed.passed_over, ["schema", "connection_limit", "(not a name)"]);
        assert_eq!(parsed.options.get_application_name(), Some("shop"));
        assert!(matches!(parsed.options.get_ssl_mode(), PgSslMode::Disable));
        assert_eq!(parsed.options.get_database(), Some("app"));
        assert_eq!(parsed.pooler, PoolerMode::Auto);
    }

    #[test]
    fn a_url_that_speaks_of_pgbouncer_is_believed_unless_overruled() {
        let url = "postgres://app@db/app?pgbouncer=true";
        assert_eq!(parsed(url).pooler, PoolerMode::Transaction);
        assert_eq!(
            parsed("postgres://app@db/app?pgbouncer=false").pooler,
            PoolerMode::Auto
        );
        let overruled = PgConnectConfig::from_url(url).with_pooler(PoolerMode::Direct);
        assert_eq!(parse(&overruled).unwrap().pooler, PoolerMode::Direct);
    }

    #[test]
    fn an_authority_is_asked_where_one_is_given() {
        let mode = |config: &PgConnectConfig| parse(config).unwrap().options.get_ssl_mode();
        let url = |tail: &str| PgConnectConfig::from_url(format!("postgres://app@db/app{tail}"));
        assert!(matches!(mode(&url("?sslmode=require")), PgSslMode::Require));
        assert!(matches!(
            mode(&url("?sslmode=require&sslrootcert=/ca.crt")),
            PgSslMode::VerifyCa
        ));
        assert!(matches!(
            mode(&url("").with_tls(TlsMode::Require).with_ca_file("/ca.crt")),
            PgSslMode::VerifyCa
        ));
        assert!(matches!(
            mode(&url("?sslmode=disable").with_tls(TlsMode::VerifyFull)),
            PgSslMode::VerifyFull
        ));
    }

    #[test]
    fn a_socket_and_an_address_in_brackets_are_read() {
        let socket = parsed("postgres:///app?host=/var/run/postgresql");
        assert!(socket.options.get_socket().is_some());
        assert_eq!(parsed("postgres://app@[::1]:5433/app").options.get_port(), 5433);
    }
}
