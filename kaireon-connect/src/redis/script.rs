//! Scripts, by their hash.

/// A script in Lua. Every key that it touches is declared: it gets them in `KEYS`.
#[derive(Debug)]
pub struct RedisScript {
    text: &'static str,
    hash: String,
}

impl RedisScript {
    /// The script with this text.
    #[must_use]
    pub fn new(text: &'static str) -> Self {
        Self {
            text,
            hash: redis::Script::new(text).get_hash().to_owned(),
        }
    }

    pub(crate) fn text(&self) -> &'static str {
        self.text
    }

    pub(crate) fn hash(&self) -> &str {
        &self.hash
    }
}
