//! The store on PostgreSQL: one database for every process.

use kaireon_core::InteractionStore;

use super::place::hashed;
use super::{Adapter, Connect, Tables, Variable};
use crate::Config;
use crate::problem::Problem;

pub(super) static STORE: Adapter<dyn InteractionStore> = Adapter {
    names: &["postgresql", "postgres", "pg"],
    needs: &[Variable::DatabaseUrl],
    stand_in: None,
    offered_by: Some(Variable::DatabaseUrl),
    check,
    place,
    shared: true,
    #[cfg(feature = "postgres")]
    tables: Some(Tables {
        migrate: with::migrate,
        plan: with::plan,
    }),
    #[cfg(not(feature = "postgres"))]
    tables: None::<Tables>,
    #[cfg(feature = "postgres")]
    connect: Connect::With(with::connect),
    #[cfg(not(feature = "postgres"))]
    connect: Connect::Without { feature: "postgres" },
};

fn place(config: &Config) -> String {
    hashed(config, config.database_url.as_deref(), is_read)
}

pub(super) fn is_read(name: &str) -> bool {
    name.starts_with("KAIREON_PG_") || name == "KAIREON_MASTER_KEY"
}

#[cfg(not(feature = "postgres"))]
fn check(_config: &Config) -> Vec<Problem> {
    Vec::new()
}

#[cfg(feature = "postgres")]
fn check(config: &Config) -> Vec<Problem> {
    use super::Vars;
    use crate::config::DATABASE_URL;

    // Stands in where the URL is wrong, which is told once, so that what else is wrong is found.
    const SOME_URL: &str = "postgres://localhost/kaireon";
    Vars::problems(config, "postgresql", |vars| {
        let url = match vars.is_wrong(DATABASE_URL) {
            true => Some(SOME_URL.to_owned()),
            false => config.database_url.clone(),
        };
        with::settings(vars, url).map(drop)
    })
}

#[cfg(feature = "postgres")]
mod with {
    use std::sync::Arc;

    use kaireon_core::{InteractionStore, Result};
    use kaireon_store_pg::{PgStore, PgStoreConfig};

    use super::super::{Connecting, Migrating, Vars};
    use crate::Config;
    use crate::config::DATABASE_URL;
    use crate::tables::{Migrated, PlannedStep};

    const NAME: &str = "postgresql";

    pub(super) fn settings(vars: &Vars<'_>, url: Option<String>) -> Result<PgStoreConfig> {
        PgStoreConfig::from_vars(|name| match name {
            DATABASE_URL => url.clone(),
            _ => vars.get(name),
        })
    }

    fn settings_of(config: &Config) -> Result<PgStoreConfig> {
        settings(&Vars::of(config), config.database_url.clone())
    }

    pub(super) fn connect(config: &Config) -> Connecting<dyn InteractionStore> {
        let settings = settings_of(config);
        Box::pin(async move { Ok(Arc::new(PgStore::connect(settings?).await?) as Arc<dyn InteractionStore>) })
    }

    pub(super) fn migrate(config: &Config) -> Migrating<Migrated> {
        let settings = settings_of(config);
        Box::pin(async move {
            let report = PgStore::migrate(&settings?).await?;
            Ok(Migrated {
                backend: NAME,
                applied: report.applied,
                version: report.version,
            })
        })
    }

    pub(super) fn plan(config: &Config) -> Migrating<Vec<PlannedStep>> {
        let settings = settings_of(config);
        Box::pin(async move {
            let plan = PgStore::migration_plan(&settings?).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_apart_by_all_that_is_read_and_shows_none_of_it() {
        let config = |url: &str, extra: &[(&str, &str)]| {
            let mut config = Config::default().with_database_url(url);
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            config.extra = extra.iter().map(own).collect();
            config
        };
        let one = place(&config("postgres://app:hunter2@db/app", &[]));
        assert_eq!(
            one,
            place(&config(
                "postgres://app:hunter2@db/app",
                &[("KAIREON_OTHER", "1")]
            ))
        );
        assert_ne!(one, place(&config("postgres://app:hunter3@db/app", &[])));
        assert_ne!(
            one,
            place(&config(
                "postgres://app:hunter2@db/app",
                &[("KAIREON_PG_SCHEMA", "b")]
            ))
        );
        assert!(one.len() == 16 && one.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
