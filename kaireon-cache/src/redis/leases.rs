//! The leases of `get_or_fetch`.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kaireon_connect::redis::{RedisClient, RedisCommand, RedisReply, RedisScript, in_one_slot};
use kaireon_core::cache::{CacheKey, FetchLeases, Lease, SetOptions};
use kaireon_core::{Error, Result};

use super::BACKEND;
use super::cache::{check_value, ttl_ms};
use super::error::{call, strange};
use super::places::{Place, Places};
use super::scripts;

/// What sets a lease's name apart from all others; no tenant and no name has a control character.
const LEASE: &[u8] = b"\x05";

/// Leases on the keys of a cache, by the server's clock. What carries a customer has its lease in the customer's one key,
/// everything else in a key beside its own, in the same slot.
pub(super) struct RedisLeases {
    pub(super) client: RedisClient,
    pub(super) places: Arc<Places>,
    pub(super) max_value_bytes: usize,
}

/// Where a lease lies.
enum Held {
    /// Beside the value, which is under the first key.
    Beside(Bytes, Bytes),
    /// In the customer's key, by this name.
    OfCustomer { key: Bytes, name: Bytes },
}

/// The key of the lease on a value that has a key of its own. `None` where a cluster has it in another slot: where there
/// is a brace in the value's key that is no tag.
fn beside(prefix: &str, key: &Bytes, cluster: bool) -> Option<Bytes> {
    // Behind a tag of the key's own that one counts; otherwise the whole key is one.
    let behind = Bytes::from([&key[..], LEASE].concat());
    let around = [prefix.as_bytes(), LEASE, b"{", &key[..], b"}"];
    let mut names = [behind, Bytes::from(around.concat())].into_iter();
    names.find(|name| !cluster || in_one_slot(key, name))
}

impl RedisLeases {
    fn held(&self, key: &CacheKey, operation: &'static str) -> Result<Held> {
        match self.places.of(key) {
            Place::OfCustomer { key, name } => Ok(Held::OfCustomer { key, name }),
            Place::Alone(key) => {
                let lease = beside(self.places.prefix(), &key, self.client.is_cluster());
                let lease = lease.ok_or_else(|| Error::unsupported(BACKEND, operation))?;
                Ok(Held::Beside(key, lease))
            }
        }
    }

    /// A script on the keys of a lease; behind them is the value's name, or nothing.
    fn command(
        &self,
        [alone, of_customer]: [&'static RedisScript; 2],
        key: &CacheKey,
        operation: &'static str,
    ) -> Result<RedisCommand> {
        Ok(match self.held(key, operation)? {
            Held::Beside(key, lease) => RedisCommand::write_script(alone, key).key(lease).arg(""),
            Held::OfCustomer { key, name } => RedisCommand::write_script(of_customer, key).arg(name),
        })
    }
}

impl fmt::Debug for RedisLeases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLeases")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// Whether it is granted; its token and what lies there, or after how many milliseconds it ends.
fn lease(answer: RedisReply) -> Option<Lease> {
    let mut parts = answer.into_list()?.into_iter();
    let (granted, number) = (parts.next()?.as_int()?, parts.next()?.as_int()?);
    let number = u64::try_from(number).ok()?;
    Some(match granted {
        1 => Lease::Granted {
            token: number,
            found: parts.next()?.into_bytes(),
        },
        _ => Lease::Held(Duration::from_millis(number)),
    })
}

#[async_trait]
impl FetchLeases for RedisLeases {
    async fn take(&self, key: &CacheKey, lasting: Duration) -> Result<Lease> {
        SetOptions::ttl(lasting).check()?;
        let command = self.command([&TAKE, &scripts::TAKE], key, "take")?;
        let command = command.arg(ttl_ms(Some(lasting)).to_string());
        let answer = call(&self.client, command, "take").await?;
        lease(answer).ok_or_else(|| strange("take"))
    }

    async fn keep(&self, key: &CacheKey, value: Bytes, ttl: Duration, token: u64) -> Result<bool> {
        SetOptions::ttl(ttl).check()?;
        check_value(&value, self.max_value_bytes)?;
        let command = self
            .command([&KEEP, &scripts::KEEP], key, "keep")?
            .arg(token.to_string())
            .arg(ttl_ms(Some(ttl)).to_string())
            .arg(value);
        let kept = call(&self.client, command, "keep").await?.as_int();
        Ok(kept.ok_or_else(|| strange("keep"))? == 1)
    }

