//! The keys. Identifiers hold no control character, so NUL ends them.
//!
//! Every key of a tenant names it: the key of a dedupe record by being a digest under the tenant's own key, all others
//! in full. Where the engine sorts many keys in memory, the first four bytes tell most of them apart, because the engine
//! keeps these beside the pointer to the rest: a key that begins with its tenant's name costs a cache miss for each
//! comparison, and a search makes some twenty.

use kaireon_core::digest::Digest;
use kaireon_core::outbox::{Lane, Position};
use kaireon_core::store::{ErasureId, Generation};
use kaireon_core::{CustomerId, Dimension, Period, PeriodType, RecommendationId, TenantId};

/// Of what a dedupe record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Interaction,
    Decision,
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Interaction => b'i',
            Self::Decision => b'd',
        }
    }
}

/// The counters of the store as a whole, written with every commit.
pub(crate) const HEAD: &[u8] = b"\0head";
/// What the store is, written at its creation.
pub(crate) const BIRTH: &[u8] = b"\0birth";
/// How often the store was opened.
pub(crate) const OPENS: &[u8] = b"\0opens";

/// What every key of a tenant begins with: tenant, NUL.
pub(crate) fn tenant(tenant: &TenantId) -> Vec<u8> {
    let mut key = Vec::with_capacity(tenant.as_str().len() + 64);
    key.extend_from_slice(tenant.as_str().as_bytes());
    key.push(0);
    key
}

/// How many bytes of hashes lead the key of a customer or a decision, and every key that begins with one.
const LEAD: usize = 4;

/// Sixteen bits of a text; never the highest, so that every lead has one behind it.
fn short_hash(text: &[u8]) -> u16 {
    let [low, high, ..] = xxhash_rust::xxh3::xxh3_64(text).to_le_bytes();
    u16::from_le_bytes([low, high]).min(u16::MAX - 1)
}

/// What the keys of a tenant's customers begin with, and few of other tenants.
pub(crate) fn tenant_lead(tenant: &TenantId) -> [u8; 2] {
    short_hash(tenant.as_str().as_bytes()).to_be_bytes()
}

/// The first key behind all that begin with a tenant's lead.
pub(crate) fn behind_lead(lead: [u8; 2]) -> [u8; 2] {
    u16::from_be_bytes(lead).saturating_add(1).to_be_bytes()
}

/// A customer's own key: hash of the tenant, hash of the customer, tenant, NUL, customer.
pub(crate) fn customer(tenant: &TenantId, customer: &CustomerId) -> Vec<u8> {
    led(tenant, customer.as_str().as_bytes())
}

/// Hashes of the tenant and of an id of theirs, then both themselves.
fn led(tenant: &TenantId, id: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(LEAD + tenant.as_str().len() + id.len() + 1);
    key.extend_from_slice(&tenant_lead(tenant));
    key.extend_from_slice(&short_hash(id).to_be_bytes());
    key.extend_from_slice(tenant.as_str().as_bytes());
    key.push(0);
    key.extend_from_slice(id);
    key
}

/// The tenant and the customer of a customer's own key.
pub(crate) fn read_customer(key: &[u8]) -> Option<(TenantId, CustomerId)> {
    let (tenant, customer) = std::str::from_utf8(key.get(LEAD..)?).ok()?.split_once('\0')?;
    Some((TenantId::new(tenant).ok()?, CustomerId::new(customer).ok()?))
}

/// The customer's own key with which the key of a row begins, whoever's it is.
pub(crate) fn customer_of_row(key: &[u8]) -> Option<&[u8]> {
    let texts = key.get(LEAD..)?;
    let tenant = texts.iter().position(|&byte| byte == 0)?;
    let customer = texts[tenant + 1..].iter().position(|&byte| byte == 0)?;
    key.get(..LEAD + tenant + 1 + customer)
}

