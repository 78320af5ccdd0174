//! The end of a set.

use std::sync::Arc;

use kaireon_core::{Error, ErrorKind, Result};
use tokio::time::Instant;

use super::Set;
use super::backends::Backends;
use super::connected::{Connected, Disconnect};
use super::handles::Gates;
use crate::gate::Gate;
use crate::report::{DrainReport, Outcome, Part};

/// Which part of a deadline the calls that are under way have to themselves.
const CALLS_SHARE: f64 = 0.8;

impl Set {
    /// Finishes what was accepted, delivers what waits in the outbox, and lets go of all that `next` has not taken
    /// over.
    pub(crate) async fn drain(&self, next: Option<&Self>, deadline: Instant) -> DrainReport {
        self.close();
        let Gates {
            store,
            events,
            search,
            cache,
            limits,
            breakers,
        } = &self.gates;
        // One call that hangs must not take the time in which all else could end well.
        let calls = Instant::now()
            + deadline
                .saturating_duration_since(Instant::now())
                .mul_f64(CALLS_SHARE);
        let (store, events, search, cache, _, _) = tokio::join!(
            emptied(store, calls),
            emptied(events, calls),
            emptied(search, calls),
            emptied(cache, calls),
            emptied(limits, calls),
            emptied(breakers, calls),
        );
        let streams = self.streams.drain(next.map(|next| &*next.streams), deadline);
        let (relay, mut parts) = tokio::join!(streams, self.drain_switch(next, deadline));
        parts.insert(0, (Part::Relay, relay.map_or(Outcome::CarriedOver, outcome)));
        let next = next.map(|next| &next.backends);
        let Backends {
            members,
            #[cfg(feature = "switch")]
                switch: _,
            events: events_backend,
            search: search_backend,
            cache: cache_backend,
            breaker: _,
            // Where there is a connection it is the cache's.
            ..
        } = &self.backends;
        let kept = next.is_some_and(|next| next.events.is(events_backend));
        parts.push((Part::Events, ended(events_backend, kept, events, deadline).await));
        let kept = next.is_some_and(|next| next.search.is(search_backend));
        parts.push((Part::Search, ended(search_backend, kept, search, deadline).await));
        let kept = next.is_some_and(|next| next.cache.is(cache_backend));
        parts.push((Part::Cache, ended(cache_backend, kept, cache, deadline).await));
        let mut stores = None;
        for member in members {
            let kept = next.is_some_and(|next| next.has(&member.store));
            let end = ended(&member.store, kept, store, deadline).await;
            stores = Some(stores.map_or(end.clone(), |before| worst(before, end)));
        }
        parts.extend(stores.map(|stores| (Part::Store, stores)));
        #[cfg(feature = "switch")]
        if let Some(switch) = &self.backends.switch {
            let next = next.and_then(|next| next.switch.as_ref());
            let kept = next.is_some_and(|next| next.settings.is(&switch.settings));
            let end = ended(&switch.settings, kept, true, deadline).await;
            parts.push((Part::Settings, end));
        }
        DrainReport::new(parts)
    }

    /// Ends what the switch does by itself: the relays between its stores, and comparisons of reads.
    #[cfg(feature = "switch")]
    async fn drain_switch(&self, next: Option<&Self>, deadline: Instant) -> Vec<(Part, Outcome)> {
        let Some(switch) = &self.backends.switch else {
            return Vec::new();
        };
        let next = next.and_then(|next| next.backends.switch.as_ref());
        if next.is_some_and(|next| next.is(switch)) {
            return vec![(Part::Replication, Outcome::CarriedOver)];
        }
        let compared = switch.tenants.switch_store().end_comparisons();
        let (drained, _) = tokio::join!(
            switch.replication.drain(deadline),
            tokio::time::timeout_at(deadline, compared)
        );
        vec![(Part::Replication, outcome(drained))]
    }

    #[cfg(not(feature = "switch"))]
    async fn drain_switch(&self, _: Option<&Self>, _: Instant) -> Vec<(Part, Outcome)> {
        Vec::new()
    }
}

/// How a backend ended whose calls have ended or not: it lives on where it is kept.
async fn ended<T: ?Sized + 'static>(
    backend: &Connected<T>,
    kept: bool,
    emptied: bool,
    deadline: Instant,
) -> Outcome
where
    Arc<T>: Disconnect,
{
    if kept {
        return carried(emptied);
    }
    let raw = Arc::clone(&backend.raw);
    let end = let_go(async move { raw.let_go().await }, deadline).await;
    worse(emptied, end)
}

/// The outcome of several, by the one that somebody should look at.
fn worst(one: Outcome, other: Outcome) -> Outcome {
    let rank = |outcome: &Outcome| match outcome {
        Outcome::CarriedOver => 0,
        Outcome::Drained => 1,
        Outcome::TimedOut => 2,
        Outcome::Failed(_) => 3,
    };
    match rank(&other) > rank(&one) {
        true => other,
        false => one,
    }
}

/// Whether the calls that were in have ended before the deadline.
async fn emptied(gate: &Gate, deadline: Instant) -> bool {
    tokio::time::timeout_at(deadline, gate.emptied()).await.is_ok()
}

/// Disconnects as a task of its own, which goes on after the deadline.
async fn let_go(disconnect: impl Future<Output = Result<()>> + Send + 'static, deadline: Instant) -> Outcome {
    match tokio::time::timeout_at(deadline, tokio::spawn(disconnect)).await {
        Err(_) => Outcome::TimedOut,
        Ok(Ok(result)) => outcome(result),
        Ok(Err(_)) => {
            let context = "disconnecting ended by a panic";
            Outcome::Failed(Error::new(ErrorKind::Internal, context).with_operation("disconnect"))
        }
    }
}

fn outcome(result: Result<()>) -> Outcome {
    match result {
        Ok(()) => Outcome::Drained,
        Err(error) if error.kind() == ErrorKind::Timeout => Outcome::TimedOut,
        Err(error) => Outcome::Failed(error),
    }
}

fn worse(emptied: bool, end: Outcome) -> Outcome {
    match end {
        Outcome::Drained if !emptied => Outcome::TimedOut,
        end => end,
    }
}

fn carried(emptied: bool) -> Outcome {
    if emptied {
        Outcome::CarriedOver
    } else {
        Outcome::TimedOut
    }
}
