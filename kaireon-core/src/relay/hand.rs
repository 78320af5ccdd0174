//! What a relay has in hand, and what it does with it.

use crate::Result;
use crate::outbox::{FetchFrom, Lease, Outbox, OutboxEntry, Settlement, Verdict};

/// What was delivered and is still to be settled.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    pub(super) settlements: Vec<Settlement>,
    pub(super) delivered: u64,
    pub(super) poisoned: u64,
}

impl Unsettled {
    pub(super) fn push(&mut self, entry: &OutboxEntry, verdict: Verdict) {
        match verdict {
            Verdict::Delivered => self.delivered += 1,
            Verdict::Poisoned(_) => self.poisoned += 1,
        }
        self.settlements.push(Settlement {
            range: entry.range,
            position: entry.position,
            verdict,
        });
    }

    /// Leaves what is of other ranges to who holds those now.
    pub(super) fn keep(&mut self, held: impl Fn(u16) -> bool) {
        for Settlement { verdict, .. } in self
            .settlements
            .extract_if(.., |settlement| !held(settlement.range))
        {
            match verdict {
                Verdict::Delivered => self.delivered -= 1,
                Verdict::Poisoned(_) => self.poisoned -= 1,
            }
        }
    }
}

pub(super) async fn settle(outbox: &dyn Outbox, leases: &[Lease], unsettled: &Unsettled) -> Result<()> {
    match &unsettled.settlements[..] {
        [] => Ok(()),
        settlements => outbox.settle(leases, settlements.to_vec()).await,
    }
}

pub(super) async fn fetch(outbox: &dyn Outbox, from: Vec<FetchFrom>, limit: u32) -> Result<Vec<OutboxEntry>> {
    if from.is_empty() {
        return Ok(Vec::new());
    }
    outbox.fetch(from, limit).await
}
