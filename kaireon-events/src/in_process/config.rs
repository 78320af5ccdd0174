//! What a host may set.

use kaireon_core::{Error, ErrorKind, Result};

use crate::vars::{self, MAX_PENDING};

/// How the in-process publisher behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InProcessPublisherConfig {
    /// The largest `max_pending` that a subscription may ask for, from 1; 1,048,576 by default. It bounds what one
    /// subscriber can make this process hold: so many references to events.
    pub max_pending: usize,
}

impl Default for InProcessPublisherConfig {
    fn default() -> Self {
        Self { max_pending: 1 << 20 }
    }
}

impl InProcessPublisherConfig {
    /// The same with another bound on `max_pending`.
    #[must_use]
    pub fn with_max_pending(mut self, max_pending: usize) -> Self {
        self.max_pending = max_pending;
        self
    }

    /// The defaults, changed by `KAIREON_EVENTS_MAX_PENDING` where it is set.
    ///
    /// # Errors
    /// `Config` naming the variable, where its value is not a number from 1.
    pub fn from_env() -> Result<Self> {
        Self::from_vars(|name| std::env::var(name).ok())
    }

    /// As [`from_env`](Self::from_env), from variables that are looked up by `variable`.
    ///
    /// # Errors
    /// As for `from_env`.
    pub fn from_vars(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut config = Self::default();
        if let Some(events) = vars::number(&variable, MAX_PENDING)? {
            config.max_pending = events;
        }
        Ok(config)
    }

    /// Checks the bounds.
    ///
    /// # Errors
    /// `Config` naming `max_pending`.
    pub fn check(&self) -> Result<()> {
        let Self { max_pending } = self;
        if *max_pending == 0 {
            return Err(Error::new(ErrorKind::Config, "is zero").with_field("max_pending"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_sets_the_bound_and_a_wrong_value_names_it() {
        let read = |value: Option<&str>| {
            let value = value.map(str::to_owned);
            InProcessPublisherConfig::from_vars(move |name| {
                value.clone().filter(|_| name == "KAIREON_EVENTS_MAX_PENDING")
            })
        };
        assert_eq!(read(None).unwrap(), InProcessPublisherConfig::default());
        assert_eq!(read(Some(" 12 ")).unwrap().max_pending, 12);
        for wrong in ["0", "many", "-1", ""] {
            let error = read(Some(wrong)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert_eq!(error.field(), Some("KAIREON_EVENTS_MAX_PENDING"));
        }
        assert!(
            InProcessPublisherConfig::default()
                .with_max_pending(0)
                .check()
                .is_err()
        );
    }
}
