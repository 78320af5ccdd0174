//! Trying again the items of a batch that need it.

use std::collections::HashSet;
use std::hash::Hash;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::Retry;
use super::attempts::{Attempts, doubtful};
use crate::store::{BatchOutcome, ItemOutcome};
use crate::wrap::operation::Operation;
use crate::{Effect, Error, ErrorKind, Result};

/// Which of the items that may be sent again are to be held back, given all items and their outcomes so far.
pub(super) type HoldBack<I, R> = fn(&[I], &[ItemOutcome<R>], &mut Vec<usize>);

/// Holds nothing back: the items do not depend on each other.
pub(super) fn nothing<I, R>(_: &[I], _: &[ItemOutcome<R>], _: &mut Vec<usize>) {}

/// Holds back items behind which one with the same key was done: sent now, they would come after it. Items
/// without a key have no order.
pub(super) fn hold_overtaken<'a, I, R, K: Eq + Hash>(
    items: &'a [I],
    outcomes: &[ItemOutcome<R>],
    open: &mut Vec<usize>,
    key: impl Fn(&'a I) -> Option<K>,
) {
    if open.is_empty() {
        return;
    }
    // From the last to the first, so that the keys seen are those of later items.
    let mut done = HashSet::new();
    let mut held = HashSet::new();
    for (place, (item, outcome)) in items.iter().zip(outcomes).enumerate().rev() {
        let Some(key) = key(item) else { continue };
        if matches!(outcome, ItemOutcome::Done(_)) {
            done.insert(key);
        } else if done.contains(&key) {
            held.insert(place);
        }
    }
    open.retain(|place| !held.contains(place));
}

impl<T> Retry<T> {
    pub(super) async fn repeated_batch<'a, I: Clone + Send + Sync, R: Send + Sync>(
        &'a self,
        operation: Operation,
        items: Vec<I>,
        hold_back: HoldBack<I, R>,
        mut send: impl FnMut(Vec<I>) -> BoxFuture<'a, Result<BatchOutcome<R>>> + Send,
    ) -> Result<BatchOutcome<R>> {
        let mut attempts = self.attempts(operation);
        let mut outcomes = loop {
            match send(items.clone()).await {
                Ok(outcome) => break checked(outcome, items.len())?,
                Err(error) => Box::pin(attempts.pause_after(error)).await?,
            }
        };
        if attempts.maybe_applied() {
            for outcome in &mut outcomes {
                if let ItemOutcome::Failed(error) = outcome {
                    *error = doubtful(error.clone(), true);
                }
            }
        }
        loop {
            let mut open: Vec<usize> = (0..items.len())
                .filter(|&place| is_open(&attempts, &outcomes[place]))
                .collect();
            hold_back(&items, &outcomes, &mut open);
            let Some((asked, kind)) = reason(&outcomes, &open) else {
                return Ok(BatchOutcome::from_items(outcomes));
            };
            if !Box::pin(attempts.pause(asked, kind)).await {
                settle(&mut outcomes, &open);
                return Ok(BatchOutcome::from_items(outcomes));
            }
            let again = open.iter().map(|&place| items[place].clone()).collect();
            let answers = match send(again).await {
                Ok(outcome) => checked(outcome, open.len())?,
                Err(error) => open.iter().map(|_| ItemOutcome::Failed(error.clone())).collect(),
            };
            for (place, answer) in open.into_iter().zip(answers) {
                merge(&mut outcomes[place], answer, attempts.maybe_applied());
            }
        }
    }
}

/// The outcomes, if there is one for each item.
fn checked<R>(outcome: BatchOutcome<R>, items: usize) -> Result<Vec<ItemOutcome<R>>> {
    let outcomes = outcome.into_items();
    if outcomes.len() == items {
        return Ok(outcomes);
    }
    Err(Error::new(
        ErrorKind::Internal,
        format!("{} outcomes for a batch of {items}", outcomes.len()),
    ))
}

fn is_open<R>(attempts: &Attempts<'_>, outcome: &ItemOutcome<R>) -> bool {
    match outcome {
        ItemOutcome::Done(_) => false,
        ItemOutcome::Failed(error) => attempts.may_repeat(error),
        ItemOutcome::NotAttempted => true,
    }
}

/// Why the open items are sent again, and after which pause at least; `None` when there is none.
fn reason<R>(outcomes: &[ItemOutcome<R>], open: &[usize]) -> Option<(Option<Duration>, ErrorKind)> {
    let _ = open.first()?;
    let errors = || {
        open.iter().filter_map(|&place| match &outcomes[place] {
            ItemOutcome::Failed(error) => Some(error),
            ItemOutcome::Done(_) | ItemOutcome::NotAttempted => None,
        })
    };
    let asked = errors().filter_map(Error::retry_after).max();
    let kind = errors().next().map_or(ErrorKind::Unavailable, Error::kind);
    Some((asked, kind))
}

/// Puts an item's answer in place of its last one.
fn merge<R>(last: &mut ItemOutcome<R>, answer: ItemOutcome<R>, maybe_applied: bool) {
    let maybe_applied =
        maybe_applied || matches!(last, ItemOutcome::Failed(error) if error.effect() == Effect::Unknown);
    match answer {
        ItemOutcome::Failed(error) => *last = ItemOutcome::Failed(doubtful(error, maybe_applied)),
        // "Not attempted" would deny the attempt before, which may have been applied.
        ItemOutcome::NotAttempted if maybe_applied => {}
        answer => *last = answer,
    }
}

/// Marks what was to be sent again, and may not be any more.
fn settle<R>(outcomes: &mut [ItemOutcome<R>], open: &[usize]) {
    for &place in open {
        if let ItemOutcome::Failed(error) = &mut outcomes[place] {
            *error = error.clone().with_transient(false);
        }
    }
}
