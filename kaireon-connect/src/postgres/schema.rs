//! The schema that tables live in, and texts that name it.

use std::fmt;
use std::sync::Arc;

use kaireon_core::{Error, ErrorKind, Result};

/// The name of a schema: 1 to 63 ASCII letters, digits and underscores, not led by a digit, and not one of the
/// server's own; case matters.
///
/// Statements name their tables in full, because a `search_path` is a setting of a session, which a pooler shares.
///
/// ```
/// use kaireon_connect::postgres::Schema;
///
/// let schema = Schema::new("kaireon")?;
/// assert_eq!(schema.fill("SELECT 1 FROM {s}.history"), r#"SELECT 1 FROM "kaireon".history"#);
/// # Ok::<(), kaireon_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Schema(Arc<str>);

impl Schema {
    /// Takes a name. Texts quote it, and it cannot leave its quotes.
    ///
    /// # Errors
    /// `Config` on the field `schema`.
    pub fn new(name: &str) -> Result<Self> {
        let wrong = |why: &'static str| {
            Error::new(ErrorKind::Config, why)
                .with_backend(super::BACKEND)
                .with_field("schema")
        };
        let led_well = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !led_well || !plain || name.len() > 63 {
            return Err(wrong(
                "is not 1 to 63 letters, digits and underscores that begin with no digit",
            ));
        }
        // The server keeps these for itself.
        if name.starts_with("pg_") || name == "information_schema" {
            return Err(wrong("is a name that the server keeps for itself"));
        }
        Ok(Self(Arc::from(name)))
    }

    /// The name, without quotes.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// A text with the quoted name in every place of `{s}`.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        text.replace("{s}", &format!("\"{}\"", self.0))
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_leave_its_quotes_or_is_the_servers_is_refused() {
        let long = "x".repeat(64);
        for wrong in [
            "",
            "1a",
            "a\"b",
            "a-b",
            "a'b",
            "a b",
            "ä",
            "a\0",
            "pg_temp",
            "information_schema",
            &long,
        ] {
            assert_eq!(Schema::new(wrong).unwrap_err().field(), Some("schema"), "{wrong}");
        }
        assert!(Schema::new(&"x".repeat(63)).is_ok());
        let schema = Schema::new("Kaireon_2").unwrap();
        assert_eq!(schema.fill("{s}.a, {s}.b"), r#""Kaireon_2".a, "Kaireon_2".b"#);
    }
}
