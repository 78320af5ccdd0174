//! Summaries of every customer who is met in the passes over interactions and decisions.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use kaireon_archive::{DayPosition, Kind as ArchiveKind, SummaryLine};
use kaireon_core::store::{Accepted, SummaryQuery};
use kaireon_core::time::Timestamp;
use kaireon_core::{
    CustomerId, Decision, Dimension, Error, ErrorKind, Interaction, Period, Result, Stats, Summary,
};
use parking_lot::Mutex;

use super::report::{Difference, Kind, KindReport, Name, Why};
use super::rest::{self, Rests};
use super::run::{Run, SIDES};
use crate::Side;

/// How many customers' summaries are in hand at a time, of both sides.
const TOGETHER: usize = 64;

/// How many customers wait to be looked at again before they are.
const WAITING: usize = 1_024;

/// How many more looks a summary gets that is written to during each, than one that is unlike.
const PATIENCE: u32 = 4;

/// How many lines of the archive are read at once.
const CHUNK: usize = 1_000;

/// The customers of one part of the digests: which were met, and what was found of them.
pub(super) struct Customers(Mutex<State>);

struct State {
    met: HashSet<u128>,
    most: usize,
    part: u128,
    /// How often the space of digests was halved, so that one part of it fits.
    halved: u32,
    /// Whether parts may still be made smaller: in the first passes.
    splits: bool,
    /// Grows when what was found no longer counts.
    round: u32,
    waiting: Vec<CustomerId>,
    unknown: Option<Why>,
    report: KindReport,
}

impl State {
    fn is_of_part(&self, digest: u128) -> bool {
        digest.checked_shr(128 - self.halved).unwrap_or(0) == self.part
    }

    /// Which of these are met for the first time; none while the parts are still being made smaller.
    fn fresh(&mut self, met: Vec<(u128, CustomerId)>) -> Vec<CustomerId> {
        let mut fresh = Vec::new();
        let splits = self.splits;
        for (digest, customer) in met {
            if self.is_of_part(digest) && self.met.insert(digest) {
                fresh.push(customer);
            }
            if self.met.len() > self.most && splits {
                self.halved += 1;
                self.round += 1;
                self.waiting.clear();
                self.report = KindReport::new(Kind::Summaries);
                let halved = self.halved;
                let part = self.part;
                self.met
                    .retain(|digest| digest.checked_shr(128 - halved).unwrap_or(0) == part);
            }
        }
        match self.halved > 0 && splits {
            true => Vec::new(),
            false => fresh,
        }
    }
}

/// By what a summary is told from the others of its customer.
pub(super) type Key = (Dimension, Arc<str>, Period);

impl Customers {
    pub(super) fn new(most: usize) -> Self {
        Self(Mutex::new(State {
            met: HashSet::new(),
            most: most.max(1),
            part: 0,
            halved: 0,
            splits: true,
            round: 0,
            waiting: Vec::new(),
            unknown: None,
            report: KindReport::new(Kind::Summaries),
        }))
    }

    /// Not every customer could be met.
    pub(super) fn unknown(&self, why: Why) {
        self.0.lock().unknown = Some(why);
    }

    /// Compares those who are met for the first time.
    pub(super) async fn meet(&self, run: &Run<'_>, customers: Vec<CustomerId>) {
        let mut hasher = run.hasher.again();
        let mut digest =
            |customer: &CustomerId| hasher.of(|out| out.extend_from_slice(customer.as_str().as_bytes()));
        let met = customers
            .into_iter()
            .map(|customer| (digest(&customer), customer));
        let (round, fresh) = {
            let mut state = self.0.lock();
            let fresh = state.fresh(met.collect());
            run.customers.fetch_max(state.met.len(), Ordering::Relaxed);
            (state.round, fresh)
        };
        for some in fresh.chunks(run.of.config.concurrency.max(1)) {
            let looks = join_all(some.iter().map(|customer| both(run, customer))).await;
            run.pace.spend(2 * some.len()).await;
            let mut state = self.0.lock();
            if state.round != round {
                return;
            }
            for (customer, look) in some.iter().zip(looks) {
                match look {
                    Err(why) => state.report.not_compared(1, why),
                    Ok([behind, ahead]) if behind == ahead => state.report.equal += ahead.len() as u64,
                    Ok(_) => state.waiting.push(customer.clone()),
                }
            }
        }
        let full = {
            let mut state = self.0.lock();
            let is_full = state.round == round && state.waiting.len() >= WAITING;
            is_full.then(|| std::mem::take(&mut state.waiting))
        };
        if let Some(waiting) = full {
            self.settle(run, round, waiting).await;
        }
    }

