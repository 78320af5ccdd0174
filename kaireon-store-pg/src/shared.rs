//! What the handles, readers and writers of one open store share.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use kaireon_core::digest::{Digest, MasterKey, TenantKey};
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::store::{Durability, StoreCapabilities};
use kaireon_core::time::{TimeSource, Timestamp};
use kaireon_core::{CustomerId, Error, ErrorKind, Result, TenantId};
use parking_lot::RwLock;
use sqlx::Row;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::BACKEND;
use crate::client::Client;
use crate::error::not_applied;
use crate::options::PgStoreOptions;
use crate::partitions::Partitions;
use crate::sql::Sql;

pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) options: PgStoreOptions,
    pub(crate) sql: Sql,
    pub(crate) master_key: MasterKey,
    pub(crate) incarnation: i64,
    pub(crate) durability: Durability,
    pub(crate) partitions: Partitions,
    tenants: RwLock<HashMap<TenantId, Arc<Tenant>>>,
    /// Per lane: grows when this process has committed entries, for relays in the same process.
    pub(crate) written: [watch::Sender<u64>; 3],
    sweep_wanted: Notify,
}

/// A tenant: the number it has in this schema, as far as this process knows, and its key.
///
/// **The number may be another's.** A fail-over to a replica that lagged and a restored backup go back in time: a
/// tenant that was entered since then is not there, and its number may be given to another. So whatever goes by a
/// number alone compares the name with it in the same statement, or in the same transaction, and whoever finds that
/// they differ [asks again](Shared::is_renumbered). What goes by a digest finds nothing where the number is wrong,
/// because the digest is under the tenant's own key; there an empty answer asks.
pub(crate) struct Tenant {
    pub(crate) name: TenantId,
    pub(crate) number: i32,
    pub(crate) key: TenantKey,
}

impl Tenant {
    /// The digest that a customer is found by.
    pub(crate) fn customer(&self, customer: &CustomerId) -> Digest {
        self.key.customer(customer)
    }
}

