//! What a connection may be relied on to keep, and the settings that every unit of work runs under.

use std::sync::Arc;
use std::time::Duration;

use super::config::PgConnectConfig;

/// Whose the server's sessions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PgSession {
    /// Each connection has a session of its own: settings, prepared statements and `LISTEN` last.
    Own,
    /// A pooler gives each transaction whichever session is free: nothing lasts beyond a transaction.
    Shared(StatementMode),
}

/// How statements with arguments must be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatementMode {
    /// Prepared once and kept, inside a transaction or outside.
    Cached,
    /// Only inside a transaction, and never kept. Outside one, a pooler may run another client's statement in place
    /// of ours and answer with its values.
    UncachedInTransaction,
}

impl PgSession {
    /// How statements with arguments must be run.
    #[must_use]
    pub fn statements(self) -> StatementMode {
        match self {
            Self::Own => StatementMode::Cached,
            Self::Shared(mode) => mode,
        }
    }

    /// Whether `LISTEN` hears what is notified; otherwise poll.
    #[must_use]
    pub fn can_listen(self) -> bool {
        self == Self::Own
    }
}

impl StatementMode {
    /// The argument of sqlx's `persistent`.
    #[must_use]
    pub fn is_persistent(self) -> bool {
        self == Self::Cached
    }
}

/// Settings in force in every unit of work, as names and literals of ours.
#[derive(Clone, Debug)]
pub(crate) struct Settings(Vec<(&'static str, String)>);

impl Settings {
    /// What the configuration asks for; `synchronous_commit` is the level that the server was found with, or `on`
    /// where that would acknowledge before the flush.
    pub(crate) fn new(config: &PgConnectConfig, synchronous_commit: &'static str) -> Self {
        let bound = |limit: Option<Duration>| {
            // Zero means without end to the server; what is shorter than its unit must not become that.
            limit.map_or_else(|| "0".to_owned(), |limit| limit.as_millis().max(1).to_string())
        };
        Self(vec![
            ("synchronous_commit", synchronous_commit.to_owned()),
            ("statement_timeout", bound(config.statement_timeout)),
            ("lock_timeout", bound(config.lock_timeout)),
            (
                "idle_in_transaction_session_timeout",
                bound(config.idle_in_transaction_timeout),
            ),
        ])
    }

    /// One text that sets them for the session. Whatever the database's default is: a snapshot that is older than the
    /// lock that was waited for shows what another transaction has changed since, or fails for it.
    pub(crate) fn of_session(&self) -> Arc<str> {
        let isolation = "SET default_transaction_isolation = 'read committed'";
        format!("{isolation}; {}", self.set("SET ")).into()
    }

    /// One text that begins a transaction under them; a session of its own has them already.
    pub(crate) fn begin(&self, session: PgSession) -> Arc<str> {
        match session {
            PgSession::Own => "BEGIN".into(),
            PgSession::Shared(_) => {
                format!("BEGIN ISOLATION LEVEL READ COMMITTED; {}", self.set("SET LOCAL ")).into()
            }
        }
    }

    fn set(&self, verb: &str) -> String {
        let each = self
            .0
            .iter()
            .map(|(name, value)| format!("{verb}{name} = '{value}'"));
        each.collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_session_gets_its_settings_with_each_transaction() {
        let config = PgConnectConfig {
            statement_timeout: Some(Duration::from_secs(3)),
            lock_timeout: Some(Duration::from_micros(1)),
            idle_in_transaction_timeout: None,
            ..PgConnectConfig::default()
        };
        let settings = Settings::new(&config, "on");
        assert_eq!(
            &*settings.begin(PgSession::Shared(StatementMode::Cached)),
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = 'on'; SET LOCAL statement_timeout = '3000'; \
             SET LOCAL lock_timeout = '1'; SET LOCAL idle_in_transaction_session_timeout = '0'"
        );
        assert_eq!(&*settings.begin(PgSession::Own), "BEGIN");
        assert!(
            settings
                .of_session()
                .contains("; SET synchronous_commit = 'on'; SET ")
        );
    }

    #[test]
    fn only_a_session_of_its_own_hears_notifications() {
        assert!(PgSession::Own.can_listen());
        assert!(!PgSession::Shared(StatementMode::Cached).can_listen());
        assert!(!StatementMode::UncachedInTransaction.is_persistent());
    }
}