    /// Ends with those who wait and, where there were more customers than are remembered at once, with the other parts.
    pub(super) async fn finish(self, run: &Run<'_>, pass: u32) -> KindReport {
        self.list_or_say(run).await;
        let parts = match self.0.lock().halved {
            0 => 0,
            halved => 1_u128 << halved.min(127),
        };
        for part in 0..parts {
            {
                let mut state = self.0.lock();
                state.splits = false;
                state.part = part;
                state.met.clear();
            }
            for side in SIDES {
                if let Err(why) = self.walk(run, side, pass).await {
                    self.unknown(why);
                }
            }
            self.list_or_say(run).await;
        }
        let (round, waiting) = {
            let mut state = self.0.lock();
            (state.round, std::mem::take(&mut state.waiting))
        };
        self.settle(run, round, waiting).await;
        let State {
            mut report, unknown, ..
        } = self.0.into_inner();
        if let Some(why) = unknown {
            report.not_compared(1, why);
        }
        report
    }

    /// Meets the customers whom the archive names as purged.
    async fn list_or_say(&self, run: &Run<'_>) {
        if let Err(error) = self.list(run).await {
            let error = error.kind();
            self.unknown(Why::Unlisted { error });
        }
    }

    async fn list(&self, run: &Run<'_>) -> Result<()> {
        let Some(archive) = &run.of.archive else {
            return Ok(());
        };
        for found in archive.days(&run.of.tenant, ArchiveKind::Summaries).await? {
            let mut day =
                archive.read_day::<SummaryLine>(&run.of.tenant, found.day, DayPosition::start(), CHUNK);
            while let Some(chunk) = day.next().await? {
                if !chunk.bad.is_empty() {
                    let context = "the archive has lines of summaries that cannot be read";
                    return Err(Error::new(ErrorKind::Corrupt, context));
                }
                let mut met: Vec<CustomerId> = Vec::new();
                for line in chunk.records {
                    if met.last() != Some(&line.value.customer) {
                        met.push(line.value.customer);
                    }
                }
                self.meet(run, met).await;
            }
        }
        Ok(())
    }

    /// Meets the customers of one part on one side.
    async fn walk(&self, run: &Run<'_>, side: Side, pass: u32) -> Result<(), Why> {
        run.walk::<Accepted<Interaction>>(side, pass, Some(self), |_, _| {})
            .await?;
        if !run.store(side).capabilities().decisions {
            return Ok(());
        }
        run.walk::<Accepted<Decision>>(side, pass, Some(self), |_, _| {})
            .await
    }

    /// Looks at customers again until each of their summaries was seen alike, or unlike as often as is asked.
    async fn settle(&self, run: &Run<'_>, round: u32, waiting: Vec<CustomerId>) {
        for some in waiting.chunks(TOGETHER) {
            let mut open: Vec<Open> = some.iter().cloned().map(Open::new).collect();
            let looks = run.of.config.rounds.max(1) * PATIENCE;
            let mut behind = None;
            for look in 0..looks {
                if look > 0 {
                    tokio::time::sleep(run.of.config.pause).await;
                }
                let since = run.of.clock.now() - run.of.config.clock_skew;
                let rests = join_all(open.iter().map(|open| open.rests(run, since))).await;
                let earlier =
                    join_all(open.iter().map(|open| of(run, run.of.authority, &open.customer))).await;
                behind = run.passed(run.of.clock.now()).await.err();
                let later = join_all(open.iter().map(|open| both(run, &open.customer))).await;
                run.pace.spend(3 * open.len()).await;
                let mut still = Vec::new();
                for ((mut open, earlier), later) in open.into_iter().zip(earlier).zip(later) {
                    match (earlier, later) {
                        (Ok(earlier), Ok([replica, later])) => open.judge(run, &earlier, &replica, &later),
                        (Err(why), _) | (_, Err(why)) => open.failed = Some(why),
                    }
                    still.push(open);
                }
                if behind.is_none() {
                    let settled = still.iter_mut().zip(rests);
                    join_all(settled.map(|(open, rests)| open.settle(run, rests, since))).await;
                }
                let rounds = run.of.config.rounds.max(1);
                let ended: Vec<Open>;
                (ended, open) = still.into_iter().partition(|open| open.is_settled(rounds));
                self.note(run, round, ended, None);
                if open.is_empty() || behind.is_some() {
                    break;
                }
            }
            self.note(run, round, open, Some(behind.unwrap_or(Why::Busy)));
        }
    }

    fn note(&self, run: &Run<'_>, round: u32, ended: Vec<Open>, unsettled: Option<Why>) {
        let mut state = self.0.lock();
        if state.round != round {
            return;
        }
        let rounds = run.of.config.rounds.max(1);
        for open in ended {
            state.report.equal += open.equal.len() as u64;
            if let Some(why) = open.failed {
                state.report.not_compared(1, why);
                continue;
            }
            for (key, verdict) in open.unlike {
                match (verdict.definite, unsettled) {
                    (Some(difference), _) if verdict.times >= rounds => {
                        let name = Name::Summary {
                            dimension: key.0,
                            period: key.2,
                            last: verdict.last,
                        };
                        state.report.differs(difference, name, run.of.config.samples);
                    }
                    (_, why) => state.report.not_compared(1, why.unwrap_or(Why::Busy)),
                }
            }
        }
    }
}

