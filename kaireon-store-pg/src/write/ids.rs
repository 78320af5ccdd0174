//! Ids in dedupe records: those that are UUIDs as 16 bytes.

use kaireon_core::wire::corrupt;
use kaireon_core::{InteractionId, Result};
use uuid::Uuid;

/// The two columns of an id: a UUID in its usual writing, or any other text.
pub(crate) fn columns(id: &InteractionId) -> (Option<Uuid>, Option<&str>) {
    let text = id.as_str();
    let usual = Uuid::try_parse(text).ok().filter(|uuid| {
        let mut buffer = Uuid::encode_buffer();
        *uuid.hyphenated().encode_lower(&mut buffer) == *text
    });
    match usual {
        Some(uuid) => (Some(uuid), None),
        None => (None, Some(text)),
    }
}

/// The id of the two columns; `None` where both are null, as of a decision.
pub(crate) fn of_columns(uuid: Option<Uuid>, text: Option<&str>) -> Result<Option<InteractionId>> {
    let id = match (uuid, text) {
        (Some(uuid), _) => InteractionId::new(uuid.hyphenated().to_string()),
        (None, Some(text)) => InteractionId::new(text),
        (None, None) => return Ok(None),
    };
    id.map(Some).map_err(|_| corrupt("a stored id is out of bounds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_writing_of_an_id_comes_back_as_it_was() {
        let plain = "0190c2a4-7b6e-7c11-8d52-0123456789ab";
        for text in [
            plain,
            &plain.to_uppercase(),
            &plain.replace('-', ""),
            "{0190c2a4-7b6e-7c11-8d52-0123456789ab}",
            "urn:uuid:0190c2a4-7b6e-7c11-8d52-0123456789ab",
            "order 7",
        ] {
            let id = InteractionId::new(text).unwrap();
            let (uuid, other) = columns(&id);
            assert_eq!(uuid.is_some(), text == plain, "{text}");
            assert_eq!(of_columns(uuid, other).unwrap(), Some(id));
        }
        assert_eq!(of_columns(None, None).unwrap(), None);
        assert!(of_columns(None, Some("")).is_err());
    }
}
