//! Keyed hashes: what a dedupe record or a tombstone may keep of a person, which is nothing readable.
//!
//! One master key per installation gives every tenant a key of its own, the same on every store, so that dedupe
//! records and tombstones can be moved between unlike databases. The hash is BLAKE3 in keyed mode, cut to 128
//! bits: no one who lacks the key can test a guess, and 2^64 entries would have to be made before a collision is
//! likely.

use std::fmt;

use crate::{CustomerId, Decision, DecisionFields, IdempotencyKey, Interaction, InteractionFields};
use crate::{RankedOffer, RecommendationId, TenantId};

/// 128 bits that stand for something personal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 16]);

impl Digest {
    /// The digest of these bytes, as a store kept them.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes to keep.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// The key of an installation: 32 secret bytes. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// Takes 32 bytes that the host keeps secret.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits, as configuration gives them; `None` for anything else.
    #[must_use]
    pub fn from_hex(digits: &str) -> Option<Self> {
        let digits: &[u8; 64] = digits.as_bytes().try_into().ok()?;
        let mut key = [0; 32];
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            // Digit by digit: `from_str_radix` takes a sign.
            let digit = |at: usize| char::from(pair[at]).to_digit(16);
            *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
        }
        Some(Self::new(key))
    }

    /// The bytes, for the settings store that keeps a key it made.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A public value that tells whether two keys are the same, by which a changed key is noticed.
    #[must_use]
    pub fn check_value(&self) -> Digest {
        cut(blake3::keyed_hash(&self.0, b"kaireon master key check"))
    }

    /// The key of one tenant.
    #[must_use]
    pub fn tenant(&self, tenant: &TenantId) -> TenantKey {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(b"kaireon tenant key\0");
        hasher.update(tenant.as_str().as_bytes());
        TenantKey(*hasher.finalize().as_bytes())
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(secret)")
    }
}

/// The key of one tenant.
#[derive(Clone, PartialEq, Eq)]
pub struct TenantKey([u8; 32]);

impl fmt::Debug for TenantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TenantKey(secret)")
    }
}

/// What a digest is of: the first byte that is hashed, so that equal texts of unlike meaning differ.
#[derive(Clone, Copy)]
enum Domain {
    Customer = 1,
    InteractionKey = 2,
    InteractionIdentity = 3,
    DecisionKey = 4,
    DecisionContent = 5,
}

impl TenantKey {
    /// Of a customer: the key of a tombstone.
    #[must_use]
    pub fn customer(&self, customer: &CustomerId) -> Digest {
        self.one(Domain::Customer, customer.as_str())
    }

    /// Of an idempotency key: the key of an interaction's dedupe record.
    #[must_use]
    pub fn idempotency_key(&self, key: &IdempotencyKey) -> Digest {
        self.one(Domain::InteractionKey, key.as_str())
    }

    /// Of a recommendation id: the key of a decision's dedupe record.
    #[must_use]
    pub fn recommendation(&self, id: &RecommendationId) -> Digest {
        self.one(Domain::DecisionKey, id.as_str())
    }

    /// Of an interaction's identity fields: customer, offer, creative, channel, type, outcome, value.
    #[must_use]
    pub fn identity(&self, interaction: &Interaction) -> Digest {
        let InteractionFields {
            customer,
            offer,
            creative,
            channel,
            interaction_type,
            outcome,
            value,
            ..
        } = &**interaction;
        let mut writer = Writer::new(self, Domain::InteractionIdentity);
        writer.text(customer.as_str());
        writer.text(offer.as_str());
        writer.text(creative.as_str());
        writer.text(channel.as_str());
        writer.text(interaction_type.as_str());
        writer.text(outcome.as_str());
        match value {
            Some(value) => writer.bytes(&value.micros().to_le_bytes()),
            None => writer.absent(),
        }
        writer.finish()
    }

    /// Of a decision's content: all but the timestamp.
    #[must_use]
    pub fn content(&self, decision: &Decision) -> Digest {
        let DecisionFields {
            id,
            tenant: _,
            customer,
            flow,
            offers,
            timestamp: _,
            attributes,
        } = &**decision;
        let mut writer = Writer::new(self, Domain::DecisionContent);
        writer.text(id.as_str());
        writer.text(customer.as_str());
        writer.text(flow.as_str());
        for ranked in offers {
            let RankedOffer {
                rank,
                offer,
                creative,
                channel,
                placement,
                category,
                campaign,
                propensity,
            } = ranked;
            writer.bytes(&rank.to_le_bytes());
            writer.text(offer.as_str());
            writer.text(creative.as_str());
            writer.text(channel.as_str());
            writer.optional(placement.as_ref().map(AsRef::as_ref));
            writer.optional(category.as_ref().map(AsRef::as_ref));
            writer.optional(campaign.as_ref().map(AsRef::as_ref));
            match propensity {
                Some(propensity) => writer.bytes(&propensity.get().to_bits().to_le_bytes()),
                None => writer.absent(),
            }
        }
        writer.object(attributes.as_map());
        writer.finish()
    }

