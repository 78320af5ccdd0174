//! The name of a store among those that a tenant can be on.

use std::fmt;
use std::sync::Arc;

use kaireon_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
const MAX_BYTES: usize = 64;

/// The name of a store among those that a tenant can be on: its configuration value (`embedded`, `postgresql`), or
/// one that the host gives to a second store of the same kind. 1 to 64 bytes of `a` to `z`, `0` to `9`, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Backend(Arc<str>);

impl Backend {
    /// Takes a name that is within the bounds.
    ///
    /// # Errors
    /// `InvalidInput` naming `backend`.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        if (1..=MAX_BYTES).contains(&name.len()) && name.bytes().all(plain) {
            return Ok(Self(Arc::from(name)));
        }
        Err(Error::invalid(
            "backend",
            "is not 1 to 64 bytes of lower-case letters, digits, hyphens and underscores",
        ))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Backend {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::new(name)
    }
}

impl From<Backend> for String {
    fn from(backend: Backend) -> Self {
        backend.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::Backend;

    #[test]
    fn names_are_plain_and_bounded() {
        for good in ["embedded", "postgresql", "pg-2", "a", &"x".repeat(64)] {
            assert_eq!(Backend::new(good).unwrap().as_str(), good);
        }
        for wrong in ["", "PG", "a b", "é", "a\n", &"x".repeat(65)] {
            assert_eq!(
                Backend::new(wrong).unwrap_err().field(),
                Some("backend"),
                "{wrong:?}"
            );
        }
        assert!(serde_json::from_str::<Backend>("\"A\"").is_err());
    }
}
