//! Opening: the tables are checked, the store's own settings are read or made.

use std::sync::Arc;

use kaireon_connect::postgres::Schema;
use kaireon_core::digest::{Digest, MasterKey};
use kaireon_core::{Error, ErrorKind, Result};
use sqlx::{AssertSqlSafe, Row};

use crate::client::Client;
use crate::error::of_sql;
use crate::migrations::MIGRATIONS;
use crate::options::PgStoreOptions;
use crate::partitions::Partitions;
use crate::shared::{PARTITION_LOCK, Shared, digest_of, lock, uuid_of};
use crate::sql::Sql;

/// Opens a store on a client, whose tables are there.
pub(crate) async fn open(client: Client, options: PgStoreOptions) -> Result<Arc<Shared>> {
    let schema = options.check()?;
    MIGRATIONS.check(client.pg(), &schema).await?;
    let sql = Sql::new(&schema, client.keeps_statements());
    let Birth {
        master_key,
        incarnation,
        is_something_left,
    } = birth(&client, &schema, &options).await?;
    let durability = client.pg().server().durability.clone();
    let partitions = Partitions::new(schema, lock(incarnation, PARTITION_LOCK), options.months_ahead);
    // A replica has them from its primary, and takes no writes until it is one.
    if !client.pg().server().in_recovery {
        partitions.ensure(&client, options.clock.now(), []).await?;
    }
    let shared = Arc::new(Shared::new(
        client,
        options,
        sql,
        partitions,
        (master_key, incarnation),
        durability,
    ));
    if is_something_left {
        shared.want_sweep();
    }
    Ok(shared)
}

/// What a store was made with.
struct Birth {
    master_key: MasterKey,
    incarnation: i64,
    /// Whether somebody was erased whose rows are not deleted.
    is_something_left: bool,
}

/// What the store was made with; made now if it is new. Of several that open a new store at once, one makes it.
async fn birth(client: &Client, schema: &Schema, options: &PgStoreOptions) -> Result<Birth> {
    let find = "SELECT incarnation, key_check, own_key, EXISTS (SELECT FROM {s}.erasing) FROM {s}.meta";
    loop {
        let query = client.pg().query(AssertSqlSafe(schema.fill(find)));
        if let Some(row) = client.fetch_optional(query).await? {
            let incarnation: i64 = row.try_get(0).map_err(of_sql)?;
            let check = digest_of(row.try_get(1).map_err(of_sql)?);
            let own: Option<&[u8]> = row.try_get(2).map_err(of_sql)?;
            return Ok(Birth {
                master_key: key(options, check, own)?,
                incarnation,
                is_something_left: row.try_get(3).map_err(of_sql)?,
            });
        }
        let (key, own) = match &options.master_key {
            Some(key) => (key.clone(), None),
            None => {
                let key = MasterKey::new(random()?);
                let own = key.as_bytes().to_vec();
                (key, Some(own))
            }
        };
        let make = "INSERT INTO {s}.meta (incarnation, key_check, own_key, lanes) VALUES ($1, $2, $3, $4) \
                    ON CONFLICT (one) DO NOTHING";
        let query = client
            .pg()
            .query(AssertSqlSafe(schema.fill(make)))
            .bind(i64::from_le_bytes(random()?))
            .bind(uuid_of(&key.check_value()))
            .bind(own)
            .bind(i16::from(options.lanes.bits()));
        client.execute(query).await?;
    }
}

/// The key that the store is under.
fn key(options: &PgStoreOptions, check: Digest, own: Option<&[u8]>) -> Result<MasterKey> {
    let kept = own
        .and_then(|own| <[u8; 32]>::try_from(own).ok())
        .map(MasterKey::new);
    let key = options.master_key.clone().or(kept);
    match key {
        Some(key) if key.check_value() == check => Ok(key),
        Some(_) => Err(wrong_key("is not the key that the store was made with")),
        None => Err(wrong_key("is missing: the store was made with one of the host's")),
    }
}

fn wrong_key(why: &'static str) -> Error {
    Error::new(ErrorKind::Config, why).with_field("master_key")
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|_| Error::new(ErrorKind::Unavailable, "the machine gives no random bytes"))?;
    Ok(bytes)
}