/// What a cursor keeps of the key of a tenant's row: all but the hashes and the tenant.
pub(crate) fn row_behind_tenant<'a>(tenant: &TenantId, key: &'a [u8]) -> Option<&'a [u8]> {
    let rest = key.get(LEAD..)?.strip_prefix(tenant.as_str().as_bytes())?;
    rest.strip_prefix(&[0])
}

/// The key of a tenant's row from what a cursor kept of it.
pub(crate) fn row_of_tenant(tenant: &TenantId, rest: &[u8]) -> Option<Vec<u8>> {
    let end = rest.iter().position(|&byte| byte == 0)?;
    let (customer, place) = rest.split_at(end);
    let mut key = led(tenant, customer);
    key.extend_from_slice(place);
    Some(key)
}

/// The row of a commit in the log of what is not folded.
pub(crate) const fn fold(sequence: u64) -> [u8; 8] {
    sequence.to_be_bytes()
}

/// The commit of a row of the log.
pub(crate) fn read_fold(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}

/// What the rows of a customer's generation begin with: customer's key, NUL, generation.
pub(crate) fn rows(customer_key: &[u8], generation: Generation) -> Vec<u8> {
    let mut key = Vec::with_capacity(customer_key.len() + 64);
    key.extend_from_slice(customer_key);
    key.push(0);
    key.extend_from_slice(&generation.0.to_be_bytes());
    key
}

/// A time among a customer's rows: before each of its rows.
pub(crate) fn time(rows: &[u8], timestamp_ms: i64) -> Vec<u8> {
    let mut key = Vec::with_capacity(rows.len() + 64);
    key.extend_from_slice(rows);
    key.extend_from_slice(&timestamp_ms.to_be_bytes());
    key
}

/// A place among a customer's rows: time, id, and what decides between equal ones.
pub(crate) fn row(rows: &[u8], timestamp_ms: i64, id: &str, tie: u64) -> Vec<u8> {
    let mut key = time(rows, timestamp_ms);
    key.extend_from_slice(id.as_bytes());
    key.push(0);
    key.extend_from_slice(&tie.to_be_bytes());
    key
}

/// The parts of a row's key behind its tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowKey<'a> {
    pub(crate) customer: &'a str,
    pub(crate) generation: Generation,
    pub(crate) timestamp_ms: i64,
    pub(crate) id: &'a str,
    pub(crate) tie: u64,
}

/// Takes a row's key apart; `None` where it is none.
pub(crate) fn read_row<'a>(tenant: &TenantId, key: &'a [u8]) -> Option<RowKey<'a>> {
    let rest = row_behind_tenant(tenant, key)?;
    let end = rest.iter().position(|&byte| byte == 0)?;
    let (customer, rest) = rest.split_at(end);
    let (generation, rest) = rest[1..].split_first_chunk()?;
    let (timestamp_ms, rest) = rest.split_first_chunk()?;
    let (id, tie) = rest.split_last_chunk()?;
    let id = id.strip_suffix(&[0])?;
    Some(RowKey {
        customer: std::str::from_utf8(customer).ok()?,
        generation: Generation(u32::from_be_bytes(*generation)),
        timestamp_ms: i64::from_be_bytes(*timestamp_ms),
        id: std::str::from_utf8(id).ok()?,
        tie: u64::from_be_bytes(*tie),
    })
}

/// What the closed rows of a period begin with. Newer periods come first.
pub(crate) fn closed_period(rows: &[u8], period_type: PeriodType, first_day: i32) -> Vec<u8> {
    let mut key = Vec::with_capacity(rows.len() + 40);
    key.extend_from_slice(rows);
    key.push(period_type as u8);
    // Flipping the sign makes the order of bytes that of numbers; the complement turns it round.
    key.extend_from_slice(&(!(first_day ^ i32::MIN)).to_be_bytes());
    key
}

/// The key of a closed row.
pub(crate) fn closed(rows: &[u8], period: Period, dimension: Dimension, value: &str) -> Vec<u8> {
    let mut key = closed_period(rows, period.period_type(), period.first_day());
    key.push(dimension as u8);
    key.extend_from_slice(value.as_bytes());
    key
}

