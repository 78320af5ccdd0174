//! The circuit breaker.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kaireon_connect::redis::{RedisClient, RedisCommand, RedisReply, RedisScript};
use kaireon_core::Result;
use kaireon_core::breaker::{Admission, BreakerConfig, BreakerState, CallResult, CircuitBreaker, check_name};

use super::cache::ttl_ms;
use super::error::{call, strange};

/// What the name of a breaker's key begins with, behind the prefix; other keys of the cache begin otherwise.
const BREAKER: char = '\u{4}';

/// For how long at least a breaker is remembered that nobody asks.
const IDLE: Duration = Duration::from_secs(24 * 60 * 60);

/// Circuit breakers for every process that reaches the same Redis: what one process's calls have found out holds for
/// all. A clone is the same handle. It is had of a [`RedisCache`](crate::RedisCache), whose connection it shares and with
/// whose `disconnect` it ends.
///
/// - **One round trip** and one command for each call, a script that touches one key.
/// - **Memory.** A key of each name, a hash of at most ten short fields, under 200 bytes besides the name. It is gone a day
///   after its last call, or twice what [`BreakerConfig`] says where that is longer: a breaker that nobody has asked for
///   so long is closed. The host's name of a breaker is on the server as it is.
/// - **Clock.** The server's. Where it is moved back, or another server with a slower clock takes over, the time of a
///   breaker stands still for that moment and runs on from there, unless it is closed: then it has no time.
/// - **Configuration.** Each handle goes by its own: processes that share breakers are to be given the same.
/// - **Lost answers.** An admission whose answer is lost is one that was never reported. A report may have counted; it is
///   sent again only by whoever calls again.
/// - **Lost keys.** A server that evicts a key, or loses its last writes, takes the breaker for a closed one; an admission
///   from before that is not taken for a later one, because their numbers go by the server's time.
/// - **Outage.** The call fails; in-process breakers stand in with a
///   [`FallbackBreaker`](kaireon_core::breaker::FallbackBreaker).
#[derive(Clone)]
pub struct RedisBreaker(Arc<Inner>);

struct Inner {
    client: RedisClient,
    prefix: String,
    config: BreakerConfig,
}

impl RedisBreaker {
    pub(super) fn new(client: RedisClient, prefix: String, config: BreakerConfig) -> Self {
        Self(Arc::new(Inner {
            client,
            prefix,
            config,
        }))
    }

    fn place(&self, breaker: &str) -> Bytes {
        format!("{}{BREAKER}{breaker}", self.0.prefix).into()
    }

    /// A script on a breaker's key, with what both writing ones are told.
    fn write(&self, script: &'static RedisScript, breaker: &str) -> RedisCommand {
        let BreakerConfig {
            failures: _,
            open_for,
            probes: _,
            probe_timeout,
        } = self.0.config;
        let idle = IDLE.max(open_for.saturating_add(probe_timeout).saturating_mul(2));
        RedisCommand::write_script(script, self.place(breaker)).arg(ttl_ms(Some(idle)).to_string())
    }
}

impl fmt::Debug for RedisBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBreaker")
            .field("client", &self.0.client)
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

/// Whether it is admitted, and its number or after how many milliseconds.
fn admission(answer: RedisReply) -> Option<Admission> {
    let parts = answer.into_list()?;
    let [admitted, number] = parts.as_slice() else {
        return None;
    };
    let number = u64::try_from(number.as_int()?).ok()?;
    Some(match admitted.as_int()? {
        1 => Admission::Admitted(number),
        _ => Admission::Refused(Duration::from_millis(number)),
    })
}

fn state(answer: &RedisReply) -> Option<BreakerState> {
    match answer.as_int()? {
        0 => Some(BreakerState::Closed),
        1 => Some(BreakerState::Open),
        2 => Some(BreakerState::HalfOpen),
        _ => None,
    }
}

#[async_trait]
impl CircuitBreaker for RedisBreaker {
    async fn admit(&self, breaker: &str) -> Result<Admission> {
        check_name(breaker)?;
        let command = self.write(&ADMIT, breaker);
        let command = command.arg(ttl_ms(Some(self.0.config.probe_timeout)).to_string());
        let answer = call(&self.0.client, command, "admit").await?;
        admission(answer).ok_or_else(|| strange("admit"))
    }

    async fn report(&self, breaker: &str, admission: u64, result: CallResult) -> Result<()> {
        check_name(breaker)?;
        let BreakerConfig {
            failures,
            open_for,
            probes,
            probe_timeout: _,
        } = self.0.config;
        let result = match result {
            CallResult::Success => "1",
            CallResult::Failure => "0",
        };
        let command = self
            .write(&REPORT, breaker)
            .arg(admission.to_string())
            .arg(result)
            .arg(failures.to_string())
            .arg(ttl_ms(Some(open_for)).to_string())
            .arg(probes.to_string());
        call(&self.0.client, command, "report").await?;
        Ok(())
    }

    async fn state(&self, breaker: &str) -> Result<BreakerState> {
        check_name(breaker)?;
        let command = RedisCommand::read_script(&STATE, self.place(breaker));
        let answer = call(&self.0.client, command, "state").await?;
        state(&answer).ok_or_else(|| strange("state"))
    }
}

