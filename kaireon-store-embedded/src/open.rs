//! Opening: the directory, the journals, the engine, and what the store is.

use std::sync::Arc;

use kaireon_core::coalesce::{Submitter, queue};
use kaireon_core::digest::MasterKey;
use kaireon_core::store::Durability;
use kaireon_core::{Error, ErrorKind, Result, TenantId};

use crate::BACKEND;
use crate::client::{Change, Engine, Space, guarded};
use crate::codec::{Birth, Head, Settings};
use crate::config::EmbeddedConfig;
use crate::error::{io_error, of_engine};
use crate::folds;
use crate::journal;
use crate::keys;
use crate::place::{Found, Place};
use crate::seen;
use crate::shared::{Loaded, Shared};
use crate::store::Recovery;
use crate::writer::{Answer, Op, Writer};

/// Opens the directory and starts the writer.
///
/// # Errors
/// As [`EmbeddedStore::open`](crate::EmbeddedStore::open) says.
pub(crate) fn open(config: EmbeddedConfig) -> Result<(Arc<Shared>, Submitter<Op, Answer>)> {
    config.check()?;
    let (place, found) = Place::take(&config.data_dir)?;
    let durability = place.durability()?;
    if let Durability::Volatile(reason) = &durability {
        tracing::warn!(%reason, "what the embedded store acknowledges does not survive the machine");
    }
    let mut recovery = Recovery::default();
    let (engine, birth) = match found {
        Found::Nothing => create(&place, &config)?,
        Found::Store => {
            let dir = place.engine_dir();
            if !dir.join("version").exists() {
                return Err(missing());
            }
            recovery.torn_bytes = journal::check(&dir)?.torn_bytes;
            if recovery.torn_bytes > 0 {
                let bytes = recovery.torn_bytes;
                tracing::warn!(
                    bytes,
                    "a commit that a crash tore was cut off the embedded store's journal"
                );
            }
            let engine = Engine::open(&dir, &config)?;
            let birth = engine.get(Space::Meta, keys::BIRTH)?.ok_or_else(missing)?;
            (engine, Birth::decode(&birth)?)
        }
    };
    let master_key = master_key(&birth, &config)?;
    let opening = next_opening(&engine)?;
    let loaded = load(engine)?;
    let identity = (master_key, birth.incarnation, opening);
    let queue_config = config.queue;
    let shared = Arc::new(Shared::new(config, identity, (recovery, durability), loaded)?);
    let (submitter, waiting) = queue(BACKEND, queue_config);
    let writer = Writer::new(Arc::clone(&shared), place);
    let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
    let of_folder = Arc::clone(&shared);
    let folder = thread("kaireon-folder")
        .spawn(move || folds::run(&of_folder))
        .map_err(io_error)?;
    let of_learner = Arc::clone(&shared);
    let learner = thread("kaireon-recall").spawn(move || seen::learn(&of_learner));
    let spawned = match learner {
        Ok(learner) => thread("kaireon-writer").spawn(move || writer.run(waiting, [folder, learner])),
        Err(error) => Err(error),
    };
    if spawned.is_err() {
        shared.folds.stop();
    }
    spawned.map_err(io_error)?;
    Ok((shared, submitter))
}

/// Opens the database anew after a failure; what was acknowledged is all there.
pub(crate) fn again(place: &Place, config: &EmbeddedConfig) -> Result<Loaded> {
    let dir = place.engine_dir();
    journal::check(&dir)?;
    journal::lay_anew(&dir).map_err(io_error)?;
    load(Engine::open(&dir, config)?)
}

fn create(place: &Place, config: &EmbeddedConfig) -> Result<(Engine, Birth)> {
    place.begin()?;
    let mut drawn = [0; 40];
    getrandom::fill(&mut drawn)
        .map_err(|_| Error::new(ErrorKind::Internal, "the system gave no random bytes"))?;
    let (key, incarnation) = drawn.split_first_chunk().expect("40 bytes were drawn");
    let own_key = MasterKey::new(*key);
    let key = config.master_key.clone().unwrap_or_else(|| own_key.clone());
    let birth = Birth {
        incarnation: incarnation
            .iter()
            .fold(0, |number, &byte| number << 8 | u64::from(byte)),
        check_value: key.check_value(),
        own_key: config.master_key.is_none().then_some(own_key),
    };
    let engine = Engine::open(&place.engine_dir(), config)?;
    let head = Head {
        lanes: config.lanes,
        ..Head::default()
    };
    let changes: Vec<Change> = vec![
        (Space::Meta, keys::BIRTH.into(), Some(birth.encode().into())),
        (Space::Meta, keys::HEAD.into(), Some(head.encode().into())),
    ];
    engine.commit(changes).map_err(of_engine)?.show();
    place.finish()?;
    Ok((engine, birth))
}

fn master_key(birth: &Birth, config: &EmbeddedConfig) -> Result<MasterKey> {
    let key = config.master_key.clone().or_else(|| birth.own_key.clone());
    let key = key.filter(|key| key.check_value() == birth.check_value);
    key.ok_or_else(|| {
        let context = "the master key is not the one that the store was made with";
        Error::new(ErrorKind::Config, context).with_field("master_key")
    })
}

/// Counts the openings of the directory.
fn next_opening(engine: &Engine) -> Result<u32> {
    let before = engine.get(Space::Meta, keys::OPENS)?;
    let before = before.and_then(|value| Some(u32::from_be_bytes((&*value).try_into().ok()?)));
    let opening = before.unwrap_or(0).wrapping_add(1);
    let value = opening.to_be_bytes().into();
    let change: Change = (Space::Meta, keys::OPENS.into(), Some(value));
    engine.commit(vec![change]).map_err(of_engine)?.show();
    Ok(opening)
}

fn load(engine: Engine) -> Result<Loaded> {
    guarded(move || {
        let head = engine.get(Space::Meta, keys::HEAD)?.ok_or_else(missing)?;
        let head = Head::decode(&head)?;
        let engine = Arc::new(engine);
        let mut settings = Vec::new();
        for found in engine.view().range(
            Space::Meta,
            std::ops::Bound::Excluded(vec![0, 0xff]),
            std::ops::Bound::Unbounded,
        ) {
            let (key, value) = found?;
            let tenant = key.strip_suffix(&[0]).and_then(|id| std::str::from_utf8(id).ok());
            let tenant = tenant.and_then(|id| TenantId::new(id).ok()).ok_or_else(missing)?;
            settings.push((tenant, Settings::decode(&value)?));
        }
        let mut logged = Vec::new();
        for found in engine.view().prefix(Space::Folds, &[]) {
            let (key, row) = found?;
            let sequence = keys::read_fold(&key).ok_or_else(missing)?;
            logged.push((sequence, folds::read_log(&row)?));
        }
        let engine = Arc::try_unwrap(engine).map_err(|_| missing())?;
        Ok(Loaded {
            engine,
            head,
            settings,
            logged,
        })
    })
}

fn missing() -> Error {
    Error::new(ErrorKind::Corrupt, "the store's own records are missing")
}
