//! The rate limiter.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kaireon_connect::redis::{RedisClient, RedisCommand, RedisReply, RedisScript};
use kaireon_core::limiter::{LimitKey, RateDecision, RateLimit, RateLimiter};
use kaireon_core::time::from_millis;
use kaireon_core::{Error, Result};

use super::BACKEND;
use super::cache::ttl_ms;
use super::error::{call, strange};

/// The largest limit: its key takes 6 MB.
const MAX_LIMIT: u32 = 1_000_000;

/// What the name of a limit's key begins with, behind the prefix; keys of the cache begin otherwise.
const LIMIT: char = '\u{3}';

/// For what the digest is: another one of the same bytes is another number.
const CONTEXT: &str = "kaireon 2026-11 limits on redis: key of a limit";

/// A sliding-window limiter for every process that reaches the same Redis, exact: the server notes the time of every
/// admission, by its own clock. A clone is the same handle. It is had of a [`RedisCache`](crate::RedisCache), whose
/// connection it shares and with whose `disconnect` it ends.
///
/// - **One round trip** and one command for each call, a script that touches one key.
/// - **Memory.** A key on the server takes 6 bytes for each admission that it remembers, at most as many as the
///   largest limit that it is asked for with, and 74 bytes besides; a string on the server grows in steps and may take
///   twice that. It is gone when the longest of its windows has passed without an admission. Limits are from 1 to
///   1,000,000, so that a key takes 6 MB at most; a larger one is `InvalidInput` naming `limit`. Windows of more than
///   three thousand years are as long.
/// - **Several limits of one key** (10 a second and 100 a minute) are each exact from their first use on, as long as the
///   key is remembered.
/// - **Clock.** The server's. Where it is moved back, or another server with a slower clock takes over, the time of a
///   key stands still for that moment and runs on from there, as long as the key is remembered.
/// - **Lost answers.** A call whose answer is lost may have been admitted, and then takes a place: fewer are admitted
///   than the limit, never more. A server that loses its last writes, as when an asynchronous replica takes over,
///   forgets admissions with them.
/// - **Outage.** The call fails. What is to be done then is the caller's to say:
///   [`acquire_or`](kaireon_core::limiter::RateLimiterExt::acquire_or).
/// - The host's name of a limit is on the server as a digest.
#[derive(Clone)]
pub struct RedisLimiter(Arc<Inner>);

struct Inner {
    client: RedisClient,
    prefix: String,
}

impl RedisLimiter {
    pub(super) fn new(client: RedisClient, prefix: String) -> Self {
        Self(Arc::new(Inner { client, prefix }))
    }

    fn place(&self, key: &LimitKey) -> Bytes {
        let key = key.as_str();
        let tenant = key.split('\0').next().unwrap_or_default();
        let digest = blake3::derive_key(CONTEXT, key.as_bytes());
        let digest = blake3::Hash::from_bytes(digest).to_hex();
        format!("{}{LIMIT}{tenant}\0{digest}", self.0.prefix).into()
    }
}

impl fmt::Debug for RedisLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLimiter")
            .field("client", &self.0.client)
            .finish_non_exhaustive()
    }
}

/// Whether it is admitted, how many more would be, after how long, and when it was decided.
fn decision(answer: RedisReply) -> Option<RateDecision> {
    let parts = answer.into_list()?;
    let [admitted, remaining, wait, at] = parts.as_slice() else {
        return None;
    };
    let wait = u64::try_from(wait.as_int()?).ok()?;
    Some(RateDecision::new(
        admitted.as_int()? == 1,
        u32::try_from(remaining.as_int()?).ok()?,
        Duration::from_millis(wait),
        from_millis(at.as_int()?)?,
    ))
}

#[async_trait]
impl RateLimiter for RedisLimiter {
    async fn acquire(&self, key: &LimitKey, limit: RateLimit) -> Result<RateDecision> {
        limit.check()?;
        let RateLimit { limit, window } = limit;
        if limit > MAX_LIMIT {
            let context = "is larger than a limiter on redis takes";
            return Err(Error::invalid("limit", context).with_backend(BACKEND));
        }
        let command = RedisCommand::write_script(&ACQUIRE, self.place(key))
            .arg(limit.to_string())
            .arg(ttl_ms(Some(window)).to_string());
        let answer = call(&self.0.client, command, "acquire").await?;
        decision(answer).ok_or_else(|| strange("acquire"))
    }
}

