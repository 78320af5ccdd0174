//! The interaction store.

use std::sync::Arc;

use async_trait::async_trait;
use kaireon_connect::postgres::PgClient;
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::signals::{Signals, StoreSignals};
use kaireon_core::store::{
    Accepted, BatchOutcome, Epoch, Erasure, ErasureReceipt, FenceRequest, FenceState, HistoryCursor,
    HistoryQuery, Origin, Page, Purge, PurgeReceipt, Record, RecordBatch, Recorded, ScanCursor, ScanQuery,
    StoreCapabilities, SummaryQuery, Tombstone, TombstoneQuery,
};
use kaireon_core::{
    Decision, Interaction, InteractionStore, Outbox, RecommendationId, Result, Summary, TenantId,
};
use sqlx::{PgConnection, PgPool};

use crate::client::{Client, Owner};
use crate::config::PgStoreConfig;
use crate::error::named;
use crate::handle::Handle;
use crate::migrations::MIGRATIONS;
use crate::options::PgStoreOptions;
use crate::write::{Answer, Op, SharedOp, record_in};
use crate::{
    MigrationReport, PgConnectConfig, PlannedMigration, erase, fence, open, outbox, purge, read, signals,
};

/// The PostgreSQL store: every operation of the contract, in a schema of its own.
///
/// A clone is the same handle, so disconnecting one disconnects both; [`connect`](Self::connect) again for another.
/// Dropped without a disconnect, what was accepted is still written, while the runtime lives.
#[derive(Clone, Debug)]
pub struct PgStore(Arc<Handle>);

impl PgStore {
    /// Connects to a store whose tables are there ([`migrate`](Self::migrate)). Must be called within a tokio runtime.
    ///
    /// # Errors
    /// `Config` where the tables are missing, too old or those of a newer library, and naming `master_key` when that
    /// is not the store's own; those of [`PgClient::connect`].
    ///
    /// # Dropped futures
    /// Nothing is left behind but, of a new store, its first settings.
    pub async fn connect(config: PgStoreConfig) -> Result<Self> {
        let PgStoreConfig { connect, options } = config;
        options.check().map_err(named("connect"))?;
        let pg = PgClient::connect(connect).await?;
        Self::open(Client::new(pg, Owner::Store), options).await
    }

    /// A store on a pool that the host owns, and closes. `connect` gives the bounds on statements and what is known of
    /// a pooler in between; its URL and the pool's sizes are not looked at.
    ///
    /// The pool's type is public so that a host keeps one pool for its own tables and these, and can
    /// [record in its own transactions](Self::record_in). The writers need a connection each
    /// ([`PgStoreOptions::writers`]), readers one per call.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    ///
    /// # Dropped futures
    /// As for [`connect`](Self::connect).
    pub async fn from_pool(pool: PgPool, connect: PgConnectConfig, options: PgStoreOptions) -> Result<Self> {
        options.check().map_err(named("connect"))?;
        let pg = PgClient::from_pool(pool, connect).await?;
        Self::open(Client::new(pg, Owner::Host), options).await
    }

    async fn open(client: Client, options: PgStoreOptions) -> Result<Self> {
        match open::open(client.clone(), options).await {
            Ok(shared) => Ok(Self(Arc::new(Handle::new(shared)))),
            Err(error) => {
                client.close().await;
                Err(named("connect")(error))
            }
        }
    }

    /// Brings the tables to this library's version; any number of instances may call it at once.
    ///
    /// # Errors
    /// `Config` where the tables were made by a newer library, `Unauthorized` where the role may not create;
    /// `Timeout` where another's migration does not end; those of the connection.
    ///
    /// # Dropped futures
    /// Each version is applied wholly or not at all.
    pub async fn migrate(config: &PgStoreConfig) -> Result<MigrationReport> {
        let schema = config.options.check().map_err(named("migrate"))?;
        let pg = PgClient::connect(config.connect.clone()).await?;
        let report = MIGRATIONS.migrate(&pg, &schema).await;
        pg.close().await;
        report.map_err(named("migrate"))
    }

    /// The versions that [`migrate`](Self::migrate) would apply, with the statements that would run. Changes nothing.
    ///
    /// # Errors
    /// As for [`migrate`](Self::migrate).
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn migration_plan(config: &PgStoreConfig) -> Result<Vec<PlannedMigration>> {
        let schema = config.options.check().map_err(named("migration_plan"))?;
        let pg = PgClient::connect(config.connect.clone()).await?;
        let plan = MIGRATIONS.plan(&pg, &schema).await;
        pg.close().await;
        plan.map_err(named("migration_plan"))
    }

