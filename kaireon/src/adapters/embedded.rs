//! The embedded store: files of this process alone.

use kaireon_core::InteractionStore;

#[cfg(feature = "embedded")]
use super::Vars;
use super::{Adapter, Connect};
use crate::Config;
use crate::problem::Problem;

/// The folder of the data directory in which it lies; other embedded backends have theirs beside it.
const FOLDER: &str = "store";

pub(super) static STORE: Adapter<dyn InteractionStore> = Adapter {
    names: &["embedded"],
    needs: &[],
    stand_in: None,
    offered_by: None,
    check,
    place: |config| place(config, FOLDER),
    shared: false,
    tables: None,
    #[cfg(feature = "embedded")]
    connect: Connect::With(connect),
    #[cfg(not(feature = "embedded"))]
    connect: Connect::Without { feature: "embedded" },
};

/// The directory under one name, whatever relative path or link leads to it.
pub(super) fn place(config: &Config, folder: &str) -> String {
    let directory = config.data_dir().join(folder);
    let directory = directory
        .canonicalize()
        .or_else(|_| std::path::absolute(&directory))
        .unwrap_or(directory);
    directory.to_string_lossy().into_owned()
}

#[cfg(not(feature = "embedded"))]
fn check(_config: &Config) -> Vec<Problem> {
    Vec::new()
}

#[cfg(feature = "embedded")]
fn check(config: &Config) -> Vec<Problem> {
    Vars::problems(config, STORE.names[0], |vars| {
        settings(vars, config.data_dir()).map(drop)
    })
}

#[cfg(feature = "embedded")]
fn settings(
    vars: &Vars<'_>,
    data_dir: std::path::PathBuf,
) -> kaireon_core::Result<kaireon_store_embedded::EmbeddedConfig> {
    let settings = kaireon_store_embedded::EmbeddedConfig::from_vars(|name| vars.get(name))?;
    Ok(kaireon_store_embedded::EmbeddedConfig {
        data_dir: data_dir.join(FOLDER),
        ..settings
    })
}

/// Makes the directory in which the embedded backends have their folders.
#[cfg(feature = "embedded")]
pub(super) async fn make_data_dir(directory: &std::path::Path) -> kaireon_core::Result<()> {
    use kaireon_core::{Error, ErrorKind};

    let made = directory.to_owned();
    let made = tokio::task::spawn_blocking(move || std::fs::create_dir_all(made)).await;
    if let Ok(Err(error)) = made {
        let context = format!("the data directory {} cannot be made", directory.display());
        return Err(Error::new(ErrorKind::Config, context)
            .with_backend("embedded")
            .with_operation("connect")
            .with_field(crate::config::KAIREON_DATA_DIR)
            .with_source(error));
    }
    Ok(())
}

#[cfg(feature = "embedded")]
fn connect(config: &Config) -> super::Connecting<dyn InteractionStore> {
    use std::sync::Arc;

    use kaireon_store_embedded::EmbeddedStore;

    let parent = config.data_dir();
    let settings = settings(&Vars::of(config), parent.clone());
    Box::pin(async move {
        let settings = settings?;
        make_data_dir(&parent).await?;
        Ok(Arc::new(EmbeddedStore::open(settings).await?) as Arc<dyn InteractionStore>)
    })
}
