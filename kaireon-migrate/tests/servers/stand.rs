//! A host with callers, while one of its stores suffers.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use kaireon_core::Error;
use kaireon_migrate::{Missing, OperatorStatus, Refused, Step};

use super::host::{Host, Plan, in_time};
use super::judge::{are_same, judge};
use super::ledger::Ledger;
use super::load::{Callers, Load};
use super::place::Place;
use super::taken::Taken;

const CALLERS: Callers = Callers {
    writers: 16,
    readers: 8,
    rest: Duration::from_millis(100),
};

pub(crate) struct Stand {
    pub(crate) host: Host,
    pub(crate) ledger: Arc<Ledger>,
    load: Option<Load>,
    pub(crate) folder: tempfile::TempDir,
}

impl Stand {
    /// Callers are at work on the first of two stores.
    pub(crate) async fn begin(places: impl FnOnce(Place) -> [Place; 2]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let places = places(Place::Folder(folder.path().join("data")));
        let plan = Plan {
            max_lag: Duration::from_secs(2),
            read_deadline: Duration::from_secs(2),
            ..Plan::new(folder.path(), places)
        };
        let mut stand = Self {
            host: Host::open(&plan).await,
            ledger: Arc::new(Ledger::at(folder.path())),
            load: None,
            folder,
        };
        stand.resume();
        stand.progress(50).await;
        stand
    }

    /// Callers go to work.
    pub(crate) fn resume(&mut self) {
        assert!(self.load.is_none());
        self.load = Some(Load::begin(&self.host, &self.ledger, CALLERS));
    }

    /// Callers end.
    pub(crate) async fn rest(&mut self) {
        let met = self.load.take().unwrap().end().await;
        println!("{met:?}");
    }

    /// Everything is opened anew, by what lies in the files.
    pub(crate) async fn open_again(&mut self) {
        self.ledger = Arc::new(Ledger::at(self.folder.path()));
        self.host = Host::open(&self.host.plan.clone()).await;
    }

    pub(crate) async fn progress(&self, more: u64) {
        self.load.as_ref().unwrap().progress(more).await;
    }

    pub(crate) async fn take(&self, steps: &[Taken]) {
        for step in steps {
            step.take(&self.host).await;
        }
    }

    /// What an operator is shown.
    pub(crate) async fn status(&self) -> OperatorStatus {
        let operator = self.host.operator();
        operator.status(self.host.tenant()).await.unwrap()
    }

    /// What an operator is shown, once it is so.
    pub(crate) async fn shown(&self, what: &str, is_so: impl Fn(&OperatorStatus) -> bool) -> OperatorStatus {
        let shown = async {
            loop {
                let status = self.status().await;
                if is_so(&status) {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        in_time(what, shown).await
    }

    /// The gate says no, for this as well.
    pub(crate) async fn is_refused(&self, is_it: impl Fn(&Missing) -> bool) {
        self.host.migrator.measure(self.host.tenant()).await.unwrap();
        let missing = missing_of(&self.host.change(Step::PassGate).await.unwrap_err());
        assert!(missing.iter().any(is_it), "{missing:?}");
    }

    /// Where the tenant is on the other side and the first is kept up: ends the callers and looks at everything.
    pub(crate) async fn end(mut self) {
        self.rest().await;
        let equal = are_same(&self.host).await;
        let verdict = judge(&self.host, &self.ledger).await;
        println!("{verdict}, {equal} equal on both sides");
        self.host.close().await;
        self.host.plan.remove().await;
    }
}

/// What a refused step lacked.
pub(crate) fn missing_of(error: &Error) -> Vec<Missing> {
    let refused = error.source().and_then(|source| source.downcast_ref::<Refused>());
    refused.unwrap_or_else(|| panic!("{error:?}")).missing.clone()
}

/// Whether an operator is shown that the gate lacks something.
pub(crate) fn lacks(status: &OperatorStatus, is_it: impl Fn(&Missing) -> bool) -> bool {
    let migration = status.migration.as_ref().unwrap();
    migration.gate.iter().any(|lacking| is_it(&lacking.missing))
}
