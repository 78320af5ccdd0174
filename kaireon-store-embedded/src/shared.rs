//! What the handles, the readers and the writer of one open directory share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use fjall::Slice;
use kaireon_core::digest::{MasterKey, TenantKey};
use kaireon_core::outbox::{Lane, LaneSet, RANGES};
use kaireon_core::store::{Durability, FenceState, Generation};
use kaireon_core::wire::corrupt;
use kaireon_core::{CustomerId, Effect, Error, ErrorKind, Result, TenantId};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::client::{Engine, Space, View, guarded};
use crate::codec::{self, Head, Settings};
use crate::config::EmbeddedConfig;
use crate::folds::{Fold, Folds, Part};
use crate::hot::HotCustomers;
use crate::keys;
use crate::leases::Leases;
use crate::seen::Seen;
use crate::store::Recovery;

pub(crate) struct Shared {
    pub(crate) config: EmbeddedConfig,
    pub(crate) master_key: MasterKey,
    pub(crate) incarnation: u64,
    pub(crate) recovery: Recovery,
    pub(crate) durability: Durability,
    /// `None` while it is opened anew after a failure, and at the end.
    engine: RwLock<Option<Arc<Engine>>>,
    tenants: RwLock<HashMap<TenantId, Tenant>>,
    /// As of the last commit that readers see. Written while all that a commit changes is put in its place, in memory
    /// and by what is shown of the engine; read by whoever begins to look at any of that.
    pub(crate) present: RwLock<Head>,
    pub(crate) hot: HotCustomers,
    pub(crate) folds: Folds,
    /// Which dedupe records there may be.
    pub(crate) seen: Mutex<Seen>,
    pub(crate) leases: Mutex<Leases>,
    /// Per lane: grows when entries were written.
    pub(crate) written: [watch::Sender<u64>; 3],
    /// Per lane and range: no entry waits below this position, so that a fetch does not walk over what was
    /// settled and not yet compacted.
    pub(crate) floors: Mutex<[[u64; RANGES as usize]; 3]>,
    /// Erasures and purges come one after the other.
    pub(crate) maintenance: Arc<tokio::sync::Mutex<()>>,
    /// Whether a record of another store raised a generation, so that something is to be deleted.
    pub(crate) sweep_wanted: AtomicBool,
    /// How many handles are connected.
    pub(crate) handles: AtomicUsize,
    /// Turns true when the writer has closed the directory.
    pub(crate) ended: watch::Sender<bool>,
}

/// A tenant: its key, and what is set for it as of the last commit.
#[derive(Clone)]
pub(crate) struct Tenant {
    pub(crate) key: TenantKey,
    pub(crate) settings: Settings,
}

/// What a directory held when it was opened.
pub(crate) struct Loaded {
    pub(crate) engine: Engine,
    pub(crate) head: Head,
    pub(crate) settings: Vec<(TenantId, Settings)>,
    /// By commit: what is not part of customers' own values yet, or may be.
    pub(crate) logged: Vec<(u64, Vec<Fold>)>,
}

impl Shared {
    pub(crate) fn new(
        config: EmbeddedConfig,
        (master_key, incarnation, opening): (MasterKey, u64, u32),
        (recovery, durability): (Recovery, Durability),
        loaded: Loaded,
    ) -> Result<Self> {
        let shared = Self {
            hot: HotCustomers::new(config.summary_cache_bytes),
            folds: Folds::new(),
            seen: Mutex::new(Seen::new(config.dedupe_filter_bytes, loaded.head.sequence == 0)),
            config,
            master_key,
            incarnation,
            recovery,
            durability,
            engine: RwLock::new(None),
            tenants: RwLock::default(),
            present: RwLock::default(),
            leases: Mutex::new(Leases::new(opening)),
            written: std::array::from_fn(|_| watch::Sender::new(0)),
            floors: Mutex::new([[0; RANGES as usize]; 3]),
            maintenance: Arc::default(),
            sweep_wanted: AtomicBool::new(false),
            handles: AtomicUsize::new(0),
            ended: watch::Sender::new(false),
        };
        shared.install(loaded)?;
        Ok(shared)
    }

    /// Takes over what was read when the directory was opened, or opened anew.
    ///
    /// # Errors
    /// As the engine's, where the log has customers whose own values must be read.
    pub(crate) fn install(&self, loaded: Loaded) -> Result<()> {
        let Loaded {
            engine,
            head,
            settings,
            logged,
        } = loaded;
        self.hot.clear();
        *self.present.write() = head;
        for (id, settings) in settings {
            self.set(&id, settings);
        }
        for (written, count) in self.written.iter().zip(head.waiting) {
            // Whoever asks first is told of what waits from before.
            if count > 0 {
                written.send_modify(|written| *written += 1);
            }
        }
        let logged = guarded(|| self.unfolded(&engine, logged))?;
        self.folds.load(head.sequence, logged)?;
        *self.engine.write() = Some(Arc::new(engine));
        Ok(())
    }

