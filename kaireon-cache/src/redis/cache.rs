//! The cache.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kaireon_connect::redis::{RedisClient, RedisCommand, RedisReply};
use kaireon_core::breaker::{BreakerConfig, CircuitBreaker};
use kaireon_core::cache::{CacheCapabilities, CacheKey, FetchLeases, Flights, SetCondition, SetOptions};
use kaireon_core::limiter::RateLimiter;
use kaireon_core::{CacheStore, CustomerId, Error, Result, TenantId};

use super::BACKEND;
use super::batch::{Group, Together, groups};
use super::breaker::RedisBreaker;
use super::config::RedisCacheConfig;
use super::error::{call, failed, failed_in_part, may_have_done, strange};
use super::leases::{RedisLeases, deletion};
use super::limiter::RedisLimiter;
use super::places::{Place, Places};
use super::scripts;

/// For how long behind an erasure nothing that was fetched for the customer is kept: a fetch that another process
/// began before it may still be under way.
const HOLD: Duration = Duration::from_secs(60);

/// The longest time to live that a server takes, three thousand years.
const LONGEST_TTL_MS: u64 = 100_000_000_000_000;

/// Keeps values on Redis, for every process that has the same server and prefix. A clone is the same handle.
///
/// - **Time to live** by the server's clock. Up to the next millisecond; more than three thousand years are as many.
/// - **Commands.** One per call; of a batch one for all keys without a customer (in a cluster, and for `set_many`, one
///   for each) and one for each customer, all to one node in one round trip. None of them blocks, and scripts touch no
///   key but the one that is declared.
/// - **Erasure** is one command on the customer's one key, whatever the size of the cache, and linear in what the
///   customer has there. For 60 s after it nothing is kept that [`get_or_fetch`](kaireon_core::CacheStoreExt) brings
///   for the customer, in any process: a fetch that takes longer than that may bring back what it read before. A server
///   that loses its last writes, as when an asynchronous replica takes over, may lose an erasure with them.
/// - **Eviction** takes what the server's `maxmemory-policy` says; everything of a customer goes together. Without
///   eviction a full server answers `StorageFull`.
/// - **Single flight** in [`get_or_fetch`](kaireon_core::CacheStoreExt) holds within the process, and with a
///   [`lease`](kaireon_core::cache::FetchOptions::lease) for all that share the server. A lease is a key of its own beside
///   the value's, which ends a minute behind it, or two fields of the customer's. In a cluster a key with a brace that is
///   no hash tag has none.
#[derive(Clone)]
pub struct RedisCache(Arc<Inner>);

struct Inner {
    client: RedisClient,
    places: Arc<Places>,
    max_value_bytes: usize,
    flights: Flights,
}

impl RedisCache {
    /// Connects.
    ///
    /// # Errors
    /// All of them `NotApplied`: `Config` naming what is wrong; `Unauthorized`; `Unavailable` or `RateLimited` where no
    /// connection is to be had.
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn connect(config: RedisCacheConfig) -> Result<Self> {
        config.check()?;
        let RedisCacheConfig {
            connect,
            key_prefix,
            max_value_bytes,
        } = config;
        Ok(Self(Arc::new(Inner {
            client: RedisClient::connect(connect).await?,
            places: Arc::new(Places::new(key_prefix)),
            max_value_bytes,
            flights: Flights::default(),
        })))
    }

    /// Rate limits on the same server, over the same connections, below the same prefix.
    #[must_use]
    pub fn limits(&self) -> RedisLimiter {
        RedisLimiter::new(self.0.client.clone(), self.0.places.prefix().to_owned())
    }

    /// Circuit breakers on the same server, over the same connections, below the same prefix.
    ///
    /// # Errors
    /// `InvalidInput` naming what is out of bounds.
    pub fn breakers(&self, config: BreakerConfig) -> Result<RedisBreaker> {
        config.check()?;
        let prefix = self.0.places.prefix().to_owned();
        Ok(RedisBreaker::new(self.0.client.clone(), prefix, config))
    }

    /// Whether keys without a customer may stand in one command.
    fn together(&self) -> Together {
        match self.0.client.is_cluster() {
            true => Together::No,
            false => Together::Yes,
        }
    }

    async fn one(&self, command: RedisCommand, operation: &'static str) -> Result<RedisReply> {
        call(&self.0.client, command, operation).await
    }

    /// The answers to commands of which all must succeed.
    async fn all(
        &self,
        commands: Vec<RedisCommand>,
        operation: &'static str,
        writes: bool,
    ) -> Result<Vec<RedisReply>> {
        let answers = self.0.client.call_all(commands).await;
        let others_did = writes && answers.iter().any(may_have_done);
        answers
            .into_iter()
            .map(|answer| answer.map_err(|fault| failed_in_part(fault, operation, others_did)))
            .collect()
    }
}

impl fmt::Debug for RedisCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCache")
            .field("client", &self.0.client)
            .field("flights", &self.0.flights)
            .finish_non_exhaustive()
    }
}

