//! Passes over the rows of one kind: digests of ranges first, then the rows of those that are unlike.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use futures_util::future::{join, join_all};
use kaireon_core::time::Timestamp;
use parking_lot::Mutex;

use super::fold::{RANGES, Selected, Table, narrow};
use super::report::{Difference, Kind, KindReport, Why};
use super::row::{Place, Row};
use super::run::{Run, SIDES, at};
use super::summaries::Customers;
use crate::Side;

/// A place that may be unlike.
struct Suspect<P> {
    place: P,
    /// A row was seen there on both sides that was unlike in something that a look at it may not tell: the generation.
    unlike: bool,
}

/// Compares the rows of a kind; `None` where neither side keeps such things.
pub(super) async fn compare<R: Row>(run: &Run<'_>, customers: Option<&Customers>) -> Option<KindReport> {
    let mut report = KindReport::new(R::KIND);
    let can = SIDES.map(|side| run.store(side).capabilities());
    let keeps = can.each_ref().map(|can| match R::KIND {
        Kind::Decisions => can.decisions,
        Kind::Tombstones => can.erasure,
        Kind::Interactions | Kind::Summaries => true,
    });
    if keeps == [false; 2] {
        return None;
    }
    for side in SIDES {
        if !R::has(&can[at(side)]) {
            report.not_compared(1, Why::Unsupported { side });
            if let Some(customers) = customers {
                customers.unknown(Why::Unsupported { side });
            }
        }
    }
    if report.not_compared.is_empty()
        && let Err(why) = sweep::<R>(run, customers, &mut report).await
    {
        report.not_compared(1, why);
    }
    Some(report)
}

/// What the first pass of one side found.
struct First<P> {
    table: Table,
    /// Places of rows whose time has not come yet: later passes leave out what is later than their beginning.
    ahead: HashMap<u128, (P, u128)>,
    too_many: bool,
    left_out: u64,
}

async fn first<R: Row>(
    run: &Run<'_>,
    side: Side,
    customers: Option<&Customers>,
) -> Result<First<R::Place>, Why> {
    let config = &run.of.config;
    let mut hasher = run.hasher.again();
    let mut found = First {
        table: Table::new(),
        ahead: HashMap::new(),
        too_many: false,
        left_out: 0,
    };
    run.walk::<R>(side, 1, customers, |row, now| {
        if is_before(&row, config.kept_from) {
            found.left_out += 1;
            return;
        }
        let whole = hasher.whole(&row);
        found.table.add(hasher.range(&row), whole);
        if !is_before(&row, Some(now + config.clock_skew)) && row.timestamp().is_some() {
            match found.ahead.len() < config.suspects {
                true => drop(found.ahead.insert(hasher.place(&row), (row.place(), whole))),
                false => found.too_many = true,
            }
        }
    })
    .await?;
    Ok(found)
}

fn is_before<R: Row>(row: &R, time: Option<Timestamp>) -> bool {
    match (row.timestamp(), time) {
        (Some(at), Some(time)) => at < time,
        _ => false,
    }
}

async fn sweep<R: Row>(
    run: &Run<'_>,
    customers: Option<&Customers>,
    report: &mut KindReport,
) -> Result<(), Why> {
    let config = &run.of.config;
    let [source, target] = SIDES.map(|side| first::<R>(run, side, customers));
    let (source, target) = join(source, target).await;
    let sides = match (source, target) {
        (Ok(source), Ok(target)) => [source, target],
        (Err(why), _) | (_, Err(why)) => {
            if let Some(customers) = customers {
                customers.unknown(why);
            }
            return Err(why);
        }
    };
    let mut ahead: HashMap<u128, Suspect<R::Place>> = HashMap::new();
    let mut tables = Vec::with_capacity(2);
    let mut digests: HashMap<u128, u128> = HashMap::new();
    for side in sides {
        report.left_out += side.left_out;
        if side.too_many {
            report.not_compared(1, Why::TooMany);
        }
        tables.push(side.table);
        for (at, (place, whole)) in side.ahead {
            let seen = digests.insert(at, whole);
            let unlike = R::HIDES_GENERATION && seen.is_some_and(|seen| seen != whole);
            ahead.insert(at, Suspect { place, unlike });
        }
    }
    drop(digests);
    let authority = at(run.of.authority);
    let count = |table: &Table| (0..RANGES).map(|range| table.count(range)).sum();
    let mut compared: u64 = count(&tables[authority]);
    let mut settling = Settling { report, held: 0 };
    settling.settle::<R>(run, ahead.into_values().collect()).await;

    let unlike = tables[0].unlike(&tables[1]);
    let mut pass = 1;
    if !unlike.is_empty() {
        // What is recorded from here on is not what made these ranges unlike.
        let until = run.of.clock.now() + config.clock_skew;
        let rows: u64 = unlike.iter().map(|&at| of_both(&tables, at)).sum();
        let selected = Selected::of(&unlike);
        let (groups, narrowed) = if rows <= config.suspects as u64 {
            (vec![unlike], false)
        } else {
            pass += 1;
            tables = second::<R>(run, pass, &selected, until).await?;
            let unlike = tables[0].unlike(&tables[1]);
            (grouped(&tables, &unlike, config.suspects as u64 / 2), true)
        };
        for group in groups {
            let left = group.iter().map(|&at| tables[authority].count(at)).sum::<u64>();
            if pass > config.passes {
                settling.report.not_compared(group.len() as u64, Why::TooMany);
                compared = compared.saturating_sub(left);
                continue;
            }
            pass += 1;
            let chosen = Selected::of(&group);
            let takes = |range, place| match narrowed {
                true => selected.has(range) && chosen.has(narrow(place)),
                false => chosen.has(range),
            };
            let (suspects, is_whole) = collect::<R>(run, pass, until, takes).await?;
            if !is_whole {
                settling.report.not_compared(group.len() as u64, Why::TooMany);
                compared = compared.saturating_sub(left);
            }
            settling.settle::<R>(run, suspects).await;
        }
    }
    let held = settling.held;
    report.equal = compared.saturating_sub(held);
    Ok(())
}