    /// Records interactions inside a transaction of the host's on the same database: rows, summaries and outbox
    /// entries share its fate. The transaction is `READ COMMITTED`.
    ///
    /// The connection's type is public because the transaction is the host's: pass `&mut *transaction`.
    ///
    /// - **Order.** Each item is judged as by [`record_events`](InteractionStore::record_events), under a savepoint:
    ///   after an error the transaction goes on as if the call had not been.
    /// - **Connections.** Statements are prepared and kept, or not, as suits what lies before the *store's* connections,
    ///   because the driver does not say what the host's passes. So where the host's passes a pooler that keeps no
    ///   statements (PgBouncer before 1.21, or without `max_prepared_statements`), open the store on that pool, by
    ///   [`from_pool`](Self::from_pool). A tenant that this handle has not met and a month that is not there are looked
    ///   up and made on a connection of the store's while the host keeps its own: where both are of one pool, or behind
    ///   one pooler, it needs one more than there are such transactions at a time, or the call ends with `RateLimited`.
    /// - **Locks** are held until the host ends its transaction: the customers' rows, the fences of their tenants
    ///   (shared), the keys. Others' writes for these customers wait so long, nobody else's do; raising a fence or a
    ///   watermark of the tenant waits too. So keep such transactions short.
    /// - **Retries.** Who records several times in one transaction may lock customers in another order than somebody
    ///   else who does: PostgreSQL ends one of the two with a deadlock (`40P01`), which shows as `Unavailable`,
    ///   transient; the host then rolls back and runs its whole transaction again. One call locks in an order that
    ///   is the same for all.
    /// - **Delivery.** `NOTIFY` is never issued here, because it takes a lock of the whole database at the host's
    ///   commit. Call [`wake`](Self::wake) after the commit, and relays begin at once; without it, those of this handle
    ///   look often for a second and then at their usual pace, and those of other processes at that pace.
    ///
    /// # Errors
    /// `Unsupported` where the transaction's isolation is another, and where the batch is under epoch zero and the
    /// tenant's fence is not: this store may not be the tenant's authority, and such a caller could not tell;
    /// `Timeout` where another transaction holds a customer all the time; `RateLimited` where a connection of the
    /// store's is needed and there is none; those of the connection.
    ///
    /// # Dropped futures
    /// What was done is rolled back to the savepoint; the host's transaction can go on.
    pub async fn record_in(
        &self,
        connection: &mut PgConnection,
        batch: RecordBatch<Interaction>,
    ) -> Result<BatchOutcome<Recorded>> {
        let handle = &self.0;
        handle.check("record_in")?;
        let RecordBatch {
            records,
            origin,
            epoch,
        } = batch;
        let terms = handle.terms(origin, epoch);
        let mut ops: Vec<SharedOp> = Vec::with_capacity(records.len());
        for record in records {
            let tenant = handle.shared.tenant(&record.value.tenant).await;
            let tenant = tenant.map_err(named("record_in"))?;
            ops.push(Arc::new(Op::interaction(&tenant, record, terms)));
        }
        let recorded = record_in(&handle.shared, connection, ops)
            .await
            .map_err(named("record_in"))?;
        handle.lanes.expect_host();
        Ok(recorded)
    }

    /// Tells the relays that a host's transaction with [records](Self::record_in) was committed: those of this process
    /// at once, those of others by a notification that a connection of the store's sends, outside of any transaction.
    /// Several calls share one. To call it in vain, or not at all, does no harm: it only saves the wait for the next
    /// look.
    ///
    /// ```no_run
    /// # use kaireon_core::store::RecordBatch;
    /// # async fn example(
    /// #     pool: sqlx::PgPool, store: kaireon_store_pg::PgStore, shown: kaireon_core::Interaction,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut transaction = pool.begin().await?;
    /// // … the host's own statements …
    /// store.record_in(&mut transaction, RecordBatch::live([shown])).await?;
    /// transaction.commit().await?;
    /// store.wake();
    /// # Ok(()) }
    /// ```
    pub fn wake(&self) {
        self.0.shared.tell(LaneSet::of(&Lane::ALL));
    }
}

#[async_trait]
impl Signals for PgStore {
    /// From the statistics that the server keeps: customers are live rows as it counts them, writes are insertions into
    /// history and decisions since they were last reset, bytes are tables with their indexes. Of statements something is
    /// known where the extension `pg_stat_statements` is loaded and shows them to the role.
    async fn signals(&self) -> Result<StoreSignals> {
        self.0.check("signals")?;
        signals::signals(&self.0.shared).await.map_err(named("signals"))
    }
}

/// How many records are prepared before other tasks of the thread get their turn.
const TURN: usize = 128;

#[async_trait]
impl InteractionStore for PgStore {
    fn capabilities(&self) -> StoreCapabilities {
        self.0.shared.capabilities()
    }

    async fn record_event(&self, event: Interaction) -> Result<Recorded> {
        let handle = &self.0;
        handle.check("record_event")?;
        let record = async {
            let tenant = handle.shared.tenant(&event.tenant).await?;
            let terms = handle.terms(Origin::Live, Epoch::ZERO);
            let op = Op::interaction(&tenant, Record::from(event), terms);
            handle.write(op).await?.recorded()
        };
        record.await.map_err(named("record_event"))
    }

    async fn get_summaries(&self, query: SummaryQuery) -> Result<Vec<Summary>> {
        self.0.check("get_summaries")?;
        read::summaries(&self.0.shared, query)
            .await
            .map_err(named("get_summaries"))
    }

    async fn disconnect(&self) -> Result<()> {
        self.0.disconnect().await;
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        self.0.check("ping")?;
        self.0.shared.client.ping().await.map_err(named("ping"))
    }

