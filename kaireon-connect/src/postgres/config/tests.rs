use super::*;

const URL: &str = "postgresql://app:hunter2@db.example:5432/app";

fn with(name: &'static str, value: &'static str) -> Result<PgConnectConfig> {
    PgConnectConfig::from_vars(move |asked| match asked {
        _ if asked == name => Some(value.to_owned()),
        "DATABASE_URL" => Some(URL.to_owned()),
        _ => None,
    })
}

#[test]
fn every_variable_is_read() {
    let read = |name, value| with(name, value).unwrap();
    assert_eq!(read("KAIREON_PG_MAX_CONNECTIONS", "3").max_connections, 3);
    assert_eq!(read("KAIREON_PG_MIN_CONNECTIONS", "2").min_connections, 2);
    let ms = Duration::from_millis(250);
    assert_eq!(read("KAIREON_PG_ACQUIRE_TIMEOUT_MS", "250").acquire_timeout, ms);
    assert_eq!(read("KAIREON_PG_IDLE_TIMEOUT_MS", "250").idle_timeout, Some(ms));
    assert_eq!(read("KAIREON_PG_MAX_LIFETIME_MS", "0").max_lifetime, None);
    assert_eq!(
        read("KAIREON_PG_STATEMENT_TIMEOUT_MS", "250").statement_timeout,
        Some(ms)
    );
    assert_eq!(read("KAIREON_PG_LOCK_TIMEOUT_MS", "0").lock_timeout, None);
    let idle = read("KAIREON_PG_IDLE_IN_TRANSACTION_TIMEOUT_MS", "250");
    assert_eq!(idle.idle_in_transaction_timeout, Some(ms));
    assert_eq!(
        read("KAIREON_PG_APPLICATION_NAME", "shop").application_name,
        "shop"
    );
    assert_eq!(
        read("KAIREON_PG_SSLMODE", "verify-full").tls,
        Some(TlsMode::VerifyFull)
    );
    assert_eq!(
        read("KAIREON_PG_SSLROOTCERT", "/ca.crt").ca_file,
        Some("/ca.crt".into())
    );
    assert_eq!(
        read("KAIREON_PG_POOLER", "transaction").pooler,
        PoolerMode::Transaction
    );
    assert_eq!(read("NONE", "").url, URL);
}

#[test]
fn a_wrong_variable_is_named_and_its_value_is_not() {
    for (name, value) in [
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "hunter2"),
        ("DATABASE_URL", "mysql://app:hunter2@db/app"),
        ("DATABASE_URL", "postgres://app:hunter2@one:5432,two:5432/app"),
        ("DATABASE_URL", "postgres://app:hunter2@db:port/app"),
        ("DATABASE_URL", "postgres://app@db/app?sslmode=hunter2"),
        ("DATABASE_URL", "postgres://app@db/app?port=hunter2"),
        ("KAIREON_PG_MAX_CONNECTIONS", "0"),
        ("KAIREON_PG_MAX_CONNECTIONS", "-1"),
        ("KAIREON_PG_MIN_CONNECTIONS", "11"),
        ("KAIREON_PG_MIN_CONNECTIONS", "many"),
        ("KAIREON_PG_ACQUIRE_TIMEOUT_MS", "0"),
        ("KAIREON_PG_LOCK_TIMEOUT_MS", "1s"),
        ("KAIREON_PG_APPLICATION_NAME", "a\nb"),
        ("KAIREON_PG_SSLMODE", "hunter2"),
        ("KAIREON_PG_POOLER", "session"),
    ] {
        let error = with(name, value).unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::Config, Some(name)),
            "{value}"
        );
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn fields_that_make_no_sense_are_named() {
    let good = PgConnectConfig::from_url(URL);
    assert!(good.check().is_ok());
    for (config, field) in [
        (PgConnectConfig::default(), "url"),
        (good.clone().with_max_connections(0), "max_connections"),
        (
            good.clone().with_acquire_timeout(Duration::ZERO),
            "acquire_timeout",
        ),
        (
            good.clone().with_application_name("x".repeat(64)),
            "application_name",
        ),
        (
            PgConnectConfig {
                min_connections: 11,
                ..good.clone()
            },
            "min_connections",
        ),
    ] {
        assert_eq!(config.check().unwrap_err().field(), Some(field));
    }
}

#[test]
fn debug_shows_no_url() {
    let shown = format!("{:?}", PgConnectConfig::from_url(URL));
    assert!(
        !shown.contains("hunter2") && !shown.contains("db.example"),
        "{shown}"
    );
}
