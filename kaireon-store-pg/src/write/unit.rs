//! One batch in one transaction: taken, judged, folded, left.

use std::collections::HashMap;

use kaireon_core::outbox::{LaneSet, range_of};
use kaireon_core::store::{Generation, Origin, Recorded};
use kaireon_core::summary::packed::Packed;
use kaireon_core::time::TimeSource;
use kaireon_core::{CustomerId, Error, Result, TenantId};
use sqlx::postgres::PgBindIterExt;
use sqlx::{PgConnection, Row};

use super::closed::Closing;
use super::ids;
use super::judge::{Known, Settings, Verdict, judge};
use super::leave::Leaving;
use super::op::{Answer, Op, SharedOp, Value, Who};
use super::seats::{Seats, Wanted};
use crate::shared::{Shared, digest_of, uuid_of};

/// The most bytes of a packed value before its periods become rows of their own. Below a page's, so that the value
/// stays in its row.
const MAX_PACKED_BYTES: usize = 6 * 1024;

/// What is done about customers whom another transaction holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// They are left out.
    Skip,
    /// They are waited for, as long as the transaction's `lock_timeout` says.
    Wait,
}

/// Why a batch was not written. Nothing of it was.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server's error.
    Sql(sqlx::Error),
    /// An error of ours.
    Own(Error),
    /// Somebody else was first with a key that the batch depends on: try again.
    Race,
}

