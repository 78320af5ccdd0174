//! Which customers an object may hold: a Bloom filter over their keyed digests, so that an erasure reads only the
//! objects that are likely to hold the customer.
//!
//! Ten bits a customer and seven hashes: an object without the customer is read in vain in about 1 of 120 cases. It
//! never misses one: who is not in the filter is not in the object.

use std::collections::HashSet;

use bytes::Bytes;
use kaireon_core::digest::Digest;

/// The first bytes of every filter, with its version.
const MAGIC: &[u8; 4] = b"KCF1";

const BITS_PER_CUSTOMER: usize = 10;
const HASHES: u64 = 7;

/// The filter of these customers, as it is stored.
pub(crate) fn filter_of(customers: &HashSet<Digest>) -> Bytes {
    let bytes = (customers.len() * BITS_PER_CUSTOMER).div_ceil(8).max(8);
    let mut stored = Vec::with_capacity(MAGIC.len() + bytes);
    stored.extend_from_slice(MAGIC);
    stored.resize(MAGIC.len() + bytes, 0);
    for customer in customers {
        for bit in bits(*customer, bytes) {
            stored[MAGIC.len() + bit / 8] |= 1 << (bit % 8);
        }
    }
    stored.into()
}

/// Whether the customer may be in the object; what is no filter of ours rules nobody out.
pub(crate) fn may_hold(stored: &[u8], customer: Digest) -> bool {
    let Some(set) = stored.strip_prefix(MAGIC).filter(|set| set.len() >= 8) else {
        return true;
    };
    bits(customer, set.len()).all(|bit| set[bit / 8] & (1 << (bit % 8)) != 0)
}

/// The digest is uniform already: its halves are the two hashes that the others are made of.
fn bits(customer: Digest, bytes: usize) -> impl Iterator<Item = usize> {
    let half = |at: usize| {
        let mut half = [0; 8];
        half.copy_from_slice(&customer.as_bytes()[at..at + 8]);
        u64::from_le_bytes(half)
    };
    let (first, step) = (half(0), half(8) | 1);
    let size = bytes as u64 * 8;
    (0..HASHES).map(move |hash| {
        let bit = first.wrapping_add(hash.wrapping_mul(step)) % size;
        usize::try_from(bit).expect("a bit lies within the filter, whose size is a usize")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u64) -> Digest {
        let mut cut = [0; 16];
        cut.copy_from_slice(&blake3::hash(&number.to_le_bytes()).as_bytes()[..16]);
        Digest::from_bytes(cut)
    }

    #[test]
    fn a_filter_misses_nobody_and_rules_most_others_out() {
        for count in [0, 1, 100, 20_000] {
            let customers = (0..count).map(digest).collect();
            let filter = filter_of(&customers);
            assert!((0..count).all(|number| may_hold(&filter, digest(number))));
            let others = 10_000;
            let wrong = (count..count + others)
                .filter(|&number| may_hold(&filter, digest(number)))
                .count();
            assert!(wrong < 200, "{wrong} of {others} with {count} customers");
        }
    }

    #[test]
    fn what_is_no_filter_rules_nobody_out() {
        for stored in [&b""[..], b"KCF1", b"KCF2\0\0\0\0\0\0\0\0"] {
            assert!(may_hold(stored, digest(1)));
        }
    }
}