fn of_both(tables: &[Table], range: usize) -> u64 {
    tables.iter().map(|table| table.count(range)).sum()
}

/// Ranges together whose rows are not more than so many; a range of more is alone.
fn grouped(tables: &[Table], ranges: &[usize], most: u64) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut rows = 0;
    for &range in ranges {
        let more = of_both(tables, range);
        rows += more;
        match groups.last_mut() {
            Some(group) if rows <= most => group.push(range),
            _ => {
                groups.push(vec![range]);
                rows = more;
            }
        }
    }
    groups
}

/// Digests of the rows in the selected ranges, by ranges of their places.
async fn second<R: Row>(
    run: &Run<'_>,
    pass: u32,
    selected: &Selected,
    until: Timestamp,
) -> Result<Vec<Table>, Why> {
    let of = async |side| {
        let mut hasher = run.hasher.again();
        let mut table = Table::new();
        run.walk::<R>(side, pass, None, |row, _| {
            if !is_before(&row, run.of.config.kept_from)
                && is_wanted(&row, until)
                && selected.has(hasher.range(&row))
            {
                table.add(narrow(hasher.place(&row)), hasher.whole(&row));
            }
        })
        .await?;
        Ok(table)
    };
    let (source, target) = join(of(Side::Source), of(Side::Target)).await;
    Ok(vec![source?, target?])
}

fn is_wanted<R: Row>(row: &R, until: Timestamp) -> bool {
    row.timestamp().is_none_or(|at| at < until)
}

/// A row as one or both sides have it.
struct Seen<P> {
    place: P,
    sides: [Option<u128>; 2],
}

/// The rows of some ranges that were not yet seen alike on both sides.
struct Held<P> {
    rows: HashMap<u128, Seen<P>>,
    is_whole: bool,
}

/// The rows that one side lacks or both have unlike, and whether that is all of them.
async fn collect<R: Row>(
    run: &Run<'_>,
    pass: u32,
    until: Timestamp,
    takes: impl Fn(usize, u128) -> bool + Sync,
) -> Result<(Vec<Suspect<R::Place>>, bool), Why> {
    let config = &run.of.config;
    let seen = Mutex::new(Held {
        rows: HashMap::new(),
        is_whole: true,
    });
    let of = async |side: Side| {
        let mut hasher = run.hasher.again();
        let (seen, takes) = (&seen, &takes);
        run.walk::<R>(side, pass, None, move |row, _| {
            if is_before(&row, config.kept_from) || !is_wanted(&row, until) {
                return;
            }
            let (range, place) = (hasher.range(&row), hasher.place(&row));
            if !takes(range, place) {
                return;
            }
            let whole = hasher.whole(&row);
            let Held { rows, is_whole } = &mut *seen.lock();
            if let Some(known) = rows.get_mut(&place) {
                known.sides[at(side)] = Some(whole);
                if known.sides[0] == known.sides[1] {
                    rows.remove(&place);
                }
            } else if rows.len() < config.suspects {
                let mut sides = [None; 2];
                sides[at(side)] = Some(whole);
                let place_of = row.place();
                rows.insert(
                    place,
                    Seen {
                        place: place_of,
                        sides,
                    },
                );
                run.suspects.fetch_max(rows.len(), Ordering::Relaxed);
            } else {
                *is_whole = false;
            }
        })
        .await
    };
    let (source, target) = join(of(Side::Source), of(Side::Target)).await;
    source?;
    target?;
    let Held { rows, is_whole } = seen.into_inner();
    let suspects = rows.into_values().map(|seen| Suspect {
        unlike: R::HIDES_GENERATION && seen.sides.iter().all(Option::is_some),
        place: seen.place,
    });
    Ok((suspects.collect(), is_whole))
}

