//! The one table from the server's codes to kinds: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.

use std::time::Duration;

use kaireon_core::ErrorKind;

/// What a code means to a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    pub(crate) kind: ErrorKind,
    /// Whether the same call may succeed later without anything else being changed.
    pub(crate) transient: bool,
    pub(crate) retry_after: Option<Duration>,
    /// One lower-case phrase.
    pub(crate) what: &'static str,
    /// Whether the server's own text names nothing but objects of the schema, roles and settings; otherwise it may
    /// quote values.
    pub(crate) text_is_plain: bool,
}

const fn of(kind: ErrorKind, transient: bool, what: &'static str) -> Meaning {
    Meaning {
        kind,
        transient,
        retry_after: None,
        what,
        text_is_plain: true,
    }
}

impl Meaning {
    const fn after_ms(self, ms: u64) -> Self {
        Self {
            retry_after: Some(Duration::from_millis(ms)),
            ..self
        }
    }

    const fn quoting(self) -> Self {
        Self {
            text_is_plain: false,
            ..self
        }
    }
}

/// What a code means; by its class where it has no line of its own.
pub(crate) fn meaning(code: &str) -> Meaning {
    use ErrorKind as Kind;
    match code {
        // PgBouncer speaks for itself under this code, and PostgreSQL when client and server disagree about a
        // statement, which is what a pooler that mixes them up looks like.
        "08P01" => of(Kind::Unavailable, true, "the connection broke down"),
        "0A000" => of(Kind::Unsupported, false, "the server does not have this"),
        "22021" | "22P05" => of(
            Kind::InvalidInput,
            false,
            "a text holds a character that the database cannot",
        )
        .quoting(),
        // Binary arguments of a type that was not asked for: ours.
        "22P02" | "22P03" => of(Kind::Internal, false, "an argument has a wrong form").quoting(),
        "23505" => of(Kind::Conflict, false, "a unique key is taken"),
        "25006" => of(
            Kind::Unavailable,
            true,
            "the server is read-only, as a replica is until it is promoted",
        )
        .after_ms(500),
        "25P03" => of(Kind::Unavailable, true, "a transaction stood idle for too long"),
        "25P04" => of(Kind::Timeout, true, "a transaction took too long"),
        "26000" | "42P05" => of(
            Kind::Config,
            false,
            "prepared statements are mixed up: a pooler that does not keep them lies between, declare it",
        ),
        "28000" | "28P01" => of(Kind::Unauthorized, false, "the server refuses the login"),
        "3D000" => of(Kind::Config, false, "the database does not exist"),
        "3F000" | "42P01" | "42703" | "42883" | "42704" => of(
            Kind::Config,
            false,
            "the database lacks what this library needs; run migrate",
        ),
        "40001" => of(Kind::Unavailable, true, "a concurrent transaction came first"),
        "40P01" => of(Kind::Unavailable, true, "a deadlock was broken"),
        "40003" => of(
            Kind::Unavailable,
            true,
            "the server does not know how the statement ended",
        ),
        "42501" => of(Kind::Unauthorized, false, "the role lacks a privilege"),
        "53100" => of(Kind::StorageFull, true, "the server's disk is full").after_ms(1_000),
        "53200" => of(Kind::StorageFull, true, "the server is out of memory").after_ms(1_000),
        "53300" => of(Kind::RateLimited, true, "the server has no connection left").after_ms(200),
        "54000" | "54001" | "54011" | "54023" => {
            of(Kind::Internal, false, "a limit of the server is exceeded")
        }
        "55006" => of(Kind::Unavailable, true, "an object is in use"),
        "55P03" => of(Kind::Timeout, true, "a lock was not to be had in time"),
        "57014" => of(
            Kind::Timeout,
            true,
            "the statement was stopped, as it took too long",
        ),
        "57P01" => of(
            Kind::Unavailable,
            true,
            "the server is shutting down, or ended this session",
        )
        .after_ms(200),
        "57P02" => of(Kind::Unavailable, true, "the server crashed and starts again").after_ms(500),
        "57P03" => of(
            Kind::Unavailable,
            true,
            "the server is starting up or shutting down",
        )
        .after_ms(500),
        "57P04" => of(Kind::Config, false, "the database was dropped"),
        "57P05" => of(Kind::Unavailable, true, "the session stood idle for too long"),
        "58030" => of(
            Kind::Unavailable,
            true,
            "the server failed to read or write its files",
        ),
        "58P01" | "58P02" => of(Kind::Corrupt, false, "a file of the server's is missing"),
        // What a trigger raises that says no more than that the row is not to be.
        "P0001" => of(Kind::InvalidInput, false, "a trigger refuses the row").quoting(),
        "XX001" | "XX002" => of(Kind::Corrupt, false, "the server's files are damaged"),
        _ => by_class(code),
    }
}

