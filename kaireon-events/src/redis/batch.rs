//! Many events in one command: a script that publishes them in their order, and stops a key at its first failure.

use std::collections::HashMap;
use std::sync::LazyLock;

use kaireon_connect::redis::{RedisClient, RedisCommand, RedisFault, RedisReply, RedisScript};
use kaireon_core::store::ItemOutcome;
use kaireon_core::{Effect, Error, Event, Result};

use super::error::{failed, strange, too_large};

const OPERATION: &str = "publish_batch";

/// Events of one script, which is what a relay hands over at once: it holds up the server for about a microsecond each.
const MOST_EVENTS: usize = 512;

/// Bytes of the envelopes of one script, unless a single one is larger.
const MOST_BYTES: usize = 1 << 20;

/// For each event a number that stands for its key (0: none), its channel and its envelope. Tells of each 1, or 0 where
/// an event of its key failed before it, or the server's words.
static PUBLISH: LazyLock<RedisScript> = LazyLock::new(|| {
    RedisScript::new(
        "local failed, told = {}, {}
for at = 1, #ARGV, 3 do
  local key, outcome = ARGV[at], 1
  if failed[key] then
    outcome = 0
  else
    local answer = redis.pcall('PUBLISH', ARGV[at + 1], ARGV[at + 2])
    if type(answer) == 'table' and answer.err then
      outcome = answer.err
      if key ~= '0' then failed[key] = true end
    end
  end
  told[#told + 1] = outcome
end
return told",
    )
});

/// Publishes events in their order; `beside` as for a single one.
pub(super) async fn publish(
    client: &RedisClient,
    beside: &[u8],
    events: &[Event],
    max_event_bytes: usize,
) -> Vec<ItemOutcome<()>> {
    let mut keys = Keys::default();
    let mut outcomes: Vec<Option<ItemOutcome<()>>> = events.iter().map(|_| None).collect();
    let mut next = 0;
    while next < events.len() {
        let (mut part, mut bytes) = (Vec::new(), 0);
        let mut command = RedisCommand::write_script_beside(&PUBLISH, beside);
        while let Some(event) = events.get(next) {
            let (at, key, envelope) = (next, keys.of(event), event.envelope());
            let full = part.len() == MOST_EVENTS || bytes + envelope.len() > MOST_BYTES;
            if full && !part.is_empty() {
                break;
            }
            next += 1;
            if keys.failed(key) {
                outcomes[at] = Some(ItemOutcome::NotAttempted);
            } else if envelope.len() > max_event_bytes {
                outcomes[at] = Some(ItemOutcome::Failed(too_large()));
                // What can never be published holds up what follows it in this batch, and no other.
                keys.fail(key);
            } else {
                bytes += envelope.len();
                let channel = event.event_type().as_str().to_owned();
                command = command.arg(key.to_string()).arg(channel).arg(envelope);
                part.push((at, key));
            }
        }
        if part.is_empty() {
            continue;
        }
        let told = match client.call(command).await {
            Ok(reply) => read(reply, part.len()),
            Err(fault) => Err(failed(fault, OPERATION)),
        };
        match told {
            Ok(told) => {
                for (&(at, key), outcome) in part.iter().zip(told) {
                    if !matches!(outcome, ItemOutcome::Done(())) {
                        keys.fail(key);
                    }
                    outcomes[at] = Some(outcome);
                }
            }
            Err(error) => {
                for &(at, key) in &part {
                    // What may have been published was attempted.
                    let behind = keys.failed(key) && error.effect() == Effect::NotApplied;
                    outcomes[at] = Some(match behind {
                        true => ItemOutcome::NotAttempted,
                        false => ItemOutcome::Failed(error.clone()),
                    });
                    keys.fail(key);
                }
                // The next would hardly fare better.
                break;
            }
        }
    }
    let outcomes = outcomes.into_iter();
    outcomes
        .map(|outcome| outcome.unwrap_or(ItemOutcome::NotAttempted))
        .collect()
}

fn read(reply: RedisReply, count: usize) -> Result<Vec<ItemOutcome<()>>> {
    let told = reply.into_list().filter(|told| told.len() == count);
    let told = told.ok_or_else(|| strange(OPERATION))?;
    told.into_iter()
        .map(|one| match (one.as_int(), one.as_text()) {
            (Some(1), _) => Ok(ItemOutcome::Done(())),
            (Some(0), _) => Ok(ItemOutcome::NotAttempted),
            (_, Some(words)) => Ok(ItemOutcome::Failed(refused(words))),
            _ => Err(strange(OPERATION)),
        })
        .collect()
}

fn refused(words: &str) -> Error {
    failed(RedisFault::told(words), OPERATION)
}

/// The keys of a batch, each by a number, and which of them failed.
#[derive(Default)]
struct Keys<'e> {
    numbers: HashMap<&'e str, usize>,
    failed: Vec<usize>,
}

impl<'e> Keys<'e> {
    /// 0 for none.
    fn of(&mut self, event: &'e Event) -> usize {
        let next = self.numbers.len() + 1;
        event
            .key()
            .map_or(0, |key| *self.numbers.entry(key).or_insert(next))
    }

    fn fail(&mut self, key: usize) {
        if key != 0 && !self.failed(key) {
            self.failed.push(key);
        }
    }

    fn failed(&self, key: usize) -> bool {
        self.failed.contains(&key)
    }
}