/// What each script begins with.
///
/// The key is a hash. `phase` is `o` for open and `h` for half open; without it the breaker is closed. `next` is the next
/// admission's number and `since` the first one behind the last change of phase; the very first is the server's time in
/// microseconds, so that it is none that a lost key has given. `failures` are those in a row of a closed breaker, and
/// `successes` those of a half-open one. `until` is when an open one lets a probe through, or the probe that is out
/// counts as failed, and `probe` is that one's number. `last` is the latest time that was gone by, and `ahead` how far the
/// breaker's time is ahead of the server's clock: both only of breakers that are not closed.
///
/// Numbers are below 2^53, which Lua holds without loss, and are written in decimal.
macro_rules! with_breaker {
    ($text:literal) => {
        concat!(
            "
local key = KEYS[1]
local read = redis.call('HMGET', key, 'phase', 'next', 'since', 'failures', 'successes', 'until', 'probe', 'last', 'ahead')
local phase = read[1] or 'c'
local next, since = tonumber(read[2] or '-1'), tonumber(read[3] or '0')
local failures, successes = tonumber(read[4] or '0'), tonumber(read[5] or '0')
local ends, probe = tonumber(read[6] or '0'), read[7]
local last, ahead = tonumber(read[8] or '0'), tonumber(read[9] or '0')
local function decimal(number) return string.format('%.0f', number) end
local function time()
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000) + ahead
  if now < last then
    ahead = ahead + last - now
    now = last
  end
  return now
end
",
            $text
        )
    };
}

/// For how many milliseconds an idle breaker is remembered, and a probe may be out; answers as [`admission`] reads it.
static ADMIT: LazyLock<RedisScript> = LazyLock::new(|| {
    RedisScript::new(with_breaker!(
        "
if phase == 'c' then
  if next < 0 then
    local time = redis.call('TIME')
    next = time[1] * 1000000 + time[2]
    redis.call('HSET', key, 'since', decimal(next))
  end
  redis.call('HSET', key, 'next', decimal(next + 1))
  redis.call('PEXPIRE', key, ARGV[1])
  return {1, next}
end
local now = time()
redis.call('HSET', key, 'last', decimal(now), 'ahead', decimal(ahead))
redis.call('PEXPIRE', key, ARGV[1])
if (phase == 'o' or probe) and now < ends then
  return {0, ends - now}
end
if phase == 'o' then since = next end
if phase == 'o' or probe then successes = 0 end
redis.call('HSET', key, 'phase', 'h', 'since', decimal(since), 'successes', decimal(successes),
  'probe', decimal(next), 'until', decimal(now + ARGV[2]), 'next', decimal(next + 1))
return {1, next}"
    ))
});

/// For how many milliseconds an idle breaker is remembered; an admission's number; 1 for a success and 0 for a failure;
/// how many failures open a breaker, for how many milliseconds, and how many successes close it.
static REPORT: LazyLock<RedisScript> = LazyLock::new(|| {
    RedisScript::new(with_breaker!(
        "
local admission, succeeded = tonumber(ARGV[2]), ARGV[3] == '1'
if phase == 'o' or admission < since or admission >= next then return 0 end
local function open(now)
  redis.call('HSET', key, 'phase', 'o', 'until', decimal(now + ARGV[5]), 'since', decimal(next),
    'last', decimal(now), 'ahead', decimal(ahead))
  redis.call('HDEL', key, 'failures', 'successes', 'probe')
  redis.call('PEXPIRE', key, ARGV[1])
end
if phase == 'c' then
  if succeeded then
    if failures > 0 then redis.call('HDEL', key, 'failures') end
  elseif failures + 1 >= tonumber(ARGV[4]) then
    open(time())
  else
    redis.call('HSET', key, 'failures', decimal(failures + 1))
  end
  return 1
end
local now = time()
if not probe or tonumber(probe) ~= admission or now >= ends then return 0 end
if not succeeded then
  open(now)
elseif successes + 1 >= tonumber(ARGV[6]) then
  redis.call('HSET', key, 'since', decimal(next))
  redis.call('HDEL', key, 'phase', 'failures', 'successes', 'until', 'probe', 'last', 'ahead')
else
  redis.call('HSET', key, 'successes', decimal(successes + 1), 'last', decimal(now), 'ahead', decimal(ahead))
  redis.call('HDEL', key, 'probe')
end
return 1"
    ))
});

/// Answers 0 for closed, 1 for open and 2 for half open.
static STATE: LazyLock<RedisScript> = LazyLock::new(|| {
    RedisScript::new(with_breaker!(
        "
if phase == 'c' then return 0 end
if phase == 'o' and time() < ends then return 1 end
return 2"
    ))
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_or_refused_as_a_whole() {
        let list = |numbers: &[i64]| RedisReply::List(numbers.iter().copied().map(RedisReply::Int).collect());
        assert_eq!(admission(list(&[1, 7])), Some(Admission::Admitted(7)));
        assert_eq!(
            admission(list(&[0, 7])),
            Some(Admission::Refused(Duration::from_millis(7)))
        );
        for strange in [list(&[1]), list(&[1, -1]), list(&[1, 1, 1]), RedisReply::Nil] {
            assert_eq!(admission(strange), None);
        }
        assert_eq!(state(&RedisReply::Int(2)), Some(BreakerState::HalfOpen));
        assert_eq!(state(&RedisReply::Int(3)), None);
        assert_eq!(state(&RedisReply::Nil), None);
    }
}
