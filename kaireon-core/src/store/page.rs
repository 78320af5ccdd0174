//! Pages, and the cursors to go on with.

use std::fmt;
use std::str::FromStr;

use crate::time::{self, Timestamp};
use crate::{Error, IdempotencyKey, Interaction, InteractionId, Result};

/// A part of an answer, and where the next part begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C> {
    /// The items.
    pub items: Vec<T>,
    /// The cursor to go on with; `None` when there is no more.
    pub next: Option<C>,
}

/// Where a page of a history ended: one encoding, valid on every store.
///
/// It is also the place of an interaction in its customer's history, and its order is the order of history,
/// oldest first: by timestamp, then id, then `tie`. No two rows of a customer share a place, because no two
/// share an idempotency key; an adapter that keeps the place in its row key can neither lose a row nor skip one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoryCursor {
    /// The timestamp of the last item that was returned.
    pub timestamp: Timestamp,
    /// Its id.
    pub id: InteractionId,
    /// Its [`tie_of`](Self::tie_of): decides where a host used an id and a timestamp for two interactions.
    pub tie: u64,
}

impl HistoryCursor {
    /// The cursor after an item.
    #[must_use]
    pub fn after(interaction: &Interaction) -> Self {
        Self {
            timestamp: interaction.timestamp,
            id: interaction.id.clone(),
            tie: Self::tie_of(&interaction.idempotency_key),
        }
    }

    /// What decides between interactions of equal timestamp and id: the first 8 bytes, big-endian, of BLAKE3
    /// over the idempotency key. The same on every store.
    #[must_use]
    pub fn tie_of(key: &IdempotencyKey) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&blake3::hash(key.as_str().as_bytes()).as_bytes()[..8]);
        u64::from_be_bytes(first)
    }

    /// Whether an interaction comes after this cursor, newest first.
    #[must_use]
    pub fn precedes(&self, interaction: &Interaction) -> bool {
        let by_name = (interaction.timestamp, &interaction.id).cmp(&(self.timestamp, &self.id));
        // Equal names are rare, and the hash is not.
        by_name
            .then_with(|| Self::tie_of(&interaction.idempotency_key).cmp(&self.tie))
            .is_lt()
    }
}

impl fmt::Display for HistoryCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.timestamp.timestamp_millis();
        write!(f, "h1.{millis}.{:016x}.{}", self.tie, self.id)
    }
}

impl FromStr for HistoryCursor {
    type Err = Error;

    /// Reads what `Display` wrote.
    ///
    /// # Errors
    /// `InvalidInput` naming `cursor`.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::invalid("cursor", "is not a history cursor");
        let rest = text.strip_prefix("h1.").ok_or_else(wrong)?;
        let (millis, rest) = rest.split_once('.').ok_or_else(wrong)?;
        let (tie, id) = rest.split_once('.').ok_or_else(wrong)?;
        let hex = tie.len() == 16 && tie.bytes().all(|byte| byte.is_ascii_hexdigit());
        let timestamp = millis
            .parse()
            .ok()
            .and_then(time::from_millis)
            .ok_or_else(wrong)?;
        Ok(Self {
            timestamp,
            id: InteractionId::new(id).map_err(|_| wrong())?,
            tie: hex
                .then(|| u64::from_str_radix(tie, 16).ok())
                .flatten()
                .ok_or_else(wrong)?,
        })
    }
}

/// Where a page of a scan ended: an encoding of the store that made it, valid there alone. It may hold personal
/// data, and its `Debug` is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct ScanCursor(Box<str>);

impl ScanCursor {
    /// A cursor of a store's own.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The store's own text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ScanCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScanCursor(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_cursors_go_round_also_with_dots_in_ids() {
        let cursor = HistoryCursor {
            timestamp: time::from_millis(1_700_000_000_123).unwrap(),
            id: InteractionId::new("a.b.c").unwrap(),
            tie: 7,
        };
        assert_eq!(cursor.to_string().parse::<HistoryCursor>().unwrap(), cursor);
        for wrong in [
            "",
            "h1",
            "h1.",
            "h1.x.y",
            "h2.1.a",
            "h1.1.",
            "h1.1.a",
            "h1.1.000000000000000g.a",
            "h1.1.+000000000000001.a",
            "h1.1.0000000000000001.",
            "h1.99999999999999999.0000000000000001.a",
        ] {
            assert_eq!(
                wrong.parse::<HistoryCursor>().unwrap_err().field(),
                Some("cursor"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn of_two_interactions_with_one_id_and_timestamp_exactly_one_precedes_the_other() {
        let of = |key: &str| {
            let shown = Interaction::builder("t", "c")
                .offer("o")
                .creative("k")
                .channel("web");
            let shown = shown
                .id("i")
                .timestamp(time::from_millis(1_700_000_000_000).unwrap());
            shown.idempotency_key(key).build().unwrap()
        };
        let (first, second) = (of("a"), of("b"));
        let after = HistoryCursor::after(&first);
        assert!(!after.precedes(&first));
        assert_ne!(
            after.precedes(&second),
            HistoryCursor::after(&second).precedes(&first)
        );
    }
}