impl Shared {
    pub(crate) fn new(
        client: Client,
        options: PgStoreOptions,
        sql: Sql,
        partitions: Partitions,
        (master_key, incarnation): (MasterKey, i64),
        durability: Durability,
    ) -> Self {
        Self {
            client,
            options,
            sql,
            master_key,
            incarnation,
            durability,
            partitions,
            tenants: RwLock::default(),
            written: std::array::from_fn(|_| watch::Sender::new(0)),
            sweep_wanted: Notify::new(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    /// The present time where it is not the server's: a clock that is moved on purpose. The server's is the same for all
    /// processes, whose own may differ or be set back.
    pub(crate) fn given_time(&self) -> Option<Timestamp> {
        match self.options.clock.source() {
            TimeSource::Real => None,
            _ => Some(self.now()),
        }
    }

    pub(crate) fn capabilities(&self) -> StoreCapabilities {
        let mut capabilities = StoreCapabilities::full(BACKEND);
        capabilities.durability.clone_from(&self.durability);
        capabilities.key_check = Some(self.master_key.check_value());
        capabilities
    }

    /// A tenant that is there; `None` when nothing was ever recorded or set for it.
    pub(crate) async fn find_tenant(&self, id: &TenantId) -> Result<Option<Arc<Tenant>>> {
        if let Some(known) = self.tenants.read().get(id) {
            return Ok(Some(Arc::clone(known)));
        }
        let number = self.number_of(id).await?;
        Ok(number.map(|number| self.keep(id, number)))
    }

    async fn number_of(&self, id: &TenantId) -> Result<Option<i32>> {
        let query = self.sql.find_tenant.query().bind(id.as_str().to_owned());
        let found = self.client.fetch_optional(query).await?;
        let number = found.map(|row| row.try_get::<i32, _>(0)).transpose();
        number.map_err(crate::error::of_sql)
    }

    /// Whether a tenant has another number by now, or none; it is forgotten then.
    pub(crate) async fn is_renumbered(&self, tenant: &Tenant) -> Result<bool> {
        let present = self.number_of(&tenant.name).await?;
        let renumbered = present != Some(tenant.number);
        if renumbered {
            self.forget_tenant(&tenant.name, tenant.number);
        }
        Ok(renumbered)
    }

    /// Forgets a tenant's number, if it is still this one.
    pub(crate) fn forget_tenant(&self, id: &TenantId, number: i32) {
        let mut tenants = self.tenants.write();
        if tenants.get(id).is_some_and(|known| known.number == number) {
            tenants.remove(id);
            tracing::warn!(
                "a tenant has another number than before: the database is another, or went back in time"
            );
        }
    }

    /// Does what goes by a tenant's number, which is entered if it is not there; again while that is found not to be
    /// the tenant's, which is `None`.
    pub(crate) async fn under_number<T, F>(&self, id: &TenantId, work: impl Fn(Arc<Tenant>) -> F) -> Result<T>
    where
        F: Future<Output = Result<Option<T>>>,
    {
        for _ in 0..RENUMBERINGS {
            let tenant = self.tenant(id).await?;
            let number = tenant.number;
            if let Some(done) = work(tenant).await? {
                return Ok(done);
            }
            self.forget_tenant(id, number);
        }
        Err(renumbered_again())
    }

    /// A tenant, entered if it is not there.
    pub(crate) async fn tenant(&self, id: &TenantId) -> Result<Arc<Tenant>> {
        loop {
            if let Some(known) = self.find_tenant(id).await? {
                return Ok(known);
            }
            let query = self.sql.enter_tenant.query().bind(id.as_str().to_owned());
            // Whether it is entered or not, nothing of what is to be done for it is.
            self.client.execute(query).await.map_err(not_applied)?;
        }
    }

    fn keep(&self, id: &TenantId, number: i32) -> Arc<Tenant> {
        let tenant = Arc::new(Tenant {
            name: id.clone(),
            number,
            key: self.master_key.tenant(id),
        });
        self.tenants.write().insert(id.clone(), Arc::clone(&tenant));
        tenant
    }

    /// Wakes the relays of this process; to be called after a commit.
    pub(crate) fn tell(&self, lanes: LaneSet) {
        for lane in lanes.iter() {
            self.written[usize::from(lane_number(lane).unsigned_abs())].send_modify(|count| *count += 1);
        }
    }

    /// The advisory lock that stands for a tenant's fence: shared by writers, taken alone to change it. Several
    /// tenants may share one, which costs a wait and nothing else; so a batch of many tenants holds few.
    pub(crate) fn fence_lock(&self, tenant: i32) -> i64 {
        lock(self.incarnation, i64::from(tenant.rem_euclid(FENCE_LOCKS)))
    }

    /// Notes that something is to be deleted, which was taken away by a commit before.
    pub(crate) fn want_sweep(&self) {
        self.sweep_wanted.notify_one();
    }

    /// Returns when something is to be deleted; at once if it was noted before.
    pub(crate) async fn sweep_wanted(&self) {
        self.sweep_wanted.notified().await;
    }
}

/// How often a tenant's number is asked for again before its caller is told. Once is enough, unless the database is
/// being exchanged.
pub(crate) const RENUMBERINGS: u32 = 5;

/// The tenant's number was never the one that had just been read.
pub(crate) fn renumbered_again() -> Error {
    not_applied(Error::new(
        ErrorKind::Unavailable,
        "the tenant's number changed again and again",
    ))
}

/// How many advisory locks stand for fences.
const FENCE_LOCKS: i32 = 64;

/// The advisory lock under which partitions are made.
pub(crate) const PARTITION_LOCK: i64 = 64;

/// Odd, so that no two incarnations share all their locks.
const LOCKS: i64 = 1_025;

/// An advisory lock of a store's own: the incarnation keeps the stores of one database apart.
pub(crate) const fn lock(incarnation: i64, number: i64) -> i64 {
    incarnation.wrapping_mul(LOCKS).wrapping_add(number)
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A digest as the server keeps it.
pub(crate) fn uuid_of(digest: &Digest) -> Uuid {
    Uuid::from_bytes(*digest.as_bytes())
}

/// A digest as the server kept it.
pub(crate) fn digest_of(uuid: Uuid) -> Digest {
    Digest::from_bytes(uuid.into_bytes())
}

/// A lane's number in the tables.
pub(crate) fn lane_number(lane: Lane) -> i16 {
    match lane {
        Lane::Replicate => 1,
        Lane::Archive => 2,
        _ => 0,
    }
}