    async fn record_events(&self, batch: RecordBatch<Interaction>) -> Result<BatchOutcome<Recorded>> {
        let handle = &self.0;
        handle.check("record_events")?;
        let RecordBatch {
            records,
            origin,
            epoch,
        } = batch;
        let terms = handle.terms(origin, epoch);
        let mut ops = Vec::with_capacity(records.len());
        for record in records {
            let tenant = handle.shared.tenant(&record.value.tenant).await;
            ops.push(Op::interaction(
                &*tenant.map_err(named("record_events"))?,
                record,
                terms,
            ));
            if ops.len() % TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
        let mut outcome = BatchOutcome::with_capacity(ops.len());
        for answer in handle.write_all(ops).await {
            outcome.push(answer.and_then(Answer::recorded).map_err(named("record_events")));
        }
        Ok(outcome)
    }

    async fn history(&self, query: HistoryQuery) -> Result<Page<Interaction, HistoryCursor>> {
        self.0.check("history")?;
        query.check().map_err(named("history"))?;
        read::history(&self.0.shared, query)
            .await
            .map_err(named("history"))
    }

    async fn scan(&self, query: ScanQuery) -> Result<Page<Accepted<Interaction>, ScanCursor>> {
        self.0.check("scan")?;
        query.check().map_err(named("scan"))?;
        read::scan(&self.0.shared, query).await.map_err(named("scan"))
    }

    async fn scan_decisions(&self, query: ScanQuery) -> Result<Page<Accepted<Decision>, ScanCursor>> {
        self.0.check("scan_decisions")?;
        query.check().map_err(named("scan_decisions"))?;
        read::scan(&self.0.shared, query)
            .await
            .map_err(named("scan_decisions"))
    }

    async fn record_decision(&self, decision: Decision) -> Result<Recorded<RecommendationId>> {
        let handle = &self.0;
        handle.check("record_decision")?;
        let record = async {
            let tenant = handle.shared.tenant(&decision.tenant).await?;
            let terms = handle.terms(Origin::Live, Epoch::ZERO);
            let op = Op::decision(&tenant, Record::from(decision), terms);
            handle.write(op).await?.decided()
        };
        record.await.map_err(named("record_decision"))
    }

    async fn record_decisions(
        &self,
        batch: RecordBatch<Decision>,
    ) -> Result<BatchOutcome<Recorded<RecommendationId>>> {
        let handle = &self.0;
        handle.check("record_decisions")?;
        let RecordBatch {
            records,
            origin,
            epoch,
        } = batch;
        let terms = handle.terms(origin, epoch);
        let mut ops = Vec::with_capacity(records.len());
        for record in records {
            let tenant = handle.shared.tenant(&record.value.tenant).await;
            ops.push(Op::decision(
                &*tenant.map_err(named("record_decisions"))?,
                record,
                terms,
            ));
        }
        let mut outcome = BatchOutcome::with_capacity(ops.len());
        for answer in handle.write_all(ops).await {
            outcome.push(
                answer
                    .and_then(Answer::decided)
                    .map_err(named("record_decisions")),
            );
        }
        Ok(outcome)
    }

    async fn decision(&self, tenant: &TenantId, id: &RecommendationId) -> Result<Option<Decision>> {
        self.0.check("decision")?;
        read::decision(&self.0.shared, tenant, id)
            .await
            .map_err(named("decision"))
    }

    async fn erase_customer(&self, request: Erasure) -> Result<ErasureReceipt> {
        self.0.check("erase_customer")?;
        erase::erase(&self.0.shared, request)
            .await
            .map_err(named("erase_customer"))
    }

    async fn tombstones(&self, query: TombstoneQuery) -> Result<Page<Tombstone, ScanCursor>> {
        self.0.check("tombstones")?;
        query.check().map_err(named("tombstones"))?;
        read::tombstones(&self.0.shared, query)
            .await
            .map_err(named("tombstones"))
    }

    async fn install_tombstones(&self, tenant: &TenantId, tombstones: Vec<Tombstone>) -> Result<()> {
        self.0.check("install_tombstones")?;
        let installed = erase::install_all(&self.0.shared, tenant, tombstones).await;
        installed.map_err(named("install_tombstones"))
    }

    async fn purge_before(&self, request: Purge) -> Result<PurgeReceipt> {
        self.0.check("purge_before")?;
        purge::purge(&self.0.shared, request)
            .await
            .map_err(named("purge_before"))
    }

    async fn raise_fence(&self, request: FenceRequest) -> Result<FenceState> {
        self.0.check("raise_fence")?;
        fence::raise(&self.0.shared, request)
            .await
            .map_err(named("raise_fence"))
    }

    async fn fence(&self, tenant: &TenantId) -> Result<FenceState> {
        self.0.check("fence")?;
        fence::read(&self.0.shared, tenant).await.map_err(named("fence"))
    }

    fn measures(&self) -> Option<Arc<dyn Signals>> {
        Some(Arc::new(self.clone()))
    }

    fn outbox(&self) -> Option<Arc<dyn Outbox>> {
        Some(outbox::of(&self.0))
    }
}