/// A limit and a window in milliseconds; answers as [`decision`] reads it.
///
/// The key is a string. Its head is five numbers in decimal, of fixed width: how many admissions it has room for, which
/// is the largest limit so far; the longest window so far; how many admissions there were; the latest time that was
/// answered; how far the key's time is ahead of the server's clock. Behind it are the times of the latest admissions,
/// six bytes each, the n-th admission at place n modulo the room. As times do not run backwards, the first one within a
/// window is found by halves. Times are cut to milliseconds, so that both ends of a window belong to it.
static ACQUIRE: LazyLock<RedisScript> = LazyLock::new(|| {
    RedisScript::new(
        "
local HEAD = 74
local key, limit, window = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local room, longest, count, last, ahead = limit, window, 0, now, 0
local head = redis.call('GETRANGE', key, 0, HEAD - 1)
if #head == HEAD then
  room, longest = tonumber(string.sub(head, 1, 10)), tonumber(string.sub(head, 11, 26))
  count, last = tonumber(string.sub(head, 27, 42)), tonumber(string.sub(head, 43, 58))
  ahead = tonumber(string.sub(head, 59, 74))
end
now = now + ahead
if now < last then
  ahead = ahead + last - now
  now = last
end

local function place(n) return HEAD + 6 * (n % room) end
local function admission(n)
  local a, b, c, d, e, f = string.byte(redis.call('GETRANGE', key, place(n), place(n) + 5), 1, 6)
  return ((((a * 256 + b) * 256 + c) * 256 + d) * 256 + e) * 256 + f
end
local function bytes(number)
  local each = {}
  for at = 6, 1, -1 do
    each[at] = string.char(number % 256)
    number = math.floor(number / 256)
  end
  return table.concat(each)
end

if limit > room then
  if count > room then
    local first = place(count)
    local older = redis.call('GETRANGE', key, first, -1)
    local newer = ''
    if first > HEAD then newer = redis.call('GETRANGE', key, HEAD, first - 1) end
    redis.call('SET', key, head .. older .. newer, 'KEEPTTL')
    count = room
  end
  room = limit
end
if window > longest then longest = window end

local low, high = math.max(0, count - room), count
while low < high do
  local middle = math.floor((low + high) / 2)
  if now - admission(middle) > window then low = middle + 1 else high = middle end
end
local within = count - low

local answer
if within >= limit then
  answer = {0, 0, admission(count - limit) + window + 1 - now, now}
else
  redis.call('SETRANGE', key, place(count), bytes(now))
  count = count + 1
  answer = {1, limit - within - 1, 0, now}
end
local new = string.format('%010.0f%016.0f%016.0f%016.0f%016.0f', room, longest, count, now, ahead)
if new ~= head then redis.call('SETRANGE', key, 0, new) end
if answer[1] == 1 then redis.call('PEXPIRE', key, string.format('%.0f', longest + 1)) end
return answer",
    )
});

#[cfg(test)]
mod tests {
    use kaireon_core::time::from_millis;

    use super::*;

    #[test]
    fn an_answer_is_read_or_refused_as_a_whole() {
        let list = |numbers: &[i64]| RedisReply::List(numbers.iter().copied().map(RedisReply::Int).collect());
        let at = from_millis(1_700_000_000_000).unwrap();
        assert_eq!(
            decision(list(&[1, 3, 0, 1_700_000_000_000])),
            Some(RateDecision::new(true, 3, Duration::ZERO, at))
        );
        assert_eq!(
            decision(list(&[0, 0, 7, 1_700_000_000_000])),
            Some(RateDecision::new(false, 0, Duration::from_millis(7), at))
        );
        for strange in [list(&[1, 3, 0]), list(&[1, -1, 0, 0]), RedisReply::Nil] {
            assert_eq!(decision(strange), None);
        }
    }
}
