//! Settings that any number of processes share, in a schema of their own.

mod config;
mod sql;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use kaireon_connect::postgres::{Migration, MigrationReport, Migrations, PgClient, PgUnit, PlannedMigration};
use kaireon_core::settings::{
    Reach, Setting, SettingEntry, SettingVersion, SettingWrite, SettingsCapabilities, SettingsQuery,
    SettingsStore, Swapped, TrailQuery,
};
use kaireon_core::store::Page;
use kaireon_core::wire::corrupt;
use kaireon_core::{ChangeId, Error, Result, TenantId};
use sqlx::Row;
use sqlx::postgres::PgRow;

pub use self::config::PgSettingsConfig;
use self::sql::Statements;
use crate::BACKEND;
use crate::again::unit_again;
use crate::client::{Bound, Client, Owner};
use crate::error::{named, not_applied, of_sql};

/// Every version of the tables, oldest first. A version that was released is never edited.
const MIGRATIONS: Migrations = Migrations {
    table: "settings_versions",
    list: &[Migration {
        version: 1,
        name: "settings and their trails",
        statements: &[include_str!("settings/schema.sql")],
        oldest_library: 1,
    }],
    oldest_database: 1,
};

const _: () = assert!(MIGRATIONS.spares_neighbours());

/// Settings on PostgreSQL, shared by any number of processes. The database may be one of a switch's two, but then it is
/// away together with that store; one of its own is better.
///
/// A clone is the same handle, so disconnecting one disconnects both; [`connect`](Self::connect) again for another.
#[derive(Clone, Debug)]
pub struct PgSettings(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    client: Client,
    sql: Statements,
    closed: AtomicBool,
}

impl PgSettings {
    /// Connects to settings whose tables are there ([`migrate`](Self::migrate)).
    ///
    /// # Errors
    /// `Config` where the tables are missing, too old or those of a newer library; those of [`PgClient::connect`].
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn connect(config: PgSettingsConfig) -> Result<Self> {
        let schema = config.schema().map_err(named("connect"))?;
        let client = Client::new(PgClient::connect(config.connect).await?, Owner::Store);
        if let Err(error) = MIGRATIONS.check(client.pg(), &schema).await {
            client.close().await;
            return Err(named("connect")(error));
        }
        Ok(Self(Arc::new(Handle {
            sql: Statements::new(&schema),
            client,
            closed: AtomicBool::new(false),
        })))
    }

    /// Brings the tables to this library's version; any number of instances may call it at once.
    ///
    /// # Errors
    /// `Config` where the tables were made by a newer library, `Unauthorized` where the role may not create;
    /// `Timeout` where another's migration does not end; those of the connection.
    ///
    /// # Dropped futures
    /// Each version is applied wholly or not at all.
    pub async fn migrate(config: &PgSettingsConfig) -> Result<MigrationReport> {
        let schema = config.schema().map_err(named("migrate"))?;
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
    pub async fn migration_plan(config: &PgSettingsConfig) -> Result<Vec<PlannedMigration>> {
        let schema = config.schema().map_err(named("migration_plan"))?;
        let pg = PgClient::connect(config.connect.clone()).await?;
        let plan = MIGRATIONS.plan(&pg, &schema).await;
        pg.close().await;
        plan.map_err(named("migration_plan"))
    }

    fn open(&self, operation: &'static str) -> Result<&Handle> {
        if self.0.closed.load(Ordering::Acquire) {
            return Err(Error::disconnected(BACKEND, operation));
        }
        Ok(&self.0)
    }
}

impl Handle {
    fn query(&self, text: &Arc<str>) -> Bound {
        self.client.pg().query(sqlx::AssertSqlSafe(Arc::clone(text)))
    }

    /// One statement of a unit; nothing of the unit is committed when it fails.
    async fn row(&self, unit: &mut PgUnit, query: Bound) -> Result<Option<PgRow>> {
        let row = unit.fetch_optional(query).await;
        row.map_err(of_sql).map_err(not_applied)
    }

    async fn swap(&self, write: SettingWrite) -> Result<Swapped> {
        let mut unit = self.client.begin().await.map_err(not_applied)?;
        self.row(&mut unit, self.query(&self.sql.count)).await?;
        let tenant = write.tenant.as_str().to_owned();
        let present = self.query(&self.sql.present).bind(tenant.clone());
        let present = self.row(&mut unit, present).await?;
        let present = present.as_ref().map(|row| setting(row, 0)).transpose()?;
        let version = present
            .as_ref()
            .map(|present| present.version)
            .unwrap_or_default();
        if version != write.expected {
            // The unit is given up, and the count with it.
            let entry = self
                .query(&self.sql.entry)
                .bind(tenant)
                .bind(number(write.expected.next()));
            let entry = self.row(&mut unit, entry).await?;
            let entry = entry.as_ref().map(entry_of).transpose()?;
            return match entry {
                Some(entry) if entry.is_of(&write)? => Ok(Swapped::Done(entry.setting.version)),
                _ => Ok(Swapped::Lost(present)),
            };
        }
        let next = version.next();
        let enter = self.query(&self.sql.enter);
        let enter = enter
            .bind(tenant)
            .bind(number(next))
            .bind(write.id.as_str().to_owned())
            .bind(write.author)
            .bind(write.reason)
            .bind(write.at)
            .bind(write.document.as_ref().to_owned());
        self.row(&mut unit, enter).await?;
        self.client.commit(unit).await?;
        Ok(Swapped::Done(next))
    }

