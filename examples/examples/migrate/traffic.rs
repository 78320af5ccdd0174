//! Callers who record the data set and retry what they have recorded, and callers who read; neither knows of any move.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use kaireon::Infra;
use kaireon::core::respond::respond;
use kaireon::core::store::SummaryQuery;
use kaireon::core::{CustomerId, Dimension, InteractionStore, PeriodType, TenantId};
use tokio::task::JoinSet;

use crate::dataset::Row;
use crate::{Failure, records};

const WRITERS: usize = 64;

const READERS: usize = 8;

/// How long a writer rests behind each row, so that the move meets traffic and not a flood.
const REST: Duration = Duration::from_millis(50);

/// How long no row at all may be recorded: longer than any step of a move keeps writers waiting.
const PATIENCE: Duration = Duration::from_secs(120);

/// Writers and readers.
pub(crate) struct Traffic {
    callers: JoinSet<Result<(), Failure>>,
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn InteractionStore>,
    tenant: TenantId,
    rows: Vec<Row>,
    /// The next row that was not recorded yet.
    fresh: AtomicUsize,
    /// Up to where fresh rows may be recorded now.
    until: AtomicUsize,
    /// Fresh rows that were acknowledged.
    recorded: AtomicUsize,
    /// All rows before this one were acknowledged: they are recorded again where there is nothing fresh to do.
    settled: AtomicUsize,
    again: AtomicUsize,
    writes: AtomicU64,
    reads: AtomicU64,
    over: AtomicBool,
    failed: AtomicBool,
}

impl Traffic {
    pub(crate) fn start(infra: &Infra, tenant: &TenantId, rows: Vec<Row>) -> Self {
        let shared = Arc::new(Shared {
            store: infra.store(),
            tenant: tenant.clone(),
            rows,
            fresh: AtomicUsize::new(0),
            until: AtomicUsize::new(0),
            recorded: AtomicUsize::new(0),
            settled: AtomicUsize::new(0),
            again: AtomicUsize::new(0),
            writes: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            over: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        });
        let mut callers = JoinSet::new();
        for _ in 0..WRITERS {
            callers.spawn(told(Arc::clone(&shared), write));
        }
        for reader in 0..READERS {
            callers.spawn(told(Arc::clone(&shared), move |shared| read(shared, reader)));
        }
        Self { callers, shared }
    }

    /// Lets the rows up to this one be recorded, and waits until all were acknowledged.
    pub(crate) async fn reach(&self, rows: usize) -> Result<(), Failure> {
        let Shared {
            until,
            recorded,
            settled,
            failed,
            ..
        } = &*self.shared;
        until.store(rows, Ordering::Relaxed);
        let (mut before, mut since) = (0, tokio::time::Instant::now());
        loop {
            let recorded = recorded.load(Ordering::Relaxed);
            if recorded >= rows {
                break;
            }
            if recorded > before {
                (before, since) = (recorded, tokio::time::Instant::now());
            }
            if failed.load(Ordering::Relaxed) || since.elapsed() > PATIENCE {
                return Err(format!("{recorded} of {rows} rows are recorded, and no more are").into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        settled.store(rows, Ordering::Relaxed);
        Ok(())
    }

    /// Ends the callers; how many records were acknowledged, and how many reads answered.
    pub(crate) async fn stop(mut self) -> Result<(u64, u64), Failure> {
        self.shared.over.store(true, Ordering::Relaxed);
        while let Some(caller) = self.callers.join_next().await {
            caller??;
        }
        let Shared { writes, reads, .. } = &*self.shared;
        Ok((writes.load(Ordering::Relaxed), reads.load(Ordering::Relaxed)))
    }
}

impl Shared {
    /// A row to record, and whether it is the first time; none where there is nothing to do yet.
    fn next(&self) -> Option<(&Row, bool)> {
        let until = self.until.load(Ordering::Relaxed).min(self.rows.len());
        let fresh = (self.fresh).fetch_update(Ordering::Relaxed, Ordering::Relaxed, |at| {
            (at < until).then_some(at + 1)
        });
        match (fresh, self.settled.load(Ordering::Relaxed)) {
            (Ok(at), _) => Some((&self.rows[at], true)),
            (Err(_), 0) => None,
            (Err(_), settled) => {
                let at = self.again.fetch_add(1, Ordering::Relaxed) % settled;
                Some((&self.rows[at], false))
            }
        }
    }
}

/// A caller's failure is seen by whoever waits for its rows.
async fn told<F: Future<Output = Result<(), Failure>>>(
    shared: Arc<Shared>,
    caller: impl FnOnce(Arc<Shared>) -> F,
) -> Result<(), Failure> {
    let ended = caller(Arc::clone(&shared)).await;
    if let Err(failure) = &ended {
        eprintln!("a caller was answered with an error: {failure}");
        shared.failed.store(true, Ordering::Relaxed);
    }
    ended
}

async fn write(shared: Arc<Shared>) -> Result<(), Failure> {
    let Shared { store, tenant, .. } = &*shared;
    while !shared.over.load(Ordering::Relaxed) {
        let Some((row, first)) = shared.next() else {
            tokio::time::sleep(REST).await;
            continue;
        };
        let mut new = vec![
            store
                .record_decision(records::decision(tenant, row)?)
                .await?
                .is_new(),
        ];
        new.push(
            store
                .record_event(records::impression(tenant, row)?)
                .await?
                .is_new(),
        );
        if row.clicked {
            new.push(respond(&**store, records::click(tenant, row)?).await?.is_new());
        }
        // A retry that is not recognised is counted twice.
        if !first && new.contains(&true) {
            return Err(format!("row {} was recorded twice", row.number).into());
        }
        shared.recorded.fetch_add(usize::from(first), Ordering::Relaxed);
        shared.writes.fetch_add(new.len() as u64, Ordering::Relaxed);
        tokio::time::sleep(REST).await;
    }
    Ok(())
}

/// Reads customers again and again: what one has seen once is never unseen.
async fn read(shared: Arc<Shared>, reader: usize) -> Result<(), Failure> {
    let Shared {
        store, tenant, rows, ..
    } = &*shared;
    let mut seen: HashMap<&str, u64> = HashMap::new();
    let mut at = reader;
    while !shared.over.load(Ordering::Relaxed) {
        // A step that shares no factor with the number of rows meets all of them.
        at = (at + 7_919) % rows.len();
        let profile = rows[at].profile.as_str();
        let query = SummaryQuery::new(tenant.clone(), CustomerId::new(profile)?);
        let of_all_time = store.get_summaries(query).await?.into_iter().filter(|summary| {
            summary.dimension == Dimension::Channel && summary.period.period_type() == PeriodType::AllTime
        });
        let shown = of_all_time.map(|summary| summary.stats.impressions).sum();
        let before = seen.insert(profile, shown).unwrap_or_default();
        if shown < before {
            return Err(format!("a customer with {before} impressions has {shown}").into());
        }
        shared.reads.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}