/// Takes a closed row's key apart behind `rows`; `None` where it is none.
pub(crate) fn read_closed(rows: usize, key: &[u8]) -> Option<(Period, Dimension, &str)> {
    let (&period_type, rest) = key.get(rows..)?.split_first()?;
    let (first_day, rest) = rest.split_first_chunk()?;
    let (&dimension, value) = rest.split_first()?;
    let period_type = PeriodType::ALL
        .into_iter()
        .find(|known| *known as u8 == period_type)?;
    let first_day = !i32::from_be_bytes(*first_day) ^ i32::MIN;
    let period = Period::from_day(period_type, first_day).ok()?;
    let dimension = Dimension::ALL
        .into_iter()
        .find(|known| *known as u8 == dimension)?;
    (period.first_day() == first_day).then_some(())?;
    Some((period, dimension, std::str::from_utf8(value).ok()?))
}

/// The bytes of the key of a dedupe record: few enough that the engine keeps them in place, without a pointer.
pub(crate) const DEDUPE_BYTES: usize = 17;

/// The key of a dedupe record. The digest is made with the tenant's own key, so that it names the tenant too.
pub(crate) fn dedupe(kind: Kind, digest: &Digest) -> [u8; DEDUPE_BYTES] {
    let mut key = [0; DEDUPE_BYTES];
    key[..16].copy_from_slice(digest.as_bytes());
    key[16] = kind.byte();
    key
}

/// The key under which a dedupe record whose row is gone waits for its end; the rest is the record's own.
pub(crate) fn expiry(tenant_id: &TenantId, expires_ms: i64, dedupe_key: &[u8]) -> Vec<u8> {
    let mut key = tenant(tenant_id);
    key.extend_from_slice(&expires_ms.max(0).to_be_bytes());
    key.extend_from_slice(dedupe_key);
    key
}

/// The key of the dedupe record that waits.
pub(crate) fn read_expiry<'a>(tenant_id: &TenantId, key: &'a [u8]) -> Option<(i64, &'a [u8])> {
    let (expires_ms, dedupe_key) = key.get(tenant(tenant_id).len()..)?.split_first_chunk()?;
    (dedupe_key.len() == DEDUPE_BYTES).then_some((i64::from_be_bytes(*expires_ms), dedupe_key))
}

/// The key of a decision: hashes of tenant and id, tenant, NUL, id.
pub(crate) fn decision(tenant: &TenantId, id: &RecommendationId) -> Vec<u8> {
    led(tenant, id.as_str().as_bytes())
}

/// The key of a customer's tombstone, and of the registry of customers.
pub(crate) fn by_digest(tenant_id: &TenantId, digest: &Digest) -> Vec<u8> {
    let mut key = tenant(tenant_id);
    key.extend_from_slice(digest.as_bytes());
    key
}

/// The key of an erasure's receipt.
pub(crate) fn receipt(tenant: &TenantId, digest: &Digest, id: &ErasureId) -> Vec<u8> {
    let mut key = by_digest(tenant, digest);
    key.extend_from_slice(id.as_str().as_bytes());
    key
}

/// What the entries of a range of a lane begin with.
pub(crate) fn range(lane: Lane, range: u16) -> [u8; 3] {
    let [high, low] = range.to_be_bytes();
    [lane_byte(lane), high, low]
}

/// The key of an outbox entry or a dead letter.
pub(crate) fn entry(lane: Lane, range_number: u16, position: Position) -> [u8; 11] {
    let mut key = [0; 11];
    key[..3].copy_from_slice(&range(lane, range_number));
    key[3..].copy_from_slice(&position.0.to_be_bytes());
    key
}