    /// What of a log is not part of its customers' own values, and not of customers erased since.
    fn unfolded(&self, engine: &Engine, logged: Vec<(u64, Vec<Fold>)>) -> Result<Vec<(u64, Vec<Fold>)>> {
        let mut known: HashMap<Slice, (Generation, u64)> = HashMap::new();
        let mut left = Vec::with_capacity(logged.len());
        for (sequence, folds) in logged {
            let mut kept = Vec::with_capacity(folds.len());
            for fold in folds {
                let (present, folded) = match known.get(&fold.key) {
                    Some(known) => *known,
                    None => {
                        let found = self.folded(engine, &fold.key)?;
                        known.insert(fold.key.clone(), found);
                        found
                    }
                };
                if fold.generation == present && sequence > folded {
                    kept.push(fold);
                }
            }
            // Also where nothing is left, so that its row is forgotten.
            left.push((sequence, kept));
        }
        Ok(left)
    }

    /// A customer's present generation, and up to which commit their own value is complete.
    fn folded(&self, engine: &Engine, key: &[u8]) -> Result<(Generation, u64)> {
        let (tenant, customer) = keys::read_customer(key).ok_or_else(|| corrupt("a customer has no id"))?;
        let present = self.generation(engine, &tenant, &customer)?;
        let stored = engine.get(Space::Customers, key)?;
        // A damaged value is found by who needs it.
        let folded = stored.and_then(|stored| codec::own_of(&stored).ok().map(|(_, folded, _)| folded));
        Ok((present, folded.unwrap_or(0)))
    }

    /// A customer's present generation, as it is committed.
    pub(crate) fn generation(
        &self,
        engine: &Engine,
        tenant: &TenantId,
        customer: &CustomerId,
    ) -> Result<Generation> {
        let Tenant { key, settings } = self.tenant(tenant);
        if !settings.erasures {
            return Ok(Generation::ZERO);
        }
        let tombstone = keys::by_digest(tenant, &key.customer(customer));
        let found = engine.get(Space::Tombstones, &tombstone)?;
        Ok(found
            .map(|value| codec::generation_of(&value))
            .transpose()?
            .unwrap_or_default())
    }

    /// The open database.
    ///
    /// # Errors
    /// `Unavailable`, not applied, while there is none.
    pub(crate) fn engine(&self) -> Result<Arc<Engine>> {
        let engine = self.engine.read().as_ref().map(Arc::clone);
        engine.ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "the directory is not open").with_effect(Effect::NotApplied)
        })
    }

    /// What readers see, at one moment.
    ///
    /// # Errors
    /// `Unavailable`, not applied, while the database is not open.
    pub(crate) fn present(&self) -> Result<(Head, View)> {
        let engine = self.engine()?;
        let head = self.present.read();
        Ok((*head, engine.view()))
    }

    /// What readers see of the database.
    ///
    /// # Errors
    /// As [`present`](Self::present).
    pub(crate) fn view(&self) -> Result<View> {
        Ok(self.present()?.1)
    }

    /// What a customer has in memory, to be taken before a view.
    pub(crate) fn parts(&self, key: &[u8]) -> Vec<Arc<Part>> {
        let _present = self.present.read();
        self.folds.parts(key)
    }

    /// Takes the database away from readers to come.
    pub(crate) fn take_engine(&self) -> Option<Arc<Engine>> {
        self.engine.write().take()
    }

    /// Gives it back to them.
    pub(crate) fn return_engine(&self, engine: Arc<Engine>) {
        *self.engine.write() = Some(engine);
    }

    /// A tenant, of whom nothing may be set.
    pub(crate) fn tenant(&self, id: &TenantId) -> Tenant {
        if let Some(tenant) = self.tenants.read().get(id) {
            return tenant.clone();
        }
        let key = self.master_key.tenant(id);
        let fresh = || Tenant {
            key,
            settings: Settings::default(),
        };
        self.tenants
            .write()
            .entry(id.clone())
            .or_insert_with(fresh)
            .clone()
    }

    /// Takes over what was committed for a tenant.
    pub(crate) fn set(&self, id: &TenantId, settings: Settings) {
        let key = self.tenant(id).key;
        self.tenants.write().insert(id.clone(), Tenant { key, settings });
    }

    /// A tenant's fence.
    pub(crate) fn fence(&self, settings: Settings, head: Head) -> FenceState {
        let lanes = lanes_of(settings, head);
        FenceState::new(settings.epoch, lanes, self.incarnation, head.sequence)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("data_dir", &self.config.data_dir)
            .finish_non_exhaustive()
    }
}

/// The lanes in force for a tenant.
pub(crate) fn lanes_of(settings: Settings, head: Head) -> LaneSet {
    settings.lanes.unwrap_or(head.lanes)
}

/// The place of a lane in `Lane::ALL`.
pub(crate) fn lane_index(lane: Lane) -> usize {
    match lane {
        Lane::Replicate => 1,
        Lane::Archive => 2,
        _ => 0,
    }
}