    async fn release(&self, key: &CacheKey, token: u64) -> Result<()> {
        let command = self.command([&RELEASE, &scripts::RELEASE], key, "release")?;
        call(&self.client, command.arg(token.to_string()), "release").await?;
        Ok(())
    }
}

/// Deletes a value together with the lease on it; answers whether the value was there.
pub(super) fn deletion(prefix: &str, key: Bytes, cluster: bool) -> RedisCommand {
    match beside(prefix, &key, cluster) {
        Some(lease) => RedisCommand::write_script(&DELETE, key).key(lease),
        // It has none.
        None => RedisCommand::write("UNLINK", key),
    }
}

/// Nothing, and for how many milliseconds; answers as [`lease`] reads it.
///
/// The lease is a hash: `n` is its token and `l` when it ends. A token is the server's time in microseconds, or one more
/// than the one before where that is later. Where the key was lost and the clock moved back it may be lower than one before:
/// whoever keeps must have the very one. It is remembered
/// for a minute longer than the lease: so late a value may still be kept that nobody else fetched meanwhile.
static TAKE: LazyLock<RedisScript> = LazyLock::new(|| {
    RedisScript::new(
        "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[2], 'n', 'l')
if held[2] and now < tonumber(held[2]) then return {0, held[2] - now} end
local token = math.max(tonumber(held[1] or '0') + 1, time[1] * 1000000 + time[2])
redis.call('HSET', KEYS[2], 'n', string.format('%.0f', token), 'l', string.format('%.0f', now + ARGV[2]))
redis.call('PEXPIRE', KEYS[2], string.format('%.0f', ARGV[2] + 60000))
return {1, token, redis.call('GET', KEYS[1])}",
    )
});

/// Nothing, a token, a time to live in milliseconds and a value; answers whether it was kept.
static KEEP: LazyLock<RedisScript> = LazyLock::new(|| {
    RedisScript::new(
        "
if redis.call('HGET', KEYS[2], 'n') ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[3])
redis.call('UNLINK', KEYS[2])
return 1",
    )
});

/// Nothing and a token.
static RELEASE: LazyLock<RedisScript> = LazyLock::new(|| {
    RedisScript::new(
        "
if redis.call('HGET', KEYS[2], 'n') == ARGV[2] then redis.call('UNLINK', KEYS[2]) end
return 0",
    )
});

static DELETE: LazyLock<RedisScript> = LazyLock::new(|| {
    RedisScript::new(
        "
redis.call('UNLINK', KEYS[2])
return redis.call('UNLINK', KEYS[1])",
    )
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_in_the_slot_of_its_value_or_there_is_none() {
        for (prefix, key) in [
            ("p:", "p:\u{1}t\0\0name"),
            ("p:", "p:\u{1}t\0\0user{7}name"),
            ("{p}:", "{p}:\u{1}t\0\0name"),
            ("{p}:", "{p}:\u{1}t\0\0na}me"),
            ("p{q:", "p{q:\u{1}t\0\0na}me"),
        ] {
            let key = Bytes::from(key);
            let lease = beside(prefix, &key, true).unwrap();
            assert!(in_one_slot(&key, &lease) && lease != key, "{key:?}");
            assert!(lease.starts_with(prefix.as_bytes()));
        }
        let key = Bytes::from_static(b"p:\x01t\0\0na}me{}");
        assert_eq!(beside("p:", &key, true), None);
        assert!(beside("p:", &key, false).is_some());
    }

    #[test]
    fn an_answer_is_read_or_refused_as_a_whole() {
        let list = |parts: &[RedisReply]| RedisReply::List(parts.to_vec());
        let int = RedisReply::Int;
        let found = RedisReply::Bytes(Bytes::from_static(b"v"));
        assert_eq!(
            lease(list(&[int(1), int(7), found])),
            Some(Lease::Granted {
                token: 7,
                found: Some(Bytes::from_static(b"v")),
            })
        );
        assert_eq!(
            lease(list(&[int(0), int(7)])),
            Some(Lease::Held(Duration::from_millis(7)))
        );
        for strange in [list(&[int(1), int(7)]), list(&[int(1)]), RedisReply::Nil] {
            assert_eq!(lease(strange), None);
        }
    }
}
