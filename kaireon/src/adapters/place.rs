//! What tells one place of a backend from another.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::Config;

/// Everything that is read, so that a reset with another password or other bounds opens it anew; as a hash, because a URL
/// is no text to keep in more places than one.
pub(super) fn hashed(config: &Config, url: Option<&str>, is_read: fn(&str) -> bool) -> String {
    let mut hasher = DefaultHasher::new();
    url.hash(&mut hasher);
    for (name, value) in config.extra.iter().filter(|(name, _)| is_read(name)) {
        (name, value).hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}
