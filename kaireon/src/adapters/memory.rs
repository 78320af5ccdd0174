//! Backends in the memory of this process: for tests, and for what needs no disk. All is lost at its end.

use std::sync::Arc;

use kaireon_core::digest::MasterKey;
use kaireon_core::memory::{MemoryOptions, MemoryPlace, MemorySearch};
use kaireon_core::search::SearchIndex;
use kaireon_core::{Error, ErrorKind, InteractionStore, Result};

use super::{Adapter, Connect, Connecting, Vars};
use crate::Config;
use crate::config::KAIREON_MASTER_KEY;

pub(super) static STORE: Adapter<dyn InteractionStore> = Adapter {
    names: &["memory"],
    needs: &[],
    stand_in: None,
    offered_by: None,
    check: |config| Vars::problems(config, "memory", |vars| key(vars).map(drop)),
    place,
    shared: false,
    tables: None,
    connect: Connect::With(connect),
};

pub(super) static SEARCH: Adapter<dyn SearchIndex> = Adapter {
    names: &["memory"],
    needs: &[],
    stand_in: None,
    offered_by: None,
    check: |_| Vec::new(),
    place: |_| String::new(),
    shared: false,
    tables: None,
    connect: Connect::With(|_| Box::pin(async { Ok(Arc::new(MemorySearch::new()) as Arc<dyn SearchIndex>) })),
};

fn key(vars: &Vars<'_>) -> Result<Option<MasterKey>> {
    let Some(digits) = vars.get(KAIREON_MASTER_KEY).filter(|digits| !digits.is_empty()) else {
        return Ok(None);
    };
    let wrong =
        || Error::new(ErrorKind::Config, "is not 64 hexadecimal digits").with_field(KAIREON_MASTER_KEY);
    MasterKey::from_hex(&digits).map(Some).ok_or_else(wrong)
}

/// Under another key it is another place.
fn place(config: &Config) -> String {
    let key = key(&Vars::of(config)).ok().flatten();
    key.map_or_else(String::new, |key| format!("{:?}", key.check_value()))
}

fn connect(config: &Config) -> Connecting<dyn InteractionStore> {
    let key = key(&Vars::of(config));
    Box::pin(async move {
        let mut options = MemoryOptions::default();
        if let Some(key) = key? {
            options = options.with_master_key(key);
        }
        Ok(Arc::new(MemoryPlace::new(options).open()) as Arc<dyn InteractionStore>)
    })
}
