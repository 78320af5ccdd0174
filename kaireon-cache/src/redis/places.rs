//! Where a key lies on the server.
//!
//! What carries no customer is a key of its own, a string. Everything of one customer is **one** key, a hash: then its
//! erasure is one command on one key, complete whatever else the server does: evict, move a slot, or grow. That key's
//! name holds a digest of the customer's id, not the id, because it outlives the erasure for a while.

use bytes::Bytes;
use kaireon_core::cache::CacheKey;
use kaireon_core::{CustomerId, TenantId};

/// What the name of a customer's key begins with, behind the prefix; no tenant has a control character, and what
/// `get_or_fetch` keeps begins with another one.
const OF_CUSTOMER: char = '\u{2}';

/// For what the digest is: another one of the same bytes is another number.
const CONTEXT: &str = "kaireon 2026-11 cache on redis: key of a customer";

/// Where a value lies.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Under a key of its own.
    Alone(Bytes),
    /// Under the customer's key, by this name.
    OfCustomer { key: Bytes, name: Bytes },
}

/// Makes places.
#[derive(Debug)]
pub(super) struct Places {
    prefix: String,
}

impl Places {
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    /// What every key begins with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn of(&self, key: &CacheKey) -> Place {
        match key.customer() {
            None => Place::Alone(format!("{}{}", self.prefix, key.as_str()).into()),
            Some(customer) => {
                // What was set and what was fetched are two.
                let space = if key.as_str() == key.fetched_str() {
                    'f'
                } else {
                    'p'
                };
                Place::OfCustomer {
                    key: self.customer(key.tenant(), customer),
                    name: format!("{space}{}", key.name()).into(),
                }
            }
        }
    }

    /// The key of everything that carries the customer.
    pub(super) fn of_customer(&self, tenant: &TenantId, customer: &CustomerId) -> Bytes {
        self.customer(tenant.as_str(), customer.as_str())
    }

    fn customer(&self, tenant: &str, customer: &str) -> Bytes {
        let digest = blake3::Hasher::new_derive_key(CONTEXT)
            .update(tenant.as_bytes())
            .update(&[0])
            .update(customer.as_bytes())
            .finalize();
        format!("{}{OF_CUSTOMER}{tenant}\0{}", self.prefix, digest.to_hex()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(key: &CacheKey) -> Place {
        Places::new("p:".to_owned()).of(key)
    }

    #[test]
    fn what_carries_no_customer_has_a_key_of_its_own() {
        let tenant = TenantId::new("t").unwrap();
        let key = CacheKey::new(&tenant, "name").unwrap();
        assert_eq!(place(&key), Place::Alone(Bytes::from_static(b"p:t\0\0name")));
    }

    #[test]
    fn a_customer_has_one_key_that_does_not_name_him() {
        let (tenant, other) = (TenantId::new("t").unwrap(), TenantId::new("u").unwrap());
        let customer = CustomerId::new("anna").unwrap();
        let key_of =
            |tenant, customer, name| match place(&CacheKey::of_customer(tenant, customer, name).unwrap()) {
                Place::OfCustomer { key, name } => (key, name),
                Place::Alone(_) => panic!("it carries a customer"),
            };
        let (one, name) = key_of(&tenant, &customer, "one");
        assert_eq!(name, "pone");
        assert_eq!(key_of(&tenant, &customer, "two").0, one);
        assert_eq!(Places::new("p:".to_owned()).of_customer(&tenant, &customer), one);
        assert_ne!(key_of(&other, &customer, "one").0, one);
        assert_ne!(key_of(&tenant, &CustomerId::new("ann").unwrap(), "one").0, one);
        assert!(!String::from_utf8_lossy(&one).contains("anna"));
    }
}
