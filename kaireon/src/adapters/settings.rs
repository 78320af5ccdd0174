//! Where a switch keeps its tenants' settings: files of this process alone, a database for every process, or memory.

use std::sync::Arc;

use kaireon_core::SettingsStore;
use kaireon_core::memory::MemorySettings;

use super::{Adapter, Connect, Tables, Variable};
#[cfg(any(feature = "embedded", not(feature = "postgres")))]
use crate::Config;
#[cfg(feature = "embedded")]
use crate::config::KAIREON_DATA_DIR;
#[cfg(not(feature = "postgres"))]
use crate::problem::Problem;

/// The folder of the data directory in which they lie, beside the embedded store's.
const FOLDER: &str = "settings";

static EMBEDDED: Adapter<dyn SettingsStore> = Adapter {
    names: &["embedded"],
    needs: &[],
    stand_in: None,
    offered_by: None,
    check: |_| Vec::new(),
    place: |config| super::embedded::place(config, FOLDER),
    shared: false,
    tables: None,
    #[cfg(feature = "embedded")]
    connect: Connect::With(in_files),
    #[cfg(not(feature = "embedded"))]
    connect: Connect::Without { feature: "embedded" },
};

static MEMORY: Adapter<dyn SettingsStore> = Adapter {
    names: &["memory"],
    needs: &[],
    stand_in: None,
    offered_by: None,
    check: |_| Vec::new(),
    place: |_| String::new(),
    shared: false,
    tables: None,
    connect: Connect::With(|_| {
        Box::pin(async { Ok(Arc::new(MemorySettings::new()) as Arc<dyn SettingsStore>) })
    }),
};

const fn on_postgresql(needs: &'static [Variable]) -> Adapter<dyn SettingsStore> {
    Adapter {
        names: &["postgresql", "postgres", "pg"],
        needs,
        stand_in: None,
        offered_by: None,
        check: with::check,
        place: with::place,
        shared: true,
        tables: with::TABLES,
        connect: with::CONNECT,
    }
}

/// On a database of their own.
pub(crate) static OF_THEIR_OWN: &Adapter<dyn SettingsStore> = &on_postgresql(&[Variable::SettingsDatabase]);

/// In the store's database, in a schema of their own.
pub(crate) static BESIDE_STORE: &Adapter<dyn SettingsStore> = &on_postgresql(&[Variable::DatabaseUrl]);

/// The settings stores, the default first.
pub(crate) static SETTINGS: &[&Adapter<dyn SettingsStore>] = &[&EMBEDDED, &MEMORY, OF_THEIR_OWN];

#[cfg(feature = "embedded")]
fn in_files(config: &Config) -> super::Connecting<dyn SettingsStore> {
    use kaireon_store_embedded::FileSettings;

    let parent = config.data_dir();
    Box::pin(async move {
        super::embedded::make_data_dir(&parent).await?;
        let opened = FileSettings::open(parent.join(FOLDER)).await;
        let settings = opened.map_err(|error| error.with_field(KAIREON_DATA_DIR))?;
        Ok(Arc::new(settings) as Arc<dyn SettingsStore>)
    })
}

#[cfg(not(feature = "postgres"))]
mod with {
    use super::{Config, Connect, Problem, SettingsStore, Tables};

    pub(super) const TABLES: Option<Tables> = None;
    pub(super) const CONNECT: Connect<dyn SettingsStore> = Connect::Without { feature: "postgres" };

    pub(super) fn check(_config: &Config) -> Vec<Problem> {
        Vec::new()
    }

    pub(super) fn place(_config: &Config) -> String {
        String::new()
    }
}

#[cfg(feature = "postgres")]
mod with {
    use std::sync::Arc;

    use kaireon_core::{Result, SettingsStore};
    use kaireon_store_pg::{PgSettings, PgSettingsConfig};

    use super::super::{Connecting, Migrating, Vars};
    use super::{Connect, Tables, Variable};
    use crate::Config;
    use crate::config::{DATABASE_URL, KAIREON_SETTINGS_URL};
    use crate::problem::Problem;
    use crate::tables::{Migrated, PlannedStep};

    /// The name in reports of tables, which tells them from the store's.
    const NAME: &str = "postgresql settings";

    pub(super) const TABLES: Option<Tables> = Some(Tables { migrate, plan });
    pub(super) const CONNECT: Connect<dyn SettingsStore> = Connect::With(connect);

    pub(super) fn check(config: &Config) -> Vec<Problem> {
        // Whatever is wrong with a URL was told where it was looked at.
        const SOME_URL: &str = "postgres://localhost/kaireon";
        Vars::problems(config, "postgresql", |vars| {
            settings(vars, Some(SOME_URL.to_owned()), None).map(drop)
        })
    }

    /// All that is read, as a hash; see the store's.
    pub(super) fn place(config: &Config) -> String {
        let url = Variable::SettingsDatabase
            .of(config)
            .or(config.database_url.as_deref());
        super::super::place::hashed(config, url, super::super::postgres::is_read)
    }

    fn settings(vars: &Vars<'_>, of_store: Option<String>, own: Option<&str>) -> Result<PgSettingsConfig> {
        PgSettingsConfig::from_vars(|name| match name {
            DATABASE_URL => of_store.clone(),
            KAIREON_SETTINGS_URL => own.map(str::to_owned),
            _ => vars.get(name),
        })
    }

    fn settings_of(config: &Config) -> Result<PgSettingsConfig> {
        let own = Variable::SettingsDatabase.of(config);
        settings(&Vars::of(config), config.database_url.clone(), own)
    }

    fn connect(config: &Config) -> Connecting<dyn SettingsStore> {
        let settings = settings_of(config);
        Box::pin(async move { Ok(Arc::new(PgSettings::connect(settings?).await?) as Arc<dyn SettingsStore>) })
    }

    fn migrate(config: &Config) -> Migrating<Migrated> {
        let settings = settings_of(config);
        Box::pin(async move {
            let report = PgSettings::migrate(&settings?).await?;
            Ok(Migrated {
                backend: NAME,
                applied: report.applied,
                version: report.version,
            })
        })
    }

    fn plan(config: &Config) -> Migrating<Vec<PlannedStep>> {
        let settings = settings_of(config);
        Box::pin(async move {
            let plan = PgSettings::migration_plan(&settings?).await?;
            let steps = plan.into_iter().map(|step| PlannedStep {
                backend: NAME,
                version: step.version,
                name: step.name,
                statements: step.statements,
            });
            Ok(steps.collect())
        })
    }
}