    fn one(&self, domain: Domain, text: &str) -> Digest {
        let mut writer = Writer::new(self, domain);
        writer.text(text);
        writer.finish()
    }
}

/// Feeds parts into a hash so that no two lists of parts give the same bytes: each is led by its length.
struct Writer {
    key: [u8; 32],
    buffer: Vec<u8>,
}

impl Writer {
    fn new(key: &TenantKey, domain: Domain) -> Self {
        let mut buffer = Vec::with_capacity(192);
        buffer.push(domain as u8);
        Self { key: key.0, buffer }
    }

    fn length(&mut self, length: usize) {
        self.buffer.extend_from_slice(&(length as u64).to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.buffer.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// A length that no text has.
    fn absent(&mut self) {
        self.buffer.extend_from_slice(&u64::MAX.to_le_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.absent(),
        }
    }

    /// Members by ascending name, whatever order serde_json's map has in this build (`preserve_order`).
    fn object(&mut self, members: &serde_json::Map<String, serde_json::Value>) {
        let mut members: Vec<_> = members.iter().collect();
        members.sort_unstable_by_key(|(name, _)| *name);
        self.buffer.push(b'{');
        self.length(members.len());
        for (name, value) in members {
            self.text(name);
            self.value(value);
        }
    }

    fn value(&mut self, value: &serde_json::Value) {
        match value {
            serde_json::Value::Object(members) => self.object(members),
            serde_json::Value::Array(items) => {
                self.buffer.push(b'[');
                self.length(items.len());
                for item in items {
                    self.value(item);
                }
            }
            serde_json::Value::String(text) => {
                self.buffer.push(b'"');
                self.text(text);
            }
            // Null, booleans and numbers: their JSON text.
            scalar => {
                self.buffer.push(b'.');
                self.text(&scalar.to_string());
            }
        }
    }

    fn finish(self) -> Digest {
        cut(blake3::keyed_hash(&self.key, &self.buffer))
    }
}

fn cut(hash: blake3::Hash) -> Digest {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_bytes()[..16]);
    Digest(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> TenantKey {
        MasterKey::new([7; 32]).tenant(&TenantId::new("t").unwrap())
    }

    #[test]
    fn a_key_is_read_from_64_hexadecimal_digits_and_nothing_else() {
        let read = MasterKey::from_hex(&"0aF9".repeat(16)).unwrap();
        assert_eq!(read.as_bytes()[..2], [0x0a, 0xf9]);
        for wrong in [
            "",
            "abc",
            &"0".repeat(63),
            &"0".repeat(65),
            &"+1".repeat(32),
            &"ä".repeat(32),
            &"0g".repeat(32),
        ] {
            assert!(MasterKey::from_hex(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn tenants_and_meanings_have_keys_of_their_own() {
        let other = MasterKey::new([7; 32]).tenant(&TenantId::new("u").unwrap());
        let customer = CustomerId::new("same").unwrap();
        let idempotency = IdempotencyKey::new("same").unwrap();
        assert_ne!(key().customer(&customer), other.customer(&customer));
        assert_ne!(key().customer(&customer), key().idempotency_key(&idempotency));
    }

    #[test]
    fn identity_is_moved_by_each_identity_field_and_by_no_other() {
        let event = Interaction::builder("t", "c")
            .offer("o")
            .creative("k")
            .channel("web")
            .build()
            .unwrap();
        let of = |edit: &dyn Fn(&mut InteractionFields)| key().identity(&event.edited(edit).unwrap());
        let first = key().identity(&event);
        assert_eq!(of(&|fields| fields.id = crate::InteractionId::fresh()), first);
        assert_eq!(of(&|fields| fields.rank = Some(2)), first);
        assert_ne!(
            of(&|fields| fields.customer = CustomerId::new("d").unwrap()),
            first
        );
        assert_ne!(
            of(&|fields| fields.offer = crate::OfferId::new("p").unwrap()),
            first
        );
        assert_ne!(
            of(&|fields| fields.creative = crate::CreativeId::new("l").unwrap()),
            first
        );
        assert_ne!(
            of(&|fields| fields.channel = crate::ChannelId::new("app").unwrap()),
            first
        );
        assert_ne!(
            of(&|fields| fields.interaction_type = crate::InteractionType::Click),
            first
        );
        assert_ne!(
            of(&|fields| fields.outcome = crate::OutcomeTypeKey::new("x").unwrap()),
            first
        );
        assert_ne!(
            of(&|fields| fields.value = Some(crate::Value::from_micros(0))),
            first
        );
    }

    #[test]
    fn nothing_secret_is_printed() {
        assert_eq!(
            format!("{:?} {:?}", MasterKey::new([7; 32]), key()),
            "MasterKey(secret) TenantKey(secret)"
        );
    }
}