pub(super) fn check_value(value: &Bytes, most: usize) -> Result<()> {
    if value.len() > most {
        return Err(Error::invalid("value", "is larger than the cache takes").with_backend(BACKEND));
    }
    Ok(())
}

/// Whole milliseconds, up; 0 where there is none.
pub(super) fn ttl_ms(ttl: Option<Duration>) -> u64 {
    ttl.map_or(0, |ttl| {
        let ms = u64::try_from(ttl.as_nanos().div_ceil(1_000_000)).unwrap_or(LONGEST_TTL_MS);
        ms.clamp(1, LONGEST_TTL_MS)
    })
}

fn get_command(group: &Group) -> RedisCommand {
    match &group.customer {
        Some(key) => with_arguments(
            RedisCommand::read_script(&scripts::GET, key.clone()),
            &group.members,
        ),
        None => {
            let (first, others) = group.members.split_first().expect("a group has a member");
            with_arguments(RedisCommand::read("MGET", first.clone()), others)
        }
    }
}

fn del_command(group: &Group) -> RedisCommand {
    match &group.customer {
        Some(key) => with_arguments(
            RedisCommand::write_script(&scripts::DEL, key.clone()),
            &group.members,
        ),
        None => {
            let (first, others) = group.members.split_first().expect("a group has a member");
            with_arguments(RedisCommand::write("UNLINK", first.clone()), others)
        }
    }
}

fn with_arguments(command: RedisCommand, arguments: &[Bytes]) -> RedisCommand {
    arguments.iter().cloned().fold(command, RedisCommand::arg)
}

/// Sets the members of a group; `value` has each one's by its place in the batch.
fn set_command(group: &Group, value: impl Fn(usize) -> Bytes, options: SetOptions) -> RedisCommand {
    let SetOptions { ttl, condition } = options;
    let ttl = ttl_ms(ttl);
    match &group.customer {
        Some(key) => {
            let condition = match condition {
                SetCondition::Always => "always",
                SetCondition::IfAbsent => "absent",
                SetCondition::IfPresent => "present",
            };
            let command = RedisCommand::write_script(&scripts::SET, key.clone());
            let command = command.arg(ttl.to_string()).arg(condition);
            let members = group.members.iter().zip(&group.positions);
            members.fold(command, |command, (name, &at)| {
                command.arg(name.clone()).arg(value(at))
            })
        }
        None => {
            let (key, at) = (group.members[0].clone(), group.positions[0]);
            let mut command = RedisCommand::write("SET", key).arg(value(at));
            if ttl > 0 {
                command = command.arg("PX").arg(ttl.to_string());
            }
            match condition {
                SetCondition::Always => command,
                SetCondition::IfAbsent => command.arg("NX"),
                SetCondition::IfPresent => command.arg("XX"),
            }
        }
    }
}

/// Which members of a group were set; `SET` answers nothing where its condition did not hold.
fn were_set(group: &Group, answer: RedisReply) -> Option<Vec<bool>> {
    match group.customer {
        None => Some(vec![answer != RedisReply::Nil]),
        Some(_) => {
            let each = answer.into_list()?;
            each.iter().map(|one| one.as_int().map(|set| set == 1)).collect()
        }
    }
}

/// Hands the parts of the answers to the places of the batch that they are of.
fn scatter<T: Clone>(
    into: &mut [T],
    groups: &[Group],
    answers: Vec<RedisReply>,
    parts: impl Fn(&Group, RedisReply) -> Option<Vec<T>>,
) -> Option<()> {
    for (group, answer) in groups.iter().zip(answers) {
        let parts = parts(group, answer)?;
        if parts.len() != group.positions.len() {
            return None;
        }
        for (&position, part) in group.positions.iter().zip(parts) {
            into[position] = part;
        }
    }
    Some(())
}

#[async_trait]
impl CacheStore for RedisCache {
    fn capabilities(&self) -> CacheCapabilities {
        let mut capabilities = CacheCapabilities::minimal(BACKEND, self.0.max_value_bytes);
        capabilities.shared = true;
        capabilities.erasure = true;
        capabilities.ping = true;
        capabilities
    }

    async fn get(&self, key: &CacheKey) -> Result<Option<Bytes>> {
        match self.0.places.of(key) {
            Place::Alone(key) => Ok(self
                .one(RedisCommand::read("GET", key), "get")
                .await?
                .into_bytes()),
            Place::OfCustomer { key, name } => {
                let command = RedisCommand::read_script(&scripts::GET, key).arg(name);
                let values = self.one(command, "get").await?.into_list();
                let value = values.and_then(|mut values| values.pop());
                Ok(value.ok_or_else(|| strange("get"))?.into_bytes())
            }
        }
    }

