//! The keys. Identifiers hold no control character, so NUL ends them; every key of a tenant begins with it.

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

/// A customer's own key: tenant, NUL, customer.
pub(crate) fn customer(tenant_id: &TenantId, customer: &CustomerId) -> Vec<u8> {
    let mut key = tenant(tenant_id);
    key.extend_from_slice(customer.as_str().as_bytes());
    key
}

/// The tenant and the customer of a customer's own key.
pub(crate) fn read_customer(key: &[u8]) -> Option<(TenantId, CustomerId)> {
    let (tenant, customer) = std::str::from_utf8(key).ok()?.split_once('\0')?;
    Some((TenantId::new(tenant).ok()?, CustomerId::new(customer).ok()?))
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
    let rest = key.strip_prefix(tenant.as_str().as_bytes())?.strip_prefix(&[0])?;
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

/// The key of a dedupe record.
pub(crate) fn dedupe(tenant: &TenantId, kind: Kind, digest: &Digest) -> Vec<u8> {
    let mut key = Vec::with_capacity(tenant.as_str().len() + 18);
    put_dedupe(&mut key, tenant, kind, digest);
    key
}

/// Appends the key of a dedupe record.
pub(crate) fn put_dedupe(out: &mut Vec<u8>, tenant: &TenantId, kind: Kind, digest: &Digest) {
    out.extend_from_slice(tenant.as_str().as_bytes());
    out.push(0);
    out.push(kind.byte());
    out.extend_from_slice(digest.as_bytes());
}

/// The key under which a dedupe record whose row is gone waits for its end; the rest is the record's own.
pub(crate) fn expiry(tenant_id: &TenantId, expires_ms: i64, dedupe_key: &[u8]) -> Vec<u8> {
    let mut key = tenant(tenant_id);
    let prefix = key.len();
    key.extend_from_slice(&expires_ms.max(0).to_be_bytes());
    key.extend_from_slice(dedupe_key.get(prefix..).unwrap_or_default());
    key
}

/// The key of the dedupe record that waits.
pub(crate) fn read_expiry(tenant_id: &TenantId, key: &[u8]) -> Option<(i64, Vec<u8>)> {
    let mut dedupe_key = tenant(tenant_id);
    let (expires_ms, rest) = key.get(dedupe_key.len()..)?.split_first_chunk()?;
    dedupe_key.extend_from_slice(rest);
    Some((i64::from_be_bytes(*expires_ms), dedupe_key))
}

/// The key of a decision.
pub(crate) fn decision(tenant_id: &TenantId, id: &RecommendationId) -> Vec<u8> {
    let mut key = tenant(tenant_id);
    key.extend_from_slice(id.as_str().as_bytes());
    key
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
    use proptest::prelude::{Strategy, any, prop_assert_eq, proptest};

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
            prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
            let key = key(&a);
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
            let _ = read_expiry(&t(), &bytes);
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
        let dedupe = dedupe(&t(), Kind::Decision, &Digest::from_bytes([7; 16]));
        assert_eq!(read_expiry(&t(), &expiry(&t(), 5, &dedupe)), Some((5, dedupe)));
    }
}
