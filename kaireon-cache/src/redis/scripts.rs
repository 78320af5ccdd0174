//! What is done to a customer's key, each by a script that touches that key alone.
//!
//! The key is a hash. Of a value `n` it has a field `vn`, the bytes, and, where it has a time to live, `en`, when it
//! ends by the server's clock in milliseconds; where it is being fetched under a lease, `nn`, the token of that, and `ln`,
//! when it ends, both for a minute longer at least; a `t` is until when nothing that was fetched is kept, behind an erasure.
//! The key as a whole expires with the last of its values, where all of them do. Redis before 7.4 has no expiry of
//! fields: what has expired counts as absent, and whoever sets or deletes looks at a few fields at random and takes away
//! those that have, as the server does with keys, so that they are about as many as the living at most.

use std::sync::LazyLock;

use kaireon_connect::redis::RedisScript;

/// The server's clock, and whether something has ended by it.
macro_rules! with_clock {
    ($text:literal) => {
        concat!(
            "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function dead(name)
  local ends = redis.call('HGET', KEYS[1], 'e' .. name)
  return ends and tonumber(ends) <= now
end
local function sweep()
  for _, field in ipairs(redis.call('HRANDFIELD', KEYS[1], 8)) do
    local name = string.sub(field, 2)
    if string.sub(field, 1, 1) == 'e' and dead(name) then
      redis.call('HDEL', KEYS[1], 'v' .. name, field)
    elseif string.sub(field, 1, 1) == 'l' and tonumber(redis.call('HGET', KEYS[1], field)) + 60000 < now then
      redis.call('HDEL', KEYS[1], 'n' .. name, field)
    end
  end
end
",
            $text
        )
    };
}

/// Names; answers each one's value, or nil.
pub(super) static GET: LazyLock<RedisScript> = LazyLock::new(|| {
    RedisScript::new(with_clock!(
        "
local found = {}
for at, name in ipairs(ARGV) do
  found[at] = redis.call('HGET', KEYS[1], 'v' .. name)
  if found[at] and dead(name) then found[at] = false end
end
return found"
    ))
});

/// A time to live in milliseconds or 0, a condition, then names and values; answers each one's 1 or 0.
pub(super) static SET: LazyLock<RedisScript> = LazyLock::new(|| {
    RedisScript::new(with_clock!(
        "
local ttl, condition = tonumber(ARGV[1]), ARGV[2]
local left = redis.call('PTTL', KEYS[1])
local held = tonumber(redis.call('HGET', KEYS[1], 't') or '0') > now
local done, any = {}, false
for at = 3, #ARGV, 2 do
  local name = ARGV[at]
  local there = redis.call('HEXISTS', KEYS[1], 'v' .. name) == 1 and not dead(name)
  local set = condition == 'always' or (condition == 'present') == there
  if held and string.sub(name, 1, 1) == 'f' then set = false end
  if set then
    redis.call('HSET', KEYS[1], 'v' .. name, ARGV[at + 1])
    if ttl > 0 then
      redis.call('HSET', KEYS[1], 'e' .. name, string.format('%.0f', now + ttl))
    else
      redis.call('HDEL', KEYS[1], 'e' .. name)
    end
    any = true
  end
  done[#done + 1] = set and 1 or 0
end
if any then
  if ttl == 0 then
    if left >= 0 then redis.call('PERSIST', KEYS[1]) end
  elseif left == -2 or (left >= 0 and left < ttl) then
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
  end
  sweep()
end
return done"
    ))
});

/// Names; answers how many of them were there.
pub(super) static DEL: LazyLock<RedisScript> = LazyLock::new(|| {
    RedisScript::new(with_clock!(
        "
local deleted = 0
for _, name in ipairs(ARGV) do
  local was_dead = dead(name)
  if redis.call('HDEL', KEYS[1], 'v' .. name) == 1 and not was_dead then deleted = deleted + 1 end
  redis.call('HDEL', KEYS[1], 'e' .. name, 'n' .. name, 'l' .. name)
end
if redis.call('EXISTS', KEYS[1]) == 1 then sweep() end
return deleted"
    ))
});

/// A name and for how many milliseconds; answers whether the lease is granted, and its token and what lies there, or after
/// how many milliseconds it ends. For what a token is see the leases without a customer.
pub(super) static TAKE: LazyLock<RedisScript> = LazyLock::new(|| {
    RedisScript::new(with_clock!(
        "
local name, lasting = ARGV[1], tonumber(ARGV[2])
local held = redis.call('HMGET', KEYS[1], 'n' .. name, 'l' .. name, 'v' .. name)
if held[2] and now < tonumber(held[2]) then return {0, held[2] - now} end
local token = math.max(tonumber(held[1] or '0') + 1, time[1] * 1000000 + time[2])
local left = redis.call('PTTL', KEYS[1])
redis.call('HSET', KEYS[1], 'n' .. name, string.format('%.0f', token), 'l' .. name, string.format('%.0f', now + lasting))
if left == -2 or (left >= 0 and left < lasting + 60000) then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', lasting + 60000))
end
local found = held[3]
if found and dead(name) then found = false end
return {1, token, found}"
    ))
});

/// A name, a token, a time to live in milliseconds and a value; answers whether it was kept.
pub(super) static KEEP: LazyLock<RedisScript> = LazyLock::new(|| {
    RedisScript::new(with_clock!(
        "
local name, ttl = ARGV[1], tonumber(ARGV[3])
if redis.call('HGET', KEYS[1], 'n' .. name) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], 'n' .. name, 'l' .. name)
if tonumber(redis.call('HGET', KEYS[1], 't') or '0') > now and string.sub(name, 1, 1) == 'f' then return 0 end
local left = redis.call('PTTL', KEYS[1])
redis.call('HSET', KEYS[1], 'v' .. name, ARGV[4], 'e' .. name, string.format('%.0f', now + ttl))
if left == -2 or (left >= 0 and left < ttl) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
sweep()
return 1"
    ))
});

/// A name and a token.
pub(super) static RELEASE: LazyLock<RedisScript> = LazyLock::new(|| {
    RedisScript::new(
        "
if redis.call('HGET', KEYS[1], 'n' .. ARGV[1]) == ARGV[2] then
  redis.call('HDEL', KEYS[1], 'n' .. ARGV[1], 'l' .. ARGV[1])
end
return 0",
    )
});

/// For how many milliseconds nothing that was fetched is kept; answers how many values were there.
pub(super) static ERASE: LazyLock<RedisScript> = LazyLock::new(|| {
    RedisScript::new(with_clock!(
        "
local erased = 0
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 1) == 'v' and not dead(string.sub(field, 2)) then erased = erased + 1 end
end
redis.call('UNLINK', KEYS[1])
redis.call('HSET', KEYS[1], 't', string.format('%.0f', now + ARGV[1]))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return erased"
    ))
});