pub(super) async fn of(run: &Run<'_>, side: Side, customer: &CustomerId) -> Result<Vec<Summary>, Why> {
    let query = SummaryQuery::new(run.of.tenant.clone(), customer.clone());
    run.ask(side, |store| store.get_summaries(query.clone())).await
}

/// A customer's summaries on the side that is behind, then on the authority.
async fn both(run: &Run<'_>, customer: &CustomerId) -> Result<[Vec<Summary>; 2], Why> {
    let behind = of(run, run.replica(), customer).await?;
    Ok([behind, of(run, run.of.authority, customer).await?])
}

/// How a summary was found unlike.
#[derive(Default)]
struct Verdict {
    /// How it differs; `None` where it was written to meanwhile.
    definite: Option<Difference>,
    /// How often in a row it did.
    times: u32,
    last: Option<kaireon_core::InteractionId>,
}

/// A customer some of whose summaries were not yet seen alike.
struct Open {
    customer: CustomerId,
    equal: HashSet<Key>,
    unlike: BTreeMap<Key, Verdict>,
    failed: Option<Why>,
}

impl Open {
    fn new(customer: CustomerId) -> Self {
        Self {
            customer,
            equal: HashSet::new(),
            unlike: BTreeMap::new(),
            failed: None,
        }
    }

    /// Whether some of them were written to during the look, so that it says nothing of them.
    fn is_busy(&self) -> bool {
        self.failed.is_none() && self.unlike.values().any(|verdict| verdict.definite.is_none())
    }

    /// What the authority's summaries hold beside its last rows, where the last look said nothing of some.
    async fn rests(&self, run: &Run<'_>, since: Timestamp) -> Option<Rests> {
        match self.is_busy() {
            true => rest::read(run, run.of.authority, &self.customer, since).await,
            false => None,
        }
    }

    /// Takes those for alike of which nothing else is definite, and which hold the same beside the last rows; `before` is
    /// the authority's part before the lane had passed.
    async fn settle(&mut self, run: &Run<'_>, before: Option<Rests>, since: Timestamp) {
        let Some(before) = before.filter(|_| self.is_busy()) else {
            return;
        };
        let Some(alike) = rest::alike(run, &self.customer, &before, since).await else {
            return;
        };
        let settled = |key: &Key, verdict: &mut Verdict| verdict.definite.is_none() && alike.contains(key);
        let settled = self.unlike.extract_if(.., settled);
        self.equal.extend(settled.map(|(key, _)| key));
    }

    fn is_settled(&self, rounds: u32) -> bool {
        let settled = |verdict: &Verdict| verdict.definite.is_some() && verdict.times >= rounds;
        self.failed.is_none() && self.unlike.values().all(settled)
    }

    /// Judges by the authority before and behind the replica, between which the lane has passed the first of the two.
    /// Alike with what the authority has behind is alike. Unlike, though nothing was written in between, is a difference;
    /// so is less than before, and more than behind.
    fn judge(&mut self, run: &Run<'_>, earlier: &[Summary], replica: &[Summary], later: &[Summary]) {
        self.failed = None;
        let [earlier, replica, later] = [earlier, replica, later].map(by_key);
        let mut unlike = BTreeMap::new();
        for key in replica.keys().chain(later.keys()) {
            let [before, there, behind] = [&earlier, &replica, &later].map(|side| side.get(key).copied());
            if self.equal.contains(key) || unlike.contains_key(key) {
                continue;
            }
            if there == behind {
                self.equal.insert(key.clone());
                continue;
            }
            let is_definite =
                before == behind || contacts(there) < contacts(before) || contacts(there) > contacts(behind);
            let known = self.unlike.remove(key).unwrap_or_default();
            unlike.insert(
                key.clone(),
                Verdict {
                    definite: is_definite.then(|| difference(run, there, behind)),
                    times: if is_definite { known.times + 1 } else { 0 },
                    last: there
                        .or(behind)
                        .and_then(|stats| stats.last.as_ref())
                        .map(|last| last.id.clone()),
                },
            );
        }
        self.unlike = unlike;
    }
}

fn by_key(summaries: &[Summary]) -> BTreeMap<Key, &Stats> {
    let key = |summary: &Summary| (summary.dimension, Arc::clone(&summary.value), summary.period);
    summaries
        .iter()
        .map(|summary| (key(summary), &summary.stats))
        .collect()
}

/// How many interactions a summary is of: each has one classification.
fn contacts(stats: Option<&Stats>) -> u64 {
    stats.map_or(0, |stats| stats.positive + stats.negative + stats.neutral)
}

fn difference(run: &Run<'_>, replica: Option<&Stats>, authority: Option<&Stats>) -> Difference {
    match (replica, authority, run.replica()) {
        (None, _, Side::Target) | (_, None, Side::Source) => Difference::Missing,
        (None, _, Side::Source) | (_, None, Side::Target) => Difference::Extra,
        (Some(_), Some(_), _) => Difference::Different,
    }
}