impl Failure {
    /// The error of a caller who does not try again by itself.
    pub(crate) fn into_error(self) -> Error {
        let error = match self {
            Self::Sql(error) => crate::error::of_sql(error),
            Self::Own(error) => error,
            Self::Race => Error::new(
                kaireon_core::ErrorKind::Unavailable,
                "a concurrent writer came first",
            ),
        };
        crate::error::not_applied(error)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

/// What a batch did, once it is committed.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// In the order of the operations; `None` where the customer is held.
    pub(crate) answers: Vec<Option<Result<Answer>>>,
    /// The lanes that were written to.
    pub(crate) told: LaneSet,
    /// Whether a generation was raised, so that something is to be deleted.
    pub(crate) raised: bool,
}

type Key = (i32, kaireon_core::digest::Digest);

/// Runs a batch within a transaction whose fences are locked.
pub(crate) async fn run(
    connection: &mut PgConnection,
    shared: &Shared,
    ops: &[SharedOp],
    held: Held,
) -> Result<Done, Failure> {
    let wanted: Wanted<'_> = ops
        .iter()
        .map(|op| (op.who, (op.value.tenant(), op.value.customer())))
        .collect();
    let mut seats = Seats::take(connection, shared, &wanted, held).await?;
    // What is judged: operations whose customers could be had and read.
    let mut answers: Vec<Option<Result<Answer>>> = Vec::with_capacity(ops.len());
    let mut judged: Vec<(&Op, usize)> = Vec::with_capacity(ops.len());
    let mut places: Vec<usize> = Vec::with_capacity(ops.len());
    for (place, op) in ops.iter().enumerate() {
        answers.push(match seats.place.get(&op.who) {
            _ if !seats.owns(op.who.0, op.value.tenant()) => Some(Ok(Answer::Renumbered)),
            None => None,
            Some(&seat) => match &seats.seats[seat].packed {
                Err(error) => Some(Err(error.clone())),
                Ok(_) => {
                    judged.push((op, seat));
                    places.push(place);
                    // Its verdict comes.
                    Some(Err(super::stragglers::unjudged()))
                }
            },
        });
    }
    let before: Vec<Generation> = seats.seats.iter().map(|seat| seat.generation).collect();
    let (verdicts, present) = settle(connection, shared, &judged, &seats, &before).await?;
    let mut done = Done::default();
    let mut leaving = Leaving::default();
    let mut closing = Closing::default();
    let mut touched = vec![false; seats.seats.len()];
    for (at, seat) in seats.seats.iter_mut().enumerate() {
        if present[at] > before[at] {
            raise(connection, shared, seat, present[at], wanted[&seat.who]).await?;
            touched[at] = true;
            done.raised = true;
        }
    }
    let mut closed = Vec::new();
    for ((op, at), verdict) in judged.iter().copied().zip(&verdicts) {
        let Verdict::New { generation, has_row } = *verdict else {
            continue;
        };
        let seat = &mut seats.seats[at];
        touched[at] = true;
        // A later record of this batch took it away again.
        if generation < present[at] {
            continue;
        }
        match &op.value {
            Value::Interaction(interaction) => {
                if let Ok(packed) = &mut seat.packed {
                    packed.record(interaction, &mut closed);
                }
                closing.add(seat.number, std::mem::take(&mut closed));
                if has_row {
                    leaving.rows.push((seat.number, interaction));
                }
            }
            Value::Decision(decision) if has_row => {
                leaving.decisions.push((seat.number, op.who.0, decision));
            }
            Value::Decision(_) => {}
        }
        if op.terms.origin == Origin::Live {
            let lanes = seats.settings[&op.who.0].lanes;
            leaving.tell(op, generation, lanes);
            done.told = LaneSet::from_bits(done.told.bits() | lanes.bits());
        }
    }
    let mut idle = Vec::new();
    for (at, seat) in seats.seats.iter_mut().enumerate() {
        if !touched[at] {
            // Nothing is to be known of a customer for whom nothing was accepted.
            if seat.fresh {
                idle.push(seat.number);
            }
            continue;
        }
        let Ok(packed) = &mut seat.packed else { continue };
        let mut bytes = Vec::with_capacity(512);
        packed.encode_within(MAX_PACKED_BYTES, &mut bytes, &mut closed);
        closing.add(seat.number, std::mem::take(&mut closed));
        leaving.customers.push((seat.number, present[at], bytes));
    }
    if !idle.is_empty() {
        shared
            .sql
            .leave_customers
            .query()
            .bind(idle)
            .execute(&mut *connection)
            .await?;
    }
    closing.write(connection, shared).await?;
    leaving.write(connection, shared).await?;
    for ((place, (op, _)), verdict) in places.into_iter().zip(&judged).zip(verdicts) {
        answers[place] = Some(answer_of(op, verdict));
    }
    done.answers = answers;
    Ok(done)
}

/// Judges the operations, and enters the keys of those that are new. Returns the verdicts, and the generation of each
/// seat after them.
async fn settle(
    connection: &mut PgConnection,
    shared: &Shared,
    judged: &[(&Op, usize)],
    seats: &Seats,
    before: &[Generation],
) -> Result<(Vec<Verdict>, Vec<Generation>), Failure> {
    let settings = |op: &Op| -> Settings { seats.settings[&op.who.0] };
    let mut known: HashMap<Key, Known> = HashMap::new();
    // Whether a generation is raised decides over other records, so it must not be raised by one that turns out to be
    // known: such batches (of other stores' records) look first.
    let raises = judged
        .iter()
        .any(|(op, at)| op.generation.is_some_and(|given| given > before[*at]));
    if raises {
        let keys: Vec<Key> = judged.iter().map(|(op, _)| op.dedupe()).collect();
        read_known(connection, shared, keys, &mut known).await?;
    }
    let mut present = before.to_vec();
    let verdicts = judge(judged.iter().copied(), settings, &mut present, &known);
    let mut fresh: Vec<&Op> = Vec::new();
    let mut in_question: Vec<Key> = Vec::new();
    for ((op, _), verdict) in judged.iter().zip(&verdicts) {
        match verdict {
            Verdict::New { .. } => fresh.push(op),
            Verdict::RefusedAsNew(_) if !raises => in_question.push(op.dedupe()),
            _ => {}
        }
    }
    let entered = enter_known(connection, shared, &mut fresh).await?;
    if entered.len() < fresh.len() && raises {
        return Err(Failure::Race);
    }
    in_question.extend(fresh.iter().map(|op| op.dedupe()));
    in_question.retain(|key| !entered.contains(key));
    if in_question.is_empty() {
        return Ok((verdicts, present));
    }
    read_known(connection, shared, in_question, &mut known).await?;
    let mut present = before.to_vec();
    let verdicts = judge(judged.iter().copied(), settings, &mut present, &known);
    // What is new now must have been entered: a key may have been forgotten between the two statements.
    let lost = judged
        .iter()
        .zip(&verdicts)
        .any(|((op, _), verdict)| matches!(verdict, Verdict::New { .. }) && !entered.contains(&op.dedupe()));
    if lost {
        return Err(Failure::Race);
    }
    Ok((verdicts, present))
}

/// Enters dedupe records, sorted by their keys; returns those that were not there.
async fn enter_known(
    connection: &mut PgConnection,
    shared: &Shared,
    fresh: &mut [&Op],
) -> Result<std::collections::HashSet<Key>, Failure> {
    if fresh.is_empty() {
        return Ok(std::collections::HashSet::new());
    }
    fresh.sort_unstable_by_key(|op| op.dedupe());
    let first = |op: &Op| match &op.value {
        Value::Interaction(interaction) => Some(interaction.id.clone()),
        Value::Decision(_) => None,
    };
    let ids: Vec<_> = fresh.iter().map(|op| first(op)).collect();
    let columns: Vec<_> = ids
        .iter()
        .map(|id| id.as_ref().map(ids::columns).unwrap_or_default())
        .collect();
    // The horizon is counted from here, by the one clock that all processes share.
    let arrival = |op: &Op| match shared.options.clock.source() {
        TimeSource::Real => None,
        _ => Some(op.terms.now),
    };
    let query = shared
        .sql
        .enter_dedupe
        .query()
        .bind(fresh.iter().map(|op| arrival(op)).bind_iter())
        .bind(fresh.iter().map(|op| op.value.timestamp()).bind_iter())
        .bind(fresh.iter().map(|op| op.who.0).bind_iter())
        .bind(fresh.iter().map(|op| uuid_of(&op.key)).bind_iter())
        .bind(fresh.iter().map(|op| uuid_of(&op.content)).bind_iter())
        .bind(columns.iter().map(|(uuid, _)| *uuid).bind_iter())
        .bind(columns.iter().map(|(_, text)| *text).bind_iter());
    let mut entered = std::collections::HashSet::with_capacity(fresh.len());
    for row in query.fetch_all(&mut *connection).await? {
        entered.insert((row.try_get(0)?, digest_of(row.try_get(1)?)));
    }
    Ok(entered)
}

async fn read_known(
    connection: &mut PgConnection,
    shared: &Shared,
    mut keys: Vec<Key>,
    known: &mut HashMap<Key, Known>,
) -> Result<(), Failure> {
    keys.sort_unstable();
    keys.dedup();
    let query = shared
        .sql
        .read_dedupe
        .query()
        .bind(keys.iter().map(|(tenant, _)| *tenant).bind_iter())
        .bind(keys.iter().map(|(_, key)| uuid_of(key)).bind_iter());
    for row in query.fetch_all(&mut *connection).await? {
        let key = (row.try_get(0)?, digest_of(row.try_get(1)?));
        let found = Known {
            content: digest_of(row.try_get(2)?),
            first: ids::of_columns(row.try_get(3)?, row.try_get(4)?)?,
        };
        known.insert(key, found);
    }
    Ok(())
}

/// Raises a customer's generation: what hangs on the old number is out of sight from this commit on.
async fn raise(
    connection: &mut PgConnection,
    shared: &Shared,
    seat: &mut super::seats::Seat,
    generation: Generation,
    (tenant, customer): (&TenantId, &CustomerId),
) -> Result<(), Failure> {
    let range = range_of(tenant, customer.as_str());
    let query = shared
        .sql
        .raise
        .query()
        .bind(seat.number)
        .bind(i64::from(generation.0))
        .bind(range.cast_signed());
    seat.number = query.fetch_one(&mut *connection).await?.try_get(0)?;
    seat.packed = Ok(Packed::new());
    Ok(())
}

fn answer_of(op: &Op, verdict: Verdict) -> Result<Answer> {
    match (&op.value, verdict) {
        (_, Verdict::Refused(error) | Verdict::RefusedAsNew(error)) => Err(error),
        (Value::Interaction(interaction), Verdict::New { generation, .. }) => {
            Ok(Answer::Recorded(Recorded::New {
                id: interaction.id.clone(),
                generation,
            }))
        }
        (Value::Interaction(interaction), Verdict::Duplicate(first)) => {
            let first = first.unwrap_or_else(|| interaction.id.clone());
            Ok(Answer::Recorded(Recorded::Duplicate(first)))
        }
        (Value::Decision(decision), Verdict::New { generation, .. }) => Ok(Answer::Decided(Recorded::New {
            id: decision.id.clone(),
            generation,
        })),
        (Value::Decision(decision), Verdict::Duplicate(_)) => {
            Ok(Answer::Decided(Recorded::Duplicate(decision.id.clone())))
        }
    }
}

/// Takes the rows of customers in the caller's transaction, whose fences are locked, and returns their present
/// generations: for events of the host's own, which draw them. `None` where a number is not its tenant's.
pub(crate) async fn draw_generations(
    connection: &mut PgConnection,
    shared: &Shared,
    customers: &Wanted<'_>,
) -> Result<Option<HashMap<Who, Generation>>, Failure> {
    if customers.is_empty() {
        return Ok(Some(HashMap::new()));
    }
    let seats = Seats::take(connection, shared, customers, Held::Wait).await?;
    if customers
        .iter()
        .any(|(who, (tenant, _))| !seats.owns(who.0, tenant))
    {
        return Ok(None);
    }
    // A generation that came with the entry (of one who was erased and comes back) is kept with the row.
    let customers = seats
        .seats
        .iter()
        .filter(|seat| seat.fresh)
        .map(|seat| (seat.number, seat.generation, Vec::new()))
        .collect();
    let leaving = Leaving {
        customers,
        ..Leaving::default()
    };
    leaving.write(connection, shared).await?;
    let drawn = seats.seats.iter().map(|seat| (seat.who, seat.generation));
    Ok(Some(drawn.collect()))
}