/// What becomes of suspects.
struct Settling<'a> {
    report: &'a mut KindReport,
    /// Rows of the authority that are not equal.
    held: u64,
}

/// What a look at a place said.
#[derive(Clone, Copy)]
enum Look {
    Alike,
    Unlike(Difference, bool),
    Unknown(Why),
}

impl Settling<'_> {
    /// Looks at suspects again until they are alike, each time once the lane has passed the last look; what is unlike
    /// every time is a difference.
    async fn settle<R: Row>(&mut self, run: &Run<'_>, mut suspects: Vec<Suspect<R::Place>>) {
        let config = &run.of.config;
        for round in 1..=config.rounds.max(1) {
            if suspects.is_empty() {
                return;
            }
            if round > 1 {
                tokio::time::sleep(config.pause).await;
            }
            let behind = run.passed(run.of.clock.now()).await.err();
            let mut still = Vec::new();
            let together = R::LOOKS * config.concurrency.max(1);
            let mut rest = suspects;
            while !rest.is_empty() {
                let later = rest.split_off(together.min(rest.len()));
                let looks = rest.chunks(R::LOOKS).map(|part| look::<R>(run, part));
                let looks: Vec<Look> = join_all(looks).await.into_iter().flatten().collect();
                run.pace.spend(2 * rest.len()).await;
                for (suspect, look) in rest.into_iter().zip(looks) {
                    if !matches!(look, Look::Alike) {
                        still.push((suspect, look));
                    }
                }
                rest = later;
            }
            if round == config.rounds.max(1) {
                self.note(still, behind, config.samples);
                return;
            }
            suspects = still.into_iter().map(|(suspect, _)| suspect).collect();
        }
    }

    fn note<P: Place>(&mut self, still: Vec<(Suspect<P>, Look)>, behind: Option<Why>, samples: usize) {
        for (suspect, look) in still {
            match (look, behind) {
                (Look::Alike, _) => {}
                (Look::Unknown(why), _) => {
                    self.held += 1;
                    self.report.not_compared(1, why);
                }
                // Of what only one side has, a lane that stands still says nothing.
                (Look::Unlike(Difference::Missing | Difference::Extra, held), Some(why)) => {
                    self.held += u64::from(held);
                    self.report.not_compared(1, why);
                }
                (Look::Unlike(difference, held), _) => {
                    self.held += u64::from(held);
                    self.report.differs(difference, suspect.place.name(), samples);
                }
            }
        }
    }
}

/// Looks at places on both sides: first on the one that is behind, so that what it has the other one had before.
async fn look<R: Row>(run: &Run<'_>, suspects: &[Suspect<R::Place>]) -> Vec<Look> {
    let places: Vec<R::Place> = suspects.iter().map(|suspect| suspect.place.clone()).collect();
    let tenant = &run.of.tenant;
    let of = async |side| {
        let look = super::pace::ask(&run.of.config, run.failures(side), || {
            R::Place::look(&places, run.store(side), tenant)
        });
        look.await.map_err(|error| super::run::failed(side, &error))
    };
    let behind = of(run.replica()).await;
    let ahead = of(run.of.authority).await;
    let (behind, ahead) = match (behind, ahead) {
        (Ok(behind), Ok(ahead)) => (behind, ahead),
        (Err(why), _) | (_, Err(why)) => return vec![Look::Unknown(why); suspects.len()],
    };
    let lacks = |side| match side {
        Side::Source => Difference::Extra,
        Side::Target => Difference::Missing,
    };
    let judge = |((suspect, behind), ahead): ((&Suspect<_>, Option<_>), Option<_>)| match (behind, ahead) {
        // It was erased or purged since.
        (None, None) => Look::Alike,
        (None, Some(_)) => Look::Unlike(lacks(run.replica()), true),
        (Some(_), None) => Look::Unlike(lacks(run.of.authority), false),
        (Some(behind), Some(ahead)) if behind == ahead && !suspect.unlike => Look::Alike,
        (Some(_), Some(_)) => Look::Unlike(Difference::Different, true),
    };
    suspects.iter().zip(behind).zip(ahead).map(judge).collect()
}