/// The range and position of an entry.
pub(crate) fn read_entry(key: &[u8]) -> Option<(u16, Position)> {
    let key: &[u8; 11] = key.try_into().ok()?;
    let (head, position) = key.split_last_chunk()?;
    let range = u16::from_be_bytes([head[1], head[2]]);
    Some((range, Position(u64::from_be_bytes(*position))))
}

pub(crate) const fn lane_byte(lane: Lane) -> u8 {
    match lane {
        Lane::Publish => b'p',
        Lane::Replicate => b'r',
        Lane::Archive => b'a',
        _ => b'?',
    }
}

/// The first key behind all that begin with `prefix` and NUL.
pub(crate) fn behind(prefix: &[u8]) -> Vec<u8> {
    let mut key = prefix.to_vec();
    key.push(1);
    key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn t() -> TenantId {
        TenantId::new("t").unwrap()
    }

    type Parts = (String, u32, i64, String, u64);

    fn parts() -> impl Strategy<Value = Parts> {
        ("[a-b]{1,2}", 0..3_u32, 1..9_i64, "[x-z]{1,2}", 0..3_u64)
    }

    proptest! {
        #[test]
        fn rows_go_round_and_sort_by_customer_generation_time_id_and_tie(a in parts(), b in parts()) {
            let key = |(customer_id, generation, millis, id, tie): &Parts| {
                let customer = customer(&t(), &CustomerId::new(customer_id).unwrap());
                row(&rows(&customer, Generation(*generation)), *millis, id, *tie)
            };
            // Customers lie apart, in the order of their hashes.
            let order = |parts: &Parts| (short_hash(parts.0.as_bytes()), parts.clone());
            prop_assert_eq!(key(&a).cmp(&key(&b)), order(&a).cmp(&order(&b)));
            let key = key(&a);
            let kept = row_behind_tenant(&t(), &key).unwrap();
            prop_assert_eq!(row_of_tenant(&t(), kept).unwrap(), key.clone());
            let of = customer(&t(), &CustomerId::new(&a.0).unwrap());
            prop_assert_eq!(customer_of_row(&key).unwrap(), of);
            prop_assert!(tenant_lead(&t()).as_slice() < key.as_slice());
            prop_assert!(key.as_slice() < behind_lead(tenant_lead(&t())).as_slice());
            let read = read_row(&t(), &key).unwrap();
            let read = (read.customer.to_owned(), read.generation.0, read.timestamp_ms, read.id.to_owned(), read.tie);
            prop_assert_eq!(read, a);
        }

        #[test]
        fn closed_rows_go_round_and_newer_periods_come_first(a in -9_000..90_000_i32, b in -9_000..90_000_i32) {
            let key = |day| closed(b"rows", Period::from_day(PeriodType::Daily, day).unwrap(), Dimension::Creative, "v");
            prop_assert_eq!(key(a).cmp(&key(b)), b.cmp(&a));
            let key = key(a);
            let (period, dimension, value) = read_closed(4, &key).unwrap();
            prop_assert_eq!((period.first_day(), dimension, value), (a, Dimension::Creative, "v"));
        }

        #[test]
        fn no_key_that_is_read_panics(bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            let _ = (read_row(&t(), &bytes), read_closed(2, &bytes), read_entry(&bytes));
            let _ = (read_expiry(&t(), &bytes), read_customer(&bytes), customer_of_row(&bytes));
            let _ = row_of_tenant(&t(), &bytes);
        }
    }

    #[test]
    fn the_end_of_time_is_read_as_a_closed_span_begins() {
        let open = closed_period(b"", PeriodType::Daily, i32::MIN);
        assert!(closed_period(b"", PeriodType::Daily, i32::MAX) < open);
        assert_eq!(open[1..], [0xff; 4]);
    }

    #[test]
    fn an_expiry_names_its_dedupe_record() {
        let dedupe = dedupe(Kind::Decision, &Digest::from_bytes([7; 16]));
        assert_eq!(
            read_expiry(&t(), &expiry(&t(), 5, &dedupe)),
            Some((5, &dedupe[..]))
        );
    }
}