fn by_class(code: &str) -> Meaning {
    use ErrorKind as Kind;
    match code.get(..2).unwrap_or_default() {
        "08" => of(Kind::Unavailable, true, "the connection broke down"),
        "22" => of(
            Kind::InvalidInput,
            false,
            "a value is outside what the database holds",
        )
        .quoting(),
        "23" => of(Kind::InvalidInput, false, "a constraint refuses the row").quoting(),
        "25" => of(Kind::Internal, false, "a transaction is in a wrong state"),
        "28" => of(Kind::Unauthorized, false, "the server refuses the login"),
        "40" => of(Kind::Unavailable, true, "the server rolled back"),
        "42" => of(Kind::Internal, false, "the server does not take a statement"),
        "53" => of(Kind::StorageFull, true, "the server lacks resources").after_ms(1_000),
        "54" => of(Kind::Internal, false, "a limit of the server is exceeded"),
        "55" => of(
            Kind::Unavailable,
            true,
            "an object is not in the state that is needed",
        ),
        "57" => of(Kind::Unavailable, true, "an operator stepped in"),
        "58" => of(Kind::Unavailable, true, "the server's system failed"),
        "F0" => of(Kind::Config, false, "the server's configuration is wrong"),
        // Triggers and functions of others may put anything in their texts.
        "P0" => of(Kind::Internal, false, "a procedure raised an error").quoting(),
        "XX" => of(Kind::Internal, false, "the server failed in itself"),
        _ => of(Kind::Internal, false, "the server answered with an unknown error").quoting(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_table_has_its_kind() {
        use ErrorKind as Kind;
        for (code, kind, transient) in [
            ("08006", Kind::Unavailable, true),
            ("08P01", Kind::Unavailable, true),
            ("0A000", Kind::Unsupported, false),
            ("22001", Kind::InvalidInput, false),
            ("22021", Kind::InvalidInput, false),
            ("22P02", Kind::Internal, false),
            ("22P05", Kind::InvalidInput, false),
            ("23502", Kind::InvalidInput, false),
            ("23505", Kind::Conflict, false),
            ("23514", Kind::InvalidInput, false),
            ("25001", Kind::Internal, false),
            ("25006", Kind::Unavailable, true),
            ("25P03", Kind::Unavailable, true),
            ("25P04", Kind::Timeout, true),
            ("26000", Kind::Config, false),
            ("28000", Kind::Unauthorized, false),
            ("28P01", Kind::Unauthorized, false),
            ("3D000", Kind::Config, false),
            ("3F000", Kind::Config, false),
            ("40001", Kind::Unavailable, true),
            ("40003", Kind::Unavailable, true),
            ("40P01", Kind::Unavailable, true),
            ("42501", Kind::Unauthorized, false),
            ("42601", Kind::Internal, false),
            ("42703", Kind::Config, false),
            ("42883", Kind::Config, false),
            ("42P01", Kind::Config, false),
            ("42P05", Kind::Config, false),
            ("53000", Kind::StorageFull, true),
            ("53100", Kind::StorageFull, true),
            ("53200", Kind::StorageFull, true),
            ("53300", Kind::RateLimited, true),
            ("54000", Kind::Internal, false),
            ("55006", Kind::Unavailable, true),
            ("55P03", Kind::Timeout, true),
            ("57014", Kind::Timeout, true),
            ("57P01", Kind::Unavailable, true),
            ("57P02", Kind::Unavailable, true),
            ("57P03", Kind::Unavailable, true),
            ("57P04", Kind::Config, false),
            ("57P05", Kind::Unavailable, true),
            ("58030", Kind::Unavailable, true),
            ("58P01", Kind::Corrupt, false),
            ("F0000", Kind::Config, false),
            ("P0001", Kind::InvalidInput, false),
            ("P0002", Kind::Internal, false),
            ("XX000", Kind::Internal, false),
            ("XX001", Kind::Corrupt, false),
            ("ZZ999", Kind::Internal, false),
            ("", Kind::Internal, false),
        ] {
            let found = meaning(code);
            assert_eq!((found.kind, found.transient), (kind, transient), "{code}");
        }
    }

    #[test]
    fn a_missing_table_says_what_to_run() {
        assert!(meaning("42P01").what.contains("migrate"));
    }

    #[test]
    fn texts_that_may_quote_values_are_not_shown() {
        for code in [
            "22001", "22021", "22P02", "22P05", "23502", "23514", "P0001", "ZZ999", "",
        ] {
            assert!(!meaning(code).text_is_plain, "{code}");
        }
        for code in ["28P01", "42P01", "53100", "40P01", "57P01"] {
            assert!(meaning(code).text_is_plain, "{code}");
        }
    }

    #[test]
    fn a_server_that_needs_time_says_how_long() {
        for code in ["25006", "53100", "53300", "57P01", "57P02", "57P03"] {
            assert!(meaning(code).retry_after.is_some(), "{code}");
        }
        assert!(meaning("40001").retry_after.is_none());
    }
}
