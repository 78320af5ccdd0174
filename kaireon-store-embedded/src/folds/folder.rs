//! The thread that makes parts into customers' own values, and forgets the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fjall::Slice;
use kaireon_core::summary::packed::{put_stats, stats_of};
use kaireon_core::wire::corrupt;
use kaireon_core::{Error, Result, Stats};

use super::{Own, Part};
use crate::client::{Change, Engine, Space, Unseen, guarded};
use crate::error::of_engine;
use crate::keys;
use crate::shared::Shared;

/// How many customers are written at once: few enough that a commit of the writer does not wait long for it.
const PIECE: usize = 128;

/// How many rows of the log are forgotten at once.
const TRIM: usize = 1_024;

/// How long the thread rests after a failure.
const PAUSE: Duration = Duration::from_millis(100);

/// What the thread does until it is stopped.
pub(crate) fn run(shared: &Arc<Shared>) {
    let folds = &shared.folds;
    while folds.wait(shared.config.fold_buffer_bytes) {
        let failed = fold_all(shared).err();
        folds.set_failing(failed.is_some());
        if let Some(error) = failed {
            // All of it is still in the log, and the next turn tries again.
            tracing::warn!(%error, "summaries of the embedded store wait in its log, because they could not be folded");
            folds.rest(PAUSE);
        }
    }
}

/// Makes everything that was committed before the call part of its customer's value, and forgets its log; what is
/// committed while it runs may be left.
///
/// # Errors
/// As the engine's; `Corrupt` where a customer's value cannot be read, after all others were folded. What was not
/// folded stays in memory and in the log.
pub(crate) fn fold_all(shared: &Shared) -> Result<()> {
    let folds = &shared.folds;
    let _round = folds.rounds.lock();
    // What a failure left is folded as it was sealed: whether it is part of a value already is known for the whole.
    fold_sealed(shared)?;
    let (upto, openings) = {
        let turn = folds.turn();
        (folds.seal()?, turn.openings)
    };
    let damaged = fold_sealed(shared)?;
    let upto = damaged
        .as_ref()
        .map_or(upto, |(oldest, _)| upto.min(oldest.saturating_sub(1)));
    trim(shared, openings, upto)?;
    damaged.map_or(Ok(()), |(_, error)| Err(error))
}

/// Folds what is sealed; the first commit of what could not be, and why.
fn fold_sealed(shared: &Shared) -> Result<Option<(u64, Error)>> {
    let folds = &shared.folds;
    let openings = folds.turn().openings;
    let mut damaged: Option<(u64, Error)> = None;
    for piece in folds.sealed().chunks(PIECE) {
        let turn = folds.turn();
        if turn.openings != openings {
            // The log was read again; the parts are others now.
            return Ok(None);
        }
        let engine = shared.engine()?;
        let left = guarded(|| fold_piece(shared, &engine, piece))?;
        for (from, error) in left {
            let oldest = damaged.as_ref().map_or(from, |(oldest, _)| from.min(*oldest));
            damaged = Some((oldest, error));
        }
    }
    Ok(damaged)
}

/// Folds some customers' parts in one write. Under the turn.
fn fold_piece(shared: &Shared, engine: &Engine, piece: &[(Slice, Arc<Part>)]) -> Result<Vec<(u64, Error)>> {
    let mut changes: Vec<Change> = Vec::with_capacity(piece.len() * 2);
    let mut closed: BTreeMap<Vec<u8>, Stats> = BTreeMap::new();
    let (mut values, mut left) = (Vec::with_capacity(piece.len()), Vec::new());
    for (key, part) in piece {
        match fold_one(shared, engine, (key, part), &mut changes, &mut closed) {
            Ok(value) => values.push((key, value)),
            Err(error) => left.push((part.from, error)),
        }
    }
    for (key, mut stats) in closed {
        if let Some(row) = engine.get(Space::Closed, &key)? {
            stats.merge(&stats_of(&row)?);
        }
        let mut row = Vec::with_capacity(64);
        put_stats(&mut row, &stats);
        changes.push((Space::Closed, key.into(), Some(row.into())));
    }
    if !changes.is_empty() {
        // Durable with the next commit of the writer; until then the log is what survives.
        let shards = shared.hot.withhold(values.iter().map(|(key, _)| &***key));
        // Before the parts are forgotten, and in the shards: who does not find the one finds the other.
        let committed = engine.write(changes).map(Unseen::show).map_err(of_engine);
        let kept = values.iter().filter(|_| committed.is_ok());
        let kept = kept.filter_map(|(key, value)| Some((Box::from(&***key), value.clone()?)));
        shared.hot.publish(shards, kept);
        committed?;
    }
    shared.folds.forget_sealed(values.iter().map(|(key, _)| *key));
    Ok(left)
}

/// Stages one customer's value; the value, where it is new and worth keeping in memory.
fn fold_one(
    shared: &Shared,
    engine: &Engine,
    (key, part): (&Slice, &Arc<Part>),
    changes: &mut Vec<Change>,
    closed: &mut BTreeMap<Vec<u8>, Stats>,
) -> Result<Option<Slice>> {
    let (tenant, customer) = keys::read_customer(key).ok_or_else(|| corrupt("a customer has no id"))?;
    if shared.generation(engine, &tenant, &customer)? != part.generation {
        // Erased meanwhile; the log of it is forgotten with the rest.
        return Ok(None);
    }
    let hot = shared.hot.get(key);
    let was_hot = hot.is_some();
    let stored = match hot {
        Some(value) => Some(value),
        None => engine.get(Space::Customers, key)?,
    };
    let own = Own::of(stored.as_deref(), std::slice::from_ref(part))?;
    let Some(mut own) = own.filter(|own| own.is_new) else {
        return Ok(stored.filter(|_| was_hot));
    };
    let value = own.encode();
    let rows = keys::rows(key, own.generation);
    for summary in &own.closed {
        let row = keys::closed(&rows, summary.period, summary.dimension, &summary.value);
        closed.entry(row).or_default().merge(&summary.stats);
    }
    if stored.is_none() {
        // So that the customer of a tombstone, which is only a digest, can be found.
        let digest = shared.tenant(&tenant).key.customer(&customer);
        let id = Slice::from(customer.as_str().as_bytes());
        changes.push((
            Space::Registry,
            keys::by_digest(&tenant, &digest).into(),
            Some(id),
        ));
    }
    changes.push((Space::Customers, key.clone(), Some(value.clone())));
    Ok(was_hot.then_some(value))
}

/// Forgets the log up to a commit.
fn trim(shared: &Shared, openings: u64, upto: u64) -> Result<()> {
    loop {
        let turn = shared.folds.turn();
        if turn.openings != openings {
            return Ok(());
        }
        let rows = shared.folds.logged_upto(upto, TRIM);
        if rows.is_empty() {
            return Ok(());
        }
        let changes = rows
            .iter()
            .map(|sequence| (Space::Folds, keys::fold(*sequence).into(), None));
        let engine = shared.engine()?;
        engine.write(changes.collect()).map_err(of_engine)?.show();
        shared.folds.forget_logged(rows.len());
    }
}
