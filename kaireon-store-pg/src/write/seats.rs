//! The customers of a batch: found and locked, or entered.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use kaireon_core::outbox::LaneSet;
use kaireon_core::store::{Epoch, Generation};
use kaireon_core::summary::packed::Packed;
use kaireon_core::wire::corrupt;
use kaireon_core::{CustomerId, Result, TenantId};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::judge::Settings;
use super::op::Who;
use super::unit::{Failure, Held};
use crate::shared::{Shared, digest_of, uuid_of};

/// A customer whose row this transaction holds.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) who: Who,
    /// What the customer's rows hang on.
    pub(crate) number: i64,
    pub(crate) generation: Generation,
    /// What cannot be read fails the customer's records, and nobody else's.
    pub(crate) packed: Result<Packed>,
    /// Entered by this transaction.
    pub(crate) fresh: bool,
}

/// The customers that are to be had, each with the name of the tenant whose number leads it.
pub(crate) type Wanted<'a> = BTreeMap<Who, (&'a TenantId, &'a CustomerId)>;

/// The customers that could be had, and what is set for their tenants.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    pub(crate) seats: Vec<Seat>,
    /// Where each lies in `seats`; who is missing is held by another transaction.
    pub(crate) place: HashMap<Who, usize>,
    pub(crate) settings: HashMap<i32, Settings>,
    /// Whose the numbers are.
    names: HashMap<i32, TenantId>,
}

impl Seats {
    /// Takes the customers, in their order. Fences are locked before.
    pub(crate) async fn take(
        connection: &mut PgConnection,
        shared: &Shared,
        wanted: &Wanted<'_>,
        held: Held,
    ) -> Result<Self, Failure> {
        let mut taken = Self::default();
        // Whom another transaction has just made must be read again, to be waited for.
        loop {
            let missing: Vec<Who> = wanted
                .keys()
                .filter(|who| !taken.place.contains_key(who))
                .copied()
                .collect();
            taken.open(connection, shared, &missing, held).await?;
            // Nobody is entered under a number that is another tenant's.
            let missing: Vec<Who> = missing
                .into_iter()
                .filter(|who| !taken.place.contains_key(who) && taken.owns(who.0, wanted[who].0))
                .collect();
            if missing.is_empty() {
                return Ok(taken);
            }
            taken.enter(connection, shared, &missing, wanted).await?;
            let all = missing.iter().all(|who| taken.place.contains_key(who));
            if all || held == Held::Skip {
                return Ok(taken);
            }
        }
    }

    /// Whether a number is the tenant's.
    pub(crate) fn owns(&self, number: i32, tenant: &TenantId) -> bool {
        self.names.get(&number) == Some(tenant)
    }

    async fn open(
        &mut self,
        connection: &mut PgConnection,
        shared: &Shared,
        missing: &[Who],
        held: Held,
    ) -> Result<(), Failure> {
        let statement = match held {
            Held::Skip => &shared.sql.open,
            Held::Wait => &shared.sql.open_waiting,
        };
        let tenants: HashSet<i32> = missing.iter().map(|(tenant, _)| *tenant).collect();
        let query = statement
            .query()
            .bind(missing.iter().map(|(tenant, _)| *tenant).collect::<Vec<_>>())
            .bind(missing.iter().map(|(_, who)| uuid_of(who)).collect::<Vec<_>>())
            .bind(tenants.into_iter().collect::<Vec<_>>());
        for row in query.fetch_all(&mut *connection).await? {
            let tenant: i32 = row.try_get(0)?;
            if let Entry::Vacant(unknown) = self.settings.entry(tenant) {
                unknown.insert(settings(&row)?);
                // A name that is none is nobody's.
                if let Ok(name) = TenantId::new(row.try_get::<&str, _>(8)?) {
                    self.names.insert(tenant, name);
                }
            }
            let Some(digest) = row.try_get::<Option<Uuid>, _>(4)? else {
                continue;
            };
            let packed: &[u8] = row.try_get(7)?;
            self.sit(Seat {
                who: (tenant, digest_of(digest)),
                number: row.try_get(5)?,
                generation: generation(row.try_get(6)?)?,
                packed: packed_of(packed),
                fresh: false,
            });
        }
        Ok(())
    }

    async fn enter(
        &mut self,
        connection: &mut PgConnection,
        shared: &Shared,
        missing: &[Who],
        wanted: &Wanted<'_>,
    ) -> Result<(), Failure> {
        let customers = missing.iter().map(|who| wanted[who].1.as_str());
        let query = shared
            .sql
            .enter_customers
            .query()
            .bind(missing.iter().map(|(tenant, _)| *tenant).collect::<Vec<_>>())
            .bind(missing.iter().map(|(_, who)| uuid_of(who)).collect::<Vec<_>>())
            .bind(customers.map(str::to_owned).collect::<Vec<_>>());
        let entered = query.fetch_all(&mut *connection).await?;
        if entered.is_empty() {
            return Ok(());
        }
        let (mut tenants, mut digests) = (Vec::new(), Vec::new());
        for row in entered {
            let (tenant, digest): (i32, Uuid) = (row.try_get(0)?, row.try_get(1)?);
            tenants.push(tenant);
            digests.push(digest);
            self.sit(Seat {
                who: (tenant, digest_of(digest)),
                number: row.try_get(2)?,
                generation: Generation::ZERO,
                packed: Ok(Packed::new()),
                fresh: true,
            });
        }
        let query = shared.sql.read_tombstones.query().bind(tenants).bind(digests);
        for row in query.fetch_all(&mut *connection).await? {
            let who: Who = (row.try_get(0)?, digest_of(row.try_get(1)?));
            if let Some(&at) = self.place.get(&who) {
                self.seats[at].generation = generation(row.try_get(2)?)?;
            }
        }
        Ok(())
    }

    fn sit(&mut self, seat: Seat) {
        self.place.insert(seat.who, self.seats.len());
        self.seats.push(seat);
    }
}

fn settings(row: &PgRow) -> Result<Settings, Failure> {
    let lanes: i16 = row.try_get(2)?;
    Ok(Settings {
        epoch: Epoch(row.try_get::<i64, _>(1)?.cast_unsigned()),
        lanes: lanes_of(lanes),
        watermark: row.try_get(3)?,
    })
}

/// Lanes as they are kept.
pub(crate) fn lanes_of(bits: i16) -> LaneSet {
    LaneSet::from_bits(u8::try_from(bits & 0xff).unwrap_or_default())
}

/// A generation as it is kept.
pub(crate) fn generation(number: i64) -> Result<Generation> {
    let number = u32::try_from(number).map_err(|_| corrupt("a stored generation is out of range"))?;
    Ok(Generation(number))
}

/// A customer who has nothing yet has no bytes.
pub(crate) fn packed_of(bytes: &[u8]) -> Result<Packed> {
    match bytes {
        [] => Ok(Packed::new()),
        bytes => Packed::decode(bytes),
    }
}
