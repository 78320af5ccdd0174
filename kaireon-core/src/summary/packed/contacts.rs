//! The texts that a packed value keeps, and the contacts that its tallies point to.

use super::Packed;
use super::tally::{self, Contact, ContactId, Span};
use crate::LastContact;

impl Packed {
    /// Whether a contact is the greater by (timestamp, id, outcome), as in [`Stats::merge`]; none is the least.
    pub(super) fn is_newer(&self, last: u32, than: u32) -> bool {
        let contact = |last: u32| self.contacts.get(last.checked_sub(1)? as usize);
        match (contact(last), contact(than)) {
            (Some(one), Some(other)) => (one.timestamp_ms.cmp(&other.timestamp_ms))
                .then_with(|| self.contact_id(one).cmp(&self.contact_id(other)))
                .then_with(|| self.bytes(one.outcome).cmp(self.bytes(other.outcome)))
                .is_gt(),
            (one, _) => one.is_some(),
        }
    }

    pub(super) fn contact_id(&self, contact: &Contact) -> ContactId<'_> {
        ContactId::new(contact.id_is_uuid, self.bytes(contact.id))
    }

    /// Keeps a contact; its number counts from 1.
    pub(super) fn add_contact(&mut self, timestamp_ms: i64, id: &str, outcome: &str) -> u32 {
        let uuid = tally::parse_uuid(id);
        let id = match &uuid {
            Some(bytes) => self.keep(bytes),
            None => self.keep(id.as_bytes()),
        };
        let kept = self
            .contacts
            .last()
            .map(|contact| contact.outcome)
            .filter(|&kept| self.bytes(kept) == outcome.as_bytes());
        let outcome = kept.unwrap_or_else(|| self.keep(outcome.as_bytes()));
        self.contacts.push(Contact {
            timestamp_ms,
            id,
            id_is_uuid: uuid.is_some(),
            outcome,
        });
        u32::try_from(self.contacts.len()).expect("fewer than 2^32 contacts fit into memory")
    }

    /// The number of a contact that may be known already.
    pub(super) fn contact_of(&mut self, timestamp_ms: i64, id: &str, outcome: &str) -> u32 {
        let uuid = tally::parse_uuid(id);
        let id_bytes = uuid.as_ref().map_or(id.as_bytes(), |bytes| &bytes[..]);
        let same = |contact: &Contact| {
            contact.timestamp_ms == timestamp_ms
                && contact.id_is_uuid == uuid.is_some()
                && self.bytes(contact.id) == id_bytes
                && self.bytes(contact.outcome) == outcome.as_bytes()
        };
        match self.contacts.iter().position(same) {
            Some(at) => u32::try_from(at + 1).expect("fewer than 2^32 contacts fit into memory"),
            None => self.add_contact(timestamp_ms, id, outcome),
        }
    }

    pub(super) fn keep(&mut self, bytes: &[u8]) -> Span {
        let span = Span::after(self.arena.len(), bytes.len());
        self.arena.extend_from_slice(bytes);
        span
    }

    pub(super) fn bytes(&self, span: Span) -> &[u8] {
        &self.arena[span.range()]
    }

    pub(super) fn text(&self, span: Span) -> &str {
        std::str::from_utf8(self.bytes(span)).expect("texts are checked when they are kept")
    }

    pub(super) fn last_contact(&self, at: u32) -> LastContact {
        let contact = &self.contacts[at as usize];
        tally::last_contact(
            contact.timestamp_ms,
            self.contact_id(contact),
            self.text(contact.outcome),
        )
    }
}