    async fn settings(&self, query: SettingsQuery) -> Result<Page<(TenantId, Setting), TenantId>> {
        let SettingsQuery { limit, cursor } = query;
        let after = cursor.map(|cursor| cursor.as_str().to_owned());
        let list = self.query(&self.sql.list).bind(after).bind(i64::from(limit) + 1);
        let rows = self.client.fetch_all(list).await?;
        let item = |row: &PgRow| {
            let tenant: &str = row.try_get(2).map_err(of_sql)?;
            let tenant = TenantId::new(tenant).map_err(|_| corrupt("a tenant's name is out of bounds"))?;
            Ok((tenant, setting(row, 0)?))
        };
        let items = rows.iter().map(item).collect::<Result<Vec<_>>>()?;
        Ok(page(items, limit, |(tenant, _)| tenant.clone()))
    }

    async fn trail(&self, query: TrailQuery) -> Result<Page<SettingEntry, SettingVersion>> {
        let TrailQuery {
            tenant,
            limit,
            cursor,
        } = query;
        let trail = self.query(&self.sql.trail).bind(tenant.as_str().to_owned());
        let before = cursor.map(number);
        let rows = self
            .client
            .fetch_all(trail.bind(before).bind(i64::from(limit) + 1))
            .await?;
        let items = rows.iter().map(entry_of).collect::<Result<Vec<_>>>()?;
        Ok(page(items, limit, |entry| entry.setting.version))
    }

    async fn changes(&self) -> Result<u64> {
        let row = self.client.fetch_optional(self.query(&self.sql.changes)).await?;
        let row = row.ok_or_else(|| corrupt("the count of the settings is gone"))?;
        let done: i64 = row.try_get(0).map_err(of_sql)?;
        Ok(done.cast_unsigned())
    }
}

/// A version, as the tables keep it: [`SettingWrite::check`] keeps it within.
const fn number(version: SettingVersion) -> i64 {
    version.0.cast_signed()
}

/// Cuts a page out of one row more than was asked for.
fn page<T, C>(mut items: Vec<T>, limit: u32, cursor: impl Fn(&T) -> C) -> Page<T, C> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(cursor);
    Page { items, next }
}

/// A setting of two columns, from this one on: version and document.
fn setting(row: &PgRow, first: usize) -> Result<Setting> {
    let version: i64 = row.try_get(first).map_err(of_sql)?;
    let document: &str = row.try_get(first + 1).map_err(of_sql)?;
    Ok(Setting {
        version: SettingVersion(version.cast_unsigned()),
        document: Arc::from(document),
    })
}

fn entry_of(row: &PgRow) -> Result<SettingEntry> {
    let id: &str = row.try_get(2).map_err(of_sql)?;
    Ok(SettingEntry {
        setting: setting(row, 0)?,
        id: ChangeId::new(id).map_err(|_| corrupt("the id of a change is out of bounds"))?,
        author: row.try_get(3).map_err(of_sql)?,
        reason: row.try_get(4).map_err(of_sql)?,
        at: row.try_get(5).map_err(of_sql)?,
    })
}

#[async_trait]
impl SettingsStore for PgSettings {
    fn capabilities(&self) -> SettingsCapabilities {
        let durability = self.0.client.pg().server().durability.clone();
        SettingsCapabilities::new(BACKEND, durability, Reach::Processes)
    }

    async fn setting(&self, tenant: &TenantId) -> Result<Option<Setting>> {
        let handle = self.open("setting")?;
        let query = handle.query(&handle.sql.present).bind(tenant.as_str().to_owned());
        let row = handle
            .client
            .fetch_optional(query)
            .await
            .map_err(named("setting"))?;
        let found = row.as_ref().map(|row| setting(row, 0)).transpose();
        found.map_err(named("setting"))
    }

    async fn swap(&self, write: SettingWrite) -> Result<Swapped> {
        write.check().map_err(named("swap"))?;
        let handle = self.open("swap")?;
        let swapped = unit_again(|| handle.swap(write.clone())).await;
        swapped.map_err(named("swap"))
    }

    async fn settings(&self, query: SettingsQuery) -> Result<Page<(TenantId, Setting), TenantId>> {
        query.check().map_err(named("settings"))?;
        let page = self.open("settings")?.settings(query).await;
        page.map_err(named("settings"))
    }

    async fn trail(&self, query: TrailQuery) -> Result<Page<SettingEntry, SettingVersion>> {
        query.check().map_err(named("trail"))?;
        self.open("trail")?.trail(query).await.map_err(named("trail"))
    }

    async fn changes(&self) -> Result<u64> {
        self.open("changes")?.changes().await.map_err(named("changes"))
    }

    async fn disconnect(&self) -> Result<()> {
        self.0.closed.store(true, Ordering::Release);
        self.0.client.close().await;
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        self.open("ping")?.client.ping().await.map_err(named("ping"))
    }
}
