//! How the plain store judges one record, and how its flaws judge it.

use chrono::TimeDelta;
use kaireon_core::outbox::{LaneSet, OutboxPayload};
use kaireon_core::store::{Accepted, Epoch, Generation, Origin, Record, Recorded};
use kaireon_core::{
    Attributes, CustomerId, Decision, Effect, Error, ErrorKind, Interaction, Period, PeriodType,
    RecommendationId, Result, TenantId,
};

use super::disk::{Disk, Known, digest};
use super::flaw::Flaw;
use super::place::Place;

/// The most bytes of attributes where a flaw bounds them.
const MOST_ATTRIBUTES: usize = 32_768;

/// How a batch is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) origin: Origin,
    pub(super) epoch: Epoch,
    /// Whether the outbox is told; a flaw forgets it.
    pub(super) told: bool,
}

/// What was seen before the unit that writes, where a flaw looks there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Glance {
    pub(super) fence_passed: bool,
    pub(super) key_unknown: bool,
    pub(super) generation: Option<Generation>,
}

impl Place {
    /// The name of a customer's place in the map.
    pub(super) fn name(&self, tenant: &TenantId, customer: &CustomerId) -> String {
        let separator = if self.has(Flaw::JoinsTenantAndCustomer) {
            ""
        } else {
            "\0"
        };
        if self.has(Flaw::TrimsIds) {
            return format!(
                "{}{separator}{}",
                tenant.as_str().trim_end(),
                customer.as_str().trim_end()
            );
        }
        format!("{tenant}{separator}{customer}")
    }

    /// The name under which an interaction's key is remembered.
    pub(super) fn key_name(&self, event: &Interaction) -> String {
        let key = event.idempotency_key.as_str();
        if self.has(Flaw::KeysPerMonth) {
            return format!(
                "{key}\0{}",
                Period::containing(PeriodType::Monthly, event.timestamp)
            );
        }
        if self.has(Flaw::FoldsKeys) {
            return key.to_lowercase();
        }
        key.to_owned()
    }

    /// In whose keys a tenant's are remembered: its own, but for a flaw.
    fn key_owner(&self, tenant: &TenantId, flaw: Flaw) -> TenantId {
        match self.has(flaw) {
            true => self.everybody.clone(),
            false => tenant.clone(),
        }
    }

    /// Looks at a record outside of the unit that writes; only flaws do.
    pub(super) fn glance(&self, disk: &Disk, event: &Interaction, epoch: Epoch) -> Glance {
        let tenant = disk.tenants.get(&event.tenant);
        let customer = digest(&self.key, &event.tenant, &event.customer);
        Glance {
            fence_passed: self.has(Flaw::ChecksEpochsOutsideTheUnit)
                && tenant.is_none_or(|tenant| epoch >= tenant.epoch),
            key_unknown: self.has(Flaw::ChecksKeysOutsideTheUnit)
                && tenant.is_none_or(|tenant| !tenant.keys.contains_key(&self.key_name(event))),
            generation: self
                .has(Flaw::ErasureMissesWriters)
                .then(|| disk.generation(&event.tenant, &customer)),
        }
    }

