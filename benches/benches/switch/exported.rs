//! A tenant on an embedded store, exported, that is to be moved to others.

use std::sync::Arc;

use kaireon_archive::{Archive, ArchiveConfig, ExportConfig, Exporter, Place};
use kaireon_benches::callers::{batches, bulk};
use kaireon_benches::workload::{Draw, Workload};
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::{InteractionStore, TenantId};
use kaireon_migrate::{Backend, BackfillConfig, Backfiller, Step};

use crate::places::{Engine, KEY, Places, Switched, name, tenant};

/// How many days the rows are of.
pub(crate) const DAYS: u64 = 30;

pub(crate) struct Exported {
    pub(crate) tenant: TenantId,
    pub(crate) source: Arc<dyn InteractionStore>,
    pub(crate) here: Backend,
    pub(crate) targets: Vec<Backend>,
    pub(crate) switched: Switched,
    pub(crate) archive: Archive,
    exporter: Exporter,
}

impl Exported {
    /// So many rows, and so many empty targets to move them to.
    pub(crate) async fn new(places: &mut Places, rows: u64, target: Engine, targets: usize) -> Self {
        let lanes = LaneSet::of(&[Lane::Archive]);
        let tenant = tenant("bench");
        let source = places.open(Engine::Embedded, lanes).await;
        let mut workload = Workload::new(Draw::Uniform, 1).over_days(DAYS);
        for _ in 0..rows / 2_000 {
            bulk(&source, batches(&mut workload, 2)).await;
        }
        let config = ArchiveConfig::new(Place::folder(places.folder()).expect("a folder can be made"), KEY);
        let archive = Archive::open(config).await.expect("a new archive");
        let config = ExportConfig::new("bench").with_tenants([tenant.clone()]);
        let exporter = Exporter::new(archive.clone(), Arc::clone(&source), config);
        let exporter = exporter.expect("within the bounds");
        let scanned = exporter.scan(&tenant).await;
        assert_eq!(scanned.expect("the archive takes writes").interactions, rows);
        let mut stores = vec![(name("here"), Arc::clone(&source))];
        for number in 0..targets {
            let store = places.open(target, LaneSet::NONE).await;
            stores.push((name(&format!("there-{number}")), store));
        }
        let settings = places.settings(target).await;
        Self {
            here: name("here"),
            targets: stores[1..].iter().map(|(name, _)| name.clone()).collect(),
            switched: Switched::over(&stores, settings, lanes),
            tenant,
            source,
            archive,
            exporter,
        }
    }

    /// Begins to move the tenant to one of its targets, up to a backfill that may run.
    pub(crate) async fn begin(&self, target: usize) -> Backfiller {
        self.switched.start(&self.tenant, &self.targets[target]).await;
        let exported = self.exporter.export_once().await;
        assert!(exported.expect("the archive takes writes").complete);
        let config = BackfillConfig::default();
        let backfiller = Backfiller::new(self.switched.migrator.clone(), self.archive.clone(), config);
        let begun = backfiller.begin(&self.tenant, "bench", "a figure").await;
        begun.expect("nothing is missing");
        backfiller
    }

    /// Goes back from it.
    pub(crate) async fn roll_back(&self) {
        self.switched.change(&self.tenant, Step::RollBack).await;
    }
}
