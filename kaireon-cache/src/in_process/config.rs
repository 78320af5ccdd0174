//! What a host may set.

use kaireon_core::cache::MAX_CACHE_NAME_BYTES;
use kaireon_core::{MAX_ID_BYTES, Result};

use super::error;
use crate::MAX_VALUE_BYTES_VARIABLE;

/// What an entry costs beside its key and its value: places in the map and in its queues, the counts and headers of
/// what is shared. Measured at 117 bytes on 64-bit machines (docs/decisions/0002).
pub(super) const ENTRY_OVERHEAD: usize = 128;

/// The longest key: two ids, a name, three separators.
pub(super) const MAX_KEY_BYTES: usize = 2 * MAX_ID_BYTES + MAX_CACHE_NAME_BYTES + 3;

/// The variable that sets [`InProcessCacheConfig::max_bytes`].
pub const MAX_BYTES_VARIABLE: &str = "KAIREON_CACHE_MAX_BYTES";

/// How much the in-process cache may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InProcessCacheConfig {
    /// How many bytes all entries may take, with their keys and 128 bytes for what keeps each; 64 MiB by default,
    /// at least twice the largest entry.
    pub max_bytes: u64,
    /// The largest value in bytes; 1 MiB by default.
    pub max_value_bytes: usize,
}

impl Default for InProcessCacheConfig {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_value_bytes: 1 << 20,
        }
    }
}

impl InProcessCacheConfig {
    /// The same with another bound on all entries.
    #[must_use]
    pub fn with_max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// The same with another bound on one value.
    #[must_use]
    pub fn with_max_value_bytes(mut self, max_value_bytes: usize) -> Self {
        self.max_value_bytes = max_value_bytes;
        self
    }

    /// The defaults, changed by `KAIREON_CACHE_MAX_BYTES` and `KAIREON_CACHE_MAX_VALUE_BYTES` where they are set.
    ///
    /// # Errors
    /// `Config` naming the variable, where its value is not a number.
    pub fn from_env() -> Result<Self> {
        Self::from_vars(|name| std::env::var(name).ok())
    }

    /// As [`from_env`](Self::from_env), from variables that are looked up by `variable`.
    ///
    /// # Errors
    /// As for `from_env`.
    pub fn from_vars(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let read = |name: &'static str| -> Result<Option<u64>> {
            let number = variable(name).map(|text| text.trim().parse());
            number
                .transpose()
                .map_err(|_| error::config(name, "is not a number of bytes"))
        };
        let mut config = Self::default();
        if let Some(bytes) = read(MAX_BYTES_VARIABLE)? {
            config.max_bytes = bytes;
        }
        if let Some(bytes) = read(MAX_VALUE_BYTES_VARIABLE)? {
            config.max_value_bytes = usize::try_from(bytes)
                .map_err(|_| error::config(MAX_VALUE_BYTES_VARIABLE, "is beyond this machine's memory"))?;
        }
        Ok(config)
    }

    /// The largest entry that a value within the bound can make.
    pub(super) fn largest_entry(&self) -> u64 {
        (self.max_value_bytes as u64).saturating_add((MAX_KEY_BYTES + ENTRY_OVERHEAD) as u64)
    }

    /// Checks the bounds.
    ///
    /// # Errors
    /// `Config` naming `max_value_bytes` or `max_bytes`.
    pub fn check(&self) -> Result<()> {
        if self.max_value_bytes == 0 {
            return Err(error::config("max_value_bytes", "is zero"));
        }
        if self.max_bytes / 2 < self.largest_entry() {
            return Err(error::config(
                "max_bytes",
                "has no room for two of the largest entries",
            ));
        }
        Ok(())
    }
}

/// How much the in-process limiter may remember.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InProcessLimiterConfig {
    /// How many keys may be within their window at once, from 1; 1,048,576 by default. A call under one more is
    /// refused with `RateLimited`, since to forget a key would be to admit too much.
    pub max_keys: usize,
}

impl Default for InProcessLimiterConfig {
    fn default() -> Self {
        Self { max_keys: 1 << 20 }
    }
}

impl InProcessLimiterConfig {
    /// The same with another bound on keys.
    #[must_use]
    pub fn with_max_keys(mut self, max_keys: usize) -> Self {
        self.max_keys = max_keys;
        self
    }

    /// Checks the bounds.
    ///
    /// # Errors
    /// `Config` naming `max_keys`.
    pub fn check(&self) -> Result<()> {
        if self.max_keys == 0 {
            return Err(error::config("max_keys", "is zero"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_set_the_bounds_and_a_wrong_value_names_its_variable() {
        let config = InProcessCacheConfig::from_vars(|name| match name {
            "KAIREON_CACHE_MAX_BYTES" => Some(" 1000000 ".into()),
            "KAIREON_CACHE_MAX_VALUE_BYTES" => Some("1000".into()),
            _ => None,
        });
        let expected = InProcessCacheConfig::default()
            .with_max_bytes(1_000_000)
            .with_max_value_bytes(1_000);
        assert_eq!(config.unwrap(), expected);
        for wrong in ["KAIREON_CACHE_MAX_BYTES", "KAIREON_CACHE_MAX_VALUE_BYTES"] {
            let config = InProcessCacheConfig::from_vars(|name| (name == wrong).then(|| "1 GB".to_owned()));
            assert_eq!(config.unwrap_err().field(), Some(wrong));
        }
    }

    #[test]
    fn bounds_that_no_entry_fits_into_are_refused() {
        let field = |config: InProcessCacheConfig| config.check().unwrap_err().field().map(str::to_owned);
        let small = InProcessCacheConfig::default().with_max_bytes(1 << 20);
        assert_eq!(field(small).as_deref(), Some("max_bytes"));
        let none = InProcessCacheConfig::default().with_max_value_bytes(0);
        assert_eq!(field(none).as_deref(), Some("max_value_bytes"));
        assert!(InProcessCacheConfig::default().check().is_ok());
        assert!(
            InProcessLimiterConfig::default()
                .with_max_keys(0)
                .check()
                .is_err()
        );
    }
}