    async fn set(&self, key: &CacheKey, value: Bytes, options: SetOptions) -> Result<bool> {
        options.check()?;
        check_value(&value, self.0.max_value_bytes)?;
        let group = groups(std::iter::once(self.0.places.of(key)), Together::No)
            .pop()
            .expect("one key is one group");
        let answer = self
            .one(set_command(&group, |_| value.clone(), options), "set")
            .await?;
        let set = were_set(&group, answer).and_then(|mut set| set.pop());
        set.ok_or_else(|| strange("set"))
    }

    async fn del(&self, key: &CacheKey) -> Result<bool> {
        let command = match self.0.places.of(key) {
            // Only what was fetched may be under a lease.
            Place::Alone(place) if key.as_str() == key.fetched_str() => {
                deletion(self.0.places.prefix(), place, self.0.client.is_cluster())
            }
            Place::Alone(key) => RedisCommand::write("UNLINK", key),
            Place::OfCustomer { key, name } => RedisCommand::write_script(&scripts::DEL, key).arg(name),
        };
        let deleted = self.one(command, "del").await?.as_int();
        Ok(deleted.ok_or_else(|| strange("del"))? > 0)
    }

    async fn get_many(&self, keys: &[CacheKey]) -> Result<Vec<Option<Bytes>>> {
        let groups = groups(keys.iter().map(|key| self.0.places.of(key)), self.together());
        let answers = self
            .all(groups.iter().map(get_command).collect(), "get_many", false)
            .await?;
        let mut values = vec![None; keys.len()];
        let each = |_: &Group, answer: RedisReply| {
            let list = answer.into_list()?;
            Some(list.into_iter().map(RedisReply::into_bytes).collect())
        };
        scatter(&mut values, &groups, answers, each).ok_or_else(|| strange("get_many"))?;
        Ok(values)
    }

    async fn set_many(&self, entries: Vec<(CacheKey, Bytes)>, options: SetOptions) -> Result<Vec<bool>> {
        options.check()?;
        for (_, value) in &entries {
            check_value(value, self.0.max_value_bytes)?;
        }
        // `MSET` has neither a time to live nor conditions for each.
        let groups = groups(entries.iter().map(|(key, _)| self.0.places.of(key)), Together::No);
        let value = |at: usize| entries[at].1.clone();
        let commands = groups
            .iter()
            .map(|group| set_command(group, value, options))
            .collect();
        let answers = self.all(commands, "set_many", true).await?;
        let mut set = vec![false; entries.len()];
        scatter(&mut set, &groups, answers, were_set).ok_or_else(|| strange("set_many"))?;
        Ok(set)
    }

    async fn del_many(&self, keys: &[CacheKey]) -> Result<u64> {
        let groups = groups(keys.iter().map(|key| self.0.places.of(key)), self.together());
        let answers = self
            .all(groups.iter().map(del_command).collect(), "del_many", true)
            .await?;
        let mut deleted = 0;
        for answer in answers {
            let number = answer.as_int().and_then(|number| u64::try_from(number).ok());
            deleted += number.ok_or_else(|| strange("del_many"))?;
        }
        Ok(deleted)
    }

    async fn erase_customer(&self, tenant: &TenantId, customer: &CustomerId) -> Result<u64> {
        // Before the deletion, so that nothing of this process lands behind it.
        self.0.flights.detach_customer(tenant, customer);
        let key = self.0.places.of_customer(tenant, customer);
        let command = RedisCommand::write_script(&scripts::ERASE, key).arg(ttl_ms(Some(HOLD)).to_string());
        let erased = self.one(command, "erase_customer").await?.as_int();
        let erased = erased.and_then(|erased| u64::try_from(erased).ok());
        erased.ok_or_else(|| strange("erase_customer"))
    }

    async fn ping(&self) -> Result<()> {
        let answer = self.0.client.ping().await;
        answer.map_err(|fault| failed(fault, "ping"))
    }

    async fn disconnect(&self) -> Result<()> {
        self.0.client.close();
        Ok(())
    }

    fn limiter(&self) -> Option<Arc<dyn RateLimiter>> {
        Some(Arc::new(self.limits()))
    }

    fn leases(&self) -> Option<Arc<dyn FetchLeases>> {
        Some(Arc::new(RedisLeases {
            client: self.0.client.clone(),
            places: Arc::clone(&self.0.places),
            max_value_bytes: self.0.max_value_bytes,
        }))
    }

    fn breaker(&self, config: BreakerConfig) -> Result<Option<Arc<dyn CircuitBreaker>>> {
        Ok(Some(Arc::new(self.breakers(config)?)))
    }

    fn flights(&self) -> &Flights {
        &self.0.flights
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_live_is_whole_milliseconds_that_a_server_takes() {
        assert_eq!(ttl_ms(None), 0);
        assert_eq!(ttl_ms(Some(Duration::from_nanos(1))), 1);
        assert_eq!(ttl_ms(Some(Duration::from_micros(1_001))), 2);
        assert_eq!(ttl_ms(Some(Duration::MAX)), LONGEST_TTL_MS);
    }
}
