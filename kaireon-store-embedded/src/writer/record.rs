//! Recording interactions and decisions.

use fjall::Slice;
use kaireon_core::outbox::{Lane, Position, range_of};
use kaireon_core::store::{Generation, Origin, Recorded};
use kaireon_core::{CustomerId, Error, ErrorKind, Result, TenantId};

use super::{Answer, DecisionOp, Raised, RecordOp, Terms, Unit};
use crate::client::Space;
use crate::codec::{self, Dedupe, Settings};
use crate::keys;
use crate::shared::{lane_index, lanes_of};

impl Unit<'_> {
    pub(super) fn record(&mut self, op: &RecordOp) -> Result<Answer> {
        let RecordOp {
            value,
            generation,
            terms,
            identity,
            dedupe_key,
            dedupe,
            customer_key,
            contribution,
            tie,
            row,
        } = op;
        let (_, settings) = self.tenant(&value.tenant);
        check_terms(settings, *terms, *generation)?;
        if let Some(known) = self.dedupe(dedupe_key)? {
            let known = Dedupe::decode(&known)?;
            if known.content != *identity {
                return Err(conflict());
            }
            let first = known.id.try_into().map_err(|_| damaged_id())?;
            return Ok(Answer::Recorded(Recorded::Duplicate(first)));
        }
        let timestamp_ms = value.timestamp.timestamp_millis();
        let (drawn, purged) = self.draw(
            (&value.tenant, &value.customer),
            *generation,
            *terms,
            timestamp_ms,
        )?;
        // From here on nothing fails.
        self.put_dedupe(dedupe_key, dedupe.clone());
        if purged {
            self.expire(&value.tenant, *terms, dedupe_key);
        } else {
            let key = keys::row(
                &keys::rows(customer_key, drawn),
                timestamp_ms,
                value.id.as_str(),
                *tie,
            );
            self.put(Space::History, key, Some(row.clone()));
        }
        self.fold(customer_key, drawn, contribution.clone());
        self.tell_of(
            *terms,
            drawn,
            (&value.tenant, &value.customer, codec::Told::Interaction),
            row,
        );
        Ok(Answer::Recorded(Recorded::New {
            id: value.id.clone(),
            generation: drawn,
        }))
    }

    pub(super) fn decide(&mut self, op: &DecisionOp) -> Result<Answer> {
        let DecisionOp {
            value,
            generation,
            terms,
            content,
            dedupe_key,
            customer_key,
            row,
        } = op;
        let (_, settings) = self.tenant(&value.tenant);
        check_terms(settings, *terms, *generation)?;
        if let Some(known) = self.dedupe(dedupe_key)? {
            if Dedupe::decode(&known)?.content != *content {
                return Err(conflict());
            }
            return Ok(Answer::Decided(Recorded::Duplicate(value.id.clone())));
        }
        let timestamp_ms = value.timestamp.timestamp_millis();
        let (drawn, purged) = self.draw(
            (&value.tenant, &value.customer),
            *generation,
            *terms,
            timestamp_ms,
        )?;
        // From here on nothing fails.
        let dedupe = Dedupe {
            content: *content,
            arrived_ms: terms.now.timestamp_millis(),
            // The id is the key itself; the record keeps nothing readable.
            id: "",
        };
        let mut known = Vec::with_capacity(32);
        dedupe.encode(&mut known);
        self.put_dedupe(dedupe_key, known.into());
        if purged {
            self.expire(&value.tenant, *terms, dedupe_key);
        } else {
            let of_customer = keys::row(
                &keys::rows(customer_key, drawn),
                timestamp_ms,
                value.id.as_str(),
                0,
            );
            self.put(Space::DecisionsOf, of_customer, Some(Slice::empty()));
            let mut stored = codec::put_generation(drawn);
            stored.extend_from_slice(row);
            self.put(
                Space::Decisions,
                keys::decision(&value.tenant, &value.id),
                Some(stored.into()),
            );
        }
        self.fold(customer_key, drawn, Slice::empty());
        self.tell_of(
            *terms,
            drawn,
            (&value.tenant, &value.customer, codec::Told::Decision),
            row,
        );
        Ok(Answer::Decided(Recorded::New {
            id: value.id.clone(),
            generation: drawn,
        }))
    }

    /// The generation that a record is accepted under, and whether it lies before the watermark.
    fn draw(
        &mut self,
        (tenant, customer): (&TenantId, &CustomerId),
        given: Option<Generation>,
        terms: Terms,
        timestamp_ms: i64,
    ) -> Result<(Generation, bool)> {
        let present = self.generation(tenant, customer)?;
        let drawn = given.unwrap_or(present);
        if drawn < present {
            return Err(Error::new(
                ErrorKind::Erased,
                "the customer was erased after the record was accepted",
            ));
        }
        let (tenant_of, settings) = self.tenant(tenant);
        let purged = settings
            .watermark_ms
            .is_some_and(|watermark| timestamp_ms < watermark);
        if purged && terms.origin == Origin::Live {
            return Err(Error::invalid(
                "timestamp",
                "lies before the tenant's retention watermark",
            ));
        }
        if drawn > present {
            let digest = tenant_of.key.customer(customer);
            self.raise(Raised {
                tenant,
                customer: Some(customer),
                digest,
                generation: drawn,
            })?;
            self.shared
                .sweep_wanted
                .store(true, std::sync::atomic::Ordering::Release);
        }
        Ok((drawn, purged))
    }

    /// Notes when a dedupe record without a row may go.
    fn expire(&mut self, tenant: &TenantId, terms: Terms, dedupe_key: &[u8]) {
        let horizon = i64::try_from(self.shared.config.dedupe_horizon.as_millis()).unwrap_or(i64::MAX);
        let expires = terms.now.timestamp_millis().saturating_add(horizon);
        self.put(
            Space::Expiry,
            keys::expiry(tenant, expires, dedupe_key),
            Some(Slice::empty()),
        );
    }

    /// Writes a live record into the lanes in force.
    fn tell_of(
        &mut self,
        terms: Terms,
        generation: Generation,
        told: (&TenantId, &CustomerId, codec::Told),
        row: &[u8],
    ) {
        if terms.origin != Origin::Live {
            return;
        }
        let (tenant, customer, kind) = told;
        let (_, settings) = self.tenant(tenant);
        let lanes = lanes_of(settings, self.head);
        if lanes.is_empty() {
            return;
        }
        let range = range_of(tenant, customer.as_str());
        let entry = Slice::from(codec::put_recorded(generation, terms.now, kind, row));
        for lane in lanes.iter() {
            self.enqueue(lane, range, entry.clone());
        }
    }

    /// Puts an entry behind all others of its lane.
    pub(super) fn enqueue(&mut self, lane: Lane, range: u16, entry: Slice) {
        self.head.position += 1;
        let key = keys::entry(lane, range, Position(self.head.position));
        self.put(Space::Outbox, key, Some(entry));
        let lane = lane_index(lane);
        self.head.waiting[lane] += 1;
        self.tell(lane);
    }
}

/// The epoch and the generation given.
fn check_terms(settings: Settings, terms: Terms, generation: Option<Generation>) -> Result<()> {
    terms.epoch.check(settings.epoch)?;
    terms.origin.check_generation(generation)
}

fn conflict() -> Error {
    Error::conflict("the key was used before for other content")
}

fn damaged_id() -> Error {
    Error::new(ErrorKind::Corrupt, "a stored id is out of bounds")
}