    fn check_fence(&self, disk: &Disk, tenant: &TenantId, epoch: Epoch, glance: Glance) -> Result<()> {
        let lowest = disk
            .tenants
            .get(tenant)
            .map_or(Epoch::ZERO, |tenant| tenant.epoch);
        if glance.fence_passed || self.has(Flaw::IgnoresEpochs) || epoch >= lowest {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Fenced, "the epoch is no longer in force"))
    }

    fn check_generation<T>(&self, record: &Record<T>, origin: Origin) -> Result<()> {
        if self.has(Flaw::TakesAnyGeneration) && origin != Origin::Live && record.generation.is_some() {
            return Ok(());
        }
        if self.has(Flaw::LiveTakesGenerations) && origin == Origin::Live {
            return Ok(());
        }
        origin.check_generation(record.generation)
    }

    /// The generation to accept a record under; a higher one raises the customer's.
    fn accept(
        &self,
        disk: &mut Disk,
        owner: (&TenantId, &CustomerId),
        given: Option<Generation>,
    ) -> Result<Generation> {
        let (tenant, customer) = owner;
        let present = disk.generation(tenant, &digest(&self.key, tenant, customer));
        let Some(given) = given else {
            return Ok(present);
        };
        if given < present && !self.has(Flaw::TakesErasedGenerations) {
            return Err(Error::new(ErrorKind::Erased, "the customer was erased"));
        }
        if given > present && self.has(Flaw::HigherGenerationsEraseNothing) {
            let digest = digest(&self.key, tenant, customer);
            disk.tenant(tenant).generations.insert(digest, given);
        } else if given > present && self.has(Flaw::HigherGenerationsKeepEntries) {
            let kept = disk.outbox.clone();
            self.raise(disk, tenant, customer, given);
            disk.outbox = kept;
        } else if given > present {
            self.raise(disk, tenant, customer, given);
        }
        Ok(given.max(present))
    }

    /// Raises a customer's generation, and removes what lies below it.
    pub(super) fn raise(
        &self,
        disk: &mut Disk,
        tenant: &TenantId,
        customer: &CustomerId,
        to: Generation,
    ) -> [u64; 4] {
        let digest = digest(&self.key, tenant, customer);
        if !self.has(Flaw::ErasureKeepsTheGeneration) {
            disk.tenant(tenant).generations.insert(digest, to);
        }
        let name = self.name(tenant, customer);
        let mut removed = [0; 4];
        if let Some(found) = disk.customers.get_mut(&name) {
            let rows = std::mem::take(&mut found.rows);
            removed[0] = rows.len() as u64;
            if self.has(Flaw::ErasureForgetsKeys) {
                let gone: Vec<_> = rows.into_values().map(|row| row.value.id.clone()).collect();
                let keys = disk.tenants.entry(tenant.clone()).or_default();
                keys.keys.retain(|_, known| !gone.contains(&known.id));
            }
            if !self.has(Flaw::ErasureForgetsSummaries) {
                removed[1] = std::mem::take(&mut found.summaries).len() as u64;
            }
        }
        if !self.has(Flaw::ErasureForgetsDecisions) {
            let decisions = &mut disk.tenant(tenant).decisions;
            let before = decisions.len();
            decisions.retain(|_, decision| decision.value.customer != *customer);
            removed[2] = (before - decisions.len()) as u64;
        }
        if !self.has(Flaw::ErasureForgetsTheOutbox) {
            removed[3] = disk.drop_entries(tenant, customer, to);
        }
        removed
    }

    /// Judges one interaction and applies it, as one unit.
    pub(super) fn record(
        &self,
        disk: &mut Disk,
        record: Record<Interaction>,
        terms: Terms,
        glance: Glance,
    ) -> Result<Recorded> {
        let Terms { origin, epoch, told } = terms;
        self.check_fence(disk, &record.value.tenant, epoch, glance)?;
        self.check_generation(&record, origin)?;
        let mut event = record.value;
        let content = match self.has(Flaw::IgnoresTheValueOfARetry) {
            true => self
                .key
                .tenant(&event.tenant)
                .identity(&event.edited(|fields| fields.value = None)?),
            false => self.key.tenant(&event.tenant).identity(&event),
        };
        let mut name = self.key_name(&event);
        if origin != Origin::Live && self.has(Flaw::ReplicatedHasKeysOfItsOwn) {
            name.push_str("\0replicated");
        }
        let key_owner = self.key_owner(&event.tenant, Flaw::SharesKeysAcrossTenants);
        let known = disk.tenant(&key_owner).keys.get(&name).cloned();
        if let Some(known) = known.filter(|_| !glance.key_unknown) {
            return self.repeat(disk, &event, known.content == content, known.id, told);
        }
        let generation = match self.accept(disk, (&event.tenant, &event.customer), record.generation)? {
            _ if glance.generation.is_some() && origin == Origin::Live => {
                glance.generation.unwrap_or_default()
            }
            generation => generation,
        };
        let watermark = disk.tenant(&event.tenant).watermark;
        let mut kept = watermark.is_none_or(|watermark| event.timestamp >= watermark);
        if !kept && origin == Origin::Live && !self.has(Flaw::TakesPurgedTimes) {
            return Err(Error::invalid("timestamp", "is before the retention watermark"));
        }
        kept |= self.has(Flaw::TakesPurgedTimes)
            || self.has(Flaw::ShowsPurgedRows)
            || self.has(Flaw::ReplicatedRowsOutliveAPurge);
        if origin != Origin::Live && self.has(Flaw::ReplicatedIsRestamped) {
            event = event.edited(|fields| fields.timestamp += TimeDelta::milliseconds(1))?;
        }
        if self.has(Flaw::BoundsAttributes) && event.attributes.to_json().len() > MOST_ATTRIBUTES {
            event = event.edited(|fields| fields.attributes = Attributes::default())?;
        }
        let known = Known {
            content,
            id: event.id.clone(),
            arrived: self.now(),
            timestamp: event.timestamp,
        };
        disk.tenant(&key_owner).keys.insert(name, known);
        self.apply(disk, &event, generation, kept);
        if told {
            self.tell(
                disk,
                origin,
                (&event.tenant, generation),
                OutboxPayload::Interaction(event.clone()),
            );
        }
        Ok(self.told_new(event.id.clone(), generation))
    }

    /// The answer for what is new.
    fn told_new<I>(&self, id: I, generation: Generation) -> Recorded<I> {
        let told = match self.has(Flaw::TellsNoGeneration) {
            true => Generation::ZERO,
            false => generation,
        };
        Recorded::New { id, generation: told }
    }

    fn repeat(
        &self,
        disk: &mut Disk,
        event: &Interaction,
        same: bool,
        id: kaireon_core::InteractionId,
        told: bool,
    ) -> Result<Recorded> {
        let context = match self.has(Flaw::QuotesTheKeyInErrors) {
            true => format!("key {} was used for other content", event.idempotency_key),
            false => "the key was used for other content".to_owned(),
        };
        let overwrites = match same {
            true => self.has(Flaw::RetryOverwritesTheFirst),
            false => self.has(Flaw::ConflictOverwritesTheFirst),
        };
        if overwrites {
            let name = self.name(&event.tenant, &event.customer);
            for row in disk
                .customers
                .get_mut(&name)
                .into_iter()
                .flat_map(|found| found.rows.values_mut())
            {
                if row.value.id == id {
                    let first = id.clone();
                    row.value = event.edited(|fields| fields.id = first)?;
                }
            }
        }
        if !same && !self.has(Flaw::AcceptsConflicts) {
            return Err(Error::conflict(context));
        }
        if self.has(Flaw::OutboxRepeatsDuplicates) && told {
            let owner = (&event.tenant, Generation::ZERO);
            self.tell(
                disk,
                Origin::Live,
                owner,
                OutboxPayload::Interaction(event.clone()),
            );
        }
        Ok(match self.flaw {
            Some(Flaw::AnswersRetriesAsNew) => Recorded::new(event.id.clone()),
            Some(Flaw::DuplicateReturnsTheRetrysId) => Recorded::Duplicate(event.id.clone()),
            _ => Recorded::Duplicate(id),
        })
    }

    fn tell(&self, disk: &mut Disk, origin: Origin, owner: (&TenantId, Generation), payload: OutboxPayload) {
        if origin != Origin::Live && !self.has(Flaw::ReplicatedWritesLanes) {
            return;
        }
        let lanes = match self.has(Flaw::OutboxIgnoresLanes) {
            true => LaneSet::of(&kaireon_core::outbox::Lane::ALL),
            false => disk.lanes_of(owner.0),
        };
        let now = self.now();
        for lane in lanes.iter() {
            let generation = match self.has(Flaw::EntriesAreOfGenerationZero) {
                true => Generation::ZERO,
                false => owner.1,
            };
            disk.enqueue(lane, generation, now, payload.clone());
        }
    }

    /// A decision as it is kept: as it is, but for a flaw.
    fn as_kept(&self, decision: &Decision, origin: Origin) -> Result<Decision> {
        match self.flaw {
            Some(Flaw::ForgetsPropensities) => decision.edited(|fields| {
                fields.offers.iter_mut().for_each(|offer| offer.propensity = None);
            }),
            Some(Flaw::ReplicatedDecisionsAreRestamped) if origin != Origin::Live => {
                decision.edited(|fields| fields.timestamp += TimeDelta::milliseconds(1))
            }
            _ => Ok(decision.clone()),
        }
    }

    /// Judges one decision and applies it, as one unit.
    pub(super) fn record_decision(
        &self,
        disk: &mut Disk,
        record: Record<Decision>,
        terms: Terms,
    ) -> Result<Recorded<RecommendationId>> {
        let Terms { origin, epoch, told } = terms;
        if !self.has(Flaw::DecisionsUnfenced) {
            self.check_fence(disk, &record.value.tenant, epoch, Glance::default())?;
        }
        self.check_generation(&record, origin)?;
        let decision = record.value;
        let content = self.key.tenant(&decision.tenant).content(&decision);
        let key_owner = self.key_owner(&decision.tenant, Flaw::DecisionKeysAcrossTenants);
        if let Some(known) = disk.tenant(&key_owner).recommendations.get(&decision.id) {
            if known.content == content || self.has(Flaw::AcceptsOtherDecisions) {
                if self.has(Flaw::AnswersDecisionsAsNew) {
                    return Ok(Recorded::new(known.id.clone()));
                }
                return Ok(Recorded::Duplicate(known.id.clone()));
            }
            return Err(Error::conflict(
                "the recommendation id was used for other content",
            ));
        }
        let generation = self.accept(disk, (&decision.tenant, &decision.customer), record.generation)?;
        let watermark = disk.tenant(&decision.tenant).watermark;
        let mut kept = watermark.is_none_or(|watermark| decision.timestamp >= watermark);
        if !kept && origin == Origin::Live && !self.has(Flaw::TakesPurgedTimes) {
            return Err(Error::invalid("timestamp", "is before the retention watermark"));
        }
        kept |= self.has(Flaw::TakesPurgedTimes);
        let known = Known {
            content,
            id: decision.id.clone(),
            arrived: self.now(),
            timestamp: decision.timestamp,
        };
        disk.tenant(&key_owner)
            .recommendations
            .insert(decision.id.clone(), known);
        if self.has(Flaw::CountsDecisions) {
            self.count(disk, &decision);
        }
        if kept {
            let accepted = Accepted {
                value: self.as_kept(&decision, origin)?,
                generation,
            };
            disk.tenant(&decision.tenant)
                .decisions
                .insert(decision.id.clone(), accepted);
        }
        if told && !self.has(Flaw::DecisionsUntold) {
            self.tell(
                disk,
                origin,
                (&decision.tenant, generation),
                OutboxPayload::Decision(decision.clone()),
            );
        }
        Ok(self.told_new(decision.id.clone(), generation))
    }
}

/// The error of a handle that was closed.
pub(super) fn closed(operation: &'static str) -> Error {
    Error::disconnected("plain", operation).with_effect(Effect::NotApplied)
}
