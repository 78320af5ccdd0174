//! What serves, and what is being filled beside it.

use super::documents::Documents;
use crate::search::{
    Analyzer, Deletion, Document, IndexTarget, Indexed, RebuildName, RebuildState, RebuildStatus, RebuildStep,
};
use crate::time::Timestamp;
use crate::{CustomerId, Error, ErrorKind, Result, TenantId};

/// Everything of an index.
#[derive(Debug, Default)]
pub(super) struct State {
    serving: Documents,
    open: Option<Rebuild>,
    /// The last rebuild that ended.
    ended: Option<RebuildStatus>,
}

#[derive(Debug)]
struct Rebuild {
    name: RebuildName,
    began_at: Timestamp,
    documents: Documents,
    /// What was deleted since it began: the host may have read it before, and must not fill it in again.
    gone: Vec<Gone>,
}

#[derive(Debug)]
enum Gone {
    Deleted(Deletion),
    Erased(TenantId, CustomerId),
}

impl Gone {
    fn covers(&self, document: &Document) -> bool {
        match self {
            Self::Deleted(deletion) => deletion.covers(document),
            Self::Erased(tenant, customer) => belongs(document, tenant, customer),
        }
    }
}

fn belongs(document: &Document, tenant: &TenantId, customer: &CustomerId) -> bool {
    document.tenant == *tenant && document.customer.as_ref() == Some(customer)
}

impl Rebuild {
    fn status(&self, state: RebuildState) -> RebuildStatus {
        RebuildStatus::new(self.name.clone(), state, self.began_at, self.documents.len())
    }
}

impl State {
    /// What searches see.
    pub(super) const fn serving(&self) -> &Documents {
        &self.serving
    }

    pub(super) const fn analyzer(&self) -> Analyzer {
        Analyzer::english()
    }

    pub(super) fn index(&mut self, document: Document, target: &IndexTarget) -> Result<Indexed> {
        let analyzer = self.analyzer();
        match (target, &mut self.open) {
            (IndexTarget::Live, open) => {
                if let Some(open) = open {
                    open.documents.put(document.clone(), analyzer);
                }
                Ok(self.serving.put(document, analyzer))
            }
            (IndexTarget::Rebuild(name), Some(open)) if open.name == *name => {
                if open.gone.iter().any(|gone| gone.covers(&document)) {
                    return Ok(Indexed::Outdated);
                }
                Ok(open.documents.put(document, analyzer))
            }
            (IndexTarget::Rebuild(_), _) => Err(not_open()),
        }
    }

    pub(super) fn delete(&mut self, deletion: Deletion) -> u64 {
        let deleted = self.serving.remove(|document| deletion.covers(document));
        if let Some(open) = &mut self.open {
            open.documents.remove(|document| deletion.covers(document));
            open.gone.push(Gone::Deleted(deletion));
        }
        deleted
    }

    pub(super) fn erase(&mut self, tenant: &TenantId, customer: &CustomerId) -> u64 {
        let erased = |document: &Document| belongs(document, tenant, customer);
        if let Some(open) = &mut self.open {
            open.documents.remove(erased);
            open.gone.push(Gone::Erased(tenant.clone(), customer.clone()));
        }
        self.serving.remove(erased)
    }

    pub(super) fn step(&mut self, step: RebuildStep, now: Timestamp) -> Result<RebuildStatus> {
        let open = self.open.take_if(|open| open.name == *step.name());
        match (step, open) {
            (RebuildStep::Begin(_) | RebuildStep::Status(_), Some(open)) => {
                let status = open.status(RebuildState::Open);
                self.open = Some(open);
                Ok(status)
            }
            (RebuildStep::Begin(name), None) => self.begin(name, now),
            (RebuildStep::Finish(_), Some(open)) => {
                let status = open.status(RebuildState::Finished);
                self.serving = open.documents;
                self.ended = Some(status.clone());
                Ok(status)
            }
            (RebuildStep::Abort(_), Some(open)) => {
                let status = open.status(RebuildState::Aborted);
                self.ended = Some(status.clone());
                Ok(status)
            }
            (RebuildStep::Status(name), None) => self.ended(&name, |_| true),
            (RebuildStep::Finish(name), None) => self.ended(&name, |state| state == RebuildState::Finished),
            (RebuildStep::Abort(name), None) => self.ended(&name, |state| state == RebuildState::Aborted),
        }
    }

    fn begin(&mut self, name: RebuildName, now: Timestamp) -> Result<RebuildStatus> {
        if self.open.is_some() {
            return Err(Error::conflict("a rebuild of another name is open"));
        }
        let rebuild = Rebuild {
            name,
            began_at: now,
            documents: Documents::default(),
            gone: Vec::new(),
        };
        let status = rebuild.status(RebuildState::Open);
        self.open = Some(rebuild);
        Ok(status)
    }

    /// The rebuild that ended last, when it has this name and ended so: the step is repeated.
    fn ended(&self, name: &RebuildName, so: impl Fn(RebuildState) -> bool) -> Result<RebuildStatus> {
        let ended = self
            .ended
            .as_ref()
            .filter(|ended| ended.name == *name && so(ended.state));
        ended.cloned().ok_or_else(not_open)
    }
}

fn not_open() -> Error {
    Error::new(ErrorKind::NotFound, "no rebuild of this name is open")
}
