//! A store of your own in under 150 lines: a file of JSON lines, flushed before each `Ok` and read when it is opened.
//! It has the four methods that every store must have, and declares no more.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Error as IoError, Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use kaireon::core::store::{Durability, Recorded, StoreCapabilities, SummaryQuery};
use kaireon::core::summary::{Stats, groups};
use kaireon::core::{CustomerId, Dimension, Error, ErrorKind, IdempotencyKey, Interaction};
use kaireon::core::{InteractionStore, Period, Result, Summary, TenantId};

/// Its name, as a value of `INTERACTION_STORE`.
pub(crate) const NAME: &str = "json-lines";

type Group = (Dimension, String, Period);

#[derive(Debug)]
struct Journal {
    /// None once it was disconnected or a write failed: what it holds then is known when it is opened anew.
    file: Option<File>,
    firsts: HashMap<(TenantId, IdempotencyKey), Interaction>,
    stats: HashMap<(TenantId, CustomerId), BTreeMap<Group, Stats>>,
}

impl Journal {
    fn open(path: PathBuf) -> std::io::Result<Self> {
        let (mut options, mut text) = (File::options(), String::new());
        let mut file = options.read(true).append(true).create(true).open(path)?;
        // Two processes would not see each other's keys.
        file.try_lock()?;
        file.read_to_string(&mut text)?;
        // Only a crash leaves a line without its end, and nobody was told that it is recorded.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64)?;
        let (file, firsts, stats) = (Some(file), HashMap::new(), HashMap::new());
        let mut journal = Self { file, firsts, stats };
        for line in text[..whole].lines() {
            journal.remember(serde_json::from_str(line)?);
        }
        Ok(journal)
    }

    fn remember(&mut self, event: Interaction) {
        let customer = (event.tenant.clone(), event.customer.clone());
        let of_customer = self.stats.entry(customer).or_default();
        for (dimension, value, period) in groups(&event) {
            let group = (dimension, value.to_owned(), period);
            let stats = of_customer.entry(group).or_default();
            stats.merge(&Stats::of(&event));
        }
        let key = (event.tenant.clone(), event.idempotency_key.clone());
        self.firsts.insert(key, event);
    }

    fn record(&mut self, event: Interaction) -> Result<Recorded> {
        let closed = || Error::disconnected(NAME, "record_event");
        let mut file = self.file.as_ref().ok_or_else(closed)?;
        let key = (event.tenant.clone(), event.idempotency_key.clone());
        match self.firsts.get(&key) {
            Some(first) if first.same_identity(&event) => return Ok(Recorded::Duplicate(first.id.clone())),
            Some(_) => return Err(Error::conflict("the key was used for something else").with_backend(NAME)),
            None => {}
        }
        let line = serde_json::to_string(&event).map_err(|error| failed(error.into()))?;
        let written = writeln!(file, "{line}").and_then(|()| file.sync_data());
        if let Err(error) = written {
            self.file = None;
            return Err(failed(error));
        }
        self.remember(event.clone());
        Ok(Recorded::new(event.id.clone()))
    }

    fn summaries(&self, query: &SummaryQuery) -> Result<Vec<Summary>> {
        let closed = || Error::disconnected(NAME, "get_summaries");
        self.file.as_ref().ok_or_else(closed)?;
        let customer = (query.tenant.clone(), query.customer.clone());
        let mut summaries = Vec::new();
        for ((dimension, value, period), stats) in self.stats.get(&customer).into_iter().flatten() {
            summaries.push(Summary::new(
                *dimension,
                value.as_str().into(),
                *period,
                stats.clone(),
            ));
        }
        summaries.retain(|summary| query.matches(summary));
        summaries.sort_by(Summary::read_order);
        Ok(summaries)
    }
}

fn failed(error: IoError) -> Error {
    let failed = Error::new(ErrorKind::Internal, "the journal failed, open it anew");
    failed.with_backend(NAME).with_source(error)
}

/// Files block: each call works on a thread of its own, and ends there also when its future is dropped.
#[derive(Clone, Debug)]
pub(crate) struct JsonLines(Arc<Mutex<Journal>>);

impl JsonLines {
    pub(crate) async fn open(path: PathBuf) -> Result<Self> {
        let opened = tokio::task::spawn_blocking(|| Journal::open(path)).await;
        let journal = opened.map_err(IoError::other).flatten().map_err(failed)?;
        Ok(Self(Arc::new(Mutex::new(journal))))
    }

    async fn with<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut Journal) -> Result<T> + Send + 'static,
    {
        let journal = Arc::clone(&self.0);
        let work = move || work(&mut journal.lock().unwrap_or_else(PoisonError::into_inner));
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|panic| failed(IoError::other(panic))).flatten()
    }
}

#[async_trait]
impl InteractionStore for JsonLines {
    fn capabilities(&self) -> StoreCapabilities {
        let mut capabilities = StoreCapabilities::minimal(NAME);
        (capabilities.durability, capabilities.persistent) = (Durability::Durable, true);
        capabilities
    }

    async fn record_event(&self, event: Interaction) -> Result<Recorded> {
        self.with(|journal| journal.record(event)).await
    }

    async fn get_summaries(&self, query: SummaryQuery) -> Result<Vec<Summary>> {
        self.with(move |journal| journal.summaries(&query)).await
    }

    async fn disconnect(&self) -> Result<()> {
        let closed = self.with(|journal| Ok(journal.file.take())).await;
        closed.map(drop)
    }
}
